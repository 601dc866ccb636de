"""The measures on made-up clips with known answers, and the detector on rendered ones."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from sora_core.errors import SoraError
from sora_core.evaluation.contacts import NO_ARC_PX, find_contacts, gravity_error, gravity_residual_px, split_track
from sora_core.evaluation.detector import Detection, Detector
from sora_core.evaluation.figures import Quality, figures
from sora_core.evaluation.identity import identity
from sora_core.evaluation.measures import Judged, match_onsets, psnr_db, snr_db, synchrony
from sora_core.evaluation.onsets import find_onsets, is_silent
from sora_core.evaluation.prompts import GROUPS, draw_cases, expected, group_of
from sora_core.evaluation.report import ROWS, lookup, table
from sora_core.evaluation.run import evaluate, measure_pipeline, shuffled
from sora_core.evaluation.tracking import classify
from sora_core.media.mp4 import write_mp4
from sora_core.pipeline import Pipeline
from sora_core.types import SAMPLE_RATE, Clip, ClipFormat
from sora_core.world.captions import caption
from sora_core.world.reading import read_prompt
from sora_core.world.render import render
from sora_core.world.sample import sample_attributes
from sora_core.world.spec import FLOOR, GRAVITY, LEVELS, Attributes

FPS = 12.0
LEVEL = LEVELS[1]
TIME = np.arange(25) / FPS


def bounce(drop: float = 0.5, restitution: float = 0.78, gravity: float = GRAVITY) -> tuple[np.ndarray, list[float]]:
    """Heights of a body dropped at 0 s, and when it strikes."""
    y, contacts = FLOOR - 0.13 - drop + 0.5 * gravity * TIME**2, []
    strike, speed = (2 * drop / gravity) ** 0.5, (2 * drop * gravity) ** 0.5
    while strike < TIME[-1]:
        contacts.append(strike)
        speed *= restitution
        since = TIME - strike
        y = np.where(since >= 0, FLOOR - 0.13 - speed * since + 0.5 * gravity * since**2, y)
        strike += 2 * speed / gravity
    return y, contacts


def strikes(times: list[float], seconds: float = 2.12) -> np.ndarray:
    """Decaying tones that start at the given times."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sound = np.zeros_like(t)
    for start in times:
        since = np.clip(t - start, 0, None)
        sound += 0.5 * np.sin(2 * np.pi * 420 * since) * np.exp(-since / 0.06) * (t >= start)
    return sound


def shown(**words: str) -> Attributes:
    return Attributes(**{"colour": "red", "object": "ball", "size": "large", "motion": "bounce", **words})


def filmed(attributes: Attributes, seed: int = 0, **size: int) -> Clip:
    fmt = ClipFormat(**size)
    batch = render([attributes], [seed], fmt)
    return Clip(batch.frames[0], batch.audio[0], fmt.fps)


def judged(detection: Detection, group: str = "plain", **words: str) -> Judged:
    return Judged(group=group, expected=words, detection=detection, first=torch.zeros(2, 2, 3, dtype=torch.uint8))


# flights and contacts


def test_perfect_bounce_is_found_to_a_millisecond():
    y, contacts = bounce()
    segments = split_track(y, FPS)
    assert np.allclose(find_contacts(segments, FPS), contacts, atol=1e-3)
    assert gravity_residual_px(segments) < 0.01
    assert gravity_error(segments) < 1e-3


def test_contacts_stand_noise_of_a_quarter_pixel():
    y, contacts = bounce()
    found = find_contacts(split_track(y + np.random.default_rng(0).normal(0, 0.25 / 64, 25), FPS), FPS)
    assert len(found) == len(contacts)
    assert np.abs(found - contacts).max() < 0.01


def test_other_gravity_is_an_error_of_g_and_no_residual():
    segments = split_track(bounce(gravity=1.2 * GRAVITY)[0], FPS)
    assert gravity_residual_px(segments) < 0.1
    assert gravity_error(segments) == pytest.approx(0.2, abs=0.02)


