"""Storyboards over a model that can be seen through: what is made, what is found again, and how shots are joined."""

# F frames, C channels, S samples

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sora_core.editing.card import Card
from sora_core.editing.film import MemoryFilm, samples_at
from sora_core.editing.maker import Latents, Task
from sora_core.editing.one_clip import one_clip
from sora_core.editing.profile import Profile, our_profile
from sora_core.editing.script import parse_script
from sora_core.editing.stitch import Border, stitch
from sora_core.editing.store import ShotStore
from sora_core.editing.storyboard import storyboard
from sora_core.editing.storyboard_plan import ShotSettings
from sora_core.errors import SoraError
from sora_core.media.film_file import FileFilm
from sora_core.media.film_writer import write_lossless

SETTINGS = ShotSettings(model="toy", steps=1, guidance=1.0, solver="euler", width=16, height=16, fps=12.0)
RATE = 1200
PROFILE = replace(our_profile(), sound=replace(our_profile().sound, rate=RATE, latents=lambda s: max(1, round(s * 12))))


class Toy:
    """Latents are means of cells; what is made has one brightness for each text and seed, and so has its sound."""

    def __init__(self, runs: list[str], text: str, *, sound: bool = True, broken: str = "") -> None:
        self.runs, self.text, self.sound, self.broken = runs, text, sound, broken

    @property
    def profile(self) -> Profile:
        return PROFILE

    def level(self, seed: int) -> float:
        return 40 + (sum(map(ord, self.text)) * 7 + seed * 13) % 160

    def encode_video(self, frames: Tensor) -> Tensor:
        kept = frames[[0, *range(4, len(frames), 4)]].float().mean((1, 2, 3))
        return kept[None, None, :, None, None].repeat(1, 16, 1, 2, 2)

    def encode_sound(self, sound: Tensor, latents: int) -> Tensor:
        filled = torch.nn.functional.pad(sound, (0, max(0, latents * 100 - sound.shape[1])))[:, : latents * 100]
        return filled.reshape(1, 1, latents, 100).mean(-1, keepdim=True)

    def sample(self, task: Task) -> Latents:
        self.runs.append(self.text)
        if self.text == self.broken:
            raise KeyboardInterrupt
        level = self.level(task.seed)
        kept = task.video_mask[None, None, :, None, None] == 0
        video = torch.where(kept, task.given.video, torch.full_like(task.given.video, level))
        audio = task.given.audio
        if audio is not None and task.audio_mask is not None:
            audio = torch.where(task.audio_mask[None, None, :, None] == 0, audio, level / 400)
        return Latents(video, audio)

    def decode_video(self, video: Tensor) -> Iterator[Tensor]:
        levels = video[0, 0, :, 0, 0]
        frames = torch.cat([levels[:1], levels[1:].repeat_interleave(4)])
        yield frames.round().to(torch.uint8)[:, None, None, None].expand(-1, 16, 16, 3)

    def decode_sound(self, audio: Tensor) -> Tensor:
        return audio[0, :, :, 0].repeat_interleave(100, 1)


