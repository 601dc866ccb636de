"""Hashes of picture and sound, and the index: copies are found, other clips are not, and nothing is lost."""

from __future__ import annotations

import io
import math
import multiprocessing
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sora_core.errors import SoraError
from sora_core.provenance.fingerprint import scan
from sora_core.provenance.fingerprint.entry import Entry
from sora_core.provenance.fingerprint.index import Index
from sora_core.provenance.fingerprint.picture import PictureHash, PictureHasher
from sora_core.provenance.fingerprint.sound import SoundHash, SoundHasher
from sora_core.provenance.fingerprint.ternary import Agreement, Ternary, overlaps

HEIGHT, WIDTH, FPS, RATE = 120, 160, 24.0, 16_000
MARK = 0xF123_4567_89AB_CDEF


def film(seed: int, frames: int = 72) -> torch.Tensor:
    """Return a window that wanders over clouds, with a disc that wanders over it."""
    dice = torch.Generator().manual_seed(seed)
    coarse = torch.randn(3, 24, 32, generator=dice)
    clouds = F.interpolate(coarse[None], size=(HEIGHT * 2, WIDTH * 2), mode="bicubic")[0] * 45 + 120
    pace = torch.rand(6, generator=dice) * 2 + 0.5
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    shown = []
    for i in range(frames):
        t = i / FPS
        top, left = int(HEIGHT / 2 * (1 + math.sin(pace[0] * t))), int(WIDTH / 2 * (1 + math.cos(pace[1] * t)))
        picture = clouds[:, top : top + HEIGHT, left : left + WIDTH].clone()
        disc = (x - WIDTH * (0.5 + 0.4 * math.sin(pace[2] * t))) ** 2 + (y - 60 - 40 * math.cos(pace[3] * t)) ** 2 < 300
        picture[:, disc] = 255 * torch.rand(3, 1, generator=torch.Generator().manual_seed(seed + 1))
        shown.append(picture.clamp(0, 255).byte().permute(1, 2, 0))
    return torch.stack(shown)


def seen(frames: torch.Tensor, fps: float = FPS, piece: int = 1000) -> PictureHash:
    hasher = PictureHasher(frames.shape[2], frames.shape[1], fps)
    for part in frames.split(piece):
        hasher.see(part)
    return hasher.finish()


def recoded(frames: torch.Tensor, crf: int) -> torch.Tensor:
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as target:
        stream = target.add_stream("libx264", rate=Fraction(24))
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        stream.options = {"crf": str(crf), "preset": "ultrafast"}
        for frame in frames.numpy():
            target.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        target.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer) as source:
        return torch.stack([torch.from_numpy(f.to_ndarray(format="rgb24")) for f in source.decode(video=0)])


def resized(frames: torch.Tensor, height: int, width: int) -> torch.Tensor:
    small = F.interpolate(frames.permute(0, 3, 1, 2).float(), size=(height, width), mode="bilinear", antialias=True)
    return small.round().byte().permute(0, 2, 3, 1)


def tune(seed: int, seconds: float = 6.0) -> torch.Tensor:
    """Return struck tones and bursts of noise, ``[1, S]``."""
    dice = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    sound = np.zeros(len(t))
    for _ in range(40):
        since = np.clip(t - dice.uniform(-0.5, seconds), 0, None)
        tone = 220 * 2 ** (dice.integers(0, 36) / 12)
        sound += (since > 0) * np.exp(-since / dice.uniform(0.1, 0.6)) * np.sin(2 * np.pi * tone * since)
        sound += (since > 0) * np.exp(-since / 0.05) * dice.standard_normal(len(t)) * 0.3
    return torch.from_numpy(0.5 * sound / np.abs(sound).max()).float()[None]


def heard(sound: torch.Tensor, rate: int = RATE, piece: int = 1 << 30) -> SoundHash:
    hasher = SoundHasher(rate)
    for part in sound.split(piece, dim=1):
        hasher.see(part)
    return hasher.finish()


