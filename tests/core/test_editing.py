"""The editor's engine over a model that can be seen through: kept frames, lengths, seams, sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from sora_core.editing.blend import blend
from sora_core.editing.canvas import KEEP, Canvas, Part
from sora_core.editing.conform import conform
from sora_core.editing.connect import connect
from sora_core.editing.curve import CURVES, read_curve
from sora_core.editing.engine import Settings, fill
from sora_core.editing.extend import extend
from sora_core.editing.film import MemoryFilm, samples_at
from sora_core.editing.joining import correct, fade_weights, fit_colours
from sora_core.editing.keyframes import Pin, from_prompt, keyframes, read_times
from sora_core.editing.loop import loop
from sora_core.editing.maker import Latents, Task
from sora_core.editing.plan import Job, plan
from sora_core.editing.profile import Profile, SoundProfile, Strategy
from sora_core.editing.recut import recut
from sora_core.editing.redo import Redo, read_redo
from sora_core.editing.remix import remix
from sora_core.editing.resample import resample
from sora_core.editing.sound import foley, sound_to_video
from sora_core.editing.window import LANDING, Window, by_latent, by_sound_latent, filled, spans
from sora_core.errors import SoraError

RATE = 16_000

GROUP = 17
"""Frames that a latent frame of the toys may hold."""


def profile(ratio: int = 4, longest: int = 25, strategy: Strategy = Strategy.TOKEN, *, sound: bool = True) -> Profile:
    heard = SoundProfile(rate=RATE, channels=1, latents=lambda seconds: max(1, -int(-seconds * RATE // 640)))
    return Profile(
        family="Toy",
        strategy=strategy,
        frames_of=lambda latents: max(0, 1 + ratio * (latents - 1)),
        latents_of=lambda frames: max(0, 1 + (frames - 1) // ratio),
        multiple=16,
        fps=12.0,
        longest=longest,
        sound=heard if sound else None,
    )


def h3_profile() -> Profile:
    """A grid of 17 k + 5 frames in 5 k + 2 latents."""
    return Profile(
        family="Grid",
        strategy=Strategy.TOKEN,
        frames_of=lambda n: 0 if n < 1 else 1 if n == 1 else (n - 2) // 5 * 17 + 5,
        latents_of=lambda n: 0 if n < 1 else 1 if n < 5 else (n - 5) // 17 * 5 + 2,
        multiple=16,
        fps=24.0,
        longest=124,
    )


@dataclass
class Toy:
    """A model that paints what it makes in one grey, and gives back what is kept; ``tint`` is its VAE's error."""

    profile: Profile = field(default_factory=profile)
    sound: bool = True
    grey: int = 200
    tint: Tensor = field(default_factory=lambda: torch.zeros(3))
    tasks: list[Task] = field(default_factory=list)
    encoded: list[Tensor] = field(default_factory=list)

    def encode_video(self, frames: Tensor) -> Tensor:
        assert self.profile.valid(len(frames))
        self.encoded.append(frames)
        height, width = frames.shape[1:3]
        latent = torch.zeros(1, 3 * GROUP, self.profile.latents_of(len(frames)), height, width)
        for first, _, low, high in spans(len(frames), self.profile):
            shown = frames[low:high].permute(0, 3, 1, 2).reshape(-1, height, width)
            latent[0, : len(shown), first] = shown
        return latent

    def decode_video(self, video: Tensor) -> Iterator[Tensor]:
        height, width = video.shape[3:]
        for first, _, low, high in spans(self.profile.frames_of(video.shape[2]), self.profile):
            shown = video[0, : 3 * (high - low), first].reshape(-1, 3, height, width).permute(0, 2, 3, 1)
            yield (shown + self.tint).round().clamp(0, 255).to(torch.uint8)

    def encode_sound(self, sound: Tensor, latents: int) -> Tensor:
        padded = torch.nn.functional.pad(sound, (0, max(0, latents * 640 - sound.shape[1])))[:, : latents * 640]
        return padded.reshape(1, latents, 640).transpose(1, 2)[..., None]

    def decode_sound(self, audio: Tensor) -> Tensor:
        return audio[0, :, :, 0].T.reshape(1, -1)

    def sample(self, task: Task) -> Latents:
        self.tasks.append(task)
        mask = (task.video_mask > 0)[:, None, None]
        video = torch.where(mask, torch.tensor(float(self.grey)), task.given.video)
        audio = task.given.audio
        if audio is not None:
            assert task.audio_mask is not None
            audio = torch.where((task.audio_mask > 0)[:, None], torch.tensor(0.5), audio)
        return Latents(video, audio)