def test_still_object_has_no_contact_and_counts_as_no_flight():
    segments = split_track(np.full(25, 0.7), FPS)
    assert len(find_contacts(segments, FPS)) == 0
    assert gravity_residual_px(segments) == NO_ARC_PX
    assert gravity_error(segments) is None


def test_steady_descent_is_no_free_flight():
    assert gravity_residual_px(split_track(0.2 + 0.25 * TIME, FPS)) == NO_ARC_PX


def test_fall_is_one_contact_where_the_flight_meets_the_rest():
    y = np.minimum(0.2 + 0.5 * GRAVITY * np.clip(TIME - 0.2, 0, None) ** 2, 0.7)
    assert np.allclose(find_contacts(split_track(y, FPS), FPS), [0.2 + 0.25**0.5], atol=5e-3)


def test_jerky_flight_has_a_residual_of_about_its_jerks():
    y = bounce()[0] + np.tile([1.0, -1.0], 13)[:25] / 64
    assert 0.5 < gravity_residual_px(split_track(y, FPS)) <= NO_ARC_PX


@pytest.mark.parametrize(
    ("motion", "x", "y"),
    [
        ("stay", 0.5 + 0 * TIME, 0.7 + 0 * TIME),
        ("roll", 0.2 + 0.3 * TIME, 0.7 + 0 * TIME),
        ("slide", 0.2 + 0.6 * np.minimum(TIME / 1.4, 1) * (2 - np.minimum(TIME / 1.4, 1)), 0.7 + 0 * TIME),
        ("rise", 0.5 + 0 * TIME, 0.7 - 0.25 * TIME),
        ("fall", 0.5 + 0 * TIME, np.minimum(0.2 + 2 * TIME**2, 0.7)),
        ("bounce", 0.5 + 0.05 * TIME, bounce()[0]),
    ],
)
def test_motion_is_read_from_the_path(motion, x, y):
    assert classify(x, y, find_contacts(split_track(y, FPS), FPS), FPS)[0] == motion
    assert classify(1 - x, y, np.zeros(0), FPS)[1] == ("left" if motion in ("slide", "roll") else "")


# onsets


def test_onsets_are_found_to_a_millisecond():
    times = [0.3, 0.71, 1.2, 1.52]
    assert np.allclose(find_onsets(strikes(times), SAMPLE_RATE), times, atol=1.5e-3)


def test_onsets_stand_noise():
    sound = strikes([0.4, 1.1]) + np.random.default_rng(0).normal(0, 0.003, 33920)
    assert np.allclose(find_onsets(sound, SAMPLE_RATE), [0.4, 1.1], atol=4e-3)


def test_silence_and_broken_sound_have_no_onsets():
    for sound in (np.zeros(1600), np.zeros(0), np.full(1600, np.nan), np.full(1600, 1e-3)):
        assert len(find_onsets(sound, SAMPLE_RATE)) == 0
    assert is_silent(np.full(100, 1e-3))
    assert not is_silent(strikes([0.1]))


@pytest.mark.parametrize(("shift_ms", "hits"), [(0, 3), (30, 3), (-30, 3), (80, 0)])
def test_shifted_onsets_have_that_offset(shift_ms, hits):
    contacts = np.array([0.5, 1.0, 1.5])
    onsets = find_onsets(strikes(list(contacts + shift_ms / 1000)), SAMPLE_RATE)
    found = match_onsets(contacts, onsets)
    assert (found.hits, found.misses, found.false) == (hits, 3 - hits, 3 - hits)
    assert np.allclose(np.array(found.offsets) * 1000, abs(shift_ms), atol=2)


def test_unheard_contacts_are_misses_at_the_cap():
    found = match_onsets(np.array([0.5, 1.0]), np.zeros(0))
    assert (found.hits, found.misses, found.false) == (0, 2, 0)
    assert found.offsets == (0.25, 0.25)