@pytest.fixture(scope="module")
def films() -> list[torch.Tensor]:
    return [film(seed) for seed in range(0, 60, 10)]


@pytest.fixture(scope="module")
def tunes() -> list[torch.Tensor]:
    return [tune(seed) for seed in range(6)]


def entry(mark_id: int = MARK, **values: object) -> Entry:
    return Entry(**{"mark_id": mark_id, "short_id": mark_id >> 32, "created_s": 1.0, **values})


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (12, 1), (7, 7)])
def test_correlation_counts_what_a_loop_counts(shape: tuple[int, int]) -> None:
    dice = np.random.default_rng(3)
    a, b = (Ternary.of(dice.standard_normal((slots, 20)), 0.5) for slots in shape)
    found = Agreement.of(a, b)
    for i, shared in enumerate(overlaps(a.slots, b.slots)):
        shift = i - (b.slots - 1)
        pairs = [(t + shift, t) for t in range(b.slots) if 0 <= t + shift < a.slots]
        assert len(pairs) == shared
        both = [a.sure[s] & b.sure[t] for s, t in pairs]
        assert found.compared[i] == sum(int(x.sum()) for x in both)
        assert found.wrong[i] == sum(
            int(((a.sign[s] ^ b.sign[t]) & x).sum()) for (s, t), x in zip(pairs, both, strict=True)
        )


@pytest.mark.slow
def test_the_pieces_of_a_film_do_not_matter(films: list[torch.Tensor]) -> None:
    whole = seen(films[0]).to_bytes()
    assert seen(films[0], piece=1).to_bytes() == whole
    assert seen(torch.cat([films[0][:0], films[0]]), piece=7).to_bytes() == whole


def test_the_pieces_of_a_sound_do_not_matter(tunes: list[torch.Tensor]) -> None:
    assert heard(tunes[0], piece=997).to_bytes() == heard(tunes[0]).to_bytes()


@pytest.mark.slow
def test_copies_of_a_film_are_the_same(films: list[torch.Tensor]) -> None:
    original = films[0]
    known = seen(original)
    luma = torch.tensor([0.299, 0.587, 0.114])
    copies = {
        "untouched": seen(original),
        "CRF 36": seen(recoded(original, 36)),
        "half the size": seen(resized(original, 60, 80)),
        "another shape": seen(resized(original, 120, 120)),
        "darker": seen((original.float() * 0.7).byte()),
        "grey": seen((original.float() @ luma).round().byte()[..., None].repeat(1, 1, 1, 3)),
        "half the frames": seen(original[::2], FPS / 2),
        "bars": seen(F.pad(original, (0, 0, 0, 0, 20, 20))),
        "little crop": seen(original[:, 2:-2, 2:-2]),
    }
    for name, copy in copies.items():
        found = known.match(copy)
        assert found.same, (name, found)
        assert not found.flipped, name
        assert found.offset_s == 0, name


@pytest.mark.slow
def test_a_trimmed_and_mirrored_copy_is_laid_where_it_was(films: list[torch.Tensor]) -> None:
    found = seen(films[1]).match(seen(films[1].flip(2)[24:60]))
    assert found.same
    assert found.flipped
    assert found.offset_s == pytest.approx(1.0)
    assert found.seconds_aligned == pytest.approx(1.5)


@pytest.mark.slow
def test_other_films_are_different(films: list[torch.Tensor]) -> None:
    hashes = [seen(f) for f in films]
    for i, a in enumerate(hashes):
        for b in hashes[:i]:
            assert a.match(b).verdict == "different"


