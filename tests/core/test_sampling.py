"""Noise, schedules, solvers, guidance and kept tokens, against closed forms wherever there is one."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from sora_core import request
from sora_core.conditioning import (
    Conditions,
    keep_frames,
    keep_prefix,
    keep_whole_audio,
    keep_whole_video,
    latent_frame,
)
from sora_core.dit import DiT, DiTConfig
from sora_core.errors import SoraError
from sora_core.sampling import (
    SOLVERS,
    Guidance,
    ModelDenoiser,
    Schedule,
    Sigma,
    TextStates,
    draw_noise,
    flow_schedule,
    sample_latents,
    token_shift,
)
from sora_core.sampling.guidance import rescale_contrast
from sora_core.types import AVLatent, LatentShape

SHAPE = LatentShape(frames=3, height=4, width=4, audio=5)
TEXT = TextStates(torch.full((1, 2, 8), 0.5), torch.ones(1, 2, dtype=torch.bool))
NULL = TextStates(torch.full((1, 3, 8), -0.25), torch.ones(1, 3, dtype=torch.bool))


class GaussianModel(nn.Module):
    """The exact velocity for data drawn from N(mean, spread^2) value by value; the text's mean is the mean."""

    def __init__(self, spread: float = 0.5) -> None:
        super().__init__()
        self.spread = spread
        self.calls: list[dict] = []

    def forward(self, video, audio, text, text_mask, *, sigma_video, sigma_audio, fps, references):
        self.calls.append(locals() | {"self": None})
        count = text_mask.sum(1) * text.shape[2]
        mean = (text * text_mask[..., None]).sum((1, 2)) / count
        return self.half(video, mean, sigma_video), self.half(audio, mean, sigma_audio)

    def half(self, x: Tensor | None, mean: Tensor, sigma: Tensor | None) -> Tensor | None:
        if x is None or sigma is None:
            return None
        sigma = sigma.unsqueeze(1)
        sigma = sigma.reshape(*sigma.shape, *[1] * (x.ndim - sigma.ndim)).to(x.dtype)
        return gaussian_velocity(x, sigma, mean.reshape(-1, *[1] * (x.ndim - 1)).to(x.dtype), self.spread)


def gaussian_velocity(x, sigma, mean, spread):
    """E[noise - x0 | x] for x0 ~ N(mean, spread^2); linear in x, so the sampling ODE has a closed solution."""
    variance = (1 - sigma) ** 2 * spread**2 + sigma**2
    return (sigma - (1 - sigma) * spread**2) / variance * (x - (1 - sigma) * mean) - mean


def tiny_dit() -> DiT:
    torch.manual_seed(0)
    model = DiT(DiTConfig(width=32, layers=1, heads=2, hidden=64, text_width=8, modulation_width=16))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model.eval()


def denoiser(model: nn.Module, *, count: int = 1, audio: bool = True, **settings) -> ModelDenoiser:
    return ModelDenoiser(model=model, noise=draw_noise(3, SHAPE, audio=audio, count=count), text=TEXT, **settings)


# noise


def test_variation_has_the_same_noise_alone_and_in_a_batch():
    batch = draw_noise(7, SHAPE, count=3)
    alone = draw_noise(9, SHAPE)
    assert torch.equal(batch.video[2:], alone.video)
    assert torch.equal(batch.audio[2:], alone.audio)
    assert batch.video.shape == (3, 16, 3, 4, 4)
    assert batch.audio.shape == (3, 32, 5, 1)
    assert batch.video.dtype == torch.float32
    assert not torch.equal(batch.video[0], batch.video[1])


def test_sound_does_not_change_the_noise_of_the_picture():
    silent = draw_noise(7, SHAPE, audio=False)
    assert silent.audio is None
    assert torch.equal(silent.video, draw_noise(7, SHAPE).video)


def test_noise_is_the_documented_stream_of_one_generator():
    generator = torch.Generator().manual_seed(11)
    video = torch.randn(16, 3, 4, 4, generator=generator)
    audio = torch.randn(32, 5, 1, generator=generator)
    drawn = draw_noise(11, SHAPE)
    assert torch.equal(drawn.video[0], video)
    assert torch.equal(drawn.audio[0], audio)


