"""The consent ledger: from enrolment over lending and using to taking back."""

# H W height and width, C channels, S samples, F frames

from __future__ import annotations

import stat
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("cryptography")

from sora_core.cameo import words
from sora_core.cameo.card import identity_of, read_card
from sora_core.cameo.challenge import HAND_IN, NUM_TURNS, TURNS, challenge_of, check_recording, draw_challenge
from sora_core.cameo.grant import LEVELS, read_grant
from sora_core.cameo.ledger import Ledger
from sora_core.cameo.likeness import MAX_PIXELS, Likeness, make_likeness
from sora_core.cameo.owner_key import did_of, owner_key, raw_of, seal
from sora_core.cameo.proof import verify_proof
from sora_core.cameo.rules import Moment, _mentions
from sora_core.cameo.use import Ask, Refusal
from sora_core.editing.film import MemoryFilm
from sora_core.errors import SoraError
from sora_core.provenance.home import Home

NOW, DAY = 1_800_000_000, 86_400
HASH = "ab" * 32
FACE = [Ask(cameo="nova")]

NO_GRANTS = [
    {"level": "only_me"},
    {"level": "friends", "grantee": "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"},
    {"level": "approved"},
    {"level": "everyone", "grantee": "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"},
    {"level": "approved", "grantee": "did:web:example.org"},
    {"level": "everyone", "days": 367},
    {"level": "everyone", "days": -1},
    {"level": "everyone", "max_uses": 0},
    {"level": "everyone", "scopes": []},
    {"level": "everyone", "scopes": ["hands"]},
    {"level": "everyone", "deny": ["!!!"]},
    {"level": "everyone", "deny": ["x" * 61]},
    {"level": "everyone", "deny": ["a\nb"]},
    {"level": "everyone", "policy": "none"},
    {"level": "everyone", "not_before": -5},
]


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> float:
        return self.time


@pytest.fixture(autouse=True)
def _no_passphrase_of_the_user(monkeypatch):
    monkeypatch.delenv("SORA_PASSPHRASE", raising=False)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def shape():
    rng = np.random.default_rng(3)
    picture_HWC = rng.integers(0, 256, (32, 24, 3), dtype=np.uint8)
    wave_CS = rng.uniform(-0.5, 0.5, (1, 4000)).astype(np.float32)
    return make_likeness([picture_HWC, picture_HWC[::-1]], wave_CS, 16000)


@pytest.fixture
def anna(tmp_path, clock):
    return Ledger(Home(tmp_path / "anna"), clock=clock)


@pytest.fixture
def ben(tmp_path, clock):
    return Ledger(Home(tmp_path / "ben"), clock=clock)


@pytest.fixture
def nova(anna, shape):
    """A character of Anna's."""
    return anna.enroll("nova", subject="character", attested=True, likeness=shape)


