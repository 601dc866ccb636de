"""Storyboards on whole frames, and the keys of their shots: what changes one, and what does not."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from sora_core.editing.card import Card
from sora_core.editing.profile import Profile, Strategy, our_profile
from sora_core.editing.storyboard_plan import ShotPlan, ShotSettings, plan_storyboard, shot_inputs, shot_keys
from sora_core.errors import SoraError

OURS = our_profile()
GROUPS_OF_17 = Profile(
    family="Other",
    strategy=Strategy.TOKEN,
    frames_of=lambda latents: 17 * (latents // 2) + 5,
    latents_of=lambda frames: max(0, (frames - 5) // 17 * 2),
    multiple=16,
    fps=24,
    longest=124,
)
SETTINGS = ShotSettings(model="micro", steps=30, guidance=4.0, solver="euler", width=64, height=64, fps=12.0)


def row(*lengths: float, **more: object) -> list[Card]:
    """Return cards end to end."""
    return [
        Card(**{"start_s": sum(lengths[:i]), "duration_s": length, "text": f"shot {i}", **more})  # type: ignore[arg-type]
        for i, length in enumerate(lengths)
    ]


def changed(cards: list[Card], index: int, **values: object) -> list[Card]:
    return [replace(card, **values) if place == index else card for place, card in enumerate(cards)]


def test_rounding_does_not_add_up():
    rng = random.Random(0)
    for fps in (12.0, 23.976, 24.0, 29.97, 30.0):
        lengths = [rng.uniform(0.1, 3) for _ in range(200)]
        plans = plan_storyboard(row(*lengths), OURS, fps)
        exact = Fraction(0)
        for plan, length in zip(plans, lengths, strict=True):
            assert abs(plan.start - exact * Fraction(fps)) <= Fraction(1, 2) + Fraction(1, 10**6)
            exact += Fraction(length)
            assert plan.count == plan.stop - plan.start > 0
        assert [plan.start for plan in plans[1:]] == [plan.stop for plan in plans[:-1]]
        assert abs(plans[-1].stop - exact * Fraction(fps)) <= Fraction(1, 2) + Fraction(1, 10**6)


def test_a_third_of_a_second_many_times_is_as_long_as_it_should_be():
    plans = plan_storyboard(row(*[1 / 3] * 30), OURS, 10.0)
    assert plans[-1].stop == 100
    assert {plan.count for plan in plans} == {3, 4}


def test_a_fade_lies_over_the_end_of_the_shot_before():
    cards = changed(row(1, 1, 1), 1, transition="fade")
    first, second, third = plan_storyboard(cards, OURS, 12.0, fade_frames=4)
    assert (first.start, first.count, first.fade) == (0, 12, 0)
    assert (second.start, second.count, second.fade) == (8, 16, 4)
    assert (third.start, third.stop) == (24, 36)
    assert plan_storyboard(cards, OURS, 12.0)[1].fade == 6
    assert plan_storyboard(cards, OURS, 12.0, fade_frames=0)[1] == replace(second, start=12, count=12, fade=0)


def test_a_fade_is_no_longer_than_either_shot():
    cards = changed(changed(row(0.25, 1, 0.25), 1, transition="fade"), 2, transition="fade")
    plans = plan_storyboard(cards, OURS, 12.0, fade_frames=9)
    assert [(plan.start, plan.count, plan.fade) for plan in plans] == [(0, 3, 0), (0, 15, 3), (12, 6, 3)]


@pytest.mark.parametrize(
    ("profile", "fps", "frames", "context"),
    [(OURS, 12.0, None, 9), (OURS, 12.0, 24, 9), (OURS, 12.0, 4, 1), (GROUPS_OF_17, 24.0, 24, 22)],
)
def test_a_shot_goes_on_from_a_valid_number_of_frames(profile, fps, frames, context):
    cards = changed(row(1, 1), 1, transition="continue")
    first, second = plan_storyboard(cards, profile, fps, context_frames=frames)
    assert (first.context, second.context) == (0, context)
    assert second.start == first.stop
    assert profile.valid(context)


def test_seeds_follow_the_text():
    cards = [replace(card, text=text) for card, text in zip(row(1, 1, 1, 1), "abaa", strict=True)]
    assert [plan.seed for plan in plan_storyboard(cards, OURS, 12.0, seed=5)] == [5, 5, 6, 7]
    cards = changed(cards, 2, seed=99)
    assert [plan.seed for plan in plan_storyboard(cards, OURS, 12.0, seed=5)] == [5, 5, 99, 7]
    assert plan_storyboard(cards, OURS, 12.0, seed=2**63 - 1)[3].seed == 1


@pytest.mark.parametrize(
    ("cards", "settings", "sentence"),
    [
        (row(1, 0.01), {}, "shot 2 lasts 0.01 s, less than a frame at 12 fps; make it at least 0.0833 s"),
        (row(1), {"fps": 0.5}, "fps 0.5 must be between 1 and 120, for example 12"),
        (row(1), {"fps": float("nan")}, "fps nan must be between 1 and 120, for example 12"),
        (row(1), {"seed": -1}, "seed -1 must be between 0 and 9223372036854775807"),
        (row(1), {"fade_frames": -1}, "a fade of -1 frames must be 0 or more, for example 6"),
        (
            row(1),
            {"context_frames": 25},
            "a context of 25 frames must be between 1 and 24, so that something is left to make of the 25 frames of "
            "Sora Nodes",
        ),
        (row(1, 700), {}, "card 2 lasts 700 s, more than 600 s; shorten it"),
        (row(3, 3), {"longest_s": 5}, "the storyboard lasts 6 s, more than 5 s; shorten or remove cards"),
        (
            changed(row(0.25, 1), 1, transition="continue"),
            {"profile": GROUPS_OF_17},
            "shot 2 goes on from shot 1, which has 3 frames, and Other needs at least 5; make it longer or cut instead",
        ),
    ],
)
def test_what_makes_no_film_is_refused(cards, settings, sentence):
    arguments = {"profile": OURS, "fps": 12.0, **settings}
    with pytest.raises(SoraError) as caught:
        plan_storyboard(cards, **arguments)
    assert str(caught.value) == sentence


def keys(cards: list[Card], **settings: object) -> list[str]:
    return shot_keys(plan_storyboard(cards, OURS, 12.0), replace(SETTINGS, **settings))  # type: ignore[arg-type]


def differing(first: list[str], second: list[str]) -> list[int]:
    return [index for index, pair in enumerate(zip(first, second, strict=True)) if pair[0] != pair[1]]


def test_a_changed_shot_changes_only_those_that_go_on_from_it():
    cards = row(1, 1, 1, 1, 1, 1)
    for index in (2, 3, 5):
        cards = changed(cards, index, transition="continue")
    before = keys(cards)
    assert before == keys(cards)
    assert len(set(before)) == 6
    assert differing(before, keys(changed(cards, 0, text="other"))) == [0]
    assert differing(before, keys(changed(cards, 1, text="other"))) == [1, 2, 3]
    assert differing(before, keys(changed(cards, 3, seed=9))) == [3]
    assert differing(before, keys(changed(cards, 4, text="other"))) == [4, 5]
    assert differing(before, keys(changed(cards, 5, transition="cut"))) == [5]


def test_where_a_shot_lies_does_not_change_it():
    cards = row(1, 1, 1)
    inserted = [
        cards[0],
        Card(start_s=1, duration_s=2, text="new"),
        *(replace(c, start_s=c.start_s + 2) for c in cards[1:]),
    ]
    before, after = keys(cards), keys(inserted)
    assert [after[0], *after[2:]] == before
    # a fade takes in more frames, and then a cut of that length is the same shot
    assert differing(before, keys(changed(cards, 1, transition="fade"))) == [1]


def test_all_that_decides_a_shot_is_in_its_key(tmp_path):
    plan = ShotPlan(index=0, start=0, count=12, text="a", seed=1)
    picture = torch.zeros(4, 4, 3, dtype=torch.uint8)
    (tmp_path / "a.png").write_bytes(b"a")
    plans = [
        plan,
        replace(plan, count=13),
        replace(plan, text="b"),
        replace(plan, seed=2),
        replace(plan, image=picture),
        replace(plan, video=picture),
        replace(plan, image=picture + 1),
        replace(plan, image=tmp_path / "a.png"),
    ]
    settings = [
        replace(SETTINGS, **change)
        for change in (
            {"model": "nano"},
            {"negative": "blur"},
            {"steps": 31},
            {"guidance": 5.0},
            {"solver": "heun"},
            {"width": 80},
            {"height": 80},
            {"fps": 13.0},
            {"more": {"shift": 2.0}},
        )
    ]
    found = [shot_keys([each], SETTINGS)[0] for each in plans] + [shot_keys([plan], each)[0] for each in settings]
    assert len(set(found)) == len(plans) + len(settings)
    continued = replace(plan, transition="continue", context=9)
    assert shot_inputs(continued, SETTINGS, "k") != shot_inputs(replace(continued, context=5), SETTINGS, "k")
    assert shot_inputs(plan, SETTINGS, "k") == shot_inputs(replace(plan, index=3, start=9), SETTINGS, "other")


def test_a_path_as_text_is_the_file(tmp_path):
    plan = ShotPlan(index=0, start=0, count=12, image=str(tmp_path / "a.png"))
    (tmp_path / "a.png").write_bytes(b"a")
    before = shot_keys([plan], SETTINGS)
    assert before == shot_keys([replace(plan, image=tmp_path / "a.png")], SETTINGS)
    (tmp_path / "a.png").write_bytes(b"b")
    assert before != shot_keys([plan], SETTINGS)
    (tmp_path / "a.png").unlink()
    with pytest.raises(SoraError, match=r"the key\.image: .*a\.png cannot be read"):
        shot_keys([plan], SETTINGS)


def test_planning_loads_no_torch():
    code = (
        "import sys\n"
        "from sora_core.editing.profile import our_profile\n"
        "from sora_core.editing.script import parse_script\n"
        "from sora_core.editing.storyboard_plan import ShotSettings, plan_storyboard, shot_keys\n"
        "plans = plan_storyboard(parse_script('[5s]a [5s, continue]b'), our_profile(), 12.0)\n"
        "shot_keys(plans, ShotSettings(model='m', steps=1, guidance=1, solver='euler', width=64, height=64, fps=12))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
