"""Both samplers over our MODEL: core's and Sora's, whole and masked, and the same clip as the library's."""

from __future__ import annotations

import pytest
import torch
from prompts import SHIPPED, Clip, furthest, halves, picture

CORE_SAMPLERS = ("euler", "euler_ancestral", "dpmpp_2m", "heun", "res_multistep", "uni_pc")

KEPT = 4e-7
"""The host mixes kept frames in by multiplying with the mask, which may cost the last bit."""


@pytest.mark.parametrize("sampler", CORE_SAMPLERS)
@pytest.mark.parametrize("kind", ["nested", "video", "batch", "varied"])
def test_core_samplers_run_on_every_kind_of_latent(host, sampler, kind):
    clip = Clip(host)
    latent = clip.empty(sound=kind != "video", batch=2 if kind == "batch" else 1)
    if kind == "varied":
        latent = clip.ksampler(latent, seed=7)
    given = latent
    steps = {"steps": 4, "denoise": 0.5} if kind == "varied" else {"steps": 3}
    before, after = clip.values(given, clip.ksampler(latent, sampler_name=sampler, **steps))
    streams = halves(after)
    assert [list(s.shape) for s in streams] == [list(s.shape) for s in halves(before)]
    assert len(streams) == (1 if kind == "video" else 2)
    for stream, old in zip(streams, halves(before), strict=True):
        assert bool(torch.isfinite(stream).all())
        assert float(stream.std()) > 0.01
        assert furthest(stream, old) > 0.01
    if kind == "batch":
        assert furthest(streams[0][:1], streams[0][1:]) > 0.01


def test_a_weaker_denoise_stays_nearer_to_the_source(host):
    clip = Clip(host)
    source = clip.ksampler(clip.empty(), seed=7)
    links = [clip.ksampler(source, steps=8, denoise=share) for share in (0.25, 1.0)]
    links += [clip.sora(source, steps=8, denoise=share) for share in (0.25, 1.0)]
    given, *made = (halves(latent) for latent in clip.values(source, *links))
    for weak, strong in (made[:2], made[2:]):
        for stream in (0, 1):
            near, far = ((one[stream] - given[stream]).square().mean() for one in (weak, strong))
            assert near < 0.8 * far


@pytest.mark.parametrize("sampler", ["KSampler", "SoraSampler"])
@pytest.mark.parametrize("sound", [True, False])
@pytest.mark.parametrize("places", [("first",), ("last",), ("first", "last")])
def test_kept_pictures_come_back_and_the_rest_is_made(host, picture_pair, sampler, sound, places):
    clip = Clip(host)
    images = {f"{place}_image": clip.give(picture_pair[place]) for place in places}
    kept = clip.add("SoraImageToVideo", vae=clip.vae, latent=clip.empty(sound=sound), **images)
    made = clip.ksampler(kept, steps=3) if sampler == "KSampler" else clip.sora(kept, steps=3)
    before, after = (halves(latent) for latent in clip.values(kept, made))
    frames = before[0].shape[2]
    indices = sorted({"first": 0, "last": frames - 1}[place] for place in places)
    assert float(before[0][:, :, indices].abs().min()) > 0
    assert furthest(after[0][:, :, indices], before[0][:, :, indices]) <= KEPT
    others = [frame for frame in range(frames) if frame not in indices]
    assert float(after[0][:, :, others].std()) > 0.05
    if sound:
        assert float(after[1].std()) > 0.05


def test_a_second_keeping_adds_to_the_first(host, picture_pair):
    clip = Clip(host)
    once = clip.add("SoraImageToVideo", vae=clip.vae, latent=clip.empty(), first_image=clip.give(picture_pair["first"]))
    twice = clip.add("SoraImageToVideo", vae=clip.vae, latent=once, last_image=clip.give(picture_pair["last"]))
    both = clip.add(
        "SoraImageToVideo",
        vae=clip.vae,
        latent=clip.empty(),
        first_image=clip.give(picture_pair["first"]),
        last_image=clip.give(picture_pair["last"]),
    )
    a, b, first = clip.values(twice, both, once)
    assert furthest(halves(a)[0], halves(b)[0]) == 0
    assert furthest(a["noise_mask"].unbind()[0], b["noise_mask"].unbind()[0]) == 0
    # the input is the cache of an earlier node
    assert float(first["noise_mask"].unbind()[0][:, :, -1].min()) == 1


