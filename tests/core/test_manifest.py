"""The signed manifest: what is claimed is what is read, history is kept, and nothing half-written stays."""

# ruff: noqa: E402 (what follows needs the extra)

from __future__ import annotations

import errno
import hashlib
import io
import json
import socket
import struct
import sys
import threading
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

c2pa = pytest.importorskip("c2pa")
x509 = pytest.importorskip("cryptography.x509")
av = pytest.importorskip("av")

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from sora_core.errors import SoraError
from sora_core.media.encoder import Encoding as Codec
from sora_core.media.encoder import Shape, encode
from sora_core.media.png import read_png_tags, write_png
from sora_core.provenance.home import Home
from sora_core.provenance.manifest import native, store
from sora_core.provenance.manifest.formats import find_sidecar, sidecar_of
from sora_core.provenance.manifest.generation import CameoUse, Generation, salted
from sora_core.provenance.manifest.identity import Identity, local_anchors, local_identity
from sora_core.provenance.manifest.own_certificate import own_identity
from sora_core.provenance.manifest.plain import LIMIT, plain
from sora_core.provenance.manifest.read import read_manifest
from sora_core.provenance.manifest.reading import walk
from sora_core.provenance.manifest.sign import sign, signed, unsigned_beside
from sora_core.provenance.manifest.story import Act, Disclosure, Ingredient, MarkClaim, Story

MARK = 0xFEDCBA9876543210
HASH = hashlib.sha256(b"").hexdigest()


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    return Home(tmp_path_factory.mktemp("private") / "home")


@pytest.fixture(scope="module")
def identity(home) -> Identity:
    return local_identity(home)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """One small unsigned file of every kind."""
    folder = tmp_path_factory.mktemp("plain")
    dice = np.random.default_rng(0)
    frames_FHWC = dice.integers(0, 255, (6, 64, 64, 3), dtype=np.uint8)
    sound_CS = dice.normal(0, 0.1, (1, 8000)).astype(np.float32)
    shape = Shape(width=64, height=64, fps=12, sample_rate=16000, channels=1)
    found = {}
    codecs = {"mp4": Codec(), "mov": Codec(container="mov", codec="lossless"), "mkv": Codec(container="mkv")}
    if "libsvtav1" in av.codecs_available:
        codecs["webm"] = Codec(container="webm", codec="av1")
    for suffix, codec in codecs.items():
        found[suffix] = folder / f"clip.{suffix}"
        encode(found[suffix], [(frames_FHWC, sound_CS)], shape, encoding=codec)
    found["png"] = folder / "clip.png"
    write_png(found["png"], frames_FHWC[0], {"prompt": "a red ball"})
    for suffix, name in (("wav", "pcm_s16le"), ("m4a", "aac")):
        found[suffix] = folder / f"clip.{suffix}"
        with av.open(str(found[suffix]), "w") as container:
            voice = container.add_stream(name, rate=16000, layout="mono")
            frame = av.AudioFrame.from_ndarray((sound_CS * 3e4).astype(np.int16), "s16", "mono")
            frame.sample_rate = 16000
            container.mux(voice.encode(frame))
            container.mux(voice.encode(None))
    found["jpg"] = folder / "clip.jpg"
    with av.open(str(found["jpg"]), "w", format="image2") as container:
        video = container.add_stream("mjpeg", rate=1)
        video.width, video.height, video.pix_fmt = 64, 64, "yuvj420p"
        container.mux(video.encode(av.VideoFrame.from_ndarray(frames_FHWC[0], format="rgb24")))
        container.mux(video.encode(None))
    return found


def full_story(title: str = "a red ball", **options) -> Story:
    return Story(
        title=title,
        marks=(
            MarkClaim(layer="invisible", mark_id=MARK, start_s=0, stop_s=2.083),
            MarkClaim(layer="audio", mark_id=MARK >> 32, start_s=0.5, stop_s=2),
        ),
        layers_on=("invisible", "audio"),
        layers_off=("visible",),
        disclosure=Disclosure(name="micro", identifier="sha256:" + HASH),
        training="notAllowed",
        generation=Generation(
            **salted("a red ball bounces"),
            seed=2**64 - 1,
            workflow_sha256=HASH,
            model_name="micro",
            model_sha256=HASH,
            policy_id="default",
            policy_sha256=HASH,
            policy_decision="allowed",
            cameos=(CameoUse(grant_sha256=HASH, log_head=HASH, log_index=7),),
        ),
        **options,
    )