def film(seconds: float = 5.0, fps: float = 10.0, *, moving: bool = True, loud: float = 0.1, cut: bool = False):
    """A dot that walks on a grey ground."""
    frames_FHWC = torch.full((round(seconds * fps), 48, 64, 3), 90, dtype=torch.uint8)
    for number in range(len(frames_FHWC)):
        at = abs(number % 32 - 16) * 3 if moving else 0
        frames_FHWC[number, 10:40, at : at + 15] = 230
    if cut:
        frames_FHWC[len(frames_FHWC) // 2 :] = 255 - frames_FHWC[len(frames_FHWC) // 2 :]
    wave_CS = None if loud is None else torch.full((1, round(seconds * 16000)), loud)
    return MemoryFilm(picture=frames_FHWC, audio=wave_CS, fps=fps, sample_rate=16000)


def lend(owner: Ledger, other: Ledger, name: str = "nova", **wish):
    """Lend and hand over."""
    wish = {"level": "approved"} | wish
    if wish["level"] != "everyone":
        wish = {"grantee": other.did} | wish
    grant = owner.grant(name, **wish)
    other.take(owner.export_grant(grant.hash))
    return grant


def refused(ledger: Ledger, reason: str, asks=FACE, prompt: str = "a walk", **more) -> Refusal:
    """Expect a refusal that is in the log."""
    with pytest.raises(Refusal) as caught:
        ledger.begin_use(asks, prompt=prompt, **more)
    assert caught.value.reason == reason, str(caught.value)
    last = ledger.entries(newest=1)[-1]
    assert last.place == caught.value.place
    assert last.value["kind"] == "refusal"
    assert last.value["reason"] == reason
    return caught.value


# -- keys ------------------------------------------------------------------------------------------


def test_a_key_is_made_once_and_read_again(tmp_path):
    home = Home(tmp_path / "h")
    first, second = owner_key(home), owner_key(home)
    assert first.did == second.did
    pem = home.file("cameo_owner.pem").read_bytes()
    assert b"ENCRYPTED PRIVATE KEY" in pem
    if sys.platform != "win32":
        assert stat.S_IMODE(home.file("cameo_owner.pem").stat().st_mode) == 0o600


def test_another_passphrase_opens_nothing(tmp_path, monkeypatch):
    home = Home(tmp_path / "h")
    monkeypatch.setenv("SORA_PASSPHRASE", "one")
    owner_key(home)
    monkeypatch.setenv("SORA_PASSPHRASE", "two")
    with pytest.raises(SoraError, match="SORA_PASSPHRASE"):
        owner_key(home)


def test_a_passphrase_that_people_choose_is_stretched(tmp_path, monkeypatch):
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    monkeypatch.setenv("SORA_PASSPHRASE", "one")
    home = Home(tmp_path / "h")
    did = owner_key(home).did
    with pytest.raises(ValueError, match=r"[Pp]assword|decrypt"):
        load_pem_private_key(home.file("cameo_owner.pem").read_bytes(), b"one")
    assert owner_key(home).did == did


def test_did_key_of_the_published_example():
    # the example of the did:key method, and the public key of RFC 8032, 7.1, test 1
    did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"
    assert did_of(raw_of(did)) == did
    raw = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert raw_of(did_of(raw)) == raw
    assert did_of(raw).startswith("did:key:z6Mk")


def test_sealed_things_open_for_their_key_and_purpose_alone(anna, ben):
    sealed = seal(b"secret", ben.did, b"purpose")
    assert ben.key.open(sealed, b"purpose") == b"secret"
    for key, context in ((anna.key, b"purpose"), (ben.key, b"other")):
        with pytest.raises(SoraError, match="does not open"):
            key.open(sealed, context)
    for place in range(0, len(sealed), 7):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(SoraError):
            ben.key.open(bytes(changed), b"purpose")


# -- enrolment -------------------------------------------------------------------------------------


def test_a_character_is_enrolled_and_used_by_its_owner(anna, nova, shape):
    use = anna.begin_use([Ask(cameo="nova", scopes=("face", "voice"))], prompt="a walk")
    found = anna.likeness(use)[nova.cameo]
    assert [(a == b).all() for a, b in zip(found.pictures, shape.pictures, strict=True)] == [True, True]
    assert np.abs(found.sound - shape.sound).max() < 1e-4
    assert found.sample_rate == 16000
    anna.check_again(use)
    head = anna.finish_use(use, output_sha256=HASH)
    assert head.size == 3
    assert [entry.value["kind"] for entry in anna.entries()] == ["enroll", "intent", "result"]
    assert anna.audit().root == head.root


def test_a_use_gives_only_what_was_asked_for(anna, nova):
    found = anna.likeness(anna.begin_use(FACE, prompt=""))[nova.cameo]
    assert found.sound is None
    assert len(found.pictures) == 2
    found = anna.likeness(anna.begin_use([Ask(cameo="nova", scopes=("voice",))], prompt=""))[nova.cameo]
    assert found.pictures == ()
    assert found.sound is not None


@pytest.mark.parametrize("subject", ["person", "character"])
def test_without_the_attestation_there_is_no_cameo(anna, shape, subject):
    anna.challenge("nova")
    with pytest.raises(SoraError, match="18 or older"):
        anna.enroll("nova", subject=subject, attested=False, likeness=shape, recording=film(), confirmed=True)
    assert anna.standings() == []
    assert anna.head().size == 0


def test_a_card_without_the_attestation_is_not_read(anna, nova):
    for words_of in ("I am the person shown, and I am 17", "I am the person shown, and I am 18 or older", ""):
        body = nova.envelope["body"] | {"attestation": words_of}
        with pytest.raises(SoraError):
            read_card(anna.key.sign(body))


def test_a_person_answers_a_challenge(anna, shape):
    person = {"subject": "person", "attested": True, "likeness": shape}
    with pytest.raises(SoraError, match="recording"):
        anna.enroll("anna", **person)
    with pytest.raises(SoraError, match="confirm"):
        anna.enroll("anna", **person, recording=film())
    with pytest.raises(SoraError, match="no challenge"):
        anna.enroll("anna", **person, recording=film(), confirmed=True)
    challenge = anna.challenge("anna")
    assert " ".join(challenge.digits) in challenge.text
    card = anna.enroll("anna", **person, recording=film(), confirmed=True)
    assert card.challenge
    assert card.recording
    with anna.store.reading() as connection:
        kept = connection.execute("SELECT used FROM challenges").fetchone()[0]
    assert card.recording in kept
    assert '"loudness":100' in kept
    anna.revoke("anna")
    with pytest.raises(SoraError, match="no challenge"):
        anna.enroll("anna", **person, recording=film(), confirmed=True)


def test_a_challenge_grows_old(anna, shape, clock):
    anna.challenge("anna")
    clock.time += HAND_IN + 1
    with pytest.raises(SoraError, match="older than 15 minutes"):
        anna.enroll("anna", subject="person", attested=True, likeness=shape, recording=film(), confirmed=True)
    assert not list(anna.folder.glob("*.likeness"))


def test_a_character_has_no_recording(anna, shape):
    with pytest.raises(SoraError, match="no recording"):
        anna.enroll("nova", subject="character", attested=True, likeness=shape, recording=film(), confirmed=True)


def test_challenges_differ_and_follow_from_their_nonce():
    drawn = [draw_challenge(b"k" * 32, NOW) for _ in range(300)]
    assert len({each.digits for each in drawn}) > 290
    assert all(len(each.digits) == 6 and len(set(each.turns)) == NUM_TURNS for each in drawn)
    assert {each.turns[0] for each in drawn} == set(TURNS)
    assert challenge_of(b"k" * 32, drawn[0].nonce, NOW) == drawn[0]
    assert challenge_of(b"x" * 32, drawn[0].nonce, NOW).digits != drawn[0].digits


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({"seconds": 2.0}, "2.0 s long"),
        ({"seconds": 61.0, "fps": 4.0}, "61.0 s long"),
        ({"moving": False}, "does not move"),
        ({"loud": 0.0}, "no sound"),
        ({"loud": None}, "no sound"),
        ({"cut": True}, "cut"),
    ],
)
def test_a_recording_that_cannot_be_an_answer(made, reason):
    with pytest.raises(SoraError, match=reason):
        check_recording(film(**made))