class Room:
    """A store, and all that was made in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs: list[str] = []
        self.told: list[tuple[int, int, str]] = []

    def film(self, script: str | list[Card], *, broken: str = "", sound: bool = True, **wishes: object) -> MemoryFilm:
        cards = parse_script(script) if isinstance(script, str) else script
        self.runs.clear()
        self.told.clear()

        def maker(text: str, _: object) -> Toy:
            return Toy(self.runs, text, sound=sound, broken=broken)

        with ShotStore(self.folder, 1 << 30) as store:
            wishes = {"mode": "shots", "settings": SETTINGS, "store": store, **wishes}
            stream = storyboard(maker, cards, report=lambda *told: self.told.append(told), **wishes)  # type: ignore[arg-type]
            film = stream.collect()
        assert film.num_frames == stream.num_frames
        assert (film.width, film.height, film.channels) == (stream.width, stream.height, stream.channels)
        if film.audio is not None:
            assert film.audio.shape[1] == samples_at(film.num_frames, film.fps, film.sample_rate)
        return film

    @property
    def states(self) -> list[str]:
        return [state for _, _, state in self.told if state != "making"]


@pytest.fixture
def room(tmp_path) -> Room:
    return Room(tmp_path / "shots")


SIX = "[1s]a [1s]b [0.5s, fade]c [1s, continue]d [3s]e [1s, continue]f"


def same(one: MemoryFilm, two: MemoryFilm) -> bool:
    return torch.equal(one.picture, two.picture) and (
        one.audio is two.audio or torch.equal(one.audio, two.audio)  # type: ignore[arg-type]
    )


def test_a_film_is_as_long_as_its_cards(room):
    film = room.film(SIX)
    assert film.num_frames == 90
    assert room.states == ["made"] * 6
    assert room.told[:2] == [(1, 6, "making"), (1, 6, "made")]
    # the third second's shot is longer than the longest clip
    assert Counter(room.runs) == {"a": 1, "b": 1, "c": 1, "d": 1, "e": 2, "f": 1}
    means = film.picture.float().mean((1, 2, 3))
    toy = Toy([], "a")
    assert means[5] == toy.level(0)
    assert means[11] == toy.level(0)
    assert means[12] == Toy([], "b").level(0)


def test_nothing_is_made_twice(room):
    film = room.film(SIX)
    again = room.film(SIX)
    assert room.runs == []
    assert room.states == ["found"] * 6
    assert same(film, again)


@pytest.mark.parametrize("stopped_at", ["b", "d", "f"])
def test_a_film_that_was_stopped_goes_on_and_is_the_same_to_the_bit(room, tmp_path, stopped_at):
    undisturbed = Room(tmp_path / "other").film(SIX)
    with pytest.raises(KeyboardInterrupt):
        room.film(SIX, broken=stopped_at)
    kept = "abcdef".index(stopped_at)
    assert room.states == ["made"] * kept
    film = room.film(SIX)
    assert room.states == ["found"] * kept + ["made"] * (6 - kept)
    assert same(film, undisturbed)
    assert not list((tmp_path / "shots").glob("*.part*"))


def test_without_a_store_the_film_is_the_same(room):
    film = room.film(SIX)
    assert same(film, room.film(SIX, store=None))
    assert room.states == ["made"] * 6


def test_a_changed_shot_changes_what_goes_on_from_it_alone(room):
    room.film(SIX)
    room.film(SIX.replace("]c", "]C"))
    assert room.states == ["found", "found", "made", "made", "found", "found"]
    room.film(SIX.replace("]a", "]A"))
    assert room.states == ["made", *["found"] * 5]
    room.film(SIX.replace("[3s]e", "[2s]e"))
    assert room.states == [*["found"] * 4, "made", "made"]
    room.film(SIX, settings=replace(SETTINGS, steps=2))
    assert room.states == ["made"] * 6


def test_a_shot_that_goes_on_begins_with_the_last_frames_before(room):
    film = room.film("[1s]dark [1s, continue]bright")
    means = film.picture.float().mean((1, 2, 3))
    before, after = Toy([], "dark").level(0), Toy([], "bright").level(0)
    assert film.num_frames == 24
    assert (means[:12] == before).all()
    assert (means[12:] == after).all()
    heard = film.audio[0]
    assert (heard[1300:2300] - after / 400).abs().max() < 1e-6, "and there is no dip in the sound"
    assert heard[1000:1300].min() > min(before, after) / 400 - 0.01


def test_a_fade_lies_over_both(room):
    film = room.film("[1s]dark [1s, fade]bright", fade_s=0.5)
    means = film.picture.float().mean((1, 2, 3))
    before, after = Toy([], "dark").level(0), Toy([], "bright").level(0)
    assert film.num_frames == 24
    share = (means[6:12] - before) / (after - before)
    assert torch.allclose(share, torch.arange(1, 7) / 7, atol=0.02)
    assert (means[:6] == before).all()
    assert (means[12:] == after).all()
    # levels that do not know of each other would add up in power; these are alike, and so louder between
    zone = film.audio[0][600:1200]
    angle = (torch.arange(600) + 0.5) / 600 * torch.pi / 2
    assert torch.allclose(zone, before / 400 * angle.cos() + after / 400 * angle.sin(), atol=1e-5)


def test_a_cut_does_not_click(room):
    film = room.film("[1s]dark [1s]bright")
    heard = film.audio[0]
    assert heard[:1180].min() == heard[100]
    assert heard[1195:1205].abs().max() < 0.15
    assert heard.diff().abs().max() < 0.06
    assert heard[0] == heard[100], "the film's own beginning stays"
    assert heard[-1] == heard[-100]


@pytest.mark.parametrize("lengths", [(30, 30, 30), (13, 1, 13), (5, 5, 5, 5), (1, 1)])
@pytest.mark.parametrize("kind", ["cut", "fade", "continue"])
def test_borders_add_up(lengths, kind):
    films = [
        MemoryFilm(
            picture=torch.full((count, 4, 4, 3), 40 * index + 10, dtype=torch.uint8),
            audio=torch.full((2, samples_at(count, 12.0, 16000)), 0.1 * index + 0.1),
            fps=12.0,
            sample_rate=16000,
        )
        for index, count in enumerate(lengths)
    ]
    over = 2 if kind != "cut" and min(lengths) > 2 else 0
    stream = stitch(films, [Border(kind=kind, frames=over)] * (len(lengths) - 1))
    film = stream.collect()
    assert film.num_frames == stream.num_frames == sum(lengths) - over * (len(lengths) - 1)
    assert film.audio.shape == (2, samples_at(film.num_frames, 12.0, 16000))
    assert torch.equal(film.picture[0], films[0].picture[0])
    assert torch.equal(film.picture[-1], films[-1].picture[-1])


def test_a_fade_that_is_too_long_is_shortened():
    films = [
        MemoryFilm(picture=torch.zeros(count, 4, 4, 3, dtype=torch.uint8), audio=None, fps=12.0) for count in (4, 9, 3)
    ]
    film = stitch(films, [Border(kind="fade", frames=50), Border(kind="fade", frames=50)])
    assert film.num_frames == 4 + 9 - 4 + 3 - 2
    assert film.collect().num_frames == film.num_frames
    with pytest.raises(SoraError, match="no clip to join"):
        stitch([], [])
    with pytest.raises(SoraError, match="transition 'wipe' is not known"):
        Border(kind="wipe")


def test_pictures_and_clips(room, tmp_path):
    picture = np.full((16, 16, 3), 250, np.uint8)
    clip = MemoryFilm(
        picture=torch.arange(18, dtype=torch.uint8)[:, None, None, None].expand(-1, 16, 16, 3).clone(),
        audio=torch.full((1, 18 * 100), 0.3),
        fps=12.0,
        sample_rate=RATE,
    )
    long = tmp_path / "clip.mov"
    write_lossless(long, _stream(clip))
    cards = [
        Card(start_s=0, duration_s=1, text="a", image=picture),
        Card(start_s=1, duration_s=1, video=clip),
        Card(start_s=2, duration_s=2, text="b", video=long),
    ]
    film = room.film(cards)
    assert film.num_frames == 48
    means = film.picture.float().mean((1, 2, 3))
    assert means[0] == 250
    assert means[4] != 250
    assert torch.equal(means[12:24], torch.arange(12).float())
    assert torch.equal(means[24:40], torch.arange(16).float())
    assert (means[43:48] == means[47]).all()
    assert Counter(room.runs) == {"a": 1, "b": 1}, "a clip that is long enough is taken as it is"
    assert (film.audio[0][1300:2300] - 0.3).abs().max() < 1e-6
    room.film(cards)
    assert room.states == ["found"] * 3
    room.film([replace(cards[0], image=picture - 1), *cards[1:]])
    assert room.states == ["made", "found", "found"]


def _stream(film):
    from sora_core.editing.film import FilmStream, Piece

    return FilmStream(
        pieces=iter([Piece(film.picture, film.audio)]),
        num_frames=film.num_frames,
        width=film.width,
        height=film.height,
        fps=film.fps,
        sample_rate=film.sample_rate,
        channels=film.channels,
    )


def test_a_silent_model_makes_a_silent_film(room):
    film = room.film("[1s]a [1s, fade]b [1s, continue]c", sound=False)
    assert film.channels == 0
    assert film.num_frames == 36


def test_one_clip_takes_over_where_latent_frames_begin():
    cards = parse_script("[0.7s]a [0.6s]b [0.7s]c")
    single = one_clip(cards, our_profile(), 12.0)
    assert single.frames == 24
    assert single.text == "a"
    assert [text for _, text in single.cues] == ["b", "c"]
    assert [round(at * 12) % 4 for at, _ in single.cues] == [1, 1]
    assert single.cues[0][0] == 9 / 12
    assert single.cues[1][0] == 17 / 12


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("[1s]a [1.5s]b", "30 frames and a single clip 25 at most"),
        ("[1s]a [1s, fade]b", 'shot 2 begins with "fade"'),
        ("[1s]a [1s, seed 3]b", "shot 2 has a seed of its own"),
        ("[1s]a [0.1s]b [0.9s]c", "shot 3 begins too near"),
        ("[0.05s]a [1s]b", None),
        (" ".join(f"[0.2s]{n}" for n in range(10)), "a single clip holds 9 shots at most"),
    ],
)
def test_what_cannot_be_one_clip_is_made_in_shots(script, reason):
    cards = parse_script(script)
    if reason is None:
        assert one_clip(cards, our_profile(), 12.0) is not None
        return
    assert one_clip(cards, our_profile(), 12.0) is None
    with pytest.raises(SoraError, match=re.escape(reason)):
        one_clip(cards, our_profile(), 12.0, "single")
    with pytest.raises(SoraError, match="takes one prompt"):
        one_clip(cards, replace(our_profile(), family="Other"), 12.0, "single")


def test_a_single_clip_is_kept_too(room):
    film = room.film("[1s]a [1s]b", mode="auto")
    assert film.num_frames == 24
    assert room.runs == ["a"]
    assert room.states == ["made"]
    room.film("[1s]a [1s]b", mode="single")
    assert room.states == ["found"]
    room.film("[1s]a [1s]c", mode="single")
    assert room.states == ["made"]


def test_bad_wishes_are_refused(room):
    for wishes, words in (
        ({"mode": "both"}, "mode 'both' is not known"),
        ({"fade_s": -1.0}, "fade -1 s must be from 0 to 60"),
        ({"context_s": 0.0}, "context 0 s must be more than 0"),
        ({"context_s": 10.0}, "a context of 120 frames must be between 1 and 24"),
        ({"seed": -1}, "seed -1 must be between"),
    ):
        with pytest.raises(SoraError, match=words):
            room.film("[1s]a [1s]b", **wishes)
    assert room.runs == []


def test_shots_are_read_piece_by_piece(room):
    room.film("[20s]a [20s, fade]b", sound=False)
    with ShotStore(room.folder, 1 << 30) as store:
        stream = storyboard(
            lambda text, _: Toy([], text, sound=False), parse_script("[20s]a [20s, fade]b"), SETTINGS, store=store
        )
        pieces = [len(piece.frames) for piece in stream.pieces]
    assert sum(pieces) == 480
    assert [FileFilm(path).num_frames for path in room.folder.glob("*.mov")].count(240) == 1
