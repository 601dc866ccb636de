"""A maker made of the host's parts: two models in one run, samplers of others, sound, strength and interrupts."""

from __future__ import annotations

from dataclasses import replace

import families
import pytest
import torch
from makers import FAMILIES, WITH_SOUND, Seen, film, maker_of, task_of, wave
from prompts import decibels, furthest

SAME = 1e-4
"""What a run may lose by being handed from one model to the other."""


@pytest.fixture(autouse=True)
def _as_in_a_run():
    with torch.inference_mode():
        yield


def core_sampler(name):
    import comfy.samplers

    return comfy.samplers.sampler_object(name)


def pair(host, kind=families.wan21, *, seeds=(0, 1), **parts):
    """Return a maker of two models and what each of them sees."""
    high, low = (kind(seed=seed) for seed in seeds)
    name = {families.wan21: "wan21", families.wan21_image: "wan21 image"}[kind]
    maker = maker_of(host, name, model=high, model_low=low, cfg=parts.pop("cfg", 1.0), **parts)
    return maker, Seen(high), Seen(low)


class TestTwoModels:
    """Wan 2.2 A14B: one model for the high noise levels, one for the low ones."""

    @pytest.mark.parametrize("switch", [1, 2, 5])
    def test_each_runs_its_own_steps(self, host, switch):
        maker, high, low = pair(host, steps=6, switch_step=switch)
        assert maker.profile.two_models
        maker.sample(task_of(host, maker, keep=[0]))
        assert (len(high.calls), len(low.calls)) == (switch, 6 - switch)
        levels = high.levels + low.levels
        assert levels == sorted(levels, reverse=True)

    @pytest.mark.parametrize(("kind", "level"), [(families.wan21, 0.875), (families.wan21_image, 0.9)])
    def test_they_change_where_they_were_trained_to(self, host, kind, level):
        maker, high, low = pair(host, kind, steps=8)
        maker.sample(task_of(host, maker, keep=[0]))
        assert len(high.calls) + len(low.calls) == 8
        assert min(high.levels) > level >= max(low.levels)

    def test_below_that_level_only_the_second_runs(self, host):
        maker, high, low = pair(host, steps=4)
        maker.sample(task_of(host, maker, keep=[0], strength=0.2))
        assert (len(high.calls), len(low.calls)) == (0, 4)

    @pytest.mark.parametrize("kind", [families.wan21, families.wan21_image])
    @pytest.mark.parametrize("sampler", [None, "euler", "res_multistep"])
    def test_both_are_given_the_same_kept_frames(self, host, kind, sampler):
        own = {} if sampler is None else {"sampler": core_sampler(sampler)}
        maker, high, low = pair(host, kind, steps=6, switch_step=3, **own)
        task = task_of(host, maker, keep=[0, -1])
        made = maker.sample(task)
        clean = maker.model.model.process_latent_in(task.given.video)[:, :, [0, -1]]
        noises = []
        for seen in (high, low):
            for call, level in zip(seen.calls, seen.levels, strict=True):
                x, beside = call["x"][0].split([16, call["x"][0].shape[1] - 16], 1)
                noises.append((x[:, :, [0, -1]] - (1 - level) * clean) / level)
                assert torch.equal(beside, high.calls[0]["x"][0][:, 16:])
        assert len(noises) == 6
        # levels are rounded to four places
        assert max(furthest(noise, noises[0]) for noise in noises) < 0.02
        assert furthest(made.video[:, :, [0, -1]], task.given.video[:, :, [0, -1]]) == 0

    @pytest.mark.parametrize("sampler", [None, "euler"])
    @pytest.mark.parametrize("strength", [1.0, 0.6])
    def test_twice_the_same_model_is_that_model(self, host, sampler, strength):
        """Nothing is lost, or noised again, on the way from one to the other."""
        own = {} if sampler is None else {"sampler": core_sampler(sampler)}
        twice, high, low = pair(host, seeds=(0, 0), steps=6, switch_step=4, cfg=1.5, **own)
        once = replace(twice, model_low=None)
        task = task_of(host, twice, keep=[0, -1], strength=strength)
        made = twice.sample(task)
        assert high.calls
        assert low.calls
        assert furthest(made.video, once.sample(task).video) < SAME

    def test_the_second_model_counts(self, host):
        one, other = (pair(host, seeds=(0, seed), steps=4, switch_step=2)[0] for seed in (1, 2))
        task = task_of(host, one, keep=[0])
        assert furthest(one.sample(task).video, other.sample(task).video) > 0.01

    def test_progress_counts_on(self, host, monkeypatch):
        maker, _, _ = pair(host, steps=4, switch_step=1)
        module, steps = host.pack("nodes.adapters.sampler"), []
        monkeypatch.setattr(
            module, "preview_callback", lambda _model, total: lambda step, _c, _x, of: steps.append((step, of, total))
        )
        maker.sample(task_of(host, maker, keep=[0]))
        assert steps == [(step, 4, 4) for step in range(4)]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("sampler", ["euler", "res_multistep", "euler_ancestral"])
def test_a_sampler_of_others_keeps_what_is_kept(host, name, sampler):
    maker = maker_of(host, name, sampler=core_sampler(sampler))
    task = task_of(host, maker, keep=[0, -1], sound=[0])
    made = maker.sample(task)
    assert furthest(made.video[:, :, [0, -1]], task.given.video[:, :, [0, -1]]) == 0
    assert bool(torch.isfinite(made.video).all())
    if maker.sound:
        assert furthest(made.audio[..., :1] if name == "h3" else made.audio[:, :, :1], first(task, name)) == 0