def test_names_are_taken_once(anna, nova, shape):
    with pytest.raises(SoraError, match="already"):
        anna.enroll("nova", subject="character", attested=True, likeness=shape)
    anna.revoke("nova")
    again = anna.enroll("nova", subject="character", attested=True, likeness=shape)
    assert again.cameo != nova.cameo
    assert anna.card("nova").cameo == again.cameo


def test_large_pictures_are_made_smaller_and_bad_ones_refused():
    picture_HWC = np.full((3000, 2000, 3), 77, np.uint8)
    kept_HWC = make_likeness([picture_HWC]).pictures[0]
    assert kept_HWC.shape[0] * kept_HWC.shape[1] <= MAX_PIXELS
    assert (kept_HWC == 77).all()
    for bad in ([], [picture_HWC] * 3, [picture_HWC[:8]], [b"no picture"], [picture_HWC.astype(np.float32)]):
        with pytest.raises(SoraError):
            make_likeness(bad)
    for sound in (np.full((1, 10), np.nan, np.float32), np.zeros((3, 10), np.float32), np.zeros((1, 0), np.float32)):
        with pytest.raises(SoraError):
            make_likeness([kept_HWC], sound, 16000)


# -- lending ---------------------------------------------------------------------------------------


def test_a_cameo_is_its_owners_alone_until_it_is_lent(anna, ben, nova):
    refused(ben, "unknown")
    grant = lend(anna, ben)
    use = ben.begin_use(FACE, prompt="a walk")
    assert use.lent[0].grant == grant.hash
    assert use.lent[0].level == "approved"
    assert len(ben.likeness(use)[nova.cameo].pictures) == 2
    record = use.record()
    assert record["log"] == ben.did
    assert record["cameos"] == [{"cameo": nova.cameo, "owner": anna.did, "grant": grant.hash, "scopes": ["face"]}]
    assert "nova" not in str(record)