# schedules


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.2, 12.0])
def test_schedule_falls_from_one_to_zero(shift):
    schedule = flow_schedule(8, shift)
    assert schedule.steps == 8
    for levels in schedule:
        assert levels[0] == 1
        assert levels[-1] == 0
        assert all(now > after for now, after in itertools.pairwise(levels))


def test_schedule_values():
    schedule = flow_schedule(4, 4.0)
    assert schedule.video[2] == pytest.approx(4 * 0.5 / (1 + 3 * 0.5))
    assert schedule.audio[2] == pytest.approx(2 * 0.5 / (1 + 1 * 0.5))
    assert flow_schedule(4, 4.0, 1.0).audio == (1, 0.75, 0.5, 0.25, 0)
    assert schedule.at(2) == (schedule.video[2], schedule.audio[2])


def test_token_shift_table():
    assert token_shift(1024) == pytest.approx(math.exp(0.95))
    assert token_shift(4096) == pytest.approx(math.exp(2.05))


# solvers


@pytest.mark.parametrize("solver", SOLVERS)
def test_constant_velocity_is_solved_exactly(solver):
    noise = draw_noise(1, SHAPE)
    video, audio = noise.video.double(), noise.audio.double()
    constant = AVLatent(torch.sin(video), torch.cos(audio))
    end = SOLVERS[solver](lambda _x, _sigma: constant, AVLatent(video, audio), flow_schedule(5, 3.0), None)
    assert torch.allclose(end.video, video - constant.video, rtol=0, atol=1e-12)
    assert torch.allclose(end.audio, audio - constant.audio, rtol=0, atol=1e-12)


HALVES = ((0.3, 0.5), (-0.2, 2.0))
"""Mean and spread of the data, for the picture and for the sound."""


def largest_errors(solver: str, schedule: Schedule) -> list[float]:
    """Solve for Gaussian data from the first level to the last; return each half's error against the closed solution.

    At level s it is ``(1 - s) mean + sqrt((1 - s)^2 spread^2 + s^2) z`` with the same z all along.
    """
    noise = draw_noise(2, SHAPE)

    def exact(half: int, sigma: float) -> Tensor:
        mean, spread = HALVES[half]
        return (1 - sigma) * mean + math.sqrt((1 - sigma) ** 2 * spread**2 + sigma**2) * noise[half].double()

    def velocity(x: AVLatent, sigma: Sigma) -> AVLatent:
        return AVLatent(*(gaussian_velocity(x[half], sigma[half], *HALVES[half]) for half in range(2)))

    start = AVLatent(*(exact(half, schedule[half][0]) for half in range(2)))
    end = SOLVERS[solver](velocity, start, schedule, None)
    return [float((end[half] - exact(half, schedule[half][-1])).abs().max()) for half in range(2)]


def inner_schedule(steps: int) -> Schedule:
    """Levels away from both ends, even in log-SNR, where DPM-Solver++ is regular; the sound's a little apart."""
    ratios = [4 * index / steps - 2 for index in range(steps + 1)]
    return Schedule(*(tuple(1 / (1 + math.exp(ratio + offset)) for ratio in ratios) for offset in (0.0, 0.3)))


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2), ("dpmpp_2m", 2), ("unipc", 3)])
def test_order_of_convergence(solver, order):
    coarse, fine = (largest_errors(solver, inner_schedule(steps)) for steps in (80, 160))
    for few, many in zip(coarse, fine, strict=True):
        assert math.log2(few / many) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("solver", ["heun", "dpmpp_2m", "unipc"])
def test_second_order_pays_over_the_whole_range(solver):
    schedule = flow_schedule(40, 2.0)
    for good, euler in zip(largest_errors(solver, schedule), largest_errors("euler", schedule), strict=True):
        assert good < euler / 3


def test_the_highest_order_is_the_best_over_the_whole_range():
    schedule = flow_schedule(40, 2.0)
    errors = {solver: largest_errors(solver, schedule) for solver in ("euler", "dpmpp_2m", "unipc")}
    for half in range(2):
        assert errors["unipc"][half] < min(errors["euler"][half], errors["dpmpp_2m"][half])


