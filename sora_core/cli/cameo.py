"""``sora cameo``: lend one's likeness, take it back, and see and prove what was done with it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..errors import SoraError
from . import cameo_acts as does
from .arguments import Parser, count

BAD_INPUT = 2

EXAMPLES = """\
examples:
  sora cameo show                                       your public key, which others lend to
  sora cameo enroll nova --character --image nova.png --i-am-18-or-older
      a character that is no real person
  sora cameo enroll anna --person --image anna.png      what to say and do on camera; then, within 15 minutes:
  sora cameo enroll anna --person --image anna.png --video take.mp4 --confirmed --i-am-18-or-older
  sora cameo grant anna --to did:key:z6Mk... --deny politics --max-uses 5 -o anna.cameo
  sora cameo import anna.cameo                          on the other machine
  sora cameo use-check anna --prompt "a walk"           may I? nothing is logged
  sora cameo revoke anna -o list.json                   takes it back and destroys the likeness here
  sora cameo log                                        every use, refusal and draft
  sora cameo proof export anna -o proof.json
  sora cameo proof verify proof.json --owner did:key:z6Mk...

who may use a cameo (--level):
  only_me    you, on this machine; so it begins
  approved   the one key that the grant names (the default)
  mutuals    that key, as long as it has lent a cameo of its own to you
  everyone   whoever has the grant and your fresh revocation list