@pytest.mark.usefixtures("nova")
def test_a_grant_is_for_the_key_it_names(anna, ben, tmp_path, clock):
    carl = Ledger(Home(tmp_path / "carl"), clock=clock)
    grant = anna.grant("nova", level="approved", grantee=ben.did)
    with pytest.raises(SoraError, match="is for did:key"):
        carl.take(anna.export_grant(grant.hash))
    ben.take(anna.export_grant(grant.hash))
    # what was lent cannot be lent on
    with pytest.raises(SoraError, match="another key"):
        ben.grant("nova", level="approved", grantee=carl.did)
    with pytest.raises(SoraError, match="no grant of this ledger"):
        ben.export_grant(grant.hash)


@pytest.mark.usefixtures("nova")
def test_everyone_may_use_what_is_lent_to_everyone(anna, ben):
    grant = lend(anna, ben, level="everyone", scopes=["face"])
    assert grant.grantee == "everyone"
    ben.begin_use(FACE, prompt="")
    refused(ben, "scope", [Ask(cameo="nova", scopes=("voice",))])


@pytest.mark.usefixtures("nova")
def test_mutuals_need_a_grant_in_return(anna, ben, shape):
    lend(anna, ben, level="mutuals")
    assert "lent none of its own" in str(refused(ben, "mutual"))
    ben.enroll("bolt", subject="character", attested=True, likeness=shape)
    refused(ben, "mutual")
    back = ben.grant("bolt", level="mutuals", grantee=anna.did)
    ben.begin_use(FACE, prompt="")
    anna.take(ben.export_grant(back.hash))
    anna.begin_use([Ask(cameo="bolt")], prompt="")
    ben.revoke("bolt", back.hash)
    refused(ben, "mutual")
    # everyone is nobody by name
    ben.grant("bolt", level="everyone")
    refused(ben, "mutual")


@pytest.mark.usefixtures("nova")
def test_a_stale_list_refuses_others_and_not_the_owner(anna, ben, clock):
    for level in LEVELS[1:3]:
        lend(anna, ben, level=level)
    lend(anna, ben, level="everyone")
    ben.begin_use(FACE, prompt="")
    clock.time += 8 * DAY
    assert "stale since 2027-01-22" in str(refused(ben, "stale"))
    anna.begin_use(FACE, prompt="")
    anna.refresh()
    ben.take(anna.export_revocations())
    ben.begin_use(FACE, prompt="")


@pytest.mark.usefixtures("nova")
def test_dates_uses_scopes_denials_and_policies(anna, ben, clock):
    grant = lend(anna, ben, scopes=["face"], deny=["gore", "a gun", "\u653f\u6cbb"], max_uses=2, policy=HASH, days=5)
    good = {"policy": HASH}
    refused(ben, "policy")
    refused(ben, "policy", policy="cd" * 32)
    refused(ben, "scope", [Ask(cameo="nova", scopes=("voice",))], **good)
    refused(ben, "denied", prompt="she holds A  Gun, up high", **good)
    refused(ben, "denied", prompt="\uff27\uff2f\u200b\uff32\uff25", **good)
    refused(ben, "denied", prompt="\u5173\u4e8e\u653f\u6cbb\u7684", **good)
    refused(ben, "denied", tags=["Gore"], **good)
    use = ben.begin_use(FACE, prompt="a gorean gunner", **good)
    with pytest.raises(Refusal, match="gore"):
        ben.check_again(use, tags=["gore"])
    ben.begin_use(FACE, prompt="", **good)
    refused(ben, "used_up", **good)
    clock.time = grant.not_after
    anna.refresh()
    ben.take(anna.export_revocations())
    refused(ben, "used_up", **good)
    clock.time += 1
    refused(ben, "expired", **good)