def test_a_level_given_twice_adds_nothing():
    schedule = flow_schedule(6, 2.0)
    doubled = Schedule(*((*(level for level in levels[:-1] for _ in range(2)), 0.0) for levels in schedule))
    for once, twice in zip(largest_errors("unipc", schedule), largest_errors("unipc", doubled), strict=True):
        assert twice < 3 * once


@pytest.mark.parametrize("solver", SOLVERS)
def test_zero_velocity_leaves_every_bit(solver):
    start = draw_noise(4, SHAPE)
    zero = AVLatent(torch.zeros_like(start.video), torch.zeros_like(start.audio))
    end = SOLVERS[solver](lambda _x, _sigma: zero, start, flow_schedule(7, 2.0), None)
    assert torch.equal(end.video, start.video)
    assert torch.equal(end.audio, start.audio)


def test_names_agree_with_the_request():
    assert tuple(SOLVERS) == request.SOLVERS


@pytest.mark.parametrize("solver", SOLVERS)
def test_callback_sees_every_step_and_the_clean_estimate(solver):
    seen = []
    result = sample_latents(
        denoiser(GaussianModel()), flow_schedule(4, 2.0), solver=solver, callback=lambda *step: seen.append(step)
    )
    assert [(step, total) for step, total, _ in seen] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert torch.allclose(seen[0][2].video, torch.full_like(result.video, 0.5), atol=1e-5)  # the data's mean


@pytest.mark.parametrize("solver", SOLVERS)
def test_callback_cancels_within_one_step(solver):
    model = GaussianModel()

    def cancel(step: int, _total: int, _preview: AVLatent) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample_latents(denoiser(model), flow_schedule(10, 2.0), solver=solver, callback=cancel)
    assert len(model.calls) == (4 if solver == "heun" else 2)


def test_unknown_solver_and_broken_model_are_refused():
    with pytest.raises(SoraError, match="euler"):
        sample_latents(denoiser(GaussianModel()), flow_schedule(2, 1.0), solver="ddim")
    with pytest.raises(SoraError, match="not finite"):
        sample_latents(denoiser(GaussianModel(spread=math.nan)), flow_schedule(2, 1.0))


@pytest.mark.parametrize("halves", ["video", "audio"])
def test_one_half_alone(halves):
    noise = draw_noise(3, SHAPE)
    one = AVLatent(noise.video, None) if halves == "video" else AVLatent(None, noise.audio)
    result = sample_latents(ModelDenoiser(model=tiny_dit(), noise=one, text=TEXT), flow_schedule(2, 2.0))
    assert (result.video is None) == (halves == "audio")
    assert (result.audio is None) == (halves == "video")


# guidance


def test_guidance_of_one_asks_the_model_once():
    model = GaussianModel()
    sample_latents(denoiser(model, count=2, null=NULL, guidance=Guidance(video=1.0)), flow_schedule(3, 2.0))
    assert [len(call["video"]) for call in model.calls] == [2, 2, 2]


def test_guidance_is_one_batch_and_linear():
    model = GaussianModel()
    noise = draw_noise(3, SHAPE, count=2)
    guided = ModelDenoiser(model=model, noise=noise, text=TEXT, null=NULL, guidance=Guidance(video=3.0, audio=1.0))
    sigma = flow_schedule(4, 2.0).at(1)
    velocity = guided(noise, sigma)
    assert len(model.calls) == 1
    assert len(model.calls[0]["video"]) == 4
    assert model.calls[0]["text"].shape == (4, 3, 8)  # padded to the longer prompt
    with_prompt = gaussian_velocity(noise.video, sigma.video, 0.5, 0.5)
    without = gaussian_velocity(noise.video, sigma.video, -0.25, 0.5)
    assert torch.allclose(velocity.video, without + 3 * (with_prompt - without), atol=1e-5)
    assert torch.allclose(velocity.audio, gaussian_velocity(noise.audio, sigma.audio, 0.5, 0.5), atol=1e-5)


