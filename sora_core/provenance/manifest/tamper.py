"""What is told of a signed file after every kind of change: the table that shows whether the manifest holds."""

# F frames, H W pixels, C sound channels, S samples

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...media.encoder import Encoding, Shape, encode
from ...media.image import read_image
from ...media.png import write_png
from ..home import Home
from .container import C2PA_UUID
from .formats import sidecar_of
from .identity import Identity, local_identity
from .mutation import fuzz, manifest_span
from .read import read_manifest
from .reading import ManifestReading
from .sign import sign
from .story import Act, Disclosure, Ingredient, MarkClaim, Story

SIDE, FPS, FRAMES, RATE = 384, 12.0, 25, 16_000
SECONDS = FRAMES / FPS
MUTANTS = 300

Change = Callable[[bytes], bytes]


@dataclass(frozen=True, kw_only=True)
class TamperRow:
    """A change and what was told of the file after it.

    wanted: states that are right. state: the one that was told. codes: C2PA's, of what failed. note: what else is to
    be seen. holds: was it as wanted?
    """

    change: str
    wanted: tuple[str, ...]
    state: str
    codes: tuple[str, ...] = ()
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether the state is one that is right."""
        return self.state in self.wanted


def tamper_matrix(folder: Path, *, mutants: int = MUTANTS) -> list[TamperRow]:
    """Sign files, change each in one way, read it, and return what was told.

    Args:
        folder: an empty one, for the files; a signer of its own is made in it.
        mutants: random damages in the last row.

    Raises:
        SoraError: the extra is missing, or the folder cannot be written.
    """
    bench = _Bench(folder)
    return [
        *bench.film_rows(),
        *bench.picture_rows(),
        *bench.sidecar_rows(),
        *bench.history_rows(),
        bench.fuzz_row(mutants),
    ]


def example_film(path: Path, *, seed: int = 0, encoding: Encoding | None = None, frames: int = FRAMES) -> None:
    """Write a clip of moving patches with a soft noise: 384 x 384, 12 fps, 16 kHz."""
    dice = np.random.default_rng(seed)
    patches_HWC = np.kron(dice.integers(30, 220, (12, 12, 3), dtype=np.uint8), np.ones((32, 32, 1), np.uint8))

    def pieces() -> list[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
        found = []
        for frame in range(frames):
            samples = round((frame + 1) * RATE / FPS) - round(frame * RATE / FPS)
            sound_CS = dice.normal(0, 0.05, (1, samples)).astype(np.float32)
            found.append((np.ascontiguousarray(np.roll(patches_HWC, 3 * frame, 1)[None]), sound_CS))
        return found

    shape = Shape(width=SIDE, height=SIDE, fps=FPS, sample_rate=RATE, channels=1)
    encode(path, pieces(), shape, encoding=encoding or Encoding())


def example_story(title: str, *ingredients: Ingredient, mark_id: int = 0x0123456789ABCDEF) -> Story:
    """Return a story with everything that a usual clip tells."""
    return Story(
        title=title,
        ingredients=ingredients,
        acts=(Act(description="remixed"),) if ingredients else (),
        marks=(
            MarkClaim(layer="invisible", mark_id=mark_id, start_s=0, stop_s=SECONDS),
            MarkClaim(layer="audio", mark_id=mark_id >> 32, start_s=0, stop_s=SECONDS),
        ),
        layers_on=("invisible", "audio"),
        layers_off=("visible",),
        disclosure=Disclosure(name="a small model"),
    )


class _Bench:
    """The folder with the files, and their signer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.identity: Identity = local_identity(Home(folder / "home"))
        self.plain, self.film = folder / "plain.mp4", folder / "film.mp4"
        example_film(self.plain)
        sign(self.plain, self.film, example_story("film"), self.identity)

    def read(self, path: Path) -> ManifestReading:
        return read_manifest(path, anchors=self.identity.anchors_pem)

    def row(self, change: str, wanted: str, data: bytes, name: str = "changed.mp4") -> TamperRow:
        path = self.folder / name
        path.write_bytes(data)
        return self.told(change, wanted, self.read(path))

    @staticmethod
    def told(change: str, wanted: str, reading: ManifestReading, note: str = "") -> TamperRow:
        return TamperRow(
            change=change, wanted=tuple(wanted.split("|")), state=reading.state, codes=reading.codes, note=note
        )

    def film_rows(self) -> list[TamperRow]:
        data = self.film.read_bytes()
        media, index = data.index(b"mdat") + 4, data.index(b"moov") + 60
        text, last = data.index(b"trainedAlgorithmicMedia"), data.index(b"\xf6\x58\x40", data.index(b"c2pa.signature"))
        start, stop = _span(data)
        other = self.folder / "other.mp4"
        example_film(other, seed=1)
        remuxed = self.folder / "remuxed.mp4"
        _remux(self.film, remuxed)
        moov = data.index(b"moov") - 4
        wrong_size = data[:moov] + b"\x7f\xff\xff\xff" + data[moov + 4 :]
        padding = data.index(b"cpad", text) + 40
        second = data[start:stop][:8] + C2PA_UUID + data[start + 24 : stop]
        return [
            self.told("untouched", "trusted", self.read(self.film)),
            self.row("a bit in the middle of the picture and sound", "broken", _flip(data, media + 5000)),
            self.row("a bit in their first byte", "broken", _flip(data, media)),
            self.row("a bit in the index", "broken|unreadable", _flip(data, index)),
            self.row("a bit in a statement", "broken", _flip(data, text)),
            self.row("a bit in the signature", "broken", _flip(data, last + 3)),
            self.row("an unknown box appended", "broken", data + _box(b"abcd", bytes(64))),
            self.row("the manifest pasted on another clip", "broken", _pasted(data[start:stop], other.read_bytes())),
            self.row("a byte in the box ftyp", "broken", _flip(data, 10)),
            self.row("a free box with 64 hidden bytes appended", "broken", data + _box(b"free", bytes(range(64)))),
            self.row("a second copy of the manifest appended", "broken|unreadable", data + second),
            self.row("cut at two thirds", "unreadable|broken", data[: 2 * len(data) // 3]),
            self.row("a box that says it is longer than the file", "unreadable|broken", wrong_size),
            self.row("the padding of the signature", "trusted", _flip(data, padding)),
            self.row("the manifest cut out", "absent", data[:start] + data[stop:]),
            self.told("remuxed without encoding", "absent", self.read(remuxed)),
        ]

    def picture_rows(self) -> list[TamperRow]:
        source, target, saved = (self.folder / name for name in ("plain.png", "picture.png", "saved.png"))
        write_png(
            source, np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8), {"prompt": "a red ball"}
        )
        sign(source, target, example_story("picture"), self.identity)
        write_png(saved, read_image(target))
        data = target.read_bytes()
        return [
            self.told("picture: untouched", "trusted", self.read(target)),
            self.row("picture: a text changed", "broken", data.replace(b"a red ball", b"a bad ball"), "changed.png"),
            self.told("picture: saved again by another program", "absent", self.read(saved)),
        ]

    def sidecar_rows(self) -> list[TamperRow]:
        source, target = self.folder / "plain.mkv", self.folder / "film.mkv"
        example_film(source, encoding=Encoding(container="mkv"))
        sign(source, target, example_story("film"), self.identity)
        data, beside = target.read_bytes(), sidecar_of(target)
        manifest = beside.read_bytes()
        rows = [self.told("Matroska, manifest beside it: untouched", "trusted", self.read(target))]
        target.write_bytes(_flip(data, len(data) // 2))
        rows.append(self.told("Matroska: a bit in the middle", "broken", self.read(target)))
        target.write_bytes(data)
        beside.write_bytes(_flip(manifest, manifest.index(b"trainedAlgorithmicMedia")))
        rows.append(self.told("Matroska: a bit in a statement of the manifest", "broken", self.read(target)))
        beside.unlink()
        rows.append(self.told("Matroska: the manifest taken away", "absent", self.read(target)))
        return rows

    def history_rows(self) -> list[TamperRow]:
        def made(name: str, parent: Path) -> ManifestReading:
            story = example_story(name, Ingredient(path=parent, title=f"parent of {name}"))
            sign(self.plain, self.folder / f"{name}.mp4", story, self.identity)
            return self.read(self.folder / f"{name}.mp4")

        sound = made("remix", self.film)
        middle = self.folder / "remix.mp4"
        deep = made("extended", middle)
        data = middle.read_bytes()
        bad = self.folder / "bad.mp4"
        bad.write_bytes(_flip(data, data.index(b"mdat") + 5000))
        hurt = made("extended_bad", bad)
        again = sign(self.film, self.folder / "again.mp4", example_story("again"), self.identity).reading
        return [
            self.told("a remix", "trusted", sound, _lineage(sound)),
            self.told("a remix, extended", "trusted", deep, _lineage(deep)),
            self.told("the remix was changed before it was extended", "trusted", hurt, _lineage(hurt)),
            self.told("signed again by a story without history", "trusted", again, _lineage(again)),
        ]

    def fuzz_row(self, mutants: int) -> TamperRow:
        found = fuzz(self.film, self.folder, anchors=self.identity.anchors_pem, count=mutants)
        note = (
            f"{found.unreadable} unreadable, {found.broken} broken, {found.absent} absent, "
            f"{found.spared} where nothing was hit that means anything, {found.wrong} wrongly valid"
        )
        state = "wrongly valid" if found.wrong else "none wrongly valid"
        return TamperRow(change=f"{mutants} random damages", wanted=("none wrongly valid",), state=state, note=note)


def _lineage(reading: ManifestReading) -> str:
    """Return the states of the first branch, the youngest first."""
    steps: list[str] = []
    below = reading.ingredients
    while below:
        steps.append(f"{below[0].relationship} {below[0].state}")
        below = below[0].ingredients
    return " > ".join(steps)


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _span(data: bytes) -> tuple[int, int]:
    found = manifest_span(data)
    assert found is not None, "the file was signed"
    return found


def _pasted(box: bytes, other: bytes) -> bytes:
    """Put a manifest's box behind the first box of another file."""
    (first,) = struct.unpack(">I", other[:4])
    return other[:first] + box + other[first:]


def _remux(source: Path, target: Path) -> None:
    import av

    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        streams = {stream.index: written.add_stream_from_template(stream) for stream in read.streams}
        for packet in read.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                written.mux(packet)