@pytest.mark.usefixtures("nova")
def test_a_grant_that_begins_later(anna, ben, clock):
    lend(anna, ben, not_before=NOW + 100)
    refused(ben, "not_yet")
    clock.time += 100
    ben.begin_use(FACE, prompt="")


@pytest.mark.usefixtures("nova")
def test_what_failed_is_not_counted_and_what_was_left_open_is(anna, ben):
    lend(anna, ben, max_uses=1)
    use = ben.begin_use(FACE, prompt="")
    refused(ben, "used_up")
    ben.finish_use(use, failed="interrupted")
    use = ben.begin_use(FACE, prompt="")
    ben.finish_use(use, draft=True)
    refused(ben, "used_up")


def test_words_of_a_denial():
    def found(denied, prompt="", tags=()):
        return _mentions(Moment(me="", now=0, prompt=prompt, tags=frozenset(tags)), denied)

    assert found("politics", "No POLITICS!")
    assert not found("politics", "politicsly")
    assert found("cafe\u0301", "a caf\u00e9")
    assert found("say hello", "they say, hello")
    assert not found("say hello", "hello say")


@pytest.mark.usefixtures("nova")
def test_grants_that_cannot_be(anna):
    size = anna.head().size
    for wish in NO_GRANTS:
        with pytest.raises(SoraError):
            anna.grant("nova", **wish)
    assert anna.head().size == size


# -- taking back -----------------------------------------------------------------------------------


def test_taking_back_a_cameo_destroys_its_likeness(anna, ben, nova):
    lend(anna, ben)
    use = ben.begin_use(FACE, prompt="")
    assert len(list(anna.folder.glob(f"{nova.cameo}.*"))) == 2
    anna.revoke("nova")
    assert not list(anna.folder.glob(f"{nova.cameo}.*"))
    refused(anna, "revoked")
    # news that has not arrived cannot be known
    ben.check_again(use)
    ben.take(anna.export_revocations())
    assert not list(ben.folder.glob(f"{nova.cameo}.*"))
    with pytest.raises(Refusal, match="took it back"):
        ben.check_again(use)
    with pytest.raises(SoraError, match="ended"):
        ben.finish_use(use, output_sha256=HASH)
    refused(ben, "revoked")
    with pytest.raises(SoraError, match="taken back"):
        anna.grant("nova", level="everyone")


@pytest.mark.usefixtures("nova")
def test_a_likeness_is_not_given_once_it_is_taken_back(anna):
    use = anna.begin_use(FACE, prompt="")
    anna.revoke("nova")
    with pytest.raises(Refusal, match="took it back"):
        anna.likeness(use)


@pytest.mark.usefixtures("nova")
def test_saving_is_refused_where_it_was_taken_back_while_sampling(anna):
    use = anna.begin_use(FACE, prompt="")
    anna.revoke("nova")
    with pytest.raises(Refusal):
        anna.finish_use(use, output_sha256=HASH)
    last = anna.entries(newest=1)[0].value
    assert (last["decision"], last["output"], last["reason"]) == ("refused", HASH, "revoked")


def test_taking_back_one_grant_leaves_the_others(anna, ben, nova):
    first, second = lend(anna, ben), lend(anna, ben)
    anna.revoke("nova", first.hash)
    ben.take(anna.export_revocations())
    assert ben.begin_use(FACE, prompt="").lent[0].grant == second.hash
    anna.revoke("nova", second.hash)
    ben.take(anna.export_revocations())
    refused(ben, "revoked")
    assert not list(ben.folder.glob(f"{nova.cameo}.*"))
    lend(anna, ben)
    ben.begin_use(FACE, prompt="")
    anna.begin_use(FACE, prompt="")


def test_a_likeness_whose_destruction_was_interrupted_goes_at_the_next_start(anna, nova, tmp_path, clock, monkeypatch):
    monkeypatch.setattr("sora_core.cameo.likeness.destroy", lambda *_: False)
    anna.revoke("nova")
    assert len(list(anna.folder.glob(f"{nova.cameo}.*"))) == 2
    monkeypatch.undo()
    Ledger(Home(tmp_path / "anna"), clock=clock)
    assert not list(anna.folder.glob(f"{nova.cameo}.*"))