def test_each_onset_answers_for_one_contact():
    found = match_onsets(np.array([0.50, 0.54]), np.array([0.52]))
    assert (found.hits, found.misses) == (1, 1)
    assert match_onsets(np.array([0.50, 0.54]), np.array([0.52, 0.58])).hits == 2


def test_a_prompt_that_strikes_misses_even_where_nothing_is_seen():
    none = np.zeros(0)
    assert match_onsets(none, none).misses == 0
    assert match_onsets(none, none, must_strike=True).offsets == (0.25,)
    nothing = judged(Detection(), motion="bounce")
    assert synchrony([nothing]) == (0.0, 250.0, 250.0)


def test_onset_after_the_last_frame_is_not_false():
    assert match_onsets(np.zeros(0), np.array([0.5, 2.05]), until=2.0).false == 1


def test_random_sound_scores_low():
    generator = np.random.default_rng(0)
    clips = []
    for _ in range(40):
        onsets = np.sort(generator.uniform(0, 2, 3))
        seen = Detection(contacts=np.array(bounce()[1]), onsets=onsets, seen=(0.0, 2.0))
        clips.append(judged(seen, motion="bounce"))
    f1, offset_ms, _ = synchrony(clips)
    assert f1 < 0.3
    assert offset_ms > 80


# signals


def test_signal_ratios_are_the_closed_form():
    first = torch.zeros(4, 4, 3, dtype=torch.uint8)
    assert psnr_db(first, first) == 100
    assert psnr_db(first, first + 1) == pytest.approx(20 * np.log10(255))
    sound = torch.from_numpy(strikes([0.2]))
    assert snr_db(sound, sound) == 100
    assert snr_db(sound, 0.9 * sound) == pytest.approx(20)


# the detector


CLIPS = [
    (shown(), 1),
    (shown(colour="white", object="star", size="medium", motion="roll", direction="left", scene="sand"), 2),
    (shown(colour="blue", object="ring", size="small", motion="fall", scene="dark floor"), 3),
    (shown(colour="orange", object="box", motion="stay", scene="wooden floor"), 4),
    (shown(colour="cyan", object="box", size="small", motion="slide", direction="right"), 5),
    (shown(colour="purple", object="star", motion="rise", scene="dark floor"), 6),
    (shown(colour="yellow", object="ring", size="medium", scene="sand"), 7),
    (shown(colour="green", size="small", motion="roll", direction="right", scene="wooden floor"), 8),
]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(LEVEL)


@pytest.mark.slow
@pytest.mark.parametrize(("attributes", "seed"), CLIPS)
def test_detector_names_everything_in_a_rendered_clip(detector, attributes, seed):
    seen = detector(filmed(attributes, seed))
    assert {name: getattr(seen, name) for name in LEVEL.attributes} == {
        name: getattr(attributes, name) for name in LEVEL.attributes
    }


@pytest.mark.parametrize(
    "size", [{"width": 48, "height": 80}, {"width": 96, "height": 96}, {"width": 32, "height": 32}]
)
def test_detector_reads_other_sizes(detector, size):
    seen = detector(filmed(shown(colour="green", motion="fall", scene="sand"), 3, **size))
    assert (seen.colour, seen.motion, seen.size, seen.scene) == ("green", "fall", "large", "sand")


def test_contacts_seen_and_heard_are_the_true_ones(detector):
    batch = render([shown()], [5])
    seen = detector(Clip(batch.frames[0], batch.audio[0], FPS))
    true = batch.contacts[0].numpy()
    assert np.allclose(seen.contacts, true[true < 1.98], atol=0.01)
    assert np.allclose(seen.onsets[: len(true)], true, atol=0.002)
    assert gravity_residual_px(seen.segments) < 0.2