Others must stop a week after you signed the newest revocation list that they have; `sora cameo refresh` signs another.
A signature proves which key allowed what. It does not prove that the key belongs to the person shown, or that a
changed program obeyed. What another machine has copied, no command here can destroy.
"""


def add_parser(commands: Any) -> None:  # noqa: ANN401  argparse has no public type for it
    """Add the command."""
    text = "lend your likeness, take it back, see and prove what was done with it"
    parser: argparse.ArgumentParser = commands.add_parser(
        "cameo", help=text, description=f"{text.capitalize()}.", epilog=EXAMPLES
    )
    parser.set_defaults(run=lambda _: parser.print_help() or 0)
    acts = parser.add_subparsers(title="what to do", metavar="ACT", parser_class=Parser)
    _add_enroll(acts)
    _add_grant(acts)
    _add_revoke(acts)
    _add_uses(acts)
    _add_proof(acts)
    _add_identity(acts)


def _add(acts: Any, name: str, act: does.Act, text: str, *, writes: str = "") -> argparse.ArgumentParser:  # noqa: ANN401
    """Add one act with the options that all have; ``writes`` says what its file holds, if it writes one."""
    parser: argparse.ArgumentParser = acts.add_parser(name, help=text, description=f"{text.capitalize()}.")
    parser.set_defaults(run=lambda args: _run(act, args))
    if writes:
        parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=writes)
        parser.add_argument("--force", action="store_true", help="overwrite what is there")
    parser.add_argument(
        "--home", type=Path, metavar="FOLDER", help="the private folder (default: $SORA_HOME, or yours)"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _add_enroll(acts: Any) -> None:  # noqa: ANN401
    parser = _add(acts, "enroll", does.enroll, "make a cameo of yourself or of a character that is no real person")
    parser.add_argument("name", metavar="NAME", help="2 to 30 of a-z, 0-9 and _")
    parser.add_argument(
        "--image", type=Path, action="append", required=True, metavar="FILE", help="a picture; give it once or twice"
    )
    parser.add_argument("--sound", type=Path, metavar="FILE", help="a voice, up to 20 s")
    parser.add_argument("--video", type=Path, metavar="FILE", help="a person's answer to the challenge, in one take")
    subject = parser.add_mutually_exclusive_group(required=True)
    subject.add_argument("--person", dest="subject", action="store_const", const="person", help="you are shown")
    subject.add_argument(
        "--character", dest="subject", action="store_const", const="character", help="you made it, it is nobody"
    )
    parser.add_argument(
        "--i-am-18-or-older",
        action="store_true",
        help="I am the person shown (or the maker of a character that is no real person), and I am 18 or older",
    )
    parser.add_argument(
        "--confirmed", action="store_true", help="I watched the video: digits, turns and person are right"
    )


def _add_grant(acts: Any) -> None:  # noqa: ANN401
    parser = _add(acts, "grant", does.grant, "lend a cameo", writes="what its grantee imports")
    parser.add_argument("name", metavar="NAME", help="of your cameo, or its id")
    parser.add_argument("--level", default="approved", metavar="LEVEL", help="approved (default), mutuals, everyone")
    parser.add_argument("--to", metavar="KEY", help="the grantee's public key, did:key:...")
    parser.add_argument("--scope", action="append", metavar="NAME", help="face, voice (default: all that it holds)")
    parser.add_argument(
        "--deny", action="append", default=[], metavar="WORDS", help="refuse prompts with these words; may be repeated"
    )
    parser.add_argument("--max-uses", type=count, metavar="N", help="in the grantee's ledger (default: no limit)")
    parser.add_argument("--days", type=count, default=30, metavar="N", help="how long, up to 366 (default 30)")
    parser.add_argument("--policy", metavar="SHA256", help="the moderation policy that must be in force")
    parser = _add(acts, "export", does.export, "write a grant again, with the newest list", writes="what it imports")
    parser.add_argument("grant", metavar="HASH", help="from `sora cameo list`")


def _add_revoke(acts: Any) -> None:  # noqa: ANN401
    writes = "the new revocation list, for all who were lent something"
    parser = _add(acts, "revoke", does.revoke, "take back a grant, or a cameo with its likeness", writes=writes)
    parser.add_argument("name", metavar="NAME", help="of your cameo, or its id")
    parser.add_argument("--grant", metavar="HASH", help="this grant alone (default: the whole cameo)")
    _add(acts, "refresh", does.refresh, "sign the revocation list again, so that it stays fresh", writes=writes)
    parser = _add(acts, "import", does.take, "take in what another owner sent: a grant, a list, a vouch")
    parser.add_argument("file", type=Path, metavar="FILE", help="as it came")


def _add_uses(acts: Any) -> None:  # noqa: ANN401
    _add(acts, "list", does.show_all, "list the cameos and grants that are known here")
    parser = _add(acts, "use-check", does.use_check, "say whether a use would be allowed; nothing is logged or counted")
    parser.add_argument("names", nargs="+", metavar="NAME", help="one or two cameos")
    parser.add_argument("--scope", action="append", metavar="NAME", help="face (default), voice")
    parser.add_argument("--prompt", default="", metavar="TEXT", help="the words of the clip")
    parser.add_argument("--tag", action="append", default=[], metavar="TAG", help="what moderation says it is about")
    parser.add_argument("--policy", metavar="SHA256", help="the moderation policy in force")
    parser = _add(acts, "log", does.show_log, "show the log of uses, refusals and drafts")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of one cameo (default: all)")
    parser.add_argument("--newest", type=count, metavar="N", help=f"how many (default {does.LISTED})")
    parser.add_argument("--orphans", action="store_true", help="uses that were begun and have no result")
    parser.add_argument("--audit", action="store_true", help="compute every hash and check every signature again")


def _add_proof(acts: Any) -> None:  # noqa: ANN401
    proof = acts.add_parser("proof", help="export what the log holds, and check such a file", description="Proofs.")
    proof.set_defaults(run=lambda _: proof.print_help() or 0)
    kinds = proof.add_subparsers(title="what to do", metavar="ACT", parser_class=Parser)
    parser = _add(kinds, "export", does.export_proof, "write a proof of what the log holds", writes="the proof")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of one cameo (default: the whole log)")
    parser.add_argument(
        "--since", type=count, metavar="N", help="show too that it only grew since it had these many entries"
    )
    parser = kinds.add_parser("verify", help="check a proof", description="Check a proof with its file alone.")
    parser.set_defaults(run=does.verify)
    parser.add_argument("file", type=Path, metavar="FILE", help="from proof export")
    parser.add_argument("--owner", required=True, metavar="KEY", help="the cameo owner's public key, did:key:...")
    parser.add_argument("--record", type=Path, metavar="FILE", help="the cameo record of a clip's manifest, as JSON")
    parser.add_argument("--json", action="store_true", help="as JSON")


def _add_identity(acts: Any) -> None:  # noqa: ANN401
    parser = _add(
        acts, "show", does.show, "show your public key, or a cameo", writes="the cameo's card, to be vouched for"
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="a cameo, or its id (default: your key)")
    parser = _add(
        acts, "vouch", does.vouch, "put your own key behind another's card", writes="the vouch, for its owner"
    )
    parser.add_argument("file", type=Path, metavar="CARD", help="from `sora cameo show NAME -o CARD`")
    parser.add_argument(
        "--kind",
        default="witness",
        choices=("witness", "credential"),
        help="I know them (default), or I checked papers",
    )
    parser.add_argument("--statement", required=True, metavar="TEXT", help="what you vouch for, in one line")


def _run(act: does.Act, args: argparse.Namespace) -> int:
    """Open the ledger, act, say what was done."""
    output: Path | None = getattr(args, "output", None)
    if output is not None and output.exists() and not args.force:
        raise SoraError(f"{output} is there already; choose another name, or --force to overwrite it")
    from ..cameo.ledger import Ledger
    from ..provenance.home import Home

    home = Home(args.home.expanduser().absolute()) if args.home else Home.default()
    facts, lines = act(Ledger(home), args)
    print(json.dumps(facts, indent=2) if args.json else "\n".join(lines))
    return BAD_INPUT if facts.get("allowed") is False else 0
