"""A seed means the same clip in ComfyUI and in the library: shipped model, float32, both on the CPU."""

from __future__ import annotations

import pytest
import torch
from prompts import PROMPT, SHIPPED, SMALL, Clip, decibels, picture

from sora_core.pipeline import Pipeline
from sora_core.request import Request

SAME = 40.0
"""Decibels that two runs of the same arithmetic reach at least; bytes alone leave 59 dB."""

DIFFERENT = 30.0
"""Decibels that clips of two seeds stay below: the scene of one prompt is alike in all of them."""

STEPS = 8

CUE = "a small blue box slides to the left on sand"


@pytest.fixture(scope="module")
def library():
    return Pipeline.load(device="cpu")


@pytest.fixture
def same(record_property, tell):
    """Compare the nodes' frames and sound with the library's clip, print the figures and require `SAME`."""

    def compare(name, frames, sound, clip, *, at_least=SAME):
        shown = clip.frames.float() / 255
        assert frames.shape == shown.shape
        figures = {"picture": decibels(frames, shown, peak=1.0)}
        if clip.audio is not None:
            wave = sound["waveform"][0, 0]
            assert sound["sample_rate"] == 16000
            assert wave.shape == clip.audio.shape
            figures["sound"] = decibels(wave, clip.audio)
        # A comparison of nothing with nothing would pass too.
        assert float(shown.std()) > 0.05
        tell(f"{name}: " + ", ".join(f"{half} {value:.1f} dB" for half, value in figures.items()))
        for half, value in figures.items():
            record_property(half, value)
            assert value >= at_least, (half, value)

    return compare


def sampled(host, seed=3, **inputs):
    """Return the frames and sounds that the nodes make with the library's defaults, but for what is named."""
    clip = Clip(host, SHIPPED)
    latent = clip.empty(size=64, seconds=2.0, batch=inputs.pop("batch", 1), sound=inputs.pop("sound", True))
    _, images, audio = clip.decode(clip.sora(latent, **{"seed": seed, "steps": STEPS, "cfg": 4.0, **inputs}))
    return clip, images, audio


def made(clip, images, audio):
    """Run, and return the frames and the sound."""
    return clip.values(images, audio)


@pytest.mark.parametrize("solver", ["euler", "heun", "dpmpp_2m", "unipc"])
def test_the_same_seed_gives_the_same_clip(host, library, same, solver):
    frames, sound = made(*sampled(host, solver=solver))
    (wanted,) = library.generate(Request(prompt=PROMPT, **SMALL, seed=3, steps=STEPS, solver=solver))
    same(f"text to video, {solver}", frames, sound, wanted)


def test_the_defaults_are_the_same(host, library, same):
    """No knob is turned here but the seed, at either side."""
    clip = Clip(host, SHIPPED)
    node = clip.graph.host.nodes.NODE_CLASS_MAPPINGS["SoraEmptyLatent"]
    first = node.INPUT_TYPES()["required"]["size"][1]["default"]
    made = clip.add(
        "SoraSampler",
        model=clip.model,
        positive=clip.positive,
        negative=clip.negative,
        latent=clip.add("SoraEmptyLatent", size=first),
        seed=5,
    )
    _, images, audio = clip.decode(made)
    frames, sound = clip.values(images, audio)
    (wanted,) = library.generate(Request(prompt=PROMPT, **SMALL, seed=5))
    same("text to video, every default", frames, sound, wanted)


@pytest.mark.parametrize("steps", [8, 4])
def test_the_quick_model_is_the_librarys(host, library, same, steps):
    clip = Clip(host, SHIPPED, speed=f"quick, {steps} steps")
    _, images, audio = clip.decode(clip.sora(clip.empty(size=64, seconds=2.0), seed=3, steps=steps, cfg=1.0))
    frames, sound = clip.values(images, audio)
    # 8 steps are what a request gets that leaves the sampler open
    knobs = {} if steps == 8 else {"quick": True, "steps": steps}
    (wanted,) = library.generate(Request(prompt=PROMPT, seconds=2.0, seed=3, **knobs))
    same(f"quick, {steps} steps", frames, sound, wanted)


def test_another_seed_gives_another_clip(host, library):
    frames, _ = made(*sampled(host, seed=4))
    (other,) = library.generate(Request(prompt=PROMPT, **SMALL, seed=3, steps=STEPS))
    assert decibels(frames, other.frames.float() / 255, peak=1.0) < DIFFERENT