@pytest.mark.parametrize("frames", [1, 5])
def test_detector_survives_what_is_no_clip_of_ours(detector, frames):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (frames, 64, 64, 3), generator=generator, dtype=torch.uint8)
    for picture in (noise, torch.zeros_like(noise), torch.full_like(noise, 255), noise[:, :16, :48]):
        seen = detector(Clip(picture, torch.full((640,), float("nan")), FPS))
        assert len(seen.onsets) == 0
    empty = render([shown(motion="stay")], [0])
    assert detector(Clip(empty.frames[0][:frames, :24], None, FPS)).object is None


def test_identity_is_high_for_the_same_actor_only(detector):
    def look(**words: str):
        return detector(filmed(shown(**{"scene": "dark floor", **words}), 9)).look

    ball = look()
    assert identity(ball, ball) == pytest.approx(1, abs=0.03)
    assert identity(ball, look(scene="wooden floor", motion="roll", direction="left")) > 0.9
    assert identity(ball, look(colour="blue")) < 0.6
    assert identity(ball, look(object="ring")) < identity(ball, look(motion="fall")) - 0.1


# prompts


@pytest.mark.parametrize("vocabulary", ["train", "held_out"])
def test_prompts_are_read_back(vocabulary):
    generator = torch.Generator().manual_seed(1)
    for index in range(100):
        attributes = sample_attributes(LEVEL, generator, "any")
        prompt = caption(attributes, ("medium", "dense")[index % 2], generator, vocabulary)
        named = read_prompt(prompt)
        assert {name: named.get(name) for name in expected(attributes, LEVEL)} == expected(attributes, LEVEL), prompt
        assert (group_of(prompt, named) == "held_out_words") == (vocabulary == "held_out")


def test_prompt_that_names_little_is_read_for_what_it_says():
    assert read_prompt("A Crimson thing, waiting") == {"colour": "red"}
    assert read_prompt("hello there") == {}
    assert "direction" not in read_prompt("a ball falls to the left")


def test_cases_are_drawn_in_the_asked_shares():
    cases = draw_cases(LEVEL, 32, seed=7)
    assert [sum(case.group == group for case in cases) for group in GROUPS] == [16, 8, 8, 4, 4]
    assert [case.seed for case in cases] == list(range(7, 7 + 40))
    assert cases == draw_cases(LEVEL, 32, seed=7)
    assert cases != draw_cases(LEVEL, 32, seed=8)
    assert all("colour" not in read_prompt(case.prompt) for case in cases[36:])
    for case in cases[:36]:
        assert read_prompt(case.prompt).items() >= expected(case.attributes, LEVEL).items()


# figures and the table


def perfect(attributes: Attributes, group: str = "plain") -> Judged:
    words = expected(attributes, LEVEL)
    y, contacts = bounce()
    seen = Detection(
        **words, contacts=np.array(contacts), onsets=np.array(contacts), segments=split_track(y, FPS), seen=(0, 2)
    )
    return judged(seen, group, **words)


def test_figures_of_perfect_and_of_wrong_clips():
    clips = [perfect(shown(), group) for group in GROUPS[:3]]
    found = figures(clips, LEVEL.attributes, Quality.perfect())
    assert found["attribute_accuracy"] == {
        "colour": 1, "object": 1, "size": 1, "motion": 1, "direction": None, "scene": 1,
    }  # fmt: skip
    assert found["all_correct"] == found["onset_f1"] == found["held_out_pairs"]["all_correct"] == 1
    assert found["held_out_words"]["attribute_accuracy"] == 1
    assert found["onset_offset_ms_median"] < 1e-6
    assert found["gravity_residual_px"] < 0.01
    wrong = [judged(perfect(shown()).detection, colour="blue", object="ball", motion="bounce")]
    found = figures(wrong, LEVEL.attributes, Quality.perfect())
    assert found["attribute_accuracy"]["colour"] == found["all_correct"] == 0
    assert found["attribute_accuracy"]["object"] == 1


def test_shuffling_gives_no_clip_its_own_wish():
    colours = ["red", "blue", "green", "white"]
    clips = [perfect(shown(colour=colour)) for colour in colours]
    mixed = shuffled(clips)
    assert sorted(clip.expected["colour"] for clip in mixed) == sorted(colours)
    assert all(clip.expected["colour"] != clip.detection.colour for clip in mixed)


