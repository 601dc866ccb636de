"""The measures of physics on ground truth, whose answers are known, and on broken clips, where each must fail."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from sora_core.errors import SoraError
from sora_core.evaluation.camera import CameraMotion
from sora_core.evaluation.comparison import comparison, read_figures
from sora_core.evaluation.contacts import find_rebounds, split_track
from sora_core.evaluation.counting import count_kept
from sora_core.evaluation.detector import Detection, Detector
from sora_core.evaluation.figures import Quality, figures
from sora_core.evaluation.materials import name_material
from sora_core.evaluation.measures import Judged
from sora_core.evaluation.onsets import find_onsets
from sora_core.evaluation.orbits import hops, is_circle, is_swing
from sora_core.evaluation.pairs import Collision
from sora_core.evaluation.physics import (
    NO_COLLISION,
    NO_MOTION,
    NO_REBOUND,
    camera_error,
    momentum_change,
    restitution_error,
    true_heights,
    velocity_error,
)
from sora_core.evaluation.run import onset_distances
from sora_core.types import SAMPLE_RATE, Clip, ClipFormat
from sora_core.world.render import render
from sora_core.world.spec import LEVELS, Attributes

FMT = ClipFormat()
WIDE = ClipFormat(width=96, height=96)


def shown(**words) -> Attributes:
    return Attributes(**{"colour": "red", "object": "ball", "size": "medium", "motion": "bounce", **words})


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(replace(LEVELS[3], objects=("ball", "box")))


def clip_of(attributes: Attributes, seed: int = 4, fmt: ClipFormat = FMT) -> Clip:
    batch = render([attributes], [seed], fmt)
    return Clip(batch.frames[0], batch.audio[0], fmt.fps)


# the detector beyond level 1


WHOLE_WORLD = [
    shown(motion="throw", direction="left", object="rocket", scene="meadow"),
    shown(motion="hop", direction="right", object="bird", colour="blue", scene="snow", weather="rain"),
    shown(motion="swing", object="fish", colour="yellow", camera="zoom out", scene="sand"),
    shown(motion="circle", object="tree", colour="purple", weather="snow", camera="pan left", scene="wooden floor"),
    shown(motion="spin", object="car", colour="orange", camera="zoom in", scene="meadow"),
    shown(motion="bounce", object="boat", colour="cyan", camera="pan right", scene="plain", material="wood"),
]


@pytest.mark.slow
@pytest.mark.parametrize("attributes", WHOLE_WORLD, ids=lambda a: f"{a.motion} {a.camera}")
def test_the_whole_world_is_read(attributes):
    seen = Detector(LEVELS[3])(clip_of(attributes, fmt=WIDE))
    names = ("colour", "object", "size", "motion", "direction", "scene", "camera", "weather")
    assert {name: getattr(seen, name) for name in names} == {name: getattr(attributes, name) for name in names}
    assert count_kept(seen.counts, 1)


def test_a_hop_in_the_rain_under_a_camera_that_pans_is_read(detector):
    attributes = shown(motion="hop", direction="right", weather="rain", camera="pan right", scene="meadow")
    seen = detector(clip_of(attributes))
    assert (seen.motion, seen.direction, seen.weather, seen.camera) == ("hop", "right", "rain", "pan right")


def test_paths_that_come_back_are_told_apart():
    time = np.arange(25) / 12
    circle = 0.5 + 0.2 * np.cos(3 * time), 0.4 + 0.2 * np.sin(3 * time)
    theta = 0.4 * np.cos(3 * time)
    swing = 0.5 + 0.45 * np.sin(theta), 0.03 + 0.45 * np.cos(theta)
    leaps = 0.7 - np.maximum(0, 0.08 * np.sin(2 * np.pi * time / 0.6))
    assert is_circle(*circle)
    assert not is_circle(*swing)
    assert is_swing(*swing)
    assert not is_swing(0.5 + 0 * time, 0.7 + 0 * time)
    assert hops(leaps) >= 2
    assert hops(0.7 + 0 * time) == hops(circle[1]) == 0


# restitution


def test_restitution_is_the_materials_and_not_another_ones(detector):
    for material in ("rubber", "metal"):
        seen = detector(clip_of(shown(material=material)))
        assert restitution_error(seen, material) < 0.02
    assert restitution_error(seen, "rubber") == pytest.approx(0.10, abs=0.03)
    assert restitution_error(Detection(motion="fall"), "rubber") == NO_REBOUND


def test_a_ball_that_leaps_higher_than_it_fell_is_wrong():
    time = np.arange(25) / 12
    strike = (2 * 0.3 / 4) ** 0.5
    since = np.clip(time - strike, 0, None)
    up = 1.1 * 4 * strike
    y = np.where(time < strike, 0.4 + 2 * time**2, 0.7 - up * since + 2 * since**2)
    rebounds = find_rebounds(split_track(y[:16], 12.0), 12.0)
    assert [out / into for into, out in rebounds] == [pytest.approx(1.1, abs=0.03)]


# motion from one image


def test_velocity_from_one_image_is_right_for_the_truth_and_wrong_under_other_gravity(detector):
    attributes = shown(motion="fall")
    clip, heights = clip_of(attributes), true_heights(attributes, 4, FMT)
    seen = detector(clip)
    assert velocity_error(seen, heights, 12.0) < 0.06
    slow = seen.path.copy()
    slow[:, 1] = slow[0, 1] + (slow[-1, 1] - slow[0, 1]) * np.linspace(0, 1, len(slow))
    assert velocity_error(replace(seen, path=slow), heights, 12.0) > 0.3
    assert velocity_error(Detection(), heights, 12.0) == NO_MOTION


def test_the_moment_of_release_is_left_open():
    attributes = shown(motion="bounce")
    heights = true_heights(attributes, 4, FMT)
    assert np.ptp(heights[:, 0]) == 0
    path = np.stack([0 * heights[30], heights[30]], 1)
    assert velocity_error(Detection(path=path, seen=(0.0, 2.0)), heights, 12.0) == 0


# two bodies


def test_a_true_collision_keeps_its_momentum(detector):
    attributes = shown(motion="collide", other=("blue", "box"))
    seen = detector(clip_of(attributes, 1))
    assert (seen.motion, seen.colour, seen.object, seen.other) == ("collide", "red", "ball", "blue box")
    assert momentum_change(seen) < 0.15
    assert count_kept(seen.counts, 2)
    stopped = seen.collision._replace(after=(0.0, 0.0))
    assert momentum_change(replace(seen, collision=stopped)) > 0.5
    assert momentum_change(Detection()) == NO_COLLISION


def test_momentum_is_that_of_masses():
    hit = Collision(1.0, (1.0, 0.0), (0.0, 0.25))
    assert momentum_change(Detection(collision=hit, radius=0.1, other_radius=0.2)) == pytest.approx(0)
    assert momentum_change(Detection(collision=hit, radius=0.1, other_radius=0.1)) == pytest.approx(0.75)


# the number of actors


def test_an_actor_that_vanishes_or_doubles_is_not_kept():
    detector = Detector(LEVELS[1])
    true = clip_of(shown(motion="stay"))
    assert count_kept(detector(true).counts, 1)
    gone = true.frames.clone()
    gone[14:] = gone[14:, :, :1]
    assert not count_kept(detector(true._replace(frames=gone)).counts, 1)
    double = true.frames.clone()
    double[8:, 4:30, :] = double[8:, 34:60, :]
    assert not count_kept(detector(true._replace(frames=double)).counts, 1)


def test_one_look_alone_is_not_believed_and_two_are():
    assert count_kept((1, 1, 2, 1, 1), 1)
    assert not count_kept((1, 2, 2, 1, 1), 1)
    assert count_kept((2, 2, 1, 1, 2, 2, 2, 2, 2, 2), 2)
    assert not count_kept((2, 2, 1, 1, 1, 1, 1, 2, 2, 2), 2)
    assert not count_kept((0, 0, 0), 1)


# the camera


@pytest.mark.parametrize(("word", "other"), [("pan left", "pan right"), ("zoom in", "zoom out"), ("still", "pan left")])
def test_camera_is_measured_and_a_reversed_one_is_wrong(detector, word, other):
    clip = clip_of(shown(motion="stay", camera=word, scene="meadow"))
    moved = detector(clip).moved
    pan, zoom = camera_error(word, moved, FMT.seconds, 1.0)
    assert pan < 1.0
    assert zoom < 0.02
    back = detector(clip._replace(frames=clip.frames.flip(0))) if word != "still" else detector(clip)
    pan, zoom = camera_error(word if word != "still" else other, back.moved, FMT.seconds, 1.0)
    assert pan > 5 or zoom > 0.1


def test_camera_errors_are_the_distance_from_the_range():
    assert camera_error("pan right", CameraMotion(0.35, 0.0), 1.0, 1.0) == (0, 0)
    assert camera_error("pan right", CameraMotion(-0.35, 0.0), 1.0, 1.0)[0] == pytest.approx(64 * 0.63)
    assert camera_error("still", CameraMotion(0.0, 0.2), 1.0, 1.0)[1] == pytest.approx(0.2)


# sound


@pytest.mark.parametrize("material", ["rubber", "wood", "metal"])
def test_material_is_heard(material):
    for obj, size in (("ball", "large"), ("ring", "small"), ("tree", "medium")):
        audio = render([shown(material=material, object=obj, size=size)], [3], FMT).audio[0].numpy()
        assert name_material(audio, SAMPLE_RATE, find_onsets(audio, SAMPLE_RATE)) == material
    assert name_material(np.zeros(32000), SAMPLE_RATE, np.zeros(0)) is None


def test_onsets_of_a_copy_are_as_far_off_as_it_is_late():
    sound = render([shown()], [3], FMT).audio[0].numpy()
    late = np.concatenate([np.zeros(80, np.float32), sound])[: len(sound)]
    assert max(onset_distances(sound, sound)) == 0
    assert np.median(onset_distances(sound, late)) == pytest.approx(0.005, abs=0.001)
    assert set(onset_distances(sound, np.zeros_like(sound))) == {0.25}


# old and new


def result(right: int, wrong: int) -> dict:
    def judged(colour: str) -> Judged:
        seen = Detection(colour=colour, counts=(1, 1, 1))
        return Judged(
            group="plain", expected={"colour": "red"}, detection=seen, first=torch.zeros(1, 1, 3, dtype=torch.uint8)
        )

    clips = [judged("red")] * right + [judged("blue")] * wrong
    column = figures(clips, ("colour",), Quality.perfect())
    shape = {"width": 64, "height": 64, "fps": 12.0, "seconds": 2.0}
    columns = dict.fromkeys(("ground_truth", "vae_round_trip", "shuffled"), column)
    return {**column, **columns, "clips": right + wrong, "level": 1, "format": shape, "seconds": 1.0}


def test_old_and_new_stand_side_by_side_with_intervals(tmp_path):
    text = comparison(result(9, 1), result(5, 5))
    (line,) = (line for line in text.splitlines() if line.startswith("colour"))
    assert "0.50 [0.19, 0.81]" in line
    assert "0.90 [0.55, 1.00]" in line
    assert line.endswith("new")
    assert "better in 2 figures and worse in 0" in text
    assert "different clips" not in text
    other_sampler = {**result(5, 5), "sampler": {"steps": 30, "guidance": 4.0, "quick": None}}
    assert "different clips" not in comparison(result(9, 1), other_sampler)
    assert "different clips" in comparison(result(9, 1), {**result(5, 5), "level": 2})
    file = tmp_path / "old.json"
    file.write_text(json.dumps(result(5, 5)))
    assert read_figures(file)["clips"] == 10
    file.write_text('{"clips": 3}')
    with pytest.raises(SoraError, match="holds no figures"):
        read_figures(file)
    with pytest.raises(SoraError, match="cannot be read"):
        read_figures(tmp_path / "none.json")
