"""``sora mark``, ``sora sign`` and ``sora verify``: marks and manifests of files that are there already."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import SoraError
from .arguments import add_threads
from .marks import add_certificate, add_layers, certificate_of, check_marks, ending_of_args
from .outputs import check_folder, check_free, with_ending
from .progress import Progress

BROKEN = 3

MARK_EXAMPLES = """\
examples:
  sora mark clip.mp4 -o marked.mp4
      an id in picture and sound, and a signed manifest; the clip's own manifest is carried on
  sora mark clip.mp4 -o marked.mp4 --badge "AI, my studio" --no-invisible
      a badge that moves, and no id
"""

SIGN_EXAMPLES = """\
examples:
  sora sign clip.mp4 -o signed.mp4
      the same pictures and sounds, byte for byte, and a manifest that says who signed them
  sora sign clip.mp4 -o signed.mp4 --certificate chain.pem --private-key key.pem
      with a certificate that others know
"""

VERIFY_EXAMPLES = """\
examples:
  sora verify clip.mp4
  sora verify clip.mp4 --json

Exit code: 0 where everything that is there holds, 3 where something does not, 2 where the file cannot be read.
A mark is a pointer, and never proves where a clip comes from: whoever has a marked clip can copy its mark.
"""


def add_parser(commands: Any) -> None:  # noqa: ANN401  argparse has no public type for it
    """Add the commands."""
    mark: argparse.ArgumentParser = commands.add_parser(
        "mark",
        help="put marks into a clip, and sign it",
        description="Put marks into a clip's picture and sound, and sign it.",
        epilog=MARK_EXAMPLES,
    )
    mark.set_defaults(run=run_mark, no_mark=False, no_manifest=False, prompt_in_manifest=False)
    _add_files(mark)
    add_layers(mark)
    add_certificate(mark)
    add_threads(mark)

    sign: argparse.ArgumentParser = commands.add_parser(
        "sign",
        help="sign a file as it is",
        description="Sign a file as it is: a manifest says what it is and who signed.",
        epilog=SIGN_EXAMPLES,
    )
    sign.set_defaults(run=run_sign)
    _add_files(sign)
    add_certificate(sign)

    verify: argparse.ArgumentParser = commands.add_parser(
        "verify",
        help="say which marks and which manifest a file has, and whether they hold",
        description="Say which marks and which manifest a file has, whether they hold and agree, and where not.",
        epilog=VERIFY_EXAMPLES,
    )
    verify.set_defaults(run=run_verify)
    verify.add_argument("file", type=Path, metavar="FILE", help="a clip or a picture")
    verify.add_argument("--json", action="store_true", help="as JSON")
    verify.add_argument("--anchors", type=Path, metavar="FILE", help="certificates to trust as well, PEM")
    verify.add_argument("--badge", metavar="TEXT", help="the badge's text, where the index does not know it")
    add_threads(verify)


def run_mark(args: argparse.Namespace) -> int:
    """Mark a clip."""
    from .device import set_threads

    check_marks(args)
    if args.no_invisible and args.badge is None and args.logo is None:
        raise SoraError("--no-invisible leaves nothing to put in; give --badge too, or use sora sign")
    args.output = with_ending(args.output, ending_of_args(args))
    _check_target(args)
    set_threads(args.threads)
    from ..editing.film_stream import stream_from
    from ..media.encoder import for_file
    from ..media.film_file import FileFilm
    from ..provenance.delivery import deliver
    from ..provenance.manifest.story import Act
    from .saving import Making, ingredients_of, layers_of, order_of, say_marks

    layers = layers_of(args)
    film = FileFilm(args.source, as_stored=True)
    making = Making(
        title=args.output.stem,
        opened=True,
        ingredients=ingredients_of([args.source], ()),
        acts=[Act(label="c2pa.transcoded", description="marked", by_model=False)],
    )
    progress = Progress("marking ")
    done = 0

    def see(frames_FHWC: Any) -> None:  # noqa: ANN401
        nonlocal done
        done += len(frames_FHWC)
        progress(done, film.num_frames)

    order = order_of(args, layers, making)
    try:
        delivered = deliver(
            args.output, stream_from(film), order, encoding=for_file(args.output), tags=film.tags, see=see
        )
    finally:
        progress.close()
    say_marks(delivered)
    named = "" if delivered.mark_id is None else f", id {delivered.mark_id:016x}"
    print(f"{args.output}: {delivered.width}x{delivered.height}, {delivered.words}{named}")
    return 0


def run_sign(args: argparse.Namespace) -> int:
    """Sign a file as it is."""
    _check_target(args)
    from ..provenance.home import Home
    from ..provenance.manifest.identity import UNKNOWN_TO_OTHERS
    from ..provenance.manifest.sign import signed
    from ..provenance.manifest.signer import signer_of
    from ..provenance.manifest.story import Story
    from .hints import hint

    identity = signer_of(Home.default(), certificate_of(args))
    result = signed(args.source, args.output, Story(title=args.output.stem, made="opened"), identity)
    if identity.local:
        hint(UNKNOWN_TO_OTHERS)
    beside = "" if result.sidecar is None else f", its manifest in {result.sidecar}"
    print(f"{args.output}: signed by {identity.common_name}{beside}")
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Say what a file carries and whether it holds."""
    from .device import set_threads

    set_threads(args.threads)
    from ..provenance.home import Home
    from ..provenance.manifest.plain import plain
    from ..provenance.verify import LONGEST_REASON, verify

    try:
        verdict = verify(args.file, Home.default(), anchors=_read(args.anchors), badge_text=args.badge or "")
    except SoraError as error:
        # files of strangers have names that strangers chose
        raise SoraError(plain(str(error), LONGEST_REASON)) from error
    if args.json:
        print(json.dumps(verdict.to_dict(), indent=2))
    else:
        for name in ("manifest", "visible", "invisible", "audio"):
            print(f"{name:<10} {getattr(verdict, name)}")
        for line in _tree(verdict.ingredients):
            print(line)
        for reason in verdict.reasons:
            print(f"- {reason}")
    return BROKEN if verdict.broken else 0


def _tree(ingredients: Sequence[Mapping[str, Any]], depth: int = 0) -> Iterator[str]:
    """Yield a line for each file that a clip was made from, those of a file below it."""
    for one in ingredients:
        name = "made from" if not depth else ""
        yield f"{name:<10} {'  ' * depth}{one['title']} ({one['relationship']}, {one['state']})"
        yield from _tree(one["ingredients"], depth + 1)


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="IN", help="the file, which stays as it is")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", required=True, help="the new file")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")


def _check_target(args: argparse.Namespace) -> None:
    """Refuse a target that is the source, is there already, or cannot be written.

    Raises:
        SoraError: with the reason.
    """
    if not args.source.is_file():
        raise SoraError(f"{args.source} {'is a folder' if args.source.is_dir() else 'does not exist'}; name a file")
    if args.output.exists() and args.output.samefile(args.source):
        raise SoraError(f"output {args.output} is what it is made from; choose another name")
    check_free(args.output, force=args.force)
    check_folder(args.output.parent)


def _read(path: Path | None) -> bytes:
    if path is None:
        return b""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SoraError(f"{path} cannot be read: {error.strerror}; name a PEM file") from error