@pytest.mark.usefixtures("nova")
def test_an_older_list_never_comes_after_a_newer_one(anna, ben):
    grant = lend(anna, ben)
    old = anna.export_revocations()
    anna.revoke("nova", grant.hash)
    ben.take(anna.export_revocations())
    with pytest.raises(SoraError, match="newest"):
        ben.take(old)
    refused(ben, "revoked")


# -- uses ------------------------------------------------------------------------------------------


def test_two_cameos_in_a_scene_and_not_three(anna, nova, shape):
    for name in ("bolt", "cora"):
        anna.enroll(name, subject="character", attested=True, likeness=shape)
    use = anna.begin_use([Ask(cameo="nova"), Ask(cameo="bolt"), Ask(cameo="nova", scopes=("voice",))], prompt="")
    assert [(each.name, each.scopes) for each in use.lent] == [("nova", ("face", "voice")), ("bolt", ("face",))]
    with pytest.raises(SoraError, match="3 cameos in one scene"):
        anna.begin_use([Ask(cameo="nova"), Ask(cameo="bolt"), Ask(cameo="cora")], prompt="")
    with pytest.raises(SoraError, match="twice"):
        anna.begin_use([Ask(cameo="nova"), Ask(cameo=nova.cameo)], prompt="")
    # one that may not be used spoils the scene, and nothing of it is counted
    anna.revoke("bolt")
    refused(anna, "revoked", [Ask(cameo="nova"), Ask(cameo="bolt")])


@pytest.mark.usefixtures("nova")
def test_a_use_ends_once(anna):
    use = anna.begin_use(FACE, prompt="")
    assert [entry.place for entry in anna.orphans()] == [use.index]
    anna.finish_use(use, draft=True, output_sha256=HASH)
    assert anna.orphans() == []
    for act in (
        lambda: anna.finish_use(use, failed="again"),
        lambda: anna.check_again(use),
        lambda: anna.likeness(use),
    ):
        with pytest.raises(SoraError, match="ended"):
            act()


@pytest.mark.parametrize(
    "end", [{}, {"output_sha256": "x"}, {"output_sha256": HASH.upper()}, {"failed": "f", "output_sha256": HASH}]
)
@pytest.mark.usefixtures("nova")
def test_ends_that_cannot_be(anna, end):
    use = anna.begin_use(FACE, prompt="")
    with pytest.raises(SoraError):
        anna.finish_use(use, **end)
    anna.finish_use(use, output_sha256=HASH)


def test_a_use_of_another_ledger_or_a_made_up_one(anna, ben, nova):
    use = anna.begin_use(FACE, prompt="")
    lend(anna, ben)
    for ledger, forged in ((ben, use), (anna, replace(use, id="0" * 32)), (anna, replace(use, id="../x"))):
        with pytest.raises(SoraError, match="never begun"):
            ledger.likeness(forged)
    # the ledger believes its own entry, not the object
    widened = replace(use, lent=(replace(use.lent[0], scopes=("face", "voice")),))
    assert anna.likeness(widened)[nova.cameo].sound is None


@pytest.mark.usefixtures("nova")
def test_a_use_does_not_last_for_ever(anna, clock):
    use = anna.begin_use(FACE, prompt="")
    clock.time += DAY + 1
    with pytest.raises(Refusal):
        anna.check_again(use)


@pytest.mark.usefixtures("nova")
def test_the_prompt_is_nowhere(anna, ben, tmp_path):
    prompt = "an unmistakable prompt about quinces"
    lend(anna, ben, deny=["quinces"])
    refused(ben, "denied", prompt=prompt)
    one = anna.begin_use(FACE, prompt=prompt)
    two = anna.begin_use(FACE, prompt=prompt)
    anna.finish_use(one, failed=f"the prompt {prompt!r} was too much")
    assert one.prompt_hash != two.prompt_hash
    anna.export_proof()
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert b"unmistakable" not in path.read_bytes(), path
    assert anna.entries(newest=1)[0].value["reason"] == "other"