def read(path: Path, identity: Identity):
    return read_manifest(path, anchors=identity.anchors_pem)


def frames_of(path: Path) -> str:
    digest = hashlib.sha256()
    with av.open(str(path)) as container:
        for frame in container.decode():
            digest.update(frame.to_ndarray().tobytes())
    return digest.hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# what is claimed is what is read


def test_a_whole_story_comes_back(files, identity, home, tmp_path):
    story = full_story()
    result = sign(files["mp4"], tmp_path / "a.mp4", story, identity)
    found = read_manifest(result.path, anchors=local_anchors(home))
    assert found == result.reading
    assert (found.state, found.place, found.title, found.codes, found.reasons) == (
        "trusted",
        "file",
        story.title,
        (),
        (),
    )
    assert found.generator.startswith("Sora Nodes ")
    assert (found.signer.common_name, found.signer.organisation) == (identity.common_name, identity.organisation)
    assert [action.name for action in found.actions] == ["c2pa.created", "c2pa.watermarked"]
    assert found.actions[0].source == "trainedAlgorithmicMedia"
    assert found.actions[0].agent == "Sora Nodes"
    assert found.marks == story.marks
    assert (found.video_id, found.sound_id) == (MARK, MARK >> 32)
    assert (found.layers_on, found.layers_off) == (("invisible", "audio"), ("visible",))
    assert found.disclosure == "micro"
    assert found.training == "notAllowed"
    assert found.generation == story.generation


def test_the_claim_has_the_form_that_the_standard_asks(files, identity, tmp_path):
    sign(files["mp4"], tmp_path / "a.mp4", full_story(), identity)
    report = json.loads(c2pa.Reader(str(tmp_path / "a.mp4")).json())
    manifest = report["manifests"][report["active_manifest"]]
    assert manifest["claim_version"] == 2
    labels = {one["label"]: one for one in manifest["assertions"]}
    # what is gathered instead of created was said by others
    assert all(one.get("created") for one in labels.values()), sorted(labels)
    assert labels["c2pa.actions.v2"]["data"]["actions"][0]["action"] == "c2pa.created"
    bindings = [one["data"] for one in manifest["assertions"] if one["label"] == "c2pa.soft-binding"]
    assert bindings[0]["blocks"] == [{"scope": {"timespan": {"start": 0, "end": 2083}}, "value": f"{MARK:016x}"}]
    assert bindings[1]["blocks"][0]["value"] == f"{MARK >> 32:08x}"
    assert labels["c2pa.ai-disclosure"]["data"]["contentProfile"] == {"humanOversightLevel": "prompt_guided"}
    assert "thumbnail" not in manifest


def test_the_prompt_is_proven_and_shown_on_request_alone(files, identity, tmp_path):
    words = "my very own secret words"
    hidden = Generation(**salted(words))
    result = sign(files["mp4"], tmp_path / "a.mp4", Story(title="t", generation=hidden), identity)
    assert words.encode() not in result.path.read_bytes()
    found = result.reading.generation
    assert found is not None
    assert found.proves(words)
    assert not found.proves(words + ".")
    assert not Generation().proves("")
    assert Generation(**salted(words)).prompt_sha256 != hidden.prompt_sha256
    shown = sign(
        files["mp4"], tmp_path / "b.mp4", Story(title="t", generation=Generation(**salted(words, show=True))), identity
    )
    assert shown.reading.generation is not None
    assert shown.reading.generation.prompt == words


@pytest.mark.parametrize("suffix", ["mp4", "mov", "m4a", "png", "jpg", "wav", "mkv", "webm"])
def test_every_kind_is_signed_and_plays_the_same(files, identity, tmp_path, suffix):
    if suffix not in files:
        pytest.skip("this FFmpeg has no AV1")
    target = tmp_path / f"a.{suffix}"
    before = frames_of(files[suffix])
    result = sign(files[suffix], target, full_story(), identity)
    beside = suffix in ("mkv", "webm")
    assert (result.sidecar is not None) is beside
    assert (target.read_bytes() == files[suffix].read_bytes()) is beside
    found = read(target, identity)
    assert (found.state, found.place) == ("trusted", "sidecar" if beside else "file")
    assert frames_of(target) == before
    assert frames_of(files[suffix]) == before
    data = bytearray(target.read_bytes())
    data[-20 if suffix != "png" else data.index(b"IDAT") + 40] ^= 1
    target.write_bytes(data)
    assert read(target, identity).state in ("broken", "unreadable")