def test_a_variation_is_the_clip_of_its_own_seed(host, library, same):
    clip, images, audio = sampled(host, seed=20, batch=2)
    # A list output calls the next node once for each of the list; the second call's values stay.
    frames, sound = clip.values(images, audio)
    (alone,) = library.generate(Request(prompt=PROMPT, **SMALL, seed=21, steps=STEPS))
    same("variation 1 of a batch", frames, sound, alone)


def test_without_sound_the_picture_is_made_all_the_same(host, library, same):
    frames, sound = made(*sampled(host, sound=False))
    assert sound is None
    (wanted,) = library.generate(Request(prompt=PROMPT, **SMALL, seed=3, steps=STEPS, audio=False))
    same("picture alone", frames, sound, wanted)


@pytest.mark.parametrize(
    ("inputs", "request_knobs"),
    [
        ({"audio_cfg": 1.5}, {"audio_guidance": 1.5}),
        ({"cfg": 1.0, "audio_cfg": 3.0}, {"guidance": 1.0, "audio_guidance": 3.0}),
        ({"cfg_rescale": 0.7}, {"guidance_rescale": 0.7}),
        ({"audio_cfg": 2.0, "cfg_rescale": 0.5}, {"audio_guidance": 2.0, "guidance_rescale": 0.5}),
        ({"shift": 4.0}, {"shift": 4.0}),
        ({"cfg": 1.0}, {"guidance": 1.0}),
    ],
)
def test_guidance_and_shift_are_the_librarys(host, library, same, inputs, request_knobs):
    frames, sound = made(*sampled(host, **inputs))
    wanted = {"guidance": 4.0, **request_knobs}
    (clip,) = library.generate(Request(prompt=PROMPT, **SMALL, seed=3, steps=STEPS, **wanted))
    same(", ".join(f"{name} {value}" for name, value in inputs.items()), frames, sound, clip)


@pytest.mark.parametrize("rescale", [0.0, 0.7])
@pytest.mark.parametrize("places", [("first",), ("last",), ("first", "last")])
def test_image_to_video_is_the_librarys(host, library, same, places, rescale):
    images = {place: picture(64, 64, seed) for seed, place in enumerate(places)}
    clip = Clip(host, SHIPPED)
    latent = clip.add(
        "SoraImageToVideo",
        vae=clip.vae,
        latent=clip.empty(size=64, seconds=2.0),
        **{f"{place}_image": clip.give(image) for place, image in images.items()},
    )
    made = clip.sora(latent, seed=3, steps=STEPS, cfg=4.0, cfg_rescale=rescale)
    _, shown, audio = clip.decode(made)
    frames, sound = clip.values(shown, audio)
    knobs = {"first": "image", "last": "last_image"}
    given = {knobs[place]: (image[0] * 255).round().to(torch.uint8).numpy() for place, image in images.items()}
    (wanted,) = library.generate(
        Request(prompt=PROMPT, **SMALL, seed=3, steps=STEPS, guidance_rescale=rescale, **given)
    )
    same(f"image to video, {' and '.join(places)}, rescale {rescale:g}", frames, sound, wanted)


@pytest.mark.parametrize("count", [1, 2])
def test_references_are_the_librarys(host, library, same, count):
    images = [picture(64, 64, seed) for seed in range(count)]
    clip = Clip(host, SHIPPED)
    names = ("image", "image_2")
    positive, negative = clip.graph.add(
        "SoraReference",
        positive=clip.positive,
        negative=clip.negative,
        vae=clip.vae,
        **{name: clip.give(image) for name, image in zip(names, images, strict=False)},
    )
    made = clip.sora(
        clip.empty(size=64, seconds=2.0), seed=3, steps=STEPS, cfg=4.0, positive=positive, negative=negative
    )
    _, shown, audio = clip.decode(made)
    frames, sound = clip.values(shown, audio)
    given = [(image[0] * 255).round().to(torch.uint8).numpy() for image in images]
    (wanted,) = library.generate(Request(prompt=PROMPT, **SMALL, seed=3, steps=STEPS, references=given))
    same(f"{count} references", frames, sound, wanted)
    (plain,) = library.generate(Request(prompt=PROMPT, **SMALL, seed=3, steps=STEPS))
    assert decibels(frames, plain.frames.float() / 255, peak=1.0) < SAME