def film(frames: int, *, sound: bool = True, size: int = 16, fps: float = 12.0, first: int = 0) -> MemoryFilm:
    """Return a film whose frame i is all of value first + i, with a sound that counts its samples."""
    picture = (torch.arange(frames) + first).to(torch.uint8)[:, None, None, None].expand(-1, size, size, 3)
    samples = samples_at(frames, fps, RATE)
    audio = torch.linspace(-0.4, 0.4, samples)[None] if sound else None
    return MemoryFilm(picture=picture.contiguous(), audio=audio, fps=fps, sample_rate=RATE)


@pytest.mark.parametrize("grid", [profile(), profile(8, 97), profile(4, 81), h3_profile()])
@pytest.mark.parametrize("before", [0, 3, 9, 60])
@pytest.mark.parametrize("after", [0, 2, 11, 60])
@pytest.mark.parametrize("new", [1, 7, 24, 100, 333])
def test_runs_cover_what_is_new_once_in_valid_lengths(grid, before, after, new):
    kept = film(70, size=4)
    parts = [Part(frames=new)]
    if before:
        parts.insert(0, Part(frames=before, film=kept, picture=KEEP, sound=KEEP))
    if after:
        parts.append(Part(frames=after, film=kept, picture=KEEP, sound=KEEP))
    jobs = plan(Canvas.like(kept, parts), grid, 0.75)
    assert len(jobs) == 1
    places = jobs[0].places
    if jobs[0].backwards:
        assert not before
        places = places[::-1]
    assert places[0].low == before
    assert places[-1].high == before + new
    for one, two in pairwise(places):
        assert one.high == two.low
    for place in places:
        assert place.low < place.high
        assert grid.valid(place.frames)
        assert place.frames <= max(grid.longest, grid.at_least(1))
        assert place.start <= place.low
        assert place.start + place.frames >= place.high
    if before >= 9:
        assert all(place.start < place.low or job_backwards(jobs[0]) for place in places), "each sees what was before"


def job_backwards(job: Job) -> bool:
    return job.backwards


def test_a_context_that_leaves_nothing_to_make_is_refused():
    with pytest.raises(SoraError, match="ask for a shorter context"):
        extend(Toy(), film(60), seconds=4, settings=Settings(context_s=3.0))