def test_kinds_without_a_place_for_it_are_refused(files, identity, tmp_path):
    with pytest.raises(SoraError, match="convert it"):
        sign(files["mp4"], tmp_path / "a.txt", full_story(), identity)
    with pytest.raises(SoraError, match="of one kind"):
        sign(files["mp4"], tmp_path / "a.png", full_story(), identity)
    assert not list(tmp_path.iterdir())


def test_a_sidecar_is_found_by_both_names(files, identity, tmp_path):
    target = tmp_path / "a.mkv"
    sign(files["mkv"], target, full_story(), identity)
    assert find_sidecar(target) == sidecar_of(target) == tmp_path / "a.mkv.c2pa"
    sidecar_of(target).rename(tmp_path / "a.c2pa")
    assert read(target, identity).state == "trusted"
    (tmp_path / "a.c2pa").rename(tmp_path / "elsewhere")
    assert read(target, identity).state == "absent"
    assert read_manifest(target, anchors=identity.anchors_pem, sidecar=tmp_path / "elsewhere").state == "trusted"


def test_without_anchors_the_signer_is_unknown(files, identity, tmp_path):
    sign(files["mp4"], tmp_path / "a.mp4", full_story(), identity)
    found = read_manifest(tmp_path / "a.mp4")
    assert found.state == "intact"
    assert found.codes == ("signingCredential.untrusted",)
    assert "not known" in found.reasons[0]


def test_a_file_without_manifest_is_absent(files):
    for path in files.values():
        assert read_manifest(path).state == "absent", path


# history


def chain(files, identity, folder: Path, hurt: bool = False) -> Path:
    """Generate, remix, extend."""
    sign(files["mp4"], folder / "one.mp4", full_story("one"), identity)
    remix = full_story(
        "two", ingredients=(Ingredient(path=folder / "one.mp4", title="one"),), acts=(Act(description="x"),)
    )
    sign(files["mp4"], folder / "two.mp4", remix, identity)
    if hurt:
        data = bytearray((folder / "two.mp4").read_bytes())
        data[data.index(b"mdat") + 500] ^= 1
        (folder / "two.mp4").write_bytes(data)
    extend = full_story("three", ingredients=(Ingredient(path=folder / "two.mp4", title="two"),), acts=(Act(),))
    sign(files["mp4"], folder / "three.mp4", extend, identity)
    return folder / "three.mp4"


def test_three_generations_are_all_there(files, identity, tmp_path):
    found = read(chain(files, identity, tmp_path), identity)
    assert found.state == "trusted"
    assert [(one.title, one.relationship, one.state) for one in walk(found.ingredients)] == [
        ("two", "parentOf", "trusted"),
        ("one", "parentOf", "trusted"),
    ]
    assert [action.name for action in found.actions] == ["c2pa.opened", "c2pa.edited", "c2pa.watermarked"]
    assert found.actions[1].source == "compositeWithTrainedAlgorithmicMedia"
    assert found.ingredients[0].ingredients[0].marks[0].mark_id == MARK
    assert not found.broken_ingredients


def test_a_parent_that_was_changed_shows_though_the_child_is_trusted(files, identity, tmp_path):
    found = read(chain(files, identity, tmp_path, hurt=True), identity)
    assert found.state == "trusted"
    assert [one.title for one in found.broken_ingredients] == ["two"]
    broken = found.broken_ingredients[0]
    assert broken.codes == ("assertion.bmffHash.mismatch",)
    assert "changed after signing" in broken.reasons[0]
    # what a broken one says of its own parents is not vouched for
    assert [one.state for one in walk(found.ingredients)] == ["broken", "intact"]


