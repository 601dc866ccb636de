"""What strangers, crashes and full disks do to marking, signing, verifying and lending: nothing is lost or half done.

``python tests/core/test_hostile.py 10000`` damages that many files and prints what became of them.
"""

# H W height and width, C channels, S samples, F frames

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import random
import resource
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import traceback
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("c2pa")
pytest.importorskip("cryptography.x509")

import c2pa

from sora_core.cameo.ledger import Ledger
from sora_core.cameo.likeness import make_likeness
from sora_core.cameo.use import Ask, Refusal
from sora_core.cli import main
from sora_core.editing.film import MemoryFilm
from sora_core.editing.film_stream import stream_from
from sora_core.errors import SoraError
from sora_core.media.encoder import for_file
from sora_core.media.film_file import FileFilm
from sora_core.media.image import read_image
from sora_core.media.sound_file import read_track
from sora_core.moderation.log import DecisionLog
from sora_core.moderation.moderator import Moderator
from sora_core.moderation.policy import load_policy
from sora_core.provenance.delivery import Order, deliver
from sora_core.provenance.fingerprint.index import Index
from sora_core.provenance.home import Home
from sora_core.provenance.manifest.generation import Generation, salted
from sora_core.provenance.manifest.identity import local_anchors, local_identity
from sora_core.provenance.manifest.mutation import is_spared, mutate
from sora_core.provenance.manifest.read import read_manifest
from sora_core.provenance.manifest.story import Act, Ingredient, Story
from sora_core.provenance.marking.layers import Layers
from sora_core.provenance.remember import INDEX_NAME
from sora_core.provenance.verify import verify

ROOT = Path(__file__).resolve().parents[2]
SIDE, FRAMES, FPS, RATE = 240, 6, 12.0, 16_000
KINDS = (".mp4", ".png", ".mkv")
FOUND = ("manifest", "visible", "invisible", "audio", "broken_at_s", "ingredients", "reasons")

BAD_TEXTS = [
    "<img src=x onerror=alert(1)>",
    "\x1b[2J\x1b[1;31mtrusted\x1b[0m",
    "clip\nmanifest   trusted",
    "clip\r\x00trusted",
    "\u202etxt.4pm",
    "\u2066x\u2069\u200b",
    "%s%n{0}{self.__class__}$(id)`id`",
    '"; drop table entries; --',
    "x" * 5_000,
]