def test_audio_guidance_follows_the_picture_unless_given():
    assert Guidance(video=3.0).audio_scale == 3.0
    assert Guidance(video=1.0, audio=2.0).needs_null
    assert not Guidance(video=1.0).needs_null


def test_rescale_gives_the_spread_back_and_ignores_kept_values():
    x, guided, plain = torch.randn(3, 2, 4, 3, 2, 2, generator=torch.Generator().manual_seed(0)) * 2
    sigma = torch.tensor([0.8, 0.0, 0.5]).reshape(1, 1, 3, 1, 1)
    weight = (sigma > 0).float()
    guided[:, :, 1] = 1e6
    velocity = rescale_contrast(guided, plain, x, sigma, weight=weight, share=1.0)
    kept = weight.expand_as(x) > 0
    for sample in range(2):
        clean = (x - sigma * velocity)[sample][kept[sample]]
        wanted = (x - sigma * plain)[sample][kept[sample]]
        assert float(clean.std(correction=0)) == pytest.approx(float(wanted.std(correction=0)), rel=1e-4)
    assert torch.equal(rescale_contrast(guided, plain, x, sigma, weight=weight, share=0.0), guided)
    half = rescale_contrast(guided, plain, x, sigma, weight=weight, share=0.5)
    assert torch.allclose(half[kept], ((guided + velocity) / 2)[kept], atol=1e-4)


# kept tokens


def given() -> AVLatent:
    generator = torch.Generator().manual_seed(5)
    return AVLatent(torch.randn(1, 16, 3, 4, 4, generator=generator), torch.randn(1, 32, 5, 1, generator=generator))


MASKS = {
    "time": torch.tensor([0.0, 1.0, 1.0]),
    "all": torch.zeros(3),
    "tokens": torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]).expand(3, 4, 4),
    "cells": torch.tensor([[0.0, 1, 1, 1], [0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]]).expand(3, 4, 4),
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("mask", MASKS)
def test_kept_latents_come_back(solver, mask):
    latent = given()
    conditions = Conditions(
        video=latent.video, video_mask=MASKS[mask], audio=latent.audio, audio_mask=torch.tensor([1.0, 0, 0, 1, 1])
    )
    previews = []
    result = sample_latents(
        denoiser(tiny_dit(), count=2, conditions=conditions, null=NULL, guidance=Guidance(video=4.0, rescale=0.5)),
        flow_schedule(3, 2.0),
        solver=solver,
        callback=lambda _step, _total, preview: previews.append(preview),
    )
    kept = MASKS[mask].reshape(3, *MASKS[mask].shape[1:] or (1, 1)).expand(2, 16, 3, 4, 4) == 0
    assert torch.equal(result.video[kept], latent.video.expand(2, -1, -1, -1, -1)[kept])
    assert torch.equal(result.audio[:, :, 1:3], latent.audio[:, :, 1:3].expand(2, -1, -1, -1))
    if mask != "all":
        assert not torch.allclose(result.video[~kept], latent.video.expand(2, -1, -1, -1, -1)[~kept], atol=0.1)
    for preview in previews:
        assert torch.allclose(preview.video[kept], latent.video.expand(2, -1, -1, -1, -1)[kept], atol=1e-5)


def test_the_model_sees_kept_tokens_clean_at_level_zero():
    model = GaussianModel()
    latent = given()
    sample_latents(denoiser(model, conditions=keep_frames({0: latent.video[:, :, :1]}, SHAPE)), flow_schedule(3, 2.0))
    for call, level in zip(model.calls, flow_schedule(3, 2.0).video, strict=False):
        assert torch.allclose(call["sigma_video"], torch.tensor([[0, level, level]]))
        assert torch.equal(call["video"][:, :, :1], latent.video[:, :, :1])
        assert call["sigma_audio"].shape == (1, 1)


