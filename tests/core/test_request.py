"""Requests: every bad value has its sentence, and good ones land on the grid."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sora_core import request as module
from sora_core.errors import SoraError
from sora_core.request import ASPECTS, DEFAULT_ASPECT, Defaults, Request, resolve, size_for_aspect

DEFAULTS = Defaults()


def wish(**settings) -> Request:
    return Request(**{"prompt": "a red ball", **settings})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"prompt": " "}, ["prompt is empty", "for example"]),
        ({"prompt": "a ball \udcff"}, ["no text"]),
        ({"width": 70, "height": 64}, ["70x64", "nearest is 64x64"]),
        ({"width": 0, "height": 64}, ["0x64", "nearest is 16x64"]),
        ({"width": -64, "height": 64}, ["-64x64", "nearest"]),
        ({"width": 64}, ["go together"]),
        ({"width": 64000, "height": 64000}, ["64000x64000", "GiB of memory"]),
        ({"width": 64, "height": 64, "aspect": "1:1"}, ["give one"]),
        ({"aspect": "5:4"}, ["5:4", "9:16"]),
        ({"seconds": 0.0}, ["seconds 0", "more than 0"]),
        ({"seconds": -2.0}, ["seconds -2"]),
        ({"seconds": float("nan")}, ["seconds nan"]),
        ({"seconds": float("inf")}, ["seconds inf", "GiB of memory"]),
        ({"seconds": 1e9}, ["1e+09", "GiB of memory"]),
        ({"fps": 0.0}, ["fps 0"]),
        ({"fps": -1.0}, ["fps -1"]),
        ({"fps": 1e300}, ["fps 1e+300", "GiB of memory"]),
        ({"fps": 0.5}, ["fps 0.5", "at least 1"]),
        ({"steps": 0}, ["steps 0", "1000"]),
        ({"steps": 10**9}, ["steps 1000000000", "not more memory"]),
        ({"guidance": 0.0}, ["cfg 0"]),
        ({"guidance": -1.0}, ["cfg -1"]),
        ({"guidance": 1e6}, ["cfg 1e+06", "GiB of memory"]),
        ({"guidance": float("nan")}, ["cfg nan"]),
        ({"solver": "magic"}, ["magic", "euler, heun, dpmpp_2m"]),
        ({"variations": 0}, ["variations 0"]),
        ({"variations": 1000}, ["variations 1000"]),
        ({"seed": -1}, ["seed -1"]),
        ({"seed": 2**64}, ["seed"]),
        ({"shift": 0.0}, ["shift 0"]),
        ({"strength": 0.0}, ["strength 0", "at most 1"]),
        ({"strength": 1.5}, ["strength 1.5", "at most 1"]),
        ({"guidance_rescale": 2.0}, ["rescale 2"]),
        ({"references": (1, 2, 3)}, ["3 references", "2"]),
        ({"cues": ((0.0, "a box"),)}, ["cue at 0 s", "after the beginning"]),
        ({"cues": ((float("nan"), "a box"),)}, ["cue at nan s"]),
        ({"cues": ((1.0, "a box"), (0.5, "a star"))}, ["cue at 0.5 s", "after the one before it, at 1 s", "order"]),
        ({"cues": ((1.0, " "),)}, ["cue at 1 s is empty"]),
        ({"cues": ((3.0, "a box"),), "seconds": 2.0}, ["cue at 3 s", "ends at 2 s"]),
        ({"cues": tuple((i + 1.0, "a box") for i in range(9))}, ["9 cues", "8"]),
        ({"cues": ((1.0, "a \udcff"),)}, ["no text"]),
        ({"cues": ((1.0, "a box"),), "still": True}, ["still"]),
        ({"still": True, "seconds": 2.0}, ["still"]),
        ({"still": True, "image": "x.png"}, ["still"]),
    ],
)
def test_bad_values_are_refused_with_a_sentence(settings, words):
    with pytest.raises(SoraError) as caught:
        wish(**settings)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_cue_after_the_default_length_is_refused():
    assert resolve(wish(cues=((2.0, "a box"),)), DEFAULTS).frames == 25
    with pytest.raises(SoraError, match=r"cue at 2.5 s must start before the clip ends at 2.08333 s"):
        resolve(wish(cues=((2.5, "a box"),)), DEFAULTS)


def test_defaults_fill_what_is_not_said():
    plan = resolve(wish(), DEFAULTS)
    assert (plan.format.width, plan.format.height, plan.format.frames, plan.frames) == (64, 64, 25, 25)
    assert (plan.steps, plan.guidance, plan.audio_guidance, plan.solver) == (30, 4.0, 4.0, "euler")
    assert plan.samples == round(25 / 12 * 16000)


@pytest.mark.parametrize(
    ("seconds", "fps", "kept", "made"),
    [(2.0, 12.0, 24, 25), (2.1, 12.0, 25, 25), (2.2, 12.0, 26, 29), (0.01, 12.0, 1, 1), (1.0, 23.976, 24, 25)],
)
def test_length_is_rounded_up_to_the_grid_then_cut(seconds, fps, kept, made):
    plan = resolve(wish(seconds=seconds, fps=fps), DEFAULTS)
    assert (plan.frames, plan.format.frames) == (kept, made)
    assert plan.samples == round(kept / fps * 16000) <= plan.format.samples
    again = resolve(wish(seconds=plan.seconds, fps=fps), DEFAULTS)
    assert again == plan


def test_another_frame_rate_keeps_the_default_length():
    plan = resolve(wish(fps=24.0), DEFAULTS)
    assert plan.seconds == pytest.approx(25 / 12)


def test_still_is_one_silent_frame():
    plan = resolve(wish(still=True), DEFAULTS)
    assert (plan.frames, plan.format.frames, plan.samples) == (1, 1, 0)


def test_no_audio_keeps_the_picture_grid():
    plan = resolve(wish(audio=False), DEFAULTS)
    assert plan.samples == 0
    assert plan.format == resolve(wish(), DEFAULTS).format


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("pixels", [64 * 64, 128 * 128, 480 * 480])
def test_aspects_keep_the_area(aspect, pixels):
    width, height = size_for_aspect(aspect, pixels)
    across, down = ASPECTS[aspect]
    assert width % 16 == height % 16 == 0
    assert 0.6 < width * height / pixels < 1.6
    assert 0.7 < (width / height) / (across / down) < 1.4


def test_default_aspect_is_upright():
    assert DEFAULT_ASPECT == "9:16"
    assert size_for_aspect("1:1", 64 * 64) == (64, 64)


def test_more_than_the_free_memory_is_refused(monkeypatch):
    monkeypatch.setattr(module, "available_memory", lambda: 1 << 30)
    resolve(wish(), DEFAULTS)
    with pytest.raises(SoraError, match=r"would need about .* GiB of memory and 1.0 GiB are free"):
        resolve(wish(width=2048, height=2048), DEFAULTS)
    with pytest.raises(SoraError, match="variations"):
        resolve(wish(seconds=60.0, variations=64), DEFAULTS)


def test_guidance_of_one_needs_less_memory(monkeypatch):
    needed = [module.estimate_memory(DEFAULTS.format, 64, guided=guided) for guided in (True, False)]
    monkeypatch.setattr(module, "available_memory", lambda: sum(needed) // 2)
    resolve(wish(variations=64, guidance=1.0), DEFAULTS)
    with pytest.raises(SoraError):
        resolve(wish(variations=64), DEFAULTS)


def test_defaults_are_strict():
    assert Defaults.from_dict(DEFAULTS.to_dict()) == DEFAULTS
    with pytest.raises(SoraError, match="lacks solver"):
        Defaults.from_dict({key: value for key, value in DEFAULTS.to_dict().items() if key != "solver"})


def test_no_torch_is_loaded():
    code = "import sora_core.request, sora_core.checkpoint, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