def first(task, name):
    return task.given.audio[..., :1] if name == "h3" else task.given.audio[:, :, :1]


def test_sigmas_of_others_are_run(host):
    sigmas = torch.tensor([1.0, 0.9, 0.7, 0.4, 0.0])
    maker = maker_of(host, "wan21", cfg=1.0, sigmas=sigmas)
    seen = Seen(maker.model)
    maker.sample(task_of(host, maker, keep=[0]))
    assert seen.levels == pytest.approx([1.0, 0.9, 0.7, 0.4])
    seen.calls.clear()
    maker.sample(task_of(host, maker, keep=[0], strength=0.5))
    assert seen.levels == pytest.approx([0.7, 0.4])
    with pytest.raises(host.pack("sora_core.errors").SoraError, match="hold no step"):
        replace(maker, sigmas=torch.ones(1)).sample(task_of(host, maker, keep=[0]))


def test_the_sound_of_ours_can_be_guided_apart_by_a_sampler_of_others(host):
    run = host.pack("nodes.adapters.sampler").Run(seed=0, steps=3, solver="euler", cfg=1.5, audio_cfg=3.0, rescale=0.5)
    maker = maker_of(host, "ours", run=run, sampler=core_sampler("euler"))
    text, values = maker.positive[0]
    maker = replace(maker, negative=[[torch.zeros_like(text), values]])
    task = task_of(host, maker, keep=[0])
    plain = replace(maker, run=replace(run, audio_cfg=1.5))
    assert furthest(maker.sample(task).audio, plain.sample(task).audio) > 1e-3


@pytest.mark.parametrize("name", FAMILIES)
def test_a_weaker_run_stays_nearer_to_what_is_given(host, name):
    maker = maker_of(host, name)
    task = task_of(host, maker, keep=[])
    far, near = (
        float((maker.sample(replace(task, strength=strength)).video - task.given.video).square().mean())
        for strength in (1.0, 0.3)
    )
    assert near < 0.8 * far


def test_a_seed_is_a_clip(host):
    maker = maker_of(host, "wan22")
    task = task_of(host, maker, keep=[0], seed=0)
    again, other = (maker.sample(replace(task, seed=seed)).video for seed in (0, 1))
    assert furthest(again, maker.sample(task).video) == 0
    assert furthest(again, other) > 0.1


@pytest.mark.parametrize("name", ["wan22", "h3", "ours"])
def test_an_interrupt_reaches_through(host, name):
    import comfy.model_management as management

    maker = maker_of(host, name)
    task = task_of(host, maker, keep=[0])
    video, calls = task.given.video, []

    def stop(execute, *given, **named):
        calls.append(1)
        management.interrupt_current_processing(True)
        return execute(*given, **named)

    maker.model.add_wrapper_with_key("diffusion_model", "stop", stop)
    try:
        with pytest.raises(management.InterruptProcessingException):
            maker.sample(task)
        assert len(calls) <= 2
        for function in (
            lambda: maker.encode_video(film(maker)),
            lambda: list(maker.decode_video(video)),
        ):
            management.interrupt_current_processing(True)
            with pytest.raises(management.InterruptProcessingException):
                function()
    finally:
        management.interrupt_current_processing(False)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_still_comes_back_from_its_latents(host, name):
    """One colour per cell, as the tiny VAEs have it; ours has random weights and only the right shape."""
    maker = maker_of(host, name)
    frames = film(maker)
    cell = maker.vae.spacial_compression_encode()
    still = frames[:1, ::cell, ::cell].repeat_interleave(cell, 1).repeat_interleave(cell, 2).expand_as(frames)
    pieces = list(maker.decode_video(maker.encode_video(still)))
    made = torch.cat(pieces)
    assert made.dtype == torch.uint8
    assert made.shape == frames.shape
    assert max(len(piece) for piece in pieces) <= 16
    if name != "ours":
        assert furthest(made, still) <= 1


@pytest.mark.parametrize("name", WITH_SOUND)
@pytest.mark.parametrize("seconds", [0.4, 1.0, 1.73])
def test_sound_fills_exactly_so_many_latents(host, name, seconds):
    maker = maker_of(host, name)
    sound = maker.profile.sound
    latents = sound.latents(1.0)
    audio = maker.encode_sound(wave(maker, seconds), latents)
    assert audio.shape[3 if name == "h3" else 2] == latents
    made = maker.decode_sound(audio)
    assert made.shape == (sound.channels, sound.rate)
    assert made.dtype == torch.float32
    if name != "ours" and seconds < 1:
        assert float(made[:, round(sound.rate * (seconds + 0.05)) :].abs().max()) < 1e-6


@pytest.mark.parametrize("name", ["ltxav", "h3"])
def test_sound_stays_in_its_place(host, name):
    """The host would cut sound to a multiple of the VAE's step at both ends, and so move it."""
    maker = maker_of(host, name)
    sound = maker.profile.sound
    steps = torch.zeros(sound.channels, sound.rate)
    steps[:, int(sound.rate * 0.4) :] = 0.5
    made = maker.decode_sound(maker.encode_sound(steps, sound.latents(1.0)))
    assert decibels(made, steps, peak=1.0) > 40


@pytest.mark.parametrize("name", WITH_SOUND)
def test_one_channel_and_two_are_taken(host, name):
    maker = maker_of(host, name)
    one = wave(maker, 0.5)[:1]
    latents = maker.profile.sound.latents(0.5)
    mono, stereo = (maker.encode_sound(given, latents) for given in (one, one.expand(2, -1)))
    assert furthest(mono, stereo) < 1e-5