def test_a_mask_within_a_frame_reaches_the_model_by_token():
    model = GaussianModel()
    conditions = Conditions(video=given().video, video_mask=MASKS["cells"])
    run = denoiser(model, conditions=conditions)
    run(run.start(), flow_schedule(2, 1.0).at(1))
    level = model.calls[0]["sigma_video"]
    assert level.shape == (1, 3, 4, 4)
    assert torch.equal(level, torch.full_like(level, 0.5))  # every token holds a generated cell
    token = Conditions(video=given().video, video_mask=MASKS["tokens"])
    run = denoiser(model, conditions=token)
    run(run.start(), flow_schedule(2, 1.0).at(1))
    assert torch.equal(model.calls[1]["sigma_video"][0], MASKS["tokens"] * 0.5)


def test_kept_cells_of_a_generated_token_are_noised_like_it():
    conditions = Conditions(video=given().video, video_mask=MASKS["cells"])
    run = denoiser(GaussianModel(), conditions=conditions)
    seen = []
    schedule = flow_schedule(4, 1.0)
    SOLVERS["euler"](lambda x, sigma: (seen.append((x, sigma)), run(x, sigma))[1], run.start(), schedule, None)
    kept = MASKS["cells"].expand(1, 16, 3, 4, 4) == 0
    for x, sigma in seen:
        line = (1 - sigma.video) * given().video + sigma.video * run.noise.video
        assert torch.allclose(x.video[kept], line[kept], atol=1e-5)


def test_a_value_between_starts_from_the_given_latent():
    """The tokens follow the same closed solution, begun at 0.4 of the noise."""
    run = denoiser(GaussianModel(), conditions=Conditions(video=given().video, video_mask=torch.full((3,), 0.4)))
    start = run.start().video
    assert torch.allclose(start, 0.6 * given().video + 0.4 * run.noise.video, atol=1e-6)
    result = sample_latents(run, flow_schedule(200, 1.0), solver="heun")
    deviation = math.sqrt(0.6**2 * 0.5**2 + 0.4**2)
    assert torch.allclose(result.video, 0.5 + 0.5 * (start - 0.6 * 0.5) / deviation, atol=1e-3)


def test_no_conditions_is_plain_noise():
    run = denoiser(GaussianModel())
    assert torch.equal(run.start().video, run.noise.video)


def test_references_reach_every_sample_and_change_the_result():
    reference = torch.randn(1, 16, 1, 2, 4, generator=torch.Generator().manual_seed(1))
    conditions = Conditions(references=(reference,))
    model = GaussianModel()
    sample_latents(
        denoiser(model, count=2, null=NULL, guidance=Guidance(video=2.0), conditions=conditions), flow_schedule(1, 1.0)
    )
    assert [len(latent) for latent in model.calls[0]["references"]] == [4]
    with_reference = sample_latents(denoiser(tiny_dit(), conditions=conditions), flow_schedule(2, 2.0))
    without = sample_latents(denoiser(tiny_dit()), flow_schedule(2, 2.0))
    assert not torch.allclose(with_reference.video, without.video, atol=1e-3)


def test_a_cue_goes_with_the_prompt_and_gives_way_to_the_null_prompt():
    class Recorder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.calls = tiny_dit(), []

        def forward(self, *latents, **more):
            self.calls.append(more)
            return self.inner(*latents, **more)

    model, then = Recorder(), TextStates(torch.full((1, 2, 8), 2.0), torch.ones(1, 2, dtype=torch.bool))
    more = {"count": 2, "null": NULL, "guidance": Guidance(video=2.0)}
    with_cue = sample_latents(denoiser(model, cues=[(0.25, then)], **more), flow_schedule(1, 1.0))
    (cue,) = model.calls[0]["cues"]
    assert cue.start_s == 0.25
    assert torch.equal(cue.text[:2, :2], then.states.expand(2, -1, -1))
    assert torch.equal(cue.text[2:], NULL.states.expand(2, -1, -1))
    assert cue.mask.sum(1).tolist() == [2, 2, 3, 3]
    without = sample_latents(denoiser(model, **more), flow_schedule(1, 1.0))
    assert "cues" not in model.calls[1]
    assert not torch.allclose(with_cue.video, without.video, atol=1e-3)