@pytest.mark.slow
def test_another_take_in_the_same_place_is_not_the_same() -> None:
    from sora_core.world.render import render
    from sora_core.world.spec import Attributes

    ball = Attributes(
        colour="red", object="ball", size="medium", motion="throw", direction="left", scene="wooden floor"
    )
    clips = render([ball] * 12, range(12)).frames
    hashes = [seen(clip, 12.0) for clip in clips]
    takes = [hashes[i].match(hashes[j]) for i in range(12) for j in range(i)]
    assert not any(take.same for take in takes)
    assert all(h.match(seen(recoded(c.repeat_interleave(4, 1).repeat_interleave(4, 2), 30), 12.0)).same
               for h, c in zip(hashes[:4], clips, strict=False))  # fmt: skip


def test_a_flat_film_says_nothing() -> None:
    flat = [seen(torch.full((30, 64, 64, 3), value, dtype=torch.uint8)) for value in (40, 40, 200)]
    ramp = seen(torch.arange(64, dtype=torch.uint8).view(1, 1, 64, 1).expand(30, 64, 64, 3).contiguous())
    for a, b in ((flat[0], flat[1]), (flat[0], flat[2]), (ramp, ramp)):
        found = a.match(b)
        assert (found.verdict, found.same, found.confidence) == ("unclear", False, 0.0)


@pytest.mark.parametrize("frames", [0, 1, 5])
def test_a_film_of_nearly_nothing_has_no_slots(frames: int) -> None:
    short = seen(film(0, 6)[:frames])
    assert short.slots == 0
    assert short.match(short).verdict == "unclear"
    assert PictureHash.from_bytes(short.to_bytes()).slots == 0


def test_frames_of_another_film_are_refused() -> None:
    hasher = PictureHasher(64, 64, 12.0)
    for frames in (torch.zeros(1, 64, 32, 3, dtype=torch.uint8), torch.zeros(1, 64, 64, 3)):
        with pytest.raises(SoraError, match="do not belong"):
            hasher.see(frames)
    with pytest.raises(SoraError, match="above 0"):
        PictureHasher(64, 64, float("nan"))