def test_a_stranger_cannot_vouch_for_ingredients(files, identity, tmp_path):
    stranger = local_identity(Home(tmp_path / "stranger"))
    found = read_manifest(chain(files, stranger, tmp_path), anchors=stranger.anchors_pem)
    assert [one.state for one in walk(found.ingredients)] == ["trusted", "trusted"]
    found = read(tmp_path / "three.mp4", identity)
    assert [found.state, *(one.state for one in walk(found.ingredients))] == ["intact", "intact", "intact"]
    # ours inside a stranger's: the stranger says that it was whole
    sign(files["mp4"], tmp_path / "ours.mp4", full_story(), identity)
    sign(
        files["mp4"],
        tmp_path / "theirs.mp4",
        full_story(ingredients=(Ingredient(path=tmp_path / "ours.mp4"),)),
        stranger,
    )
    found = read(tmp_path / "theirs.mp4", identity)
    assert [found.state, found.ingredients[0].state] == ["intact", "intact"]
    # theirs inside ours: what we saw, and whom we did not know
    sign(
        files["mp4"],
        tmp_path / "again.mp4",
        full_story(ingredients=(Ingredient(path=tmp_path / "three.mp4"),)),
        identity,
    )
    found = read(tmp_path / "again.mp4", identity)
    assert [found.state, found.ingredients[0].state] == ["trusted", "intact"]


def test_signing_again_keeps_the_history(files, identity, tmp_path):
    chain(files, identity, tmp_path)
    result = sign(tmp_path / "three.mp4", tmp_path / "four.mp4", full_story("four"), identity)
    assert [one.title for one in walk(result.reading.ingredients)] == ["three", "two", "one"]
    assert result.reading.actions[0].name == "c2pa.opened"
    # another parent is named: the source becomes a component
    story = full_story("five", ingredients=(Ingredient(path=files["png"], title="sketch"),))
    result = sign(tmp_path / "three.mp4", tmp_path / "five.mp4", story, identity)
    assert [(one.title, one.relationship) for one in result.reading.ingredients] == [
        ("sketch", "parentOf"),
        ("three", "componentOf"),
    ]
    # the source is named: it is not there twice
    story = full_story("six", ingredients=(Ingredient(path=tmp_path / "three.mp4"),))
    result = sign(tmp_path / "three.mp4", tmp_path / "six.mp4", story, identity)
    assert [one.title for one in result.reading.ingredients] == ["three.mp4"]


def test_history_beside_a_file_is_kept_too(files, identity, tmp_path):
    sign(files["mkv"], tmp_path / "one.mkv", full_story("one"), identity)
    result = sign(tmp_path / "one.mkv", tmp_path / "two.mkv", full_story("two"), identity)
    assert [(one.title, one.state) for one in result.reading.ingredients] == [("one", "trusted")]
    # into another kind
    story = full_story("three", ingredients=(Ingredient(path=tmp_path / "two.mkv", title="two"),))
    result = sign(files["mp4"], tmp_path / "three.mp4", story, identity)
    assert [(one.title, one.state) for one in walk(result.reading.ingredients)] == [
        ("two", "trusted"),
        ("one", "trusted"),
    ]
    data = bytearray((tmp_path / "two.mkv").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "two.mkv").write_bytes(data)
    result = sign(files["mp4"], tmp_path / "four.mp4", story, identity)
    assert [one.state for one in walk(result.reading.ingredients)] == ["broken", "intact"]


def test_signing_again_in_place(files, identity, tmp_path):
    for suffix in ("mp4", "mkv"):
        path = tmp_path / f"a.{suffix}"
        signed(files[suffix], path, full_story("one"), identity)
        result = signed(path, path, full_story("two"), identity)
        assert [one.title for one in result.reading.ingredients] == ["one"]
        assert read(path, identity).state == "trusted"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "a.mkv.c2pa", "a.mp4"]


def test_what_is_not_signed_yet_never_stays(files, identity, tmp_path):
    final = tmp_path / "a.mp4"
    with unsigned_beside(final) as hidden:
        hidden.write_bytes(files["mp4"].read_bytes())
        signed(hidden, final, full_story(), identity)
    assert names(tmp_path) == ["a.mp4"]
    with suppress(KeyboardInterrupt), unsigned_beside(tmp_path / "b.mp4") as hidden:
        hidden.write_bytes(b"half")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["a.mp4"]
    assert read(final, identity).state == "trusted"


def test_a_file_that_was_there_before_is_its_own_parent(files, identity, tmp_path):
    result = sign(files["mp4"], tmp_path / "a.mp4", Story(title="holiday", made="opened"), identity)
    assert [action.name for action in result.reading.actions] == ["c2pa.opened"]
    assert [(one.title, one.relationship, one.state) for one in result.reading.ingredients] == [
        ("holiday", "parentOf", "absent")
    ]


