"""What verify says of one film after everything that is usually done to films; run as a script, it prints the table."""

# F frames, H W height and width, C channels, S samples

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("c2pa")
pytest.importorskip("cryptography.x509")

from sora_core.editing.film import MemoryFilm
from sora_core.editing.film_stream import stream_from
from sora_core.media.encoder import Encoding
from sora_core.media.film_file import FileFilm
from sora_core.media.film_writer import write_film
from sora_core.provenance.delivery import Order, deliver
from sora_core.provenance.home import Home
from sora_core.provenance.manifest.identity import local_identity
from sora_core.provenance.manifest.mutation import manifest_span
from sora_core.provenance.manifest.sign import sign
from sora_core.provenance.manifest.story import MarkClaim, Story
from sora_core.provenance.marking.layers import Layers
from sora_core.provenance.verdict import Verdict
from sora_core.provenance.verify import verify

SIDE, FRAMES, FPS, RATE = 480, 48, 12.0, 16_000
SECONDS = FRAMES / FPS
HOLE = slice(FRAMES // 3, 2 * FRAMES // 3)
"""The middle third, which leaves a part of each second that it touches."""


def footage(seed: int) -> MemoryFilm:
    """Return textured content that moves: leaves of several sizes that drift, and a broadband sound that swells."""
    generator = torch.Generator().manual_seed(seed)
    layers = []
    for cells, weight in ((6, 70), (24, 45), (96, 30)):
        noise = torch.rand(1, 3, cells, cells, generator=generator)
        layers.append(weight * (torch.nn.functional.interpolate(noise, size=(SIDE, SIDE), mode="bicubic")[0] - 0.5))
    picture = torch.empty(FRAMES, SIDE, SIDE, 3, dtype=torch.uint8)
    for at in range(FRAMES):
        drawn = sum(layer.roll((at * (1 + seed % 3), at * (2 - number)), (1, 2)) for number, layer in enumerate(layers))
        picture[at] = (drawn + 120).clamp(0, 255).movedim(0, -1).to(torch.uint8)
    time = torch.arange(round(SECONDS * RATE)) / RATE
    noise = torch.randn(len(time), generator=generator)
    sound = (0.08 * noise + 0.1 * torch.sin(6.283 * (220 + 40 * seed) * time)) * (0.6 + 0.4 * torch.sin(3 * time))
    return MemoryFilm(picture=picture, audio=sound[None], fps=FPS, sample_rate=RATE)


def written(path: Path, frames_FHWC: Tensor, sound_CS: Tensor | None, crf: float = 18) -> Path:
    whole = MemoryFilm(picture=frames_FHWC.contiguous(), audio=sound_CS, fps=FPS, sample_rate=RATE)
    write_film(path, stream_from(whole), encoding=Encoding(crf=crf))
    return path


def remuxed(source: Path, target: Path) -> Path:
    import av

    with av.open(str(source)) as read, av.open(str(target), "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in read.streams}
        for packet in read.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
    return target


def pasted(source: Path, other: Path, target: Path) -> Path:
    """Put the manifest of one file into another that has none."""
    data, plain = source.read_bytes(), other.read_bytes()
    start, stop = manifest_span(data) or (0, 0)
    first = int.from_bytes(plain[:4], "big")
    target.write_bytes(plain[:first] + data[start:stop] + plain[first:])
    return target


def matrix(folder: Path) -> Iterator[tuple[str, Verdict]]:
    """Do everything to one film, and yield what verify says of it each time."""
    home, stranger = Home(folder / "home"), Home(folder / "stranger")
    seen: list[Tensor] = []
    order = Order(layers=Layers(), story=Story(title="leaves"), home=home)
    plain, whole = footage(0), folder / "leaves.mp4"
    made = deliver(whole, stream_from(plain), order, see=seen.append)
    marked = torch.cat(seen)
    stored = FileFilm(whole, as_stored=True)
    frames, sound = torch.cat(list(stored.frames())), stored.sound()
    margin = SIDE // 10 // 2 * 2

    yield "untouched", verify(whole, home)
    yield "untouched, on another machine", verify(whole, stranger)
    yield "re-encoded, H.264 CRF 28", verify(written(folder / "recoded.mp4", frames, sound, 28), home)
    yield "remuxed, streams copied", verify(remuxed(whole, folder / "remuxed.mp4"), home)
    inner = frames[:, margin:-margin, margin:-margin]
    yield "cropped, 10 % of each side", verify(written(folder / "cropped.mp4", inner, sound), home)
    holed, quiet = frames.clone(), sound.clone()
    holed[HOLE] = plain.picture[HOLE]
    third = quiet.shape[1] // 3
    quiet[:, third : 2 * third] = plain.audio[:, third : 2 * third]
    yield "mark removed, middle third", verify(written(folder / "holed.mp4", holed, quiet), home)
    other = footage(5)
    copied = (other.picture.int() + marked.int() - plain.picture.int()).clamp(0, 255).to(torch.uint8)
    yield "mark copied onto another film", verify(written(folder / "copied.mp4", copied, None, 12), home)
    bare = written(folder / "bare.mp4", other.picture, other.audio)
    yield "manifest pasted on another film", verify(pasted(whole, bare, folder / "pasted.mp4"), home)
    claim = MarkClaim(layer="invisible", mark_id=made.mark_id or 0, start_s=0, stop_s=SECONDS)
    story = Story(title="leaves", marks=(claim,), layers_on=("invisible",))
    sign(bare, folder / "claimed.mp4", story, local_identity(stranger))
    yield "signed by a stranger who names our id", verify(folder / "claimed.mp4", home)
    sign(
        remuxed(whole, folder / "stripped.mp4"),
        folder / "taken.mp4",
        replace(story, title="mine"),
        local_identity(stranger),
    )
    yield "our film signed anew by a stranger", verify(folder / "taken.mp4", home)
    yield "another film, never marked", verify(bare, home)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory) -> dict[str, Verdict]:
    return dict(matrix(tmp_path_factory.mktemp("matrix")))


EXPECTED = {
    "untouched": ("trusted", "present", "present", False, "unchanged since"),
    "untouched, on another machine": ("intact", "absent", "absent", False, "not known here"),
    "re-encoded, H.264 CRF 28": ("absent", "present", "present", False, "which is gone"),
    "remuxed, streams copied": ("absent", "present", "present", False, "which is gone"),
    "cropped, 10 % of each side": ("absent", "present", "present", False, "its mark"),
    "mark removed, middle third": ("absent", "partial", None, True, "lacks its mark from"),
    "mark copied onto another film": ("absent", "present", "absent", True, "it was copied"),
    "manifest pasted on another film": ("broken", "absent", "absent", True, "the manifest is broken"),
    "signed by a stranger who names our id": ("intact", "absent", "absent", False, "not known here"),
    "our film signed anew by a stranger": ("intact", "present", "present", False, "not known here"),
    "another film, never marked": ("absent", "absent", "absent", False, "there is no manifest"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", EXPECTED)
def test_verify_says_what_was_done(verdicts, what):
    manifest, invisible, audio, broken, said = EXPECTED[what]
    found = verdicts[what]
    assert found.manifest == manifest
    assert found.invisible == invisible
    assert audio is None or found.audio == audio
    assert found.broken == broken, found.reasons
    assert any(said in reason for reason in found.reasons), found.reasons
    assert not any("authentic" in reason for reason in found.reasons)


@pytest.mark.slow
def test_a_hole_is_told_by_its_second(verdicts):
    found = verdicts["mark removed, middle third"]
    assert found.broken_at_s
    assert all(0.9 <= at <= 3.1 for at in found.broken_at_s), found.broken_at_s


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        row = "{:<40} {:<9} {:<8} {:<8} {:<8} {:<4} {}\n"
        sys.stdout.write(row.format("film", "manifest", "visible", "picture", "sound", "exit", "broken at s"))
        for what, found in matrix(Path(name)):
            layers = (found.manifest, found.visible, found.invisible, found.audio)
            told = " ".join(f"{at:g}" for at in found.broken_at_s) or "-"
            sys.stdout.write(row.format(what, *layers, 3 if found.broken else 0, told))
            sys.stdout.write(f"    {found.reasons[0] if found.reasons else ''}\n")
            sys.stdout.flush()
