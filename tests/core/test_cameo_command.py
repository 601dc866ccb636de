"""The command ``sora cameo``: a walk from enrolment to revocation between two machines, and its refusals."""

# H W height and width

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("cryptography")

from sora_core.cli import cameo
from sora_core.cli.arguments import Parser
from sora_core.errors import SoraError
from sora_core.media.png import write_png


@pytest.fixture(autouse=True)
def _not_the_users_own_home(monkeypatch, tmp_path):
    monkeypatch.delenv("SORA_PASSPHRASE", raising=False)
    monkeypatch.setenv("SORA_HOME", str(tmp_path / "default"))


@pytest.fixture
def image(tmp_path):
    write_png(tmp_path / "face.png", np.full((40, 30, 3), 120, np.uint8))
    return str(tmp_path / "face.png")


@pytest.fixture
def sora(tmp_path, capsys):
    """Run ``sora cameo`` as somebody; return the exit code and what was said."""

    def run(who, *words, as_json=True):
        parser = Parser(prog="sora")
        cameo.add_parser(parser.add_subparsers(parser_class=Parser))
        home = [] if words[:2] == ("proof", "verify") or not who else ["--home", str(tmp_path / who)]
        args = parser.parse_args(["cameo", *map(str, words), *home, *(["--json"] if as_json else [])])
        code = args.run(args)
        out = capsys.readouterr().out
        return code, json.loads(out) if as_json else out

    return run


def test_a_walk_between_two_machines(sora, tmp_path, image):
    _, anna = sora("anna", "show")
    _, ben = sora("ben", "show")
    _, made = sora("anna", "enroll", "nova", "--character", "--image", image, "--i-am-18-or-older")
    assert made["identity"] == "self-declared"
    lent = tmp_path / "nova.cameo"
    _, grant = sora("anna", "grant", "nova", "--to", ben["key"], "--deny", "politics", "--max-uses", 2, "-o", lent)
    with pytest.raises(SoraError, match="already"):
        sora("anna", "grant", "nova", "--to", ben["key"], "-o", lent)
    _, taken = sora("ben", "import", lent)
    assert taken["grant"] == grant["grant"]
    assert sora("ben", "use-check", "nova") == (0, {"allowed": True})
    code, told = sora("ben", "use-check", "nova", "--prompt", "politics today")
    assert (code, told["reason"]) == (2, "denied")
    with pytest.raises(SoraError, match="politics"):
        sora("ben", "use-check", "nova", "--prompt", "politics", as_json=False)
    card, vouch = tmp_path / "card.json", tmp_path / "vouch.json"
    sora("anna", "show", "nova", "-o", card)
    sora("ben", "vouch", card, "--statement", "I know its maker", "-o", vouch)
    sora("anna", "import", vouch)
    _, known = sora("anna", "list")
    assert [(each["name"], each["identity"]) for each in known["cameos"]] == [("nova", "witnessed")]
    revoked = tmp_path / "list.json"
    sora("anna", "revoke", "nova", "-o", revoked)
    sora("ben", "import", revoked)
    assert sora("ben", "use-check", "nova")[1]["reason"] == "revoked"
    proof = tmp_path / "proof.json"
    sora("ben", "proof", "export", "-o", proof, "--since", 1)
    code, read = sora("ben", "proof", "verify", proof, "--owner", anna["key"])
    assert code == 0
    assert read["complete"]
    assert read["log"] == ben["key"]
    assert "belongs to the person shown" in read["not_proven"]
    _, log = sora("anna", "log")
    assert [entry["kind"] for entry in log["entries"]] == ["enroll", "grant", "revoke"]
    assert sora("anna", "log", "--audit")[1]["whole"]
    _, text = sora("anna", "list", as_json=False)
    assert "taken back" in text


def test_a_person_is_asked_for_a_recording(sora, image):
    code, asked = sora("anna", "enroll", "anna", "--person", "--image", image)
    assert code == 0
    assert len(asked["challenge"]["digits"]) == 6
    assert sora("anna", "list")[1]["cameos"] == []
    _, text = sora("anna", "enroll", "anna", "--person", "--image", image, as_json=False)
    assert "--video FILE --confirmed --i-am-18-or-older" in text


def test_refusals_are_sentences(sora, tmp_path, image):
    sora("anna", "enroll", "nova", "--character", "--image", image, "--i-am-18-or-older")
    for words, reason in (
        (["enroll", "bolt", "--character", "--image", image], "18 or older"),
        (["enroll", "../x", "--character", "--image", image, "--i-am-18-or-older"], "no name"),
        (["enroll", "bolt", "--image", image], "required"),
        (["enroll", "bolt", "--character", "--image", tmp_path / "none.png", "--i-am-18-or-older"], "does not exist"),
        (["enroll", "bolt", "--character", *["--image", image] * 3, "--i-am-18-or-older"], "not 3"),
        (["grant", "nova", "--to", "somebody"], "no public key"),
        (["grant", "nova"], "needs the key"),
        (["grant", "nova", "--level", "all"], "no level"),
        (["revoke", "other"], "no cameo"),
        (["revoke", "nova", "--grant", "x"], "no grant"),
        (["import", image], "cannot be read"),
        (["import", tmp_path / "none"], "cannot be read"),
        (["proof", "export"], "-o"),
        (["proof", "export", "-o", tmp_path / "p.json", "--since", "99"], "no head of 99"),
        (["proof", "export", "-o", tmp_path / "no" / "p.json"], "cannot be written"),
        (["proof", "verify", image, "--owner", "did:key:x"], "no public key"),
        (["vouch", image, "--statement", "x", "-o", tmp_path / "v"], "cannot be read"),
        (["log", "other"], "no cameo"),
        (["use-check", "a_b", "c_d", "e_f"], "3 cameos"),
        (["use-check", "nova", "--scope", "hands"], "face, voice"),
    ):
        with pytest.raises(SoraError, match=reason) as caught:
            sora("anna", *words)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "p.json").exists()
    assert not (tmp_path / "default").exists()


def test_the_home_that_the_system_names_is_used(sora, tmp_path):
    sora("", "show")
    assert (tmp_path / "default" / "cameo_owner.pem").is_file()


def test_help_of_every_act(capsys):
    for words in ([], ["proof"]):
        parser = Parser(prog="sora")
        cameo.add_parser(parser.add_subparsers(parser_class=Parser))
        args = parser.parse_args(["cameo", *words])
        assert args.run(args) == 0
        assert "verify" in capsys.readouterr().out