def test_all_relationships_stand_together(files, identity, tmp_path):
    sign(files["wav"], tmp_path / "music.wav", full_story("music"), identity)
    story = full_story(
        ingredients=(
            Ingredient(path=files["png"], title="sketch", relationship="inputTo"),
            Ingredient(path=tmp_path / "music.wav", title="music", relationship="componentOf"),
            Ingredient(path=files["mkv"], title="shot", relationship="componentOf"),
        )
    )
    found = sign(files["mp4"], tmp_path / "a.mp4", story, identity).reading
    assert [(one.title, one.relationship, one.state) for one in found.ingredients] == [
        ("sketch", "inputTo", "absent"),
        ("music", "componentOf", "trusted"),
        ("shot", "componentOf", "absent"),
    ]
    assert [one.name for one in found.actions] == ["c2pa.created", "c2pa.placed", "c2pa.placed", "c2pa.watermarked"]


def test_a_damaged_history_is_not_dropped(files, identity, tmp_path):
    sign(files["mp4"], tmp_path / "one.mp4", full_story("one"), identity)
    data = bytearray((tmp_path / "one.mp4").read_bytes())
    data[data.index(b"c2pa.claim.v2") + 40] ^= 0xFF
    (tmp_path / "one.mp4").write_bytes(data)
    assert read(tmp_path / "one.mp4", identity).state == "unreadable"
    with pytest.raises(SoraError, match="cannot be signed"):
        sign(tmp_path / "one.mp4", tmp_path / "two.mp4", full_story("two"), identity)
    assert not (tmp_path / "two.mp4").exists()


# nothing half-written stays


def test_the_file_is_there_whole_or_as_it_was(files, identity, tmp_path, monkeypatch):
    final = tmp_path / "a.mp4"
    final.write_bytes(b"before")
    monkeypatch.setattr("sora_core.provenance.manifest.sign._held", lambda *_: (_ for _ in ()).throw(SoraError("no")))
    with pytest.raises(SoraError, match="no"):
        signed(files["mp4"], final, full_story(), identity)
    assert final.read_bytes() == b"before"
    assert names(tmp_path) == ["a.mp4"]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_full_disk_leaves_nothing(files, identity, tmp_path, suffix):
    resource = pytest.importorskip("resource")
    final = tmp_path / f"a.{suffix}"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(SoraError, match="written"):
            signed(files[suffix], final, full_story(), identity)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_a_move_that_fails_leaves_what_was_there(files, identity, tmp_path, monkeypatch):
    final = tmp_path / "a.mkv"
    signed(files["mkv"], final, full_story("one"), identity)
    real = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if Path(target) == final:
            raise OSError(errno.EACCES, "Permission denied")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(SoraError, match="Permission denied"):
        signed(files["mkv"], final, full_story("two"), identity)
    assert names(tmp_path) == ["a.mkv", "a.mkv.c2pa"]
    found = read(final, identity)
    assert (found.state, found.title) == ("trusted", "one")


def test_what_cannot_be_read_is_said(files, identity, tmp_path):
    with pytest.raises(SoraError, match="is no file"):
        sign(tmp_path / "none.mp4", tmp_path / "a.mp4", full_story(), identity)
    story = full_story(ingredients=(Ingredient(path=tmp_path / "none.mp4"),))
    with pytest.raises(SoraError, match="is no file"):
        sign(files["mp4"], tmp_path / "a.mp4", story, identity)
    (tmp_path / "bad.mp4").write_bytes(b"garbage" * 100)
    with pytest.raises(SoraError, match="cannot be signed"):
        sign(tmp_path / "bad.mp4", tmp_path / "a.mp4", full_story(), identity)
    with pytest.raises(SoraError, match="cannot be written"):
        signed(files["mp4"], tmp_path / "none" / "a.mp4", full_story(), identity)
    assert names(tmp_path) == ["bad.mp4"]


