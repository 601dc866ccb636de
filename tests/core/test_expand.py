"""Prompts told in full: what was named stays, what was open is drawn by the seed, nothing of the user's is lost."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from sora_core.editing.expand import EXPANSIONS, expand_prompt
from sora_core.errors import SoraError
from sora_core.world.captions import REFERENCES, caption
from sora_core.world.reading import read_phrases, read_prompt
from sora_core.world.sample import sample_attributes
from sora_core.world.spec import LEVELS

PROMPTS = (
    "a red ball",
    "A Crimson orb falls",
    "a big star on the wooden floor",
    "something that rolls to the right",
    "a wooden box bounces in the rain",
    "a small metal car, the camera zooms in",
)


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("length", EXPANSIONS)
def test_what_is_named_is_said(prompt, length):
    for seed in range(8):
        told = expand_prompt(prompt, length, seed)
        assert read_prompt(told).items() >= read_prompt(prompt).items(), told


@pytest.mark.parametrize("length", ["medium", "long"])
def test_what_is_open_is_filled_in_from_the_first_level(length):
    level = LEVELS[1]
    for seed in range(20):
        found = read_prompt(expand_prompt("a thing", length, seed))
        assert {"colour", "object", "size", "motion", "scene"} <= found.keys()
        assert found["object"] in level.objects
        assert found["motion"] in level.motions
        assert found["scene"] in level.scenes


def test_the_seed_alone_decides():
    assert expand_prompt("a ball", "long", 7) == expand_prompt("a ball", "long", 7)
    assert len({expand_prompt("a ball", "long", seed) for seed in range(20)}) > 15
    state = torch.random.get_rng_state()
    expand_prompt("a ball", "long", 7)
    assert torch.equal(state, torch.random.get_rng_state())


def test_naming_one_thing_leaves_the_rest_as_it_was_filled_in():
    for seed in range(10):
        open_one = read_prompt(expand_prompt("a ball", "medium", seed))
        assert read_prompt(expand_prompt("a purple ball", "medium", seed)) == open_one | {"colour": "purple"}


def test_lengths_differ():
    for seed in range(10):
        short, medium, long = (len(expand_prompt("a ball", length, seed)) for length in EXPANSIONS)
        assert short < long
        assert medium < long


@pytest.mark.parametrize(
    ("prompt", "kept"),
    [
        ("a red ball", ""),
        ("please show me a video of a red ball", ""),
        ("Cinematic 4k shot of a red ball", "Cinematic 4k shot, "),
        ("a Dog and a cat chase a red ball, in thick fog", "Dog and a cat chase, thick fog, "),
        ("un ballon rouge où tout brûle", "un ballon rouge où tout brûle, "),
        ("a shiny red ball", "shiny, "),
        ("a red ball falls to the left", "left, "),
        ("a red ball rolls beside a blue box", "beside a blue box, "),
        ("the camera stays still, a red ball", "camera stays still, "),
        ("a red ball bounces, each impact makes a metallic clang", "each impact makes a metallic clang, "),
    ],
)
def test_what_the_world_does_not_know_stays_in_front(prompt, kept):
    for seed in range(5):
        told = expand_prompt(prompt, "medium", seed)
        assert told.startswith(kept)
        rest = told[len(kept) :]
        assert rest == rest.lower()
        assert expand_prompt(rest, "medium", seed).startswith(kept) is (kept == "")


def test_a_plural_is_one_of_the_kind():
    assert read_prompt(expand_prompt("red balls bouncing", "medium"))["object"] == "ball"
    assert "balls" not in expand_prompt("red balls bouncing", "medium")


def test_a_second_actor_is_said_with_the_collision():
    for length in EXPANSIONS:
        told = expand_prompt("a red ball hits a blue box", length, 3)
        named = [(phrase.attribute, phrase.value) for phrase in read_phrases(told)]
        assert {("colour", "red"), ("object", "ball"), ("colour", "blue"), ("object", "box")} <= set(named)
        assert named.index(("object", "ball")) < named.index(("object", "box"))
        assert "another" in expand_prompt("a ball hits another", length)


def test_what_a_picture_shows_is_not_made_up():
    for length in EXPANSIONS:
        told = expand_prompt("the object in the picture rolls to the left", length, 1)
        assert any(name in told for name in REFERENCES)
        assert not {"colour", "object", "size"} & read_prompt(told).keys()
        assert read_prompt(told).items() >= {"motion": "roll", "direction": "left"}.items()


def test_a_caption_of_the_world_keeps_its_meaning():
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        shown = sample_attributes(LEVELS[3], generator)
        told = caption(shown, "medium", generator)
        again = expand_prompt(told, "long", 1)
        assert read_prompt(again).items() >= read_prompt(told).items()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((" ",), 'the prompt is empty; say what to show, for example "a red ball"'),
        (("a ball", "huge"), "length 'huge' is not known; choose one of short, medium, long"),
        (("a ball", "short", -1), "seed -1 must be between 0 and 9223372036854775807"),
        (("a ball", "short", 2**63), "seed 9223372036854775808 must be between 0 and 9223372036854775807"),
    ],
)
def test_bad_values_are_refused(arguments, sentence):
    with pytest.raises(SoraError) as caught:
        expand_prompt(*arguments)
    assert str(caught.value) == sentence


def test_refusing_loads_no_torch():
    code = (
        "import sys\n"
        "from sora_core.editing.expand import expand_prompt\n"
        "from sora_core.errors import SoraError\n"
        "try:\n    expand_prompt('')\nexcept SoraError:\n    pass\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