def film(seed: int = 0, *, frames: int = FRAMES, side: int = SIDE) -> MemoryFilm:
    """Return moving patches and a noise."""
    dice = np.random.default_rng(seed)
    patches = np.kron(
        dice.integers(30, 220, (12, 12, 3), dtype=np.uint8), np.ones((side // 12, side // 12, 1), np.uint8)
    )
    picture = np.stack([np.roll(patches, 3 * at, 1) for at in range(frames)])
    sound = dice.normal(0, 0.1, (1, round(frames / FPS * RATE))).astype(np.float32)
    return MemoryFilm(picture=torch.from_numpy(picture), audio=torch.from_numpy(sound), fps=FPS, sample_rate=RATE)


def order(home: Home, title: str = "clip", **more) -> Order:
    told = {"title": title, "generation": Generation(**salted("a red ball"), seed=3)}
    story = Story(**{**told, **more.pop("story", {})})
    return Order(**{"layers": Layers(scale=1), "story": story, "home": home, **more})


def save(path: Path, home: Home, seed: int = 0, **more):
    still = path.suffix == ".png"
    made = film(seed, frames=1 if still else FRAMES)
    made = replace(made, audio=None) if still else made
    return deliver(path, stream_from(made), order(home, path.stem, **more), encoding=for_file(path))


def printable(text: str) -> bool:
    return all(line.isprintable() for line in text.splitlines())


@pytest.fixture(autouse=True)
def _no_passphrase_of_the_user(monkeypatch):
    monkeypatch.delenv("SORA_PASSPHRASE", raising=False)


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    """Write a marked and signed file of each kind."""
    folder = tmp_path_factory.mktemp("room")
    write_room(folder)
    return folder


def write_room(folder: Path) -> None:
    for suffix in KINDS:
        save(folder / f"clip{suffix}", Home(folder / "home"))


@pytest.fixture
def home(room) -> Home:
    return Home(room / "home")


@pytest.fixture
def nobody_calls(monkeypatch):
    """Let every attempt to reach a network fail the test."""

    def refuse(*_args, **_options):
        raise AssertionError("somebody called out")

    for name in ("socket", "create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)


# no network


def lend(home: Home) -> Ledger:
    ledger = Ledger(home)
    face = make_likeness([np.full((20, 20, 3), 90, np.uint8)], np.zeros((1, 400), np.float32), 8000)
    ledger.enroll("nova", subject="character", attested=True, likeness=face)
    return ledger


@pytest.mark.usefixtures("nobody_calls")
def test_nothing_is_sent_or_looked_up(room, tmp_path, capsys):
    home = Home(tmp_path / "home")
    ledger = lend(home)
    ledger.export_grant(ledger.grant("nova", level="everyone").hash)
    assert not Moderator(load_policy("default")).text("a red ball, see https://example.org/x").stopped
    use = ledger.begin_use([Ask(cameo="nova")], prompt="a walk")
    ledger.likeness(use)
    made = save(tmp_path / "clip.mp4", home, allowed=lambda sha256: ledger.finish_use(use, output_sha256=sha256))
    assert made.signed
    ledger.export_proof()
    assert verify(made.path, home).manifest == "trusted"
    assert main(["sign", str(room / "clip.png"), "-o", str(tmp_path / "signed.png")]) == 0
    assert main(["moderate", "https://example.org/ a ball"]) == 0
    capsys.readouterr()


class Trap:
    """A server of this machine that tells whether anybody called."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}/manifest.c2pa"
        self.called = threading.Event()
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.accept()
            self.called.set()


def test_a_manifest_that_lies_elsewhere_is_not_fetched(room, home, tmp_path):
    trap = Trap()
    path = tmp_path / "away.png"
    with c2pa.Builder({"claim_generator_info": [{"name": "x"}], "assertions": []}) as builder:
        builder.set_intent(c2pa.C2paBuilderIntent.CREATE, c2pa.C2paDigitalSourceType.TRAINED_ALGORITHMIC_MEDIA)
        builder.set_no_embed()
        builder.set_remote_url(trap.address)
        out = io.BytesIO()
        with local_identity(home).signer() as signer, (room / "clip.png").open("rb") as file:
            builder.sign(signer, "image/png", file, out)
        path.write_bytes(out.getvalue())
    assert trap.address.encode() in path.read_bytes()
    assert verify(path, home).manifest in ("absent", "unreadable")
    assert not trap.called.wait(0.3)
    trap.socket.close()


# keys


def shapes_of(secret: bytes) -> list[bytes]:
    """Return how a secret could stand in a text or a file; of base64, whatever stands before it."""
    found = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    for lead in range(3):
        whole = base64.b64encode(bytes(lead) + secret)
        cut = whole[-(-lead * 8 // 6) :].rstrip(b"=")[:-1]
        found += [cut, cut.replace(b"+", b"-").replace(b"/", b"_")]
    return found


def secrets_of(home: Home) -> dict[str, bytes]:
    """Return every secret of a private folder, opened."""
    from cryptography.hazmat.primitives import serialization

    found = {path.name: path.read_bytes() for path in home.folder.rglob("*.key")}
    found["passphrase in use"] = home.passphrase()
    for path in home.folder.glob("*.pem"):
        data = path.read_bytes()
        if b"PRIVATE KEY" not in data:
            continue
        found[path.name] = b"".join(line for line in data.splitlines() if not line.startswith(b"-"))
        key = serialization.load_pem_private_key(data, home.passphrase())
        plain = serialization.NoEncryption()
        kept = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8)
        found[f"{path.name}, opened"] = key.private_bytes(*kept, plain)
        if not hasattr(key, "curve"):
            raw = (serialization.Encoding.Raw, serialization.PrivateFormat.Raw)
            found[f"{path.name}, raw"] = key.private_bytes(*raw, plain)
        else:
            found[f"{path.name}, raw"] = key.private_numbers().private_value.to_bytes(32, "big")
    return found


@pytest.mark.parametrize("given", [None, "correct horse battery staple"])
def test_no_secret_is_in_any_output(given, tmp_path, monkeypatch, capfd, caplog):
    if given:
        monkeypatch.setenv("SORA_PASSPHRASE", given)
    home, out = Home(tmp_path / "home"), tmp_path / "out"
    monkeypatch.setenv("SORA_HOME", str(home.folder))
    caplog.set_level(0)
    out.mkdir()
    said: list[str] = []
    ledger = lend(home)
    decision = Moderator(load_policy("default"), log=DecisionLog(home.file("decisions"))).text("a red ball")
    use = ledger.begin_use([Ask(cameo="nova")], prompt="a walk", policy=decision.policy)
    for suffix in (".mp4", ".png", ".mkv"):
        allowed = (lambda sha256: ledger.finish_use(use, output_sha256=sha256)) if suffix == ".mp4" else None
        save(out / f"clip{suffix}", home, allowed=allowed)
    (out / "nova.cameo").write_bytes(ledger.export_grant(ledger.grant("nova", level="everyone").hash))
    (out / "proof.json").write_bytes(ledger.export_proof())
    (out / "card.json").write_bytes(ledger.export_card("nova"))
    (out / "list.json").write_bytes(ledger.export_revocations())
    (out / "decision.json").write_text(json.dumps(decision.to_dict()))
    said += [json.dumps(entry.value) for entry in ledger.entries()]
    assert main(["verify", str(out / "clip.mp4"), "--json"]) == 0
    assert main(["sign", str(out / "clip.mp4"), "-o", str(out / "again.mp4")]) == 0
    assert main(["cameo", "log", "--json"]) == 0
    ledger.revoke("nova")
    secrets = secrets_of(home)
    # damaged keys: what is said of them
    for path in sorted(home.folder.rglob("*.key")) + sorted(home.folder.glob("*.pem")):
        kept = path.read_bytes()
        path.write_bytes(kept[:-2])
        for act in (local_identity, lambda home: Ledger(home).did, lambda home: home.secret("marks")):
            try:
                act(home)
            except Exception:
                said.append(traceback.format_exc())
        path.write_bytes(kept)
    said += [*capfd.readouterr(), caplog.text]
    files = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    files |= {f"said {at}": text.encode() for at, text in enumerate(said)}
    files["the databases"] = b"".join(path.read_bytes() for path in home.folder.rglob("*.sqlite*"))
    files["decisions"] = b"".join(path.read_bytes() for path in home.folder.glob("decisions/*"))
    if given:
        secrets["given"] = given.encode()
    assert len(secrets) >= 8
    assert len(files) >= 10
    leaked = [
        (name, place)
        for name, one in secrets.items()
        for shape in shapes_of(one)
        for place, data in files.items()
        if shape in data
    ]
    assert leaked == []
    for name, data in files.items():
        if name.split(".")[-1] in ("mp4", "mkv", "png", "c2pa", "json", "cameo"):
            assert str(home.folder).encode() not in data, name


# sizes that lie


def png_of(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
        + chunk(b"IEND", b"")
    )


def patched(data: bytes, box: bytes, at: int, value: bytes) -> bytes:
    """Return an MP4 with bytes written at a distance from the name of each of its boxes of that kind."""
    found, place = bytearray(data), data.find(box)
    assert place >= 0
    while place >= 0:
        found[place + at : place + at + len(value)] = value
        place = data.find(box, place + 1)
    return bytes(found)


def wav_of(channels: int, rate: int, said: int = 8000) -> bytes:
    head = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2 & 0xFFFFFFFF, channels * 2 & 0xFFFF, 16)
    fmt = b"fmt " + struct.pack("<I", len(head)) + head
    data = b"data" + struct.pack("<I", said) + bytes(8000)
    return b"RIFF" + struct.pack("<I", 4 + len(fmt) + len(data)) + b"WAVE" + fmt + data


def huge_files(folder: Path, mp4: bytes) -> dict[str, Path]:
    """Write files whose heads lie."""
    most, y4m = b"\xff" * 4, b"YUV4MPEG2 W%d H%d F%d:1 Ip A1:1 C420jpeg\nFRAME\n" + bytes(4096)
    made = {
        "large.png": png_of(100_000, 100_000),
        "largest.png": png_of(2**31 - 1, 2**31 - 1),
        "beyond.png": png_of(2**31, 2**31),
        "none.png": png_of(0, 0),
        "long.png": png_of(2**31 - 1, 1),
        "large.y4m": y4m % (100_000, 100_000, 24),
        "rapid.y4m": y4m % (64, 64, 10**9),
        "track.mp4": patched(mp4, b"tkhd", 80, most + most),
        "entry.mp4": patched(mp4, b"avc1", 28, most),
        "lasts.mp4": patched(patched(mp4, b"mvhd", 20, most), b"mdhd", 20, most),
        "rapid.mp4": patched(mp4, b"mdhd", 16, struct.pack(">I", 10**9)),
        "still.mp4": patched(mp4, b"mdhd", 16, bytes(4)),
        "slow.mp4": patched(mp4, b"stts", 12, most),
        "many.mp4": patched(mp4, b"stsz", 12, most),
        "chunks.mp4": patched(mp4, b"stco", 8, most),
        "times.mp4": patched(mp4, b"stts", 8, b"\x7f" + most[:3]),
        "voices.mp4": patched(mp4, b"mp4a", 20, b"\x00\xff"),
        "voices.wav": wav_of(255, 48_000),
        "rate.wav": wav_of(1, 2**32 - 1),
        "long.wav": wav_of(2, 48_000, 2**32 - 1),
        "no.wav": wav_of(0, 0),
    }
    for name, data in made.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in made}


def open_huge(folder: Path) -> None:
    """Open every file of a folder by every door, with little memory to spare, and print what was said."""
    home = Home(folder / "home")
    read_manifest(folder / "clip.mp4", anchors=local_anchors(home))
    verify(folder / "clip.mp4", home)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (3 << 29), size + (3 << 29)))

    def whole(path: Path) -> None:
        opened = FileFilm(path, as_stored=True)
        for count, _ in enumerate(opened.frames()):
            if count > 3:
                break
        opened.sound(0, 1000)

    doors = {
        "verify": lambda path: verify(path, home),
        "film": whole,
        "image": read_image,
        "track": lambda path: read_track(path).sound(0, 1000),
        "manifest": read_manifest,
    }
    for path in sorted((folder / "huge").iterdir()):
        for door, act in doors.items():
            started = time.process_time()
            try:
                act(path)
                said = "taken"
            except SoraError as error:
                said = f"refused: {error}"
            except Exception as error:
                said = f"BAD {type(error).__name__}: {error}"
            print(json.dumps([path.name, door, said, round(time.process_time() - started, 2)]), flush=True)  # noqa: T201


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited in the way of Linux")
def test_sizes_that_lie_cost_neither_memory_nor_time(room, tmp_path):
    (tmp_path / "huge").mkdir()
    huge_files(tmp_path / "huge", (room / "clip.mp4").read_bytes())
    for name in ("clip.mp4", "home"):
        (tmp_path / name).symlink_to(room / name)
    done = worker("huge", tmp_path)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(told) == 21 * 5
    assert [one for one in told if one[2].startswith("BAD")] == []
    assert [one for one in told if "\n" in one[2] or len(one[2]) > 500] == []
    assert [one for one in told if one[3] > 10] == []


# damage at random


def mutants(folder: Path, count: int, *, every: int, told: bool = False) -> Counter[str]:
    """Damage the files of `write_room` in turn, open each damaged one, and count what is told.

    Args:
        folder: of the files. count: damaged files in all. every: each such one goes through all of `verify`.
        told: print the counts now and then.

    Raises:
        Exception: any but a SoraError.
    """
    home = Home(folder / "home")
    anchors = local_anchors(home)
    sound = {suffix: (folder / f"clip{suffix}").read_bytes() for suffix in KINDS}
    beside = sidecar(folder).read_bytes()
    known = {suffix: read_manifest(folder / f"clip{suffix}", anchors=anchors) for suffix in KINDS}
    assert {one.state for one in known.values()} == {"trusted"}
    found: Counter[str] = Counter()
    place = folder / "mutants"
    place.mkdir(exist_ok=True)
    for number in range(count):
        suffix = KINDS[number % len(KINDS)]
        path = place / f"clip{suffix}"
        data, kept = mutate(sound[suffix], number), beside
        if suffix == ".mkv":
            if number % 2:
                data, kept = sound[suffix], mutate(beside, number)
            (place / sidecar(folder).name).write_bytes(kept)
        path.write_bytes(data)
        started = time.process_time()
        reading = read_manifest(path, anchors=anchors)
        found[f"manifest {reading.state}"] += 1
        if reading.state in ("trusted", "intact"):
            same = is_spared(reading, known[suffix], data, sound[suffix]) and (
                suffix != ".mkv" or data == sound[suffix]
            )
            found["spared: nothing hit that means anything" if same else "WRONGLY VALID"] += 1
        found[f"media {opened(path)}"] += 1
        if number % every == 0:
            found[f"verify {verified(path, home)}"] += 1
        if told and number % 500 == 499:
            print(number + 1, dict(found), flush=True)  # noqa: T201
        found["slowest, ms"] = max(found["slowest, ms"], round(1000 * (time.process_time() - started)))
    return found


def sidecar(folder: Path) -> Path:
    from sora_core.provenance.manifest.formats import sidecar_of

    return sidecar_of(folder / "clip.mkv")


def opened(path: Path) -> str:
    try:
        read = FileFilm(path, as_stored=True)
        for _ in read.frames():
            pass
        read.sound()
    except SoraError as error:
        return "refused in lines" if "\n" in str(error) else "refused"
    return "taken"


def verified(path: Path, home: Home) -> str:
    try:
        verdict = verify(path, home)
    except SoraError:
        return "refused"
    json.dumps(verdict.to_dict())
    return verdict.manifest


@pytest.mark.slow
def test_damaged_media_are_told_and_never_crash(room):
    count, every = 90, 45
    found = mutants(room, count, every=every)
    assert found["WRONGLY VALID"] == 0, found
    assert sum(found[f"media {state}"] for state in ("taken", "refused")) == count
    assert found["media refused"]
    assert found["manifest broken"]
    assert found["manifest unreadable"]


# texts


def test_hostile_texts_are_harmless_in_reports(room, home, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SORA_HOME", str(home.folder))
    parent = tmp_path / "parent\x1b[31m\u202e.mp4"
    parent.write_bytes((room / "clip.mp4").read_bytes())
    for number, text in enumerate(BAD_TEXTS):
        path = tmp_path / f"{number}.png"
        story = {
            "title": text,
            "made": "opened",
            "ingredients": (Ingredient(path=parent),),
            "acts": (Act(description=text[:200]),),
        }
        made = replace(film(number, frames=1), audio=None)
        deliver(path, stream_from(made), order(home, story=story))
        assert main(["verify", str(path)]) == 0
        said = capsys.readouterr().out
        assert printable(said), ascii(said)
        # what a stranger wrote makes no line of its own
        assert [line.split()[0] for line in said.splitlines() if not line.startswith("-")] == [
            "manifest",
            "visible",
            "invisible",
            "audio",
            "made",
        ]
        assert len(said) < 6_000
        if number > 1:
            continue
        main(["verify", str(path), "--json"])
        told = json.loads(capsys.readouterr().out)
        assert set(FOUND) <= set(told)
        for words in texts_in(told):
            assert words.isprintable(), ascii(words)


def texts_in(value: object):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from texts_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts_in(one)


def test_hostile_file_names_are_harmless_in_reports(room, home, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SORA_HOME", str(home.folder))
    for name in ("a\x1b[2Jb.mp4", "a\nmanifest   trusted.mp4", "\u202e4pm.exe.mp4", "-.mp4", "$(id).mp4"):
        path = tmp_path / name
        path.write_bytes(b"no clip")
        assert main(["verify", str(path)]) == 2
        assert printable_line(capsys.readouterr().err), name
        assert main(["verify", str(tmp_path / f"not {name}")]) == 2
        assert printable_line(capsys.readouterr().err), name
        assert main(["verify", str(room / "clip.png"), "--badge", name]) == 2 or name in ("-.mp4", "$(id).mp4")
        assert printable("".join(capsys.readouterr()))
        path.write_bytes((room / "clip.png").read_bytes())
        main(["verify", str(path)])
        assert printable("".join(capsys.readouterr())), name


def printable_line(text: str) -> bool:
    return text.endswith("\n") and text[:-1].isprintable() and text.startswith("sora: ")


# deaths, full disks, crowds


def worker(act: str, *words: object, wait: bool = True, **more):
    command = [sys.executable, __file__, act, *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    if not wait:
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return subprocess.run(command, env=environment, text=True, capture_output=True, check=False, timeout=300, **more)


def die_often(folder: Path, times: int) -> None:
    """Fork, deliver in the child, and kill it at a moment drawn at random; as often as said."""
    home, dice = Home(folder / "home"), random.Random(7)
    local_identity(home)
    for number in range(times):
        child = os.fork()
        if not child:
            for clip in range(100):
                save(folder / "out" / f"clip-{number}-{clip}.mp4", home, seed=number)
            os._exit(1)
        time.sleep(dice.uniform(0.1, 1.2))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print(child, flush=True)  # noqa: T201


def titles_in_index(home: Home) -> list[str]:
    """Return what the index holds, and fail where the database is damaged."""
    with contextlib.closing(sqlite3.connect(home.file(INDEX_NAME))) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        rows = database.execute("select title, mark_id from entry").fetchall()
    index = Index(home.file(INDEX_NAME))
    assert all(index.by_mark(int.from_bytes(mark, "big")) is not None for _, mark in rows)
    return [title for title, _ in rows]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are killed in the way of Unix")
def test_a_kill_at_any_moment_leaves_no_half_file(tmp_path):
    out, home = tmp_path / "out", Home(tmp_path / "home")
    out.mkdir()
    done = worker("die", tmp_path, 6)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.split()) == 6
    seen = [path for path in out.iterdir() if not path.name.startswith(".")]
    for path in seen:
        assert read_manifest(path, anchors=local_anchors(home)).state == "trusted"
        assert opened(path) == "taken"
    left = [path for path in out.iterdir() if path.name.startswith(".")]
    for path in left:
        os.utime(path, (time.time() - 3600,) * 2)
    save(out / "last.mp4", home)
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []
    assert {path.stem for path in seen} | {"last"} <= set(titles_in_index(home))


def fill_disk(folder: Path, limits: list[int]) -> None:
    """Deliver under a limit of the size of files, in one child for each limit, and print what is said."""
    home = Home(folder / "home")
    # keys and certificates are there before the disk is full
    home.secret("marks")
    for limit in limits:
        child = os.fork()
        if not child:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            for suffix in KINDS:
                try:
                    save(folder / "out" / f"clip-{limit}{suffix}", home)
                    said = "saved"
                except SoraError as error:
                    said = f"refused: {error}"
                except BaseException as error:
                    said = f"BAD {type(error).__name__}: {error}"
                sys.stderr.write(json.dumps([limit, suffix, said]) + "\n")
            os._exit(0)
        os.waitpid(child, 0)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="the size of files is limited in the way of Unix")
def test_a_full_disk_leaves_nothing_and_says_so(tmp_path):
    out, home = tmp_path / "out", Home(tmp_path / "home")
    out.mkdir()
    local_identity(home)
    save(tmp_path / "before.mp4", home)
    done = worker("full", tmp_path, 1000, 20_000, 60_000, 1 << 30)
    told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("[")]
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(told) == 12, done.stderr[-2000:]
    assert [one for one in told if one[2].startswith("BAD")] == []
    assert [one for one in told if "\n" in one[2]] == []
    refused = [one for one in told if one[2].startswith("refused")]
    assert {one[0] for one in refused} >= {1000, 20_000}
    assert [one for one in told if one[0] == 1 << 30 and one[2] != "saved"] == []
    saved = {f"clip-{limit}{suffix}" for limit, suffix, said in told if said == "saved"}
    there = {path.name for path in out.iterdir() if path.suffix != ".c2pa"}
    assert there == saved
    for name in saved:
        assert read_manifest(out / name, anchors=local_anchors(home)).state == "trusted"
    assert {Path(name).stem for name in saved} | {"before"} <= set(titles_in_index(home))


def deliver_many(folder: Path, who: str, times: int) -> None:
    """Save clips under names that another process wants too; print which this one got."""
    home = Home(folder / "home")
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    for number in range(times):
        try:
            made = save(folder / "out" / f"clip-{number}.mp4", home, seed=hash(who) % 1000, fresh=True)
            print(f"{number} {made.mark_id:016x} {made.sha256}", flush=True)  # noqa: T201
        except FileExistsError:
            print(f"{number} taken", flush=True)  # noqa: T201


@pytest.mark.slow
def test_two_processes_share_a_folder_and_an_index(tmp_path):
    from sora_core.checkpoint.metadata import file_hash

    out, home, times = tmp_path / "out", Home(tmp_path / "home"), 3
    out.mkdir()
    command = [sys.executable, __file__, "together", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    both = [subprocess.Popen([*command, who, str(times)], env=environment, text=True, **pipes) for who in "ab"]
    said = [process.communicate("go\n", timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    lines = [line.split() for out_text, _ in said for line in out_text.splitlines() if line != "ready"]
    got = {line[0]: line for line in lines if line[1] != "taken"}
    assert sorted(got) == [str(number) for number in range(times)]
    assert len(lines) == 2 * times
    assert sum(line[1] == "taken" for line in lines) == times
    index = Index(home.file(INDEX_NAME))
    for number, mark, sha256 in got.values():
        path = out / f"clip-{number}.mp4"
        assert file_hash(path) == sha256
        assert read_manifest(path, anchors=local_anchors(home)).state == "trusted"
        entry = index.by_mark(int(mark, 16))
        assert entry is not None
        assert entry.manifest_hash == sha256
    assert sorted(path.name for path in out.iterdir()) == [f"clip-{number}.mp4" for number in range(times)]


# clocks


def test_a_clock_that_was_moved_back_opens_nothing(tmp_path):
    now = [1_800_000_000.0]
    home = Home(tmp_path / "home")
    ledger = Ledger(home, clock=lambda: now[0])
    face = make_likeness([np.full((20, 20, 3), 90, np.uint8)])
    ledger.enroll("nova", subject="character", attested=True, likeness=face)
    use = ledger.begin_use([Ask(cameo="nova")], prompt="a walk")
    now[0] -= 86_400 * 30
    with pytest.raises(SoraError):
        ledger.begin_use([Ask(cameo="nova")], prompt="a walk")
    with pytest.raises(SoraError):
        ledger.check_again(use)
    again = Ledger(home, clock=lambda: now[0])
    with pytest.raises(SoraError) as caught:
        again.begin_use([Ask(cameo="nova")], prompt="a walk")
    assert "clock" in str(caught.value)
    assert isinstance(caught.value, Refusal) or "\n" not in str(caught.value)
    # nothing that was delivered meanwhile gets its name
    with pytest.raises(SoraError):
        save(tmp_path / "clip.mp4", home, allowed=lambda sha256: again.finish_use(use, output_sha256=sha256))
    assert not list(tmp_path.glob("*clip*"))
    now[0] += 86_400 * 30 + 60
    assert ledger.begin_use([Ask(cameo="nova")], prompt="a walk").lent


if __name__ == "__main__":
    torch.set_num_threads(1)
    act = sys.argv[1] if len(sys.argv) > 1 else "10000"
    if act == "huge":
        open_huge(Path(sys.argv[2]))
    elif act == "die":
        die_often(Path(sys.argv[2]), int(sys.argv[3]))
    elif act == "full":
        fill_disk(Path(sys.argv[2]), [int(word) for word in sys.argv[3:]])
    elif act == "together":
        deliver_many(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        import tempfile

        with tempfile.TemporaryDirectory() as name:
            write_room(Path(name))
            begun = time.monotonic()
            counted = mutants(Path(name), int(act), every=100, told=True)
            print(f"{act} damaged files in {time.monotonic() - begun:.0f} s")  # noqa: T201
            for what, times in sorted(counted.items()):
                print(f"{times:>7}  {what}")  # noqa: T201
            print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10:>7}  MiB at most")  # noqa: T201