def test_stories_that_contradict_themselves_are_refused(files):
    parent = Ingredient(path=files["mp4"])
    for make, words in (
        (lambda: Story(title="t", ingredients=(parent, parent)), "one parent"),
        (lambda: Story(title="t", layers_on=("visible",), layers_off=("visible",)), "twice"),
        (lambda: Story(title="t", layers_on=("sparkling",)), "sparkling"),
        (lambda: Story(title="t", marks=(MarkClaim(layer="audio", mark_id=1, start_s=0, stop_s=1),)), "does not list"),
        (lambda: MarkClaim(layer="audio", mark_id=1 << 32, start_s=0, stop_s=1), "from 0 to"),
        (lambda: MarkClaim(layer="audio", mark_id=1, start_s=2, stop_s=1), "stretch"),
        (lambda: Story(title="t", made="found"), "generated or opened"),
        (lambda: Story(title="t", training="perhaps"), "training"),
        (lambda: Ingredient(path=files["mp4"], relationship="cousinOf"), "cousinOf"),
        (lambda: Disclosure(name="m", oversight="much"), "oversight"),
        (lambda: Generation(model_sha256="abc"), "64 hex"),
        (lambda: Generation(prompt="x" * 30_000), "characters"),
    ):
        with pytest.raises(SoraError, match=words):
            make()


# strangers


HOSTILE = {
    "terminal": "\x1b[31mred\x1b[0m\x07\x00end",
    "lines": "one\r\ntwo\u2028three\x85four",
    "turned": "evil\u202egnp.exe\u202c\u2066\u2069",
    "invisible": "a\u200b\u200c\u200d\ufeff\u00adb",
    "long": "x" * 100_000,
    "heaped": "a" + "\u0301" * 500,
    "markup": "<img src=x onerror=alert(1)>",
    "tags": "\U000e0041\U000e0042",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_titles_are_harmless_when_read(files, identity, tmp_path, text, monkeypatch):
    # a stranger's program does not clean what it signs
    monkeypatch.setattr("sora_core.provenance.manifest.claim.plain", lambda text, _=0: text)
    monkeypatch.setattr("sora_core.provenance.manifest.sign.plain", lambda text, _=0: text)
    clean = text.replace("\x00", "")
    sign(files["mp4"], tmp_path / "one.mp4", Story(title=clean, disclosure=Disclosure(name=clean)), identity)
    story = Story(
        title="t", ingredients=(Ingredient(path=tmp_path / "one.mp4", title=clean),), acts=(Act(description=clean),)
    )
    sign(files["mp4"], tmp_path / "two.mp4", story, identity)
    one, two = (read(tmp_path / f"{name}.mp4", identity) for name in ("one", "two"))
    shown = [one.title, one.disclosure, two.ingredients[0].title, two.actions[1].description]
    assert shown == [plain(clean)] * 4
    for line in shown:
        assert len(line) <= LIMIT
        assert line.isprintable()
        assert not set(line) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200e\u200f\ufeff")


def test_plain_keeps_what_people_write():
    for text in ("a red ball", "Fu\u00df\u00e9", "\u4e2d\u6587", "\u0627\u0644\u0639", "caf\u0065\u0301", "\U0001f600"):
        assert plain(text) == text
    assert plain(None) == plain(7) == plain("") == ""
    assert plain("a\u0301\u0301\u0301\u0301\u0301b").count("\u0301") == 3


def foreign_leaf(
    folder: Path, *, common="customer", organisation="org", url="", self_signed=False
) -> tuple[Path, Path, Path]:
    """Make an authority and a leaf with a name of the caller's choice, as PEM files: chain, key, anchor."""
    now = datetime.now(timezone.utc)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop")])

    def made(name, public, signer_name, signer, ca):
        builder = (
            x509.CertificateBuilder(subject_name=name, issuer_name=signer_name, public_key=public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=9))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if not ca:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
            )
        if url and not ca:
            place = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))
            builder = builder.add_extension(x509.AuthorityInformationAccess([place]), critical=False)
        return builder.sign(signer, hashes.SHA256())

    ca = made(issuer, ca_key.public_key(), issuer, ca_key, True)
    leaf = made(subject, key.public_key(), *((subject, key) if self_signed else (issuer, ca_key)), False)
    paths = folder / "chain.pem", folder / "key.pem", folder / "anchor.pem"
    paths[0].write_bytes(leaf.public_bytes(Encoding.PEM) + (b"" if self_signed else ca.public_bytes(Encoding.PEM)))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    paths[2].write_bytes((leaf if self_signed else ca).public_bytes(Encoding.PEM))
    return paths


