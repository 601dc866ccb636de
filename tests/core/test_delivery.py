"""The way of a film into its file: marked and signed when it appears, known when stripped, and never half there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av
import pytest
import torch

from sora_core.editing.film import FilmStream, MemoryFilm
from sora_core.editing.film_stream import stream_from
from sora_core.errors import SoraError
from sora_core.media.encoder import Encoding, for_file
from sora_core.media.film_file import FileFilm
from sora_core.media.film_writer import write_film
from sora_core.media.mp4 import read_tags
from sora_core.provenance.delivery import Order, deliver, deliver_still
from sora_core.provenance.home import Home
from sora_core.provenance.manifest.generation import Generation, salted
from sora_core.provenance.manifest.story import Act, Ingredient, Story
from sora_core.provenance.marking.layers import NO_MARKS, Layers
from sora_core.provenance.verify import verify

FRAMES, FPS, RATE = 30, 12.0, 16_000


def film(seed: int = 0, side: int = 64) -> MemoryFilm:
    """Return a cloud with a square that moves, and a warbling tone, 2.5 s."""
    generator = torch.Generator().manual_seed(seed)
    cloud = torch.nn.functional.interpolate(
        torch.rand(1, 3, 9, 9, generator=generator), size=(side, side), mode="bicubic"
    )[0].clamp(0, 1)
    frames = torch.zeros(FRAMES, side, side, 3)
    for index in range(FRAMES):
        frames[index] = 40 + 150 * cloud.roll(index, 2).movedim(0, -1)
        at = (7 * seed + index) % (side - 20)
        frames[index, at : at + 16, 10 + seed % 20 : 26 + seed % 20] = torch.tensor([220.0, 60.0, 30.0])
    seconds = torch.arange(round(FRAMES / FPS * RATE)) / RATE
    noise = torch.randn(seconds.shape, generator=generator)
    tone = torch.sin(6.283 * (300 + 80 * seed) * seconds + 3 * torch.sin(9 * seconds))
    return MemoryFilm(
        picture=frames.to(torch.uint8), audio=(0.2 * tone + 0.08 * noise)[None], fps=FPS, sample_rate=RATE
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


def order(home: Home, *, layers: Layers | None = None, **story) -> Order:
    told = {"title": "ball", "generation": Generation(**salted("a red ball"), seed=3)}
    return Order(layers=layers or Layers(), story=Story(**{**told, **story}), home=home)


@pytest.fixture(scope="module")
def delivered(home, tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "ball.mp4"
    seen = []
    made = deliver(path, stream_from(film()), order(home), tags={"prompt": "a ball"}, see=seen.append)
    return made, torch.cat(seen)


def recode(path: Path, target: Path, *, crop: int = 0, crf: int = 26) -> Path:
    """Encode a clip anew, as a site does: picture and sound, without tags and manifest."""
    source = FileFilm(path, as_stored=True)
    frames = torch.cat(list(source.frames()))
    frames = frames[:, crop:, crop:] if crop else frames
    whole = MemoryFilm(
        picture=frames.contiguous(), audio=source.sound(), fps=source.fps, sample_rate=source.sample_rate
    )
    write_film(target, stream_from(whole), encoding=Encoding(crf=crf))
    return target


@pytest.mark.slow
def test_a_clip_is_marked_signed_and_drawn_large_enough(delivered, home):
    made, seen = delivered
    assert (made.width, made.height, made.factor) == (384, 384, 6)
    assert made.signed
    assert seen.shape == (FRAMES, 384, 384, 3)
    assert read_tags(made.path)["prompt"] == "a ball"
    verdict = verify(made.path, home)
    assert (verdict.manifest, verdict.invisible, verdict.audio, verdict.visible) == (
        "trusted",
        "present",
        "present",
        "absent",
    )
    assert not verdict.broken
    assert verdict.details["mark_id"] == f"{made.mark_id:016x}"
    assert verdict.details["known_as"] == "ball"
    small = FileFilm(made.path)
    assert (small.width, small.height, small.num_frames) == (64, 64, FRAMES)
    error = (torch.cat(list(small.frames())).float() - film().picture.float()).abs().mean()
    assert error < 3


@pytest.mark.slow
def test_a_clip_that_a_site_encodes_anew_keeps_its_marks_and_is_known(delivered, home, tmp_path):
    verdict = verify(recode(delivered[0].path, tmp_path / "again.mp4"), home)
    assert verdict.manifest == "absent"
    assert verdict.invisible == "present"
    assert not verdict.broken
    assert any("which is gone" in reason for reason in verdict.reasons)


@pytest.mark.slow
def test_a_mark_on_another_film_is_called_copied(delivered, home, tmp_path):
    """The difference that marking made, added to another film: as good as a copy can be."""
    from sora_core.media.whole_factor import enlarge

    marked = torch.cat(list(FileFilm(delivered[0].path, as_stored=True).frames())).int()
    mark = delivered[1].int() - enlarge(film().picture, 6).int()
    other = enlarge(film(seed=5).picture, 6).int() + mark
    forged = MemoryFilm(picture=other.clamp(0, 255).to(torch.uint8), audio=None, fps=FPS)
    assert marked.shape == other.shape
    path = tmp_path / "forged.mp4"
    write_film(path, stream_from(forged), encoding=Encoding(crf=12))
    verdict = verify(path, home)
    assert verdict.invisible == "present"
    assert verdict.broken
    assert any("it was copied" in reason for reason in verdict.reasons)


@pytest.mark.slow
def test_another_machine_reads_no_mark_and_knows_no_signer(delivered, tmp_path):
    verdict = verify(delivered[0].path, Home(tmp_path / "other"))
    assert (verdict.manifest, verdict.invisible, verdict.audio) == ("intact", "absent", "absent")
    assert not verdict.broken


@pytest.mark.slow
def test_a_changed_byte_breaks_the_manifest(delivered, home, tmp_path):
    data = bytearray(delivered[0].path.read_bytes())
    data[data.rindex(b"mdat") + 5000] ^= 1
    path = tmp_path / "changed.mp4"
    path.write_bytes(data)
    verdict = verify(path, home)
    assert verdict.manifest == "broken"
    assert verdict.broken


@pytest.mark.slow
def test_an_edited_clip_names_what_it_was(delivered, home, tmp_path):
    path = tmp_path / "remix.mp4"
    story = {
        "made": "opened",
        "ingredients": (Ingredient(path=delivered[0].path),),
        "acts": (Act(description="remix"),),
    }
    deliver(path, stream_from(film(seed=2)), order(home, title="remix", **story))
    verdict = verify(path, home)
    assert verdict.manifest == "trusted"
    assert [(one["title"], one["state"]) for one in verdict.ingredients] == [("ball.mp4", "trusted")]
    assert verdict.details["actions"][:2] == ["c2pa.opened", "c2pa.edited"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mov", ".mkv", ".webm", ".png"])
def test_every_kind_of_file_has_its_manifest(suffix, home, tmp_path):
    path = tmp_path / f"clip{suffix}"
    if suffix == ".png":
        made = deliver_still(path, film().picture[0], order(home))
    else:
        made = deliver(path, stream_from(film()), order(home), encoding=for_file(path))
    verdict = verify(path, home)
    assert verdict.manifest == "trusted"
    assert verdict.invisible == "present"
    beside = [one.name for one in tmp_path.iterdir() if one != path]
    assert beside == ([f"clip{suffix}.c2pa"] if suffix in (".mkv", ".webm") else [])
    assert made.beside == (tmp_path / beside[0] if beside else None)


@pytest.mark.slow
def test_layers_that_were_turned_off_are_told(home, tmp_path):
    path = tmp_path / "plain.mp4"
    layers = Layers(invisible=False)
    assert layers.ending == "_no-invisible"
    deliver(path, stream_from(film()), order(home, layers=layers))
    verdict = verify(path, home)
    assert verdict.details["layers_off"] == ["invisible", "audio"]
    assert (verdict.manifest, verdict.invisible) == ("trusted", "absent")
    assert not verdict.broken


def test_without_marks_a_clip_is_as_it_was_made(home, tmp_path):
    path = tmp_path / "plain_unmarked.mp4"
    made = deliver(path, stream_from(film()), order(home, layers=NO_MARKS), tags={"prompt": "a ball"})
    assert (made.mark_id, made.signed, made.factor, made.width) == (None, False, 1, 64)
    assert NO_MARKS.ending == "_unmarked"
    assert b"c2pa" not in path.read_bytes()


def test_what_fails_leaves_nothing(home, tmp_path):
    def breaks():
        yield next(stream_from(film()).pieces)
        raise SoraError("the model stopped")

    broken = replace(stream_from(film()), pieces=breaks())
    with pytest.raises(SoraError, match="the model stopped"):
        deliver(tmp_path / "clip.mp4", broken, order(home))

    def forbid(sha256: str) -> None:
        assert len(sha256) == 64
        raise SoraError("the owner took it back")

    with pytest.raises(SoraError, match="took it back"):
        deliver(tmp_path / "clip.mp4", stream_from(film()), replace(order(home), allowed=forbid))
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_was_taken_meanwhile_is_not_overwritten(home, tmp_path):
    path = tmp_path / "clip.mp4"

    def taken(_: str) -> None:
        path.write_text("somebody else's")

    with pytest.raises(FileExistsError):
        deliver(path, stream_from(film()), replace(order(home, layers=NO_MARKS), fresh=True, allowed=taken))
    assert path.read_text() == "somebody else's"
    assert [one.name for one in tmp_path.iterdir()] == ["clip.mp4"]


def test_no_file_without_marks_is_ever_on_disk(home, tmp_path, monkeypatch):
    """Every file that the encoder begins is compared with the picture that it must carry."""
    begun: list[Path] = []
    opened = av.open

    def watch(file, mode="r", *args, **kwargs):
        if mode == "w":
            begun.append(Path(str(file)))
        return opened(file, mode, *args, **kwargs)

    monkeypatch.setattr(av, "open", watch)
    seen: list[torch.Tensor] = []
    deliver(tmp_path / "clip.mp4", stream_from(film()), order(home), see=seen.append)
    assert len(begun) == 1
    assert begun[0].name.startswith(".")
    assert not begun[0].exists()
    frames = torch.cat(list(FileFilm(tmp_path / "clip.mp4", as_stored=True).frames()))
    error = frames.float() - torch.cat(seen).float()
    assert float(error.abs().mean()) < 2.5


def test_a_still_of_one_frame_and_a_film_too_flat_to_carry_anything(home, tmp_path):
    black = FilmStream(
        pieces=stream_from(MemoryFilm(picture=torch.zeros(3, 64, 64, 3, dtype=torch.uint8), audio=None, fps=12)).pieces,
        num_frames=3,
        width=64,
        height=64,
        fps=12,
        channels=0,
    )
    assert deliver(tmp_path / "black.mp4", black, order(home)).signed


def test_reports_are_plain_json(delivered, home):
    told = verify(delivered[0].path, home).to_dict()
    assert json.loads(json.dumps(told)) == told
    wanted = {"manifest", "visible", "invisible", "audio", "broken_at_s", "ingredients", "reasons"}
    assert wanted <= set(told)


@pytest.mark.parametrize("kind", ["text", "missing", "folder"])
def test_what_is_no_clip_is_refused(kind, home, tmp_path):
    path = tmp_path / "file.mp4"
    if kind == "text":
        path.write_text("no clip")
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(SoraError):
        verify(path, home)