@pytest.mark.parametrize("seconds", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_an_extension_keeps_the_film_and_adds_its_time(seconds, direction):
    toy, source = Toy(), film(30)
    stream = extend(toy, source, seconds=seconds, direction=direction)
    made = stream.collect()
    added = round(seconds * 12)
    assert made.num_frames == stream.num_frames == 30 + added
    assert made.audio.shape[1] == samples_at(30 + added, 12, RATE)
    if direction == "forward":
        assert torch.equal(made.picture[:28], source.picture[:28])
        assert bool((made.picture[30:] == 200).all())
        assert torch.equal(made.audio[:, : samples_at(29, 12, RATE)], source.audio[:, : samples_at(29, 12, RATE)])
    else:
        assert torch.equal(made.picture[added + 2 :], source.picture[2:])
        assert bool((made.picture[:added] == 200).all())
        first = samples_at(added + 1, 12, RATE)
        assert torch.allclose(made.audio[:, first:], source.audio[:, -(made.audio.shape[1] - first) :], atol=1e-6)
    assert len({task.seed for task in toy.tasks}) == len(toy.tasks)


def test_each_run_sees_what_is_finished():
    toy, source = Toy(), film(30)
    extend(toy, source, seconds=4).collect()
    first, second = toy.tasks[:2]
    assert first.video_mask.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert toy.encoded[0][0, 0, 0, 0] == 17, "the last thirteen frames of the film"
    assert toy.encoded[1][:, 0, 0, 0].tolist()[:2] == [29, 200], "then what the run before made"
    assert second.video_mask.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert (first.audio_mask[:27] == 0).all()
    assert (first.audio_mask[28:] == 1).all()


def test_frames_are_held_or_grey_where_nothing_is_known():
    frames = torch.zeros(6, 2, 2, 3, dtype=torch.uint8)
    frames[4:] = 90
    known = torch.tensor([False, False, False, False, True, True])
    levels = (~known).float()
    window = Window(frames=frames, known=known, picture=levels, sound=levels, wave=None, sample_rate=RATE, fps=12.0)
    assert bool((filled(window, profile()) == 90).all())
    grey = filled(window, profile(strategy=Strategy.CONCAT))
    assert bool((grey[:4] == 127).all())


def test_levels_of_latents_keep_only_what_is_kept_whole():
    levels = torch.tensor([0.0] * 6 + [1.0] * 3 + [0.0] * 4)
    assert by_latent(levels, profile()).tolist() == [0, 0, 1, 0]
    assert by_latent(torch.zeros(22), h3_profile()).tolist() == [0] * 7
    half = torch.cat([torch.zeros(5), torch.ones(17)])
    assert by_latent(half, h3_profile()).tolist() == [0, 0, 1, 1, 1, 1, 1]
    heard = by_sound_latent(torch.tensor([0.0, 0.0, 1.0, 1.0]), 4.0, 25)
    assert heard[:12].sum() == 0
    assert heard[13:].min() == 1


def test_a_run_eases_into_what_follows():
    toy = Toy()
    connect(toy, film(30), film(30, first=100), seconds=1).collect()
    levels = toy.tasks[0].video_mask
    kept, made = (levels == 0).nonzero()[:, 0].tolist(), (levels > 0).nonzero()[:, 0].tolist()
    assert levels[made[-1]] == pytest.approx(LANDING)
    assert bool((levels[made[:-1]] == 1).all())
    assert kept[-1] == len(levels) - 1
    shown = toy.encoded[0][:, 0, 0, 0].tolist()
    assert shown.count(100) > 4, "the second film's first frame, held"
    toy = Toy(profile(strategy=Strategy.HOLD))
    connect(toy, film(30), film(30, first=100), seconds=1).collect()
    assert set(toy.tasks[0].video_mask.tolist()) == {0.0, 1.0}


def test_families_without_levels_by_token_get_none_between():
    toy = Toy(profile(strategy=Strategy.HOLD))
    blend(toy, film(25), film(25)).collect()
    assert set(toy.tasks[0].video_mask.tolist()) == {0.0, 1.0}
    toy = Toy()
    blend(toy, film(25), film(25)).collect()
    assert len(set(toy.tasks[0].video_mask.tolist())) > 2


def test_colours_are_brought_back():
    toy = Toy(tint=torch.tensor([12.0, -9.0, 4.0]), grey=100)
    made = extend(toy, film(30, first=60), seconds=1).collect()
    assert (made.picture[31:].float() - 100).abs().max() <= 2
    given = torch.randint(40, 200, (4, 8, 8, 3), dtype=torch.uint8)
    copy = (given.float() * 0.9 + 11).round().to(torch.uint8)
    fitted = fit_colours(copy, given)
    assert (correct(copy, fitted, None) - given).abs().max() < 1.5


def test_a_fade_lies_on_the_kept_side_and_leaves_single_pictures_alone():
    new = torch.tensor([False] * 10 + [True] * 3 + [False])
    weights = fade_weights(new, 2)
    assert weights[:8].sum() == 0
    assert weights[8:10].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert weights[10:13].tolist() == [1, 1, 1]
    assert weights[13] == 0


def test_a_loop_meets_itself():
    source = film(30)
    made = loop(Toy(), source, seconds=1).collect()
    assert made.num_frames == 42
    assert torch.equal(made.picture[2:28], source.picture[2:28])
    assert made.audio.shape[1] == samples_at(42, 12, RATE)
    assert bool((made.picture[30:] == 200).all())
    assert loop(Toy(), film(1), seconds=1).collect().num_frames == 13


def test_a_connection_keeps_both_films():
    one, two = film(30), film(20, first=100)
    made = connect(Toy(), one, two, seconds=1).collect()
    assert made.num_frames == 62
    assert torch.equal(made.picture[:28], one.picture[:28])
    assert torch.equal(made.picture[-18:], two.picture[2:])
    assert bool((made.picture[30:42] == 200).all())


def test_films_of_another_size_and_rate_are_brought_to_the_first():
    other = film(48, size=32, fps=24.0)
    made = conform(other, width=16, height=16, fps=12.0, sample_rate=8000, channels=2)
    assert (made.num_frames, made.width, made.height, made.channels) == (24, 16, 16, 2)
    frames = torch.cat(list(made.frames()))
    assert frames[:, 0, 0, 0].tolist() == list(range(1, 48, 2))
    sound = made.sound()
    assert sound.shape == (2, 16000)
    assert torch.allclose(sound[0, 800:-800], other.audio[0, ::2][800:-800], atol=2e-3)
    assert torch.equal(torch.cat(list(made.frames(5, 9))), frames[5:9])


def test_sound_keeps_its_pitch_and_level_at_another_rate():
    tone = torch.sin(torch.arange(16000) / 16000 * 440 * 2 * torch.pi)[None] * 0.5
    made = resample(tone, 16000, 48000, channels=2)
    assert made.shape == (2, 48000)
    wanted = torch.sin(torch.arange(48000) / 48000 * 440 * 2 * torch.pi) * 0.5
    assert (made[0, 2000:-2000] - wanted[2000:-2000]).abs().max() < 5e-3
    assert resample(tone, 16000, 16000, channels=1) is tone


def test_a_blend_is_one_film_at_its_start_and_the_other_at_its_end():
    toy = Toy()
    made = blend(toy, film(25), film(25, first=100)).collect()
    assert made.picture[0, 0, 0, 0] == 0
    assert made.picture[-1, 0, 0, 0] == 124
    mask = toy.tasks[0].video_mask
    assert mask[0] == mask[-1] == 0
    assert 0.7 < mask.max() <= 0.8
    short = blend(Toy(), film(25), film(25), seconds=1, sections=((0.5, 1.0), (0.0, 1.0))).collect()
    assert short.num_frames == 12
    assert short.picture[0, 0, 0, 0] == 12


def test_curves_are_read_or_refused():
    assert read_curve("0:0, 0.5:0.3, 1:1") == ((0.0, 0.0), (0.5, 0.3), (1.0, 1.0))
    assert read_curve("mix") == CURVES["mix"]
    for bad in ("", "sideways", "0:0", "0:0, 1:2", "0.1:0, 1:1", "0:0, 0.5:1, 0.5:0, 1:1"):
        with pytest.raises(SoraError):
            read_curve(bad)


def test_a_remix_varies_all_and_keeps_the_sound_when_asked():
    toy, source = Toy(), film(40)
    made = remix(toy, source, strength=0.6, keep_sound=True).collect()
    assert made.num_frames == 40
    assert torch.equal(made.audio, source.sound())
    assert all(task.strength == 0.6 for task in toy.tasks)
    assert len(toy.tasks) == 3
    assert toy.tasks[1].video_mask[:4].tolist() == [0, 0, 0, 0], "the second run goes on from the first"
    assert remix(Toy(), source).collect().audio.abs().max() > 0.45


def test_a_recut_trims_and_makes_sections_anew():
    source = film(60)
    made = recut(Toy(), source, start_s=0.5, end_s=4.5, redo=[Redo(start_s=2, end_s=3, seconds=0.5)]).collect()
    assert made.num_frames == 48 - 12 + 6
    assert torch.equal(made.picture[:16], source.picture[6:22])
    assert bool((made.picture[18:24] == 200).all())
    assert torch.equal(made.picture[26:], source.picture[38:54])
    trimmed = Toy()
    assert recut(trimmed, source, start_s=1).collect().num_frames == 48
    assert not trimmed.tasks
    assert read_redo("0.8:1.4, 2:3=1.5")[1] == Redo(start_s=2, end_s=3, seconds=1.5)
    for bad in ("x", "1", "1:2=x"):
        with pytest.raises(SoraError, match="is not start:end"):
            read_redo(bad)


def test_pictures_and_clips_are_pinned_at_their_times():
    still, clip = film(1, first=50), film(8, first=100)
    toy = Toy()
    made = keyframes(toy, [Pin(at_s=1.0, film=clip), Pin(at_s=0, film=still), Pin(at_s=-1, film=still)], seconds=2.5)
    shown = made.collect().picture[:, 0, 0, 0].tolist()
    assert len(shown) == 30
    assert shown[0] == 50
    assert shown[14:18] == [102, 103, 104, 105]
    assert shown[-1] == 50
    assert from_prompt(Toy(), seconds=1, width=16, height=16).collect().num_frames == 12
    assert read_times("0, 1.5, end") == [0, 1.5, -1]
    with pytest.raises(SoraError, match="put them further apart"):
        keyframes(Toy(), [Pin(at_s=1.0, film=still), Pin(at_s=0.9, film=still)], seconds=2)
    with pytest.raises(SoraError, match="does not lie in the film"):
        keyframes(Toy(), [Pin(at_s=3.0, film=still)], seconds=2)


def test_foley_keeps_the_picture_and_sound_to_video_the_sound():
    source = film(40, sound=False)
    made = foley(Toy(), source).collect()
    assert torch.equal(made.picture, source.picture)
    assert made.audio.abs().max() == 0.5
    heard = film(25)
    shown = sound_to_video(Toy(), heard, width=16, height=16).collect()
    assert torch.equal(shown.audio, heard.audio)
    assert bool((shown.picture == 200).all())
    with pytest.raises(SoraError, match="is silent"):
        sound_to_video(Toy(), source, width=16, height=16)
    with pytest.raises(SoraError, match="makes no sound here"):
        foley(Toy(profile(sound=False), sound=False), source)


def test_a_silent_film_stays_silent():
    toy = Toy()
    made = extend(toy, film(30, sound=False), seconds=1).collect()
    assert made.audio is None
    assert toy.tasks[0].given.audio is None


def test_what_is_far_from_a_change_is_never_encoded():
    toy = Toy()
    parts = [
        Part(frames=200, film=film(200), picture=KEEP, sound=KEEP),
        Part(frames=12),
        Part(frames=200, film=film(200), picture=KEEP, sound=KEEP),
    ]
    stream = fill(toy, Canvas.like(film(1), parts))
    sizes = [len(piece.frames) for piece in stream.pieces]
    assert sum(sizes) == 412
    assert len(toy.encoded) == 1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [({"context_s": 0}, "must be more than 0"), ({"context_s": 99}, "at most 60"), ({"strength": 0}, "strength 0")],
)
def test_settings_that_cannot_be_are_refused(settings, sentence):
    with pytest.raises(SoraError, match=sentence):
        Settings(**settings)


@pytest.mark.parametrize(
    ("seconds", "sentence"),
    [
        (0, "must be more than 0"),
        (-1, "must be more than 0"),
        (float("nan"), "must be more than 0"),
        (601, "more than"),
    ],
)
def test_lengths_that_cannot_be_are_refused(seconds, sentence):
    for make in (
        lambda: extend(Toy(), film(30), seconds=seconds),
        lambda: loop(Toy(), film(30), seconds=seconds),
        lambda: connect(Toy(), film(30), film(30), seconds=seconds),
    ):
        with pytest.raises(SoraError, match=sentence):
            make()


def test_a_clip_shorter_than_the_context_asked_for_is_refused():
    with pytest.raises(SoraError, match="fewer than the context of 9"):
        extend(Toy(), film(5), seconds=1, settings=Settings(context_s=0.75))
    assert extend(Toy(), film(5), seconds=1).collect().num_frames == 17