def test_shuffling_gives_no_clip_its_own_sound():
    sounds = [np.array([0.1 * place]) for place in range(4)]
    clips = [perfect(shown()) for _ in sounds]
    clips = [
        replace(clip, detection=replace(clip.detection, onsets=sound, contacts=sound))
        for clip, sound in zip(clips, sounds, strict=True)
    ]
    assert synchrony(clips)[0] == 1
    assert synchrony(shuffled(clips))[0] == 0


@pytest.fixture(scope="module")
def tiny_figures(tiny_models, tiny_tokenizer) -> dict:
    from sora_core.request import Defaults

    pipeline = Pipeline(
        **tiny_models,
        tokenizer=tiny_tokenizer,
        defaults=Defaults(width=32, height=32, frames=9, fps=12.0, steps=1, guidance=1.0),
    )
    return {**measure_pipeline(pipeline, 4), "seconds": 1.0}


def test_a_pipeline_is_measured_from_end_to_end(tiny_figures):
    assert json.loads(json.dumps(tiny_figures)) == tiny_figures
    for key in ("ground_truth", "vae_round_trip", "shuffled"):
        assert tiny_figures[key].keys() <= tiny_figures.keys()
    assert tiny_figures["clips"] == 4
    assert tiny_figures["ground_truth"]["attribute_accuracy"]["colour"] == 1
    assert tiny_figures["ground_truth"]["reference_identity"] > 0.7
    assert tiny_figures["i2v_first_frame_psnr_db"] < 30


def test_table_shows_every_measured_row_with_both_bars(tiny_figures):
    lines = table(tiny_figures).splitlines()
    assert lines[0].split() == ["measure", "model", "two", "cores", "target", "reached", "truth", "VAE", "shuffled"]
    columns = [tiny_figures, *(tiny_figures[key] for key in ("ground_truth", "vae_round_trip", "shuffled"))]
    for row in ROWS:
        measured = any(lookup(column, row.key) is not None for column in columns)
        assert any(line.startswith(row.name) for line in lines) == measured
    (offset,) = (line for line in lines if line.startswith("onset offset, median"))
    assert "<= 60 ms" in offset
    assert "<= 15 ms" in offset


# clips that are there already


def write(path, attributes: Attributes, seed: int, tags: dict | None = None):
    clip = filmed(attributes, seed)
    write_mp4(path, [clip.frames.numpy()], fps=clip.fps, audio=clip.audio.numpy(), tags=tags)


def test_a_folder_of_clips_is_measured_by_tags_and_sidecars(tmp_path):
    write(tmp_path / "a.mp4", shown(), 1, {"prompt": "a big red ball bounces on a plain background", "level": "1"})
    write(tmp_path / "b.mp4", shown(colour="blue", motion="stay", scene="sand"), 2)
    (tmp_path / "b.json").write_text(json.dumps({"prompt": "a huge blue ball rests on sand", "seed": 2, "level": 1}))
    told = []
    found = evaluate(source=tmp_path, progress=lambda done, total, note: told.append((done, total, note)))
    assert told == [(1, 2, "a.mp4"), (2, 2, "b.mp4")]
    assert found["clips"] == 2
    assert found["all_correct"] == 1
    assert found["onset_f1"] == 1
    assert found["onset_offset_ms_median"] < 10
    assert found["gravity_residual_px"] < 0.5
    assert found["video_vae_psnr_db"] is None
    assert found["shuffled"]["all_correct"] == 0
    assert "all attributes correct" in table(found)


def test_folder_without_clips_or_prompts_is_refused(tmp_path):
    with pytest.raises(SoraError, match="holds no"):
        evaluate(source=tmp_path)
    write(tmp_path / "a.mp4", shown(), 1)
    with pytest.raises(SoraError, match="has no prompt"):
        evaluate(source=tmp_path)
