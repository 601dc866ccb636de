"""The options of commands that save a clip: its marks, its manifest, the policy that its prompt must pass."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import SoraError
from ..provenance.marking.endings import ending_for
from .arguments import Container, whole

NO_POLICY = "none"


def add_marks(parser: Container) -> None:
    """Add all that says which marks a new clip carries. They are burnt in before its first byte is written."""
    add_layers(parser)
    parser.add_argument("--no-manifest", action="store_true", help="no signed manifest; the name then says so")
    parser.add_argument("--no-mark", action="store_true", help="nothing of all that; the name then says _unmarked")
    parser.add_argument("--prompt-in-manifest", action="store_true", help="the prompt itself, not only its hash")
    add_certificate(parser)


def add_layers(parser: Container) -> None:
    """Add which marks go into picture and sound."""
    parser.add_argument(
        "--badge", nargs="?", const="", metavar="TEXT", help="show a badge that moves (default text: AI and the tool)"
    )
    parser.add_argument("--no-badge", action="store_true", help="none, not even on who is lent by a cameo")
    parser.add_argument("--logo", type=Path, metavar="FILE", help="a picture for the badge, .png with transparency")
    parser.add_argument("--no-invisible", action="store_true", help="no id in picture and sound; the name then says so")
    parser.add_argument(
        "--scale", type=whole, default=0, metavar="N", help="draw small pictures N times as large, for the marks' sake"
    )


def add_certificate(parser: Container) -> None:
    """Add who signs."""
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="your own certificate chain, PEM")
    parser.add_argument("--private-key", type=Path, metavar="FILE", help="its key, PEM, PKCS#8")


def certificate_of(args: argparse.Namespace) -> tuple[Path, Path] | None:
    """Return the files of the user's own chain and key, or None for this machine's signer."""
    return None if args.certificate is None else (args.certificate, args.private_key)


def add_policy(parser: Container) -> None:
    """Add the policy that prompts must pass."""
    parser.add_argument(
        "--policy", default="default", metavar="NAME", help="default, strict, a .toml of your own, or none"
    )


def check_marks(args: argparse.Namespace, *, cameo: bool = False) -> None:
    """Refuse options that contradict one another.

    Args:
        args: of the command line. cameo: whether somebody is shown who lent their likeness.

    Raises:
        SoraError: with the pair.
    """
    if args.no_mark and cameo:
        raise SoraError("who is lent by a cameo is never saved without marks; leave --no-mark out")
    switched = [f"--no-{name}" for name in ("invisible", "manifest") if getattr(args, f"no_{name}")]
    if args.no_mark and (args.badge is not None or args.logo or switched):
        raise SoraError("--no-mark leaves every mark out; give it alone, without --badge, --logo or another --no-")
    if args.no_badge and (args.badge is not None or args.logo):
        raise SoraError("--no-badge and a badge were both asked for; leave one of them out")
    if (args.certificate is None) != (args.private_key is None):
        raise SoraError("--certificate and --private-key belong together; give both, or neither for the local signer")


def switches_of(args: argparse.Namespace, *, cameo: bool = False) -> dict[str, bool]:
    """Return which layers are on, by `Layers`' own names; arguments as `check_marks`."""
    if args.no_mark:
        return {"invisible": False, "visible": False, "manifest": False}
    asked = args.badge is not None or args.logo is not None
    return {
        "invisible": not args.no_invisible,
        "visible": asked or (cameo and not args.no_badge),
        "manifest": not args.no_manifest,
        "badge_due": cameo,
    }


def ending_of_args(args: argparse.Namespace, *, cameo: bool = False) -> str:
    """Return what the file's name must end in, before its suffix; arguments as `check_marks`."""
    return ending_for(**switches_of(args, cameo=cameo))