def test_a_kept_sound_comes_back(host):
    """What core's SetLatentNoiseMask cannot say of a nested latent, a nested mask can."""
    clip = Clip(host)
    source = clip.values(clip.ksampler(clip.empty(), seed=7))
    video, audio = halves(source)
    nested = type(source["samples"])
    masks = nested([torch.ones(1, 1, video.shape[2], 1, 1), torch.zeros(1, 1, audio.shape[2], 1)])
    for make in (clip.ksampler, clip.sora):
        made = halves(clip.values(make(clip.give({**source, "noise_mask": masks}), steps=3)))
        assert furthest(made[1], audio) <= KEPT
        assert furthest(made[0], video) > 0.05


def test_a_picture_mask_within_frames_is_kept_cell_by_cell(host):
    clip = Clip(host)
    source = clip.values(clip.ksampler(clip.empty(sound=False), seed=7))
    (video,) = halves(source)
    mask = torch.ones(1, 1, video.shape[2], *video.shape[3:])
    mask[..., : video.shape[-1] // 2] = 0
    for make in (clip.ksampler, clip.sora):
        (made,) = halves(clip.values(make(clip.give({**source, "noise_mask": mask}), steps=3)))
        left, right = made.tensor_split(2, -1)
        assert furthest(left, video.tensor_split(2, -1)[0]) <= KEPT
        assert furthest(right, video.tensor_split(2, -1)[1]) > 0.05


@pytest.mark.parametrize("solver", ["euler", "heun", "dpmpp_2m", "unipc"])
@pytest.mark.parametrize("kept", [False, True])
def test_solver_and_sigmas_in_custom_sampling_make_the_same_clip(host, picture_pair, solver, kept):
    clip = Clip(host)
    latent = clip.empty()
    if kept:
        latent = clip.add("SoraImageToVideo", vae=clip.vae, latent=latent, first_image=clip.give(picture_pair["first"]))
    whole = clip.sora(latent, solver=solver, steps=5, seed=11, cfg=2.5)
    samples = clip.values(latent)["samples"]
    noise = host.pack("nodes.adapters.latents").draw_noise(samples, 11)

    class Drawn:
        seed = 11

        def generate_noise(self, _latent):
            return noise

    rate = clip.values(latent)["sora_fps"]
    texts = [
        clip.add("LTXVConditioning", positive=clip.positive, negative=clip.negative, frame_rate=rate),
        clip.graph.add("LTXVConditioning", positive=clip.positive, negative=clip.negative, frame_rate=rate)[1],
    ]
    guider = clip.add("CFGGuider", model=clip.model, positive=texts[0], negative=texts[1], cfg=2.5)
    parts = clip.add(
        "SamplerCustomAdvanced",
        noise=clip.give(Drawn()),
        guider=guider,
        sampler=clip.add("SoraSolver", solver=solver),
        sigmas=clip.add("SoraSigmas", model=clip.model, steps=5),
        latent_image=latent,
    )
    one, other = (halves(value) for value in clip.values(whole, parts))
    for a, b in zip(one, other, strict=True):
        assert furthest(a, b) <= 1e-5


def test_sigmas_fall_to_zero_and_follow_shift_and_denoise(host):
    clip = Clip(host, SHIPPED)
    links = [
        clip.add("SoraSigmas", model=clip.model, steps=10),
        clip.add("SoraSigmas", model=clip.model, steps=10, denoise=0.5),
        clip.add("SoraSigmas", model=clip.model, steps=20),
        clip.add("SoraSigmas", model=clip.model, steps=10, shift=9.0),
    ]
    whole, half, longer, shifted = clip.values(*links)
    for sigmas in (whole, half, longer, shifted):
        assert float(sigmas[-1]) == 0
        assert bool((sigmas.diff() < 0).all())
        assert len(sigmas) in {11, 21}
    assert float(whole[0]) == 1
    assert furthest(half, longer[-11:]) == 0
    assert float(shifted[5]) > float(whole[5])


def test_the_largest_seed_serves_a_batch(host):
    clip = Clip(host)
    last = 0xFFFFFFFFFFFFFFFF
    made = halves(clip.values(clip.sora(clip.empty(batch=2), seed=last)))
    assert furthest(made[0][:1], made[0][1:]) > 0.01


def test_the_sound_shift_is_heard_and_the_picture_shift_is_seen(host):
    clip = Clip(host)
    latent = clip.empty()
    links = [clip.sora(latent, steps=4), clip.sora(latent, steps=4, shift=6.0)]
    plain, shifted = (halves(value) for value in clip.values(*links))
    assert furthest(plain[0], shifted[0]) > 1e-3


@pytest.fixture(scope="module")
def picture_pair():
    """Two pictures of the size of the tests' clips."""
    return {"first": picture(32, 32, 1), "last": picture(32, 32, 2)}