@pytest.mark.usefixtures("nova")
def test_looking_ahead_changes_nothing(anna, ben):
    lend(anna, ben, max_uses=1)
    size = ben.head().size
    assert ben.may_use(FACE) is None
    assert ben.may_use(FACE) is None
    assert ben.may_use([Ask(cameo="other")]).reason == "unknown"
    assert ben.head().size == size


@pytest.mark.usefixtures("nova")
def test_a_clock_that_went_back_refuses(anna, clock):
    use = anna.begin_use(FACE, prompt="")
    clock.time -= 3
    anna.begin_use(FACE, prompt="")
    clock.time -= 7200
    assert "went back by 7203 s" in str(refused(anna, "clock"))
    with pytest.raises(Refusal, match="clock"):
        anna.grant("nova", level="everyone")
    with pytest.raises(Refusal, match="clock"):
        anna.check_again(use)
    assert anna.entries(newest=1)[0].value["time"] == NOW
    clock.time = NOW
    anna.begin_use(FACE, prompt="")
    clock.time -= 7200
    # what takes something away works whatever the clock says
    assert anna.revoke("nova").issued == NOW
    clock.time = NOW
    refused(anna, "revoked")


# -- identity and words ----------------------------------------------------------------------------


def test_identity_grows_with_other_keys_words(anna, ben, nova, tmp_path, clock):
    carl = Ledger(Home(tmp_path / "carl"), clock=clock)
    assert anna.standings()[0].identity == "self-declared"
    card = anna.export_card("nova")
    with pytest.raises(SoraError, match="of one's own"):
        anna.vouch(card, kind="witness", statement="it is me")
    anna.take(ben.vouch(card, kind="witness", statement="I know her"))
    assert anna.standings()[0].identity == "witnessed"
    anna.take(carl.vouch(card, kind="credential", statement="passport seen"))
    assert anna.standings()[0].identity == "external credential"
    assert identity_of(nova, []) == "self-declared"
    # they travel with the grant
    lend(anna, ben)
    assert ben.standings()[0].identity == "external credential"


def test_the_words_promise_no_more_than_is_proven(anna, nova):
    proven, not_proven = words.proven(anna.did, "G", "H", "R")
    assert anna.did in proven
    assert "belongs to the person shown" in not_proven
    standing = words.standing(nova, "self-declared")
    assert "nobody else does" in standing
    everything = " ".join([*words.REASONS.values(), *words.LEVELS.values(), proven, not_proven, standing])
    assert not any(tick in everything.lower() for tick in ("verified", "authentic", "\u2713", "trusted", "genuine"))


def test_one_owns_the_name_before_strangers_do(anna, ben, nova, shape):
    other = ben.enroll("nova", subject="character", attested=True, likeness=shape)
    lend(ben, anna)
    assert anna.card("nova").cameo == nova.cameo
    assert anna.begin_use([Ask(cameo=other.cameo)], prompt="").lent[0].owner == ben.did


def test_two_strangers_of_one_name(  # noqa: PLR0917
    anna, ben, nova, shape, tmp_path, clock
):
    carl = Ledger(Home(tmp_path / "carl"), clock=clock)
    ben.enroll("nova", subject="character", attested=True, likeness=shape)
    lend(anna, carl)
    lend(ben, carl)
    refused(carl, "ambiguous")
    carl.begin_use([Ask(cameo=nova.cameo)], prompt="")


@pytest.mark.usefixtures("nova")
def test_a_walk_from_enrolment_to_revocation_is_proven(anna, ben):
    grant = lend(anna, ben, max_uses=2)
    use = ben.begin_use(FACE, prompt="a walk")
    ben.finish_use(use, output_sha256=HASH)
    pinned = use.record()
    anna.revoke("nova")
    ben.take(anna.export_revocations())
    refused(ben, "revoked")
    reading = verify_proof(ben.export_proof("nova", since=pinned["size"]), anna.did, record=pinned)
    assert reading.violations == ()
    assert reading.orphans == ()
    kinds = [entry["kind"] for entry in reading.entries.values()]
    assert kinds == ["import", "intent", "result", "refusal"]
    assert reading.complete
    assert read_grant(grant.envelope).hash == grant.hash
    assert Likeness().scopes == ()