def test_copies_of_a_sound_are_the_same_and_others_are_not(tunes: list[torch.Tensor]) -> None:
    hashes = [heard(t) for t in tunes]
    original = tunes[0]
    noise = torch.randn(original.shape, generator=torch.Generator().manual_seed(1))
    half = F.avg_pool1d(original, 2)
    for copy, rate in ((original * 0.2, RATE), (original.expand(2, -1), RATE), (half, RATE // 2)):
        assert hashes[0].match(heard(copy, rate)).same
    assert hashes[0].match(heard(original + 0.1 * original.std() * noise)).same
    late = hashes[0].match(heard(original[:, 20_100:]))
    assert late.same
    assert late.offset_s == pytest.approx(20_100 / RATE, abs=1 / 32)
    for i, a in enumerate(hashes):
        for b in hashes[:i]:
            assert a.match(b).verdict == "different"


def test_silence_says_nothing() -> None:
    quiet = torch.zeros(1, 3 * RATE)
    quiet[0, ::1000] = float("nan")
    assert heard(quiet).certainty == 0
    assert heard(quiet).match(heard(quiet)).verdict == "unclear"
    assert heard(quiet[:, :100]).slots == 0


def test_one_blow_is_never_more_than_alike() -> None:
    t = torch.arange(2 * RATE) / RATE
    blow = (torch.exp(-t * 4) * torch.sin(2 * torch.pi * 440 * t))[None]
    assert heard(blow).match(heard(blow)).verdict in ("alike", "unclear")


@pytest.mark.slow
def test_hashes_survive_as_bytes(films: list[torch.Tensor], tunes: list[torch.Tensor]) -> None:
    picture, sound = seen(films[0]), heard(tunes[0])
    assert PictureHash.from_bytes(picture.to_bytes()).to_bytes() == picture.to_bytes()
    assert SoundHash.from_bytes(sound.to_bytes()).to_bytes() == sound.to_bytes()
    assert len(picture.to_bytes()) == 7 + 80 * picture.slots
    assert len(sound.to_bytes()) == 7 + 8 * sound.slots
    assert PictureHash.from_bytes(picture.to_bytes()).match(picture).bit_error == 0


@pytest.mark.parametrize(
    "packed", [b"", b"SP", b"SP\x01\xff\xff\xff\xff", b"SP\x02\0\0\0\0", b"XX\x01\0\0\0\0", b"SP\x01\0\0\0\0x"]
)
def test_what_is_no_hash_is_refused(packed: bytes) -> None:
    for kind in (PictureHash, SoundHash):
        with pytest.raises(SoraError, match="make the hash anew"):
            kind.from_bytes(packed)


def test_an_index_gives_back_what_was_added(tmp_path) -> None:
    index = Index(tmp_path / "index.db")
    kept = entry(title="a clip", badge_text="AI", manifest_hash="ab12", layers={"video": True, "db": 42.5})
    index.add(kept)
    index.add(entry(MARK + 1))
    assert index.by_mark(MARK) == kept
    assert index.by_mark(5) is index.by_mark(-1) is index.by_mark(1 << 64) is None
    assert [e.mark_id for e in index.by_short(MARK >> 32)] == [MARK, MARK + 1]
    assert index.by_short(1 << 40) == ()
    assert len(Index(tmp_path / "index.db")) == 2


def test_an_entry_is_never_changed(tmp_path) -> None:
    index = Index(tmp_path / "index.db")
    index.add(entry(title="first"))
    with pytest.raises(SoraError, match="in the index already"):
        index.add(entry(title="second"))
    with sqlite3.connect(tmp_path / "index.db") as database:
        for order in ("UPDATE entry SET title = 'x'", "DELETE FROM entry"):
            with pytest.raises(sqlite3.IntegrityError, match="never changed"):
                database.execute(order)
    found = index.by_mark(MARK)
    assert found is not None
    assert found.title == "first"


@pytest.mark.skipif(os.name == "nt", reason="permissions are those of POSIX")
def test_only_its_owner_reads_an_index(tmp_path) -> None:
    index = Index(tmp_path / "index.db")
    index.add(entry())
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    (tmp_path / "link.db").symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(SoraError, match="cannot be made"):
        Index(tmp_path / "link.db")
    assert not (tmp_path / "elsewhere.db").exists()


@pytest.mark.parametrize("text", ["'); DROP TABLE entry; --", "\u202eevil\x00\x1b[31m", "x" * 5000, "<script>"])
def test_hostile_texts_are_kept_as_plain_lines(tmp_path, text: str) -> None:
    index = Index(tmp_path / "index.db")
    index.add(entry(title=text, badge_text=text))
    found = index.by_mark(MARK)
    assert found is not None
    assert len(found.title) <= 200
    assert found.title.isprintable()
    assert found.title.replace(" ", "") in text.replace(" ", "") or "\x00" in text


@pytest.mark.parametrize(
    "values",
    [
        {"mark_id": 1 << 64, "short_id": 1 << 32},
        {"short_id": 1},
        {"created_s": float("nan")},
        {"manifest_hash": "x"},
        {"manifest_hash": "a" * 129},
        {"layers": {"a": "b" * 5000}},
        {"layers": {"a": float("inf")}},
        {"layers": {"a": object()}},
        {"picture": bytes((16 << 20) + 1)},
    ],
)
def test_an_entry_refuses_what_cannot_be_kept(values: dict[str, object]) -> None:
    with pytest.raises(SoraError):
        Entry(**{"mark_id": MARK, "short_id": MARK >> 32, "created_s": 1.0, **values})


def test_a_hash_that_is_none_is_not_added(tmp_path) -> None:
    index = Index(tmp_path / "index.db")
    with pytest.raises(SoraError, match="make the hash anew"):
        index.add(entry(picture=b"junk"))
    assert len(index) == 0


@pytest.mark.slow
def test_a_clip_is_found_by_picture_and_by_sound(tmp_path, films, tunes) -> None:
    index = Index(tmp_path / "index.db")
    for i, (frames, sound) in enumerate(zip(films, tunes, strict=True)):
        index.add(entry(i, short_id=0, title=str(i), picture=seen(frames).to_bytes(), sound=heard(sound).to_bytes()))
    index.add(entry(99, title="bare"))
    picture, sound = seen(recoded(films[3].flip(2)[9:], 30)), heard(tunes[4][:, 9001:] * 0.5)
    found = index.find(picture, None, 2)
    assert found[0].entry.title == "3"
    assert found[0].same
    assert not found[1].same
    assert index.find(None, sound)[0].entry.title == "4"
    assert {f.entry.title for f in index.find(picture, sound, 2)} == {"3", "4"}
    assert index.find(None, None) == ()
    assert not any(f.same for f in index.find(seen(film(777)), heard(tune(777))))
    with pytest.raises(SoraError, match="limit"):
        index.find(picture, None, 0)


def test_the_ones_of_a_word_are_counted_without_numpy_2(monkeypatch: pytest.MonkeyPatch) -> None:
    words = np.array([0, 1, 2**64 - 1, 0xF0F0_0000_0000_0001, 1 << 63], np.uint64)
    counted = [0, 1, 64, 9, 1]
    assert scan._ones(words).tolist() == counted
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert scan._ones(words).tolist() == counted


def _add_many(path: Path, first: int) -> None:
    index = Index(path)
    for i in range(first, first + 20):
        index.add(entry(i << 32, short_id=i))


@pytest.mark.slow
def test_two_processes_add_at_once(tmp_path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add_many, args=(tmp_path / "index.db", first)) for first in (0, 1000)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert len(Index(tmp_path / "index.db")) == 40


_ADD_FOR_EVER = """
import sys
from pathlib import Path
from sora_core.provenance.fingerprint.entry import Entry
from sora_core.provenance.fingerprint.index import Index
index = Index(Path(sys.argv[1]))
for i in range(1, 1 << 30):
    index.add(Entry(mark_id=i << 32, short_id=i, created_s=1.0, title="x" * 200))
    sys.stdout.write(f"{i}\\n")
    sys.stdout.flush()
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_what_was_added_stays_when_the_process_is_killed(tmp_path) -> None:
    path = tmp_path / "index.db"
    said = 0
    with subprocess.Popen([sys.executable, "-c", _ADD_FOR_EVER, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said = int(line)
            if said == 20:
                time.sleep(0.013)
                process.send_signal(signal.SIGKILL)
    index = Index(path)
    assert said <= len(index) <= said + 1
    assert all(index.by_mark(i << 32) is not None for i in range(1, said + 1))
    index.add(entry())


def test_a_full_disk_gives_a_sentence_and_keeps_what_was_there(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index(tmp_path / "index.db")
    index.add(entry())
    opened = Index._open

    def small(self: Index) -> sqlite3.Connection:
        database = opened(self)
        database.execute("PRAGMA max_page_count = 1")
        return database

    monkeypatch.setattr(Index, "_open", small)
    sound = Ternary(np.zeros((20_000, 32), bool), np.zeros((20_000, 32), bool))
    with pytest.raises(SoraError, match="full"):
        index.add(entry(7, short_id=0, sound=SoundHash(sound).to_bytes()))
    monkeypatch.undo()
    assert index.by_mark(MARK) is not None
    assert index.by_mark(7) is None
    index.add(entry(7, short_id=0))


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be looked at" * 40])
def test_what_is_no_index_is_refused(tmp_path, content: bytes) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(content)
    with pytest.raises(SoraError, match="cannot be read"):
        Index(path)
    assert path.read_bytes() == content
    with pytest.raises(SoraError, match="cannot be made"):
        Index(tmp_path / "missing" / "index.db")