@pytest.mark.parametrize("text", ["\x1b[31mred", "evil\u202egnp", "a\nb", "<script>x</script>", "o" * 64])
def test_hostile_names_of_certificates_are_harmless(files, tmp_path, text):
    own = own_identity(*foreign_leaf(tmp_path, common=text, organisation=text)[:2])
    found = sign(files["mp4"], tmp_path / "a.mp4", full_story(), own).reading
    assert found.state == "trusted"
    for line in (found.signer.common_name, found.signer.organisation, own.common_name, repr(own)):
        assert line.isprintable()
        assert "\u202e" not in line
    assert found.signer.common_name == plain(text)


def test_an_own_certificate_signs_and_is_unknown_to_the_local_signer(files, identity, tmp_path):
    own = own_identity(*foreign_leaf(tmp_path)[:2])
    result = sign(files["mp4"], tmp_path / "a.mp4", full_story(), own)
    assert (result.reading.state, result.reading.signer.common_name) == ("trusted", "customer")
    assert read(tmp_path / "a.mp4", identity).state == "intact"


def test_a_certificate_that_vouches_for_itself_is_never_trusted(files, tmp_path):
    chain, key, anchor = foreign_leaf(tmp_path, self_signed=True)
    info = c2pa.C2paSignerInfo(alg=b"es256", sign_cert=chain.read_bytes(), private_key=key.read_bytes(), ta_url=None)
    definition = {
        "claim_generator_info": [{"name": "x"}],
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": "http://x"}]},
            }
        ],
    }
    with (
        c2pa.Builder(definition, native.context(anchor.read_bytes())) as builder,
        c2pa.Signer.from_info(info) as signer,
    ):
        builder.sign_file(str(files["mp4"]), str(tmp_path / "a.mp4"), signer)
    with c2pa.Reader(str(tmp_path / "a.mp4"), context=native.context(anchor.read_bytes())) as reader:
        assert reader.get_validation_state() == "Trusted", "the library lets it pass, which is why we look ourselves"
    found = read_manifest(tmp_path / "a.mp4", anchors=anchor.read_bytes())
    assert found.state == "intact"
    assert "vouches for itself" in " ".join(found.reasons)


@pytest.mark.slow
def test_a_certificate_that_has_ended_is_not_taken_for_damage(files, tmp_path, monkeypatch):
    from sora_core.provenance.manifest import certificate

    monkeypatch.setattr(certificate, "LEAF_LIFE", timedelta(seconds=3))
    monkeypatch.setattr("sora_core.provenance.manifest.identity.RENEWED_BEFORE", timedelta(0))
    monkeypatch.setattr(certificate.new_leaf, "__defaults__", (timedelta(seconds=3),))
    short = local_identity(Home(tmp_path / "home"))
    target = tmp_path / "a.mp4"
    sign(files["mp4"], target, full_story(), short)
    stop = x509.load_pem_x509_certificates(short.chain_pem)[0].not_valid_after_utc
    threading.Event().wait(max(0.0, (stop - datetime.now(timezone.utc)).total_seconds()) + 1.1)
    found = read(target, short)
    assert found.state == "intact"
    assert "signingCredential.expired" in found.codes
    data = bytearray(target.read_bytes())
    data[data.index(b"mdat") + 500] ^= 1
    target.write_bytes(data)
    assert read(target, short).state == "broken"
    with pytest.raises(SoraError, match="could not be signed"):
        sign(files["mp4"], tmp_path / "b.mp4", full_story(), short)


# no network