def test_variation_alone_equals_the_one_in_a_batch():
    settings = {"text": TEXT, "null": NULL, "guidance": Guidance(video=3.0)}
    model = tiny_dit()
    batch = ModelDenoiser(model=model, noise=draw_noise(3, SHAPE, count=3), **settings)
    alone = ModelDenoiser(model=model, noise=draw_noise(5, SHAPE), **settings)
    together, single = (sample_latents(run, flow_schedule(3, 2.0)) for run in (batch, alone))
    assert torch.allclose(together.video[2:], single.video, atol=1e-4)
    assert torch.allclose(together.audio[2:], single.audio, atol=1e-4)


def test_builders():
    latent = given()
    first, later = latent.video[:, :, :1], latent.video[:, :, 1:2]
    both = keep_frames({0: first, -1: later}, SHAPE)
    assert both.video_mask.flatten().tolist() == [0, 1, 0]
    assert torch.equal(both.video[:, :, 2:], later)
    extended = keep_prefix(AVLatent(latent.video[:, :, :2], latent.audio[:, :, :3]), SHAPE)
    assert extended.video_mask.flatten().tolist() == [0, 0, 1]
    assert extended.audio_mask.flatten().tolist() == [0, 0, 0, 1, 1]
    loop = extended.keep_video(first, -1, SHAPE.frames)
    assert loop.video_mask.flatten().tolist() == [0, 0, 0]
    assert extended.video_mask.flatten().tolist() == [0, 0, 1]  # builders leave the old conditions alone
    assert keep_whole_video(latent.video).video_mask.sum() == 0
    assert keep_whole_audio(latent.audio).audio_mask.sum() == 0
    assert [latent_frame(frame) for frame in (0, 1, 4, 5, 8)] == [0, 1, 1, 2, 2]


def test_picture_kept_for_its_sound():
    latent = given()
    result = sample_latents(denoiser(tiny_dit(), conditions=keep_whole_video(latent.video)), flow_schedule(3, 2.0))
    assert torch.equal(result.video, latent.video)
    assert not torch.allclose(result.audio, latent.audio, atol=0.1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"video": torch.zeros(1, 16, 3, 4, 4)}, "mask"),
        ({"video": torch.zeros(1, 8, 3, 4, 4), "video_mask": torch.ones(3)}, "16"),
        ({"video": torch.zeros(1, 16, 3, 5, 4), "video_mask": torch.ones(3)}, "even"),
        ({"video": torch.zeros(1, 16, 3, 4, 4), "video_mask": torch.ones(2)}, "video_mask"),
        ({"video": torch.zeros(1, 16, 3, 4, 4), "video_mask": torch.full((3,), 1.5)}, r"\[0, 1\]"),
        ({"audio": torch.zeros(1, 16, 5, 1), "audio_mask": torch.ones(5)}, "32"),
        ({"audio": torch.zeros(1, 32, 5, 1), "audio_mask": torch.ones(1, 1, 5)}, "audio_mask"),
        ({"references": (torch.zeros(1, 16, 1, 4, 4),) * 3}, "up to 2"),
        ({"references": (torch.zeros(1, 16, 2, 4, 4),)}, "single picture"),
    ],
)
def test_conditions_that_do_not_fit_are_refused(settings, words):
    with pytest.raises(SoraError, match=words):
        Conditions(**settings)


def test_conditions_of_another_clip_are_refused():
    with pytest.raises(SoraError, match="encode it at the clip's size"):
        denoiser(GaussianModel(), conditions=keep_whole_video(torch.zeros(1, 16, 2, 4, 4)))
    with pytest.raises(SoraError, match="cut or pad"):
        denoiser(GaussianModel(), conditions=keep_whole_audio(torch.zeros(1, 32, 9, 1)))
    with pytest.raises(SoraError, match="outside"):
        keep_frames({9: torch.zeros(1, 16, 1, 4, 4)}, SHAPE)
    with pytest.raises(SoraError, match="four frames apart"):
        keep_frames({1: torch.zeros(1, 16, 1, 4, 4), 4: torch.zeros(1, 16, 1, 4, 4)}, SHAPE)
    with pytest.raises(SoraError, match="do not fit"):
        Conditions().keep_audio(torch.zeros(1, 32, 9, 1), 0, 5)
