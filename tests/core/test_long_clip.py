"""Clips longer than the model was trained on, over tiny untrained models: parts, pictures, cues and progress."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sora_core.conditioning import keep_whole_audio
from sora_core.editing.engine import longer_seed
from sora_core.errors import SoraError
from sora_core.pipeline import Pipeline
from sora_core.request import Request, resolve
from sora_core.types import SAMPLE_RATE

OWN, FPS = 9, 12.0
SECONDS = 1.75


@pytest.fixture(scope="module")
def pipe(tiny_checkpoint) -> Pipeline:
    pipe = Pipeline.load(tiny_checkpoint)
    assert (pipe.defaults.frames, pipe.defaults.fps) == (OWN, FPS)
    return pipe


@pytest.fixture
def runs(monkeypatch) -> list[dict]:
    """What each sampling run is asked for."""
    seen: list[dict] = []
    sample = Pipeline.sample

    def watched(self, prompt, plan, **settings):
        seen.append({"prompt": prompt, "plan": plan, **settings})
        return sample(self, prompt, plan, **settings)

    monkeypatch.setattr(Pipeline, "sample", watched)
    return seen


def picture(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (16, 32, 3), generator=generator, dtype=torch.uint8)


def levels(run: dict) -> list[float]:
    """Return the level of each latent frame of a run."""
    return run["conditions"].video_mask.reshape(-1).tolist()


def wish(**settings) -> Request:
    return Request(**{"prompt": "a red ball bounces", "seed": 5, "seconds": SECONDS, **settings})


def test_each_part_is_no_longer_than_the_model_knows(pipe, runs):
    (clip,) = pipe.generate(wish())
    assert clip.frames.shape == (21, 16, 32, 3)
    assert clip.audio.shape == (round(SECONDS * SAMPLE_RATE),)
    assert len(runs) > 1
    assert all(run["plan"].format.frames <= OWN for run in runs)
    assert [run["seed"] for run in runs] == [longer_seed(5, index) for index in range(len(runs))]


def test_a_clip_of_the_models_own_length_is_one_run(pipe, runs):
    pipe.generate(wish(seconds=OWN / FPS))
    assert [run["plan"].format.frames for run in runs] == [OWN]


def test_later_parts_keep_the_end_of_the_part_before(pipe, runs):
    pipe.generate(wish())
    first, *later = runs
    assert levels(first) == [1, 1, 1]
    for run in later:
        assert levels(run) == [0, 0, 1]
        sound = run["conditions"].audio_mask.reshape(-1)
        assert (sound[0], sound[-1]) == (0, 1)


def test_it_begins_as_the_short_clip_of_the_same_seed_does(pipe):
    # the first part's last frames are faded over by the next
    (long,), (short,) = pipe.generate(wish()), pipe.generate(wish(seconds=OWN / FPS))
    assert torch.equal(long.frames[:5], short.frames[:5])


def test_silent(pipe, runs):
    (clip,) = pipe.generate(wish(audio=False))
    assert clip.audio is None
    assert clip.frames.shape[0] == 21
    assert all(run["plan"].samples == 0 for run in runs)


def test_variations_are_made_apart(pipe):
    steps: list[tuple[int, int]] = []
    request = wish(variations=2)
    together = pipe.generate(request, lambda done, total, _: steps.append((done, total)))
    (alone,) = pipe.generate(wish(seed=6))
    assert torch.equal(together[1].frames, alone.frames)
    assert torch.equal(together[1].audio, alone.audio)
    assert not torch.equal(together[0].frames, alone.frames)
    total = steps[0][1]
    assert steps == [(done, total) for done in range(1, total + 1)]
    assert [clip.seed for clip in pipe.generate_stream(request)] == [5, 6]


def test_a_callback_ends_it(pipe):
    def cancel(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipe.generate(wish(), cancel)


def test_first_and_last_picture_are_where_they_were_given(pipe, runs):
    first, last = picture(0), picture(1)
    (clip,) = pipe.generate(wish(image=first, last_image=last))
    assert torch.equal(clip.frames[0], first)
    assert torch.equal(clip.frames[-1], last)
    assert not torch.equal(clip.frames[1], first)
    assert levels(runs[0]) == [0, 1, 1]
    assert levels(runs[-1])[-1] == 0


def test_references_reach_every_part(pipe, runs):
    pipe.generate(wish(references=(picture(2),)))
    assert all(len(run["conditions"].references) == 1 for run in runs)


def test_the_negative_prompt_reaches_every_part(pipe, runs):
    pipe.generate(wish(negative="orb"))
    wanted = pipe.encode_prompt(["orb"]).states
    assert all(torch.equal(run["negative"].states, wanted) for run in runs)


def test_a_cue_takes_over_at_its_second_of_the_clip(pipe, runs):
    texts = {name: pipe.encode_prompt([name]).states for name in ("a red ball bounces", "crimson orb")}
    at = 1.0
    pipe.generate(wish(cues=((at, "crimson orb"),)))
    told = []
    for run in runs:
        (prompt,) = (name for name, states in texts.items() if torch.equal(run["prompt"].states, states))
        told.append((prompt, [round(start, 3) for start, _ in run["cues"]]))
    starts = part_starts(len(runs))
    wanted = [
        ("a red ball bounces", [])
        if at >= start + OWN / FPS
        else ("crimson orb", [])
        if at <= start
        else ("a red ball bounces", [round(at - start, 3)])
        for start in starts
    ]
    assert told == wanted
    assert told[0] == ("a red ball bounces", [])
    assert told[-1][0] == "crimson orb" or told[-1][1]


def part_starts(count: int) -> list[float]:
    """Return the seconds at which parts of nine frames with a context of five begin."""
    return [4 * index / FPS for index in range(count)]


def test_kept_latents_of_a_whole_clip_are_one_run(pipe, runs):
    plan = resolve(wish(), pipe.defaults)
    latents = pipe.sample(pipe.encode_prompt(["a ball"]), plan)
    runs.clear()
    pipe.generate(wish(), conditions=keep_whole_audio(latents.audio))
    assert [run["plan"].format.frames for run in runs] == [plan.format.frames]


def test_what_is_not_finite_is_refused(pipe):
    broken = replace(pipe, audio_vae=type(pipe.audio_vae)(pipe.audio_vae.config))
    for parameter in broken.audio_vae.parameters():
        torch.nn.init.constant_(parameter, float("nan"))
    with pytest.raises(SoraError, match="not finite"):
        broken.generate(wish())