class Trap:
    """A place on this machine that waits for a caller."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.called = threading.Event()
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}/x"
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        with suppress(OSError):
            self.socket.accept()
            self.called.set()


@pytest.fixture
def trap():
    found = Trap()
    yield found
    found.socket.close()


def test_a_manifest_elsewhere_is_not_fetched(files, identity, tmp_path, trap):
    def made(target: Path) -> None:
        definition = {"claim_generator_info": [{"name": "x"}], "assertions": []}
        with c2pa.Builder(definition) as builder, identity.signer() as signer, files["jpg"].open("rb") as file:
            builder.set_intent(c2pa.C2paBuilderIntent.CREATE, c2pa.C2paDigitalSourceType.TRAINED_ALGORITHMIC_MEDIA)
            builder.set_no_embed()
            builder.set_remote_url(trap.address)
            out = io.BytesIO()
            builder.sign(signer, "image/jpeg", file, out)
            target.write_bytes(out.getvalue())

    made(tmp_path / "a.jpg")
    assert trap.address.encode() in (tmp_path / "a.jpg").read_bytes()
    found = read(tmp_path / "a.jpg", identity)
    assert not trap.called.wait(0.3)
    assert found.state == "absent", found.reasons
    assert "nothing is fetched" in found.reasons[0]
    # the trap works: by its own settings the library calls
    with suppress(c2pa.C2paError):
        c2pa.Reader(str(tmp_path / "a.jpg"))
    assert trap.called.wait(5)


def test_nobody_is_asked_about_certificates(files, tmp_path, trap, monkeypatch):
    own = own_identity(*foreign_leaf(tmp_path, url=trap.address)[:2])

    def refuse(*_args, **_options):
        raise AssertionError("no network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    sign(files["mp4"], tmp_path / "a.mp4", full_story(), own)
    assert read(tmp_path / "a.mp4", own).state == "trusted"
    assert not trap.called.wait(0.3)


# keys, limits, and the missing extra


def test_keys_and_folders_are_in_no_output(files, identity, home, tmp_path):
    path = chain(files, identity, tmp_path)
    body = [line for line in identity._key_pem.splitlines() if not line.startswith(b"-")]
    sealed = [line for file in home.folder.glob("*.pem") for line in file.read_bytes().splitlines() if len(line) == 64]
    passphrase = home.passphrase()
    for data in (path.read_bytes(), repr(read(path, identity)).encode()):
        for secret in (*body, passphrase):
            assert secret not in data
        assert str(tmp_path).encode() not in data
        assert str(home.folder).encode() not in data
    assert sealed, "the files hold something"


def test_files_beyond_the_limit_are_not_opened(identity, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "MOST_BYTES", 1 << 20)
    huge = tmp_path / "huge.mp4"
    with huge.open("wb") as file:
        file.truncate(8 << 20)
    found = read(huge, identity)
    assert found.state == "unreadable"
    assert "8 MiB" in found.reasons[0]
    with pytest.raises(SoraError, match="8 MiB"):
        sign(huge, tmp_path / "a.mp4", full_story(), identity)


@pytest.mark.parametrize(
    "name", ["none.mp4", "folder.mp4", "empty.mp4", "garbage.mp4", "garbage.xyz", "garbage", "garbage.mkv", "zeros.png"]
)
def test_whatever_is_no_media_is_told_without_an_exception(identity, tmp_path, name):
    path = tmp_path / name
    if name == "folder.mp4":
        path.mkdir()
    elif name != "none.mp4":
        path.write_bytes({"garbage": b"nonsense" * 99, "empty": b"", "zeros": bytes(5000)}[path.stem])
    assert read(path, identity).state in ("absent", "unreadable")


def nested(depth: int) -> bytes:
    """Boxes in boxes, as manifests are made of."""
    head = struct.pack(">I4s", 30, b"jumd") + bytes.fromhex("63327061001100108000") + b"\x00\xaa\x008\x9bq\x03c2pa\0"
    data = b""
    for _ in range(depth):
        data = struct.pack(">I4s", 8 + len(head) + len(data), b"jumb") + head + data
    return data


@pytest.mark.parametrize("data", [b"", b"x", nested(2000), b"\x00" * 1000, b"\x00\x00\x00\x10jumb" * 50])
def test_bad_sidecars_are_told_without_an_exception(files, identity, tmp_path, data):
    path = tmp_path / "a.mkv"
    path.write_bytes(files["mkv"].read_bytes())
    sidecar_of(path).write_bytes(data)
    found = read(path, identity)
    assert found.state == "unreadable"
    with pytest.raises(SoraError, match="cannot be signed"):
        sign(path, tmp_path / "b.mkv", full_story(), identity)


def test_without_the_extra_a_sentence_says_so(files, identity, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "c2pa", None)
    for call in (
        lambda: read_manifest(files["mp4"]),
        lambda: sign(files["mp4"], tmp_path / "a.mp4", full_story(), identity),
    ):
        with pytest.raises(SoraError, match=r'pip install "sora-nodes\[provenance\]"'):
            call()
    assert not native.has_manifests()
    assert not list(tmp_path.iterdir())


def test_png_text_stays(files, identity, tmp_path):
    sign(files["png"], tmp_path / "a.png", full_story(), identity)
    assert read_png_tags(tmp_path / "a.png") == {"prompt": "a red ball"}