def test_a_clip_comes_back_from_encode_and_decode(host, library):
    (wanted,) = library.generate(Request(prompt=PROMPT, **SMALL, seed=3, steps=STEPS))
    clip = Clip(host, SHIPPED)
    latent = clip.add(
        "SoraEncode",
        vae=clip.vae,
        audio_vae=clip.audio_vae,
        images=clip.give(wanted.frames.float() / 255),
        audio=clip.give({"waveform": wanted.audio[None, None], "sample_rate": 16000}),
        fps=12.0,
    )
    made, images, audio = clip.values(latent, *clip.decode(latent)[1:])
    film = torch.cat([wanted.frames, wanted.frames[-1:]])
    video = library.encode_video(film)
    assert decibels(made["samples"].unbind()[0], video) >= SAME
    assert images.shape == wanted.frames.shape
    assert audio["waveform"].shape[-1] == len(wanted.audio)
    assert decibels(images, wanted.frames.float() / 255, peak=1.0) > 20


def test_an_encoded_sound_is_the_librarys(host, library):
    (wanted,) = library.generate(Request(prompt=PROMPT, **SMALL, seed=3, steps=STEPS))
    clip = Clip(host, SHIPPED)
    sound = {"waveform": wanted.audio[None, None], "sample_rate": 16000}
    latent = clip.add(
        "SoraEncode",
        vae=clip.vae,
        audio_vae=clip.audio_vae,
        images=clip.give(wanted.frames.float() / 255),
        audio=clip.give(sound),
    )
    audio = clip.values(latent)["samples"].unbind()[1]
    ours = library.encode_audio(wanted.audio, audio.shape[2])
    assert decibels(audio, ours) >= SAME


def test_stereo_loses_neither_side(host):
    clip = Clip(host, SHIPPED)
    left = torch.sin(torch.arange(16000) * 0.2)
    frames = picture(64, 64).expand(12, -1, -1, -1)
    latents = []
    for pair in ([left, torch.zeros_like(left)], [torch.zeros_like(left), left]):
        sound = {"waveform": torch.stack(pair)[None], "sample_rate": 16000}
        latent = clip.add(
            "SoraEncode", vae=clip.vae, audio_vae=clip.audio_vae, images=clip.give(frames), audio=clip.give(sound)
        )
        latents.append(clip.values(latent)["samples"].unbind()[1])
    assert decibels(latents[0], latents[1]) > SAME


def test_a_cue_takes_over_as_in_the_library(host, library, same):
    clip = Clip(host, SHIPPED)
    cues = host.pack("nodes.adapters.cues")
    other = clip.add("CLIPTextEncode", text=CUE, clip=clip.clip)
    first, second, negative = clip.values(clip.positive, other, clip.negative)
    texts = {
        "positive": clip.give(cues.set_cues(first, [(0.75, second)])),
        "negative": clip.give(cues.set_cues(negative, [(0.75, negative)])),
    }
    latent = clip.empty(size=64, seconds=2.0)
    _, images, audio = clip.decode(clip.sora(latent, seed=3, steps=STEPS, cfg=4.0, **texts))
    frames, sound = made(clip, images, audio)
    (wanted,) = library.generate(Request(prompt=PROMPT, cues=((0.75, CUE),), **SMALL, seed=3, steps=STEPS))
    same("a cue", frames, sound, wanted)
    (plain,) = library.generate(Request(prompt=PROMPT, **SMALL, seed=3, steps=STEPS))
    assert decibels(frames, plain.frames.float() / 255, peak=1.0) < DIFFERENT


def test_a_longer_shot_is_made_in_the_same_parts(host, library, same):
    clip = Clip(host, SHIPPED)
    cue = clip.add("CLIPTextEncode", text=CUE, clip=clip.clip)
    shot = clip.add(
        "SoraShot",
        model=clip.model,
        positive=clip.positive,
        negative=clip.negative,
        vae=clip.vae,
        audio_vae=clip.audio_vae,
        seconds=3.0,
        width=64,
        height=64,
        seed=3,
        steps=4,
        cfg=4.0,
        **{"cue_times": "2.2", "cues.cue_0": cue},
    )
    video = clip.values(shot)
    film = host.pack("nodes.adapters.films").film_of(video)
    frames = torch.cat(list(film.frames())).float() / 255
    request = Request(prompt=PROMPT, **{**SMALL, "seconds": 3.0}, seed=3, steps=4, cues=((2.2, CUE),))
    (wanted,) = library.generate(request)
    same("a longer shot", frames, {"waveform": film.sound()[None], "sample_rate": 16000}, wanted)
