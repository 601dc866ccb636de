"""The captions tell what the clip holds, in words that stay apart."""

from __future__ import annotations

import time

import pytest
import torch

from sora_core.world.captions import (
    DENSE,
    KNOWN_WORDS,
    LENGTHS,
    MEDIUM,
    REFERENCES,
    SHORT_MOVING,
    SHORT_RESTING,
    caption,
)
from sora_core.world.sample import sample_attributes
from sora_core.world.spec import LEVELS, Attributes
from sora_core.world.vocabulary import ATTRIBUTE_WORDS, HELD_OUT_WORDS, Phrases, concept_of, split_words, stem


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_attributes(level: int, count: int, seed: int = 0) -> list[Attributes]:
    source = generator(seed)
    return [sample_attributes(LEVELS[level], source) for _ in range(count)]


def says(text: str, phrases: Phrases, value: str) -> bool:
    """Say whether any part of any phrase of a value stands in the text."""
    parts = {part for phrase in (*phrases.train, *phrases.held_out, value) for part in phrase.split("/")}
    return any(f" {part} " in f" {text} " for part in parts)


def plain(text: str) -> str:
    return " ".join(text.replace(",", " ").replace(".", " ").replace(":", " ").split())


def test_enough_held_out_words() -> None:
    assert len(HELD_OUT_WORDS) >= 24


def test_no_held_out_word_shares_a_stem_with_a_trained_word() -> None:
    shared = {stem(word) for word in HELD_OUT_WORDS} & {stem(word) for word in KNOWN_WORDS}
    assert not shared


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("bounces", "bouncing"),
        ("leftward", "leftwards"),
        ("spins", "spinning"),
        ("gloomy", "gloom"),
        ("drifts", "drift"),
    ],
)
def test_stem_joins_forms_of_a_word(first: str, second: str) -> None:
    assert stem(first) == stem(second)


@pytest.mark.parametrize("length", LENGTHS)
def test_same_generator_same_caption(length: str) -> None:
    for attributes in some_attributes(3, 20):
        assert caption(attributes, length, generator(7)) == caption(attributes, length, generator(7))


@pytest.mark.parametrize("templates", [MEDIUM, SHORT_MOVING, DENSE])
def test_at_least_twelve_templates(templates: tuple[str, ...]) -> None:
    assert len(set(templates)) >= 12
    assert not set(templates) & set(SHORT_RESTING)


@pytest.mark.parametrize("vocabulary", ["train", "held_out"])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_medium_and_dense_name_every_attribute(level: int, vocabulary: str) -> None:
    source = generator(1)
    for attributes in some_attributes(level, 200):
        for length in ("medium", "dense"):
            text = plain(caption(attributes, length, source, vocabulary))
            for name in ("colour", "object", "size", "motion", "direction", "scene", "camera", "weather", "material"):
                value = getattr(attributes, name)
                if value not in {"", "still", "clear", "rubber"}:
                    assert says(text, ATTRIBUTE_WORDS[name][value], value), (name, value, text)


def test_both_actors_are_named() -> None:
    attributes = Attributes(colour="red", object="ball", size="large", motion="collide", other=("blue", "box"))
    source = generator(2)
    for length in LENGTHS[1:]:
        text = plain(caption(attributes, length, source))
        for name, value in (("colour", "red"), ("object", "ball"), ("colour", "blue"), ("object", "box")):
            assert says(text, ATTRIBUTE_WORDS[name][value], value), text


@pytest.mark.parametrize("length", LENGTHS)
def test_held_out_captions_use_held_out_words(length: str) -> None:
    source = generator(3)
    for attributes in some_attributes(3, 200):
        used = set(split_words(caption(attributes, length, source, "held_out"))) & HELD_OUT_WORDS
        assert len(used) >= 2


@pytest.mark.parametrize("length", LENGTHS)
def test_training_captions_hold_known_words_only(length: str) -> None:
    source = generator(4)
    for attributes in some_attributes(3, 500):
        words = set(split_words(caption(attributes, length, source)))
        assert words <= KNOWN_WORDS
        assert not words & HELD_OUT_WORDS


@pytest.mark.parametrize("length", LENGTHS)
def test_reference_captions_leave_the_looks_out(length: str) -> None:
    source = generator(8)
    for attributes in some_attributes(2, 300):
        text = caption(attributes, length, source, reference=True)
        assert sum(name in text for name in REFERENCES) == 1, text
        named = {concept_of(word) for word in split_words(text)}
        assert ("colour", attributes.colour) not in named or attributes.motion == "collide", text
        assert ("size", attributes.size) not in named, text
        assert set(split_words(text)) <= KNOWN_WORDS


def test_impacts_are_told_and_rest_is_quiet() -> None:
    hit = Attributes(colour="red", object="ball", size="large", motion="bounce", material="metal")
    rest = Attributes(colour="red", object="ball", size="large", motion="stay")
    source = generator(5)
    assert any(word in caption(hit, "dense", source) for word in ("clang", "metallic"))
    assert any(word in caption(rest, "dense", source) for word in ("no sound", "silent", "quiet", "nothing"))


@pytest.mark.parametrize(
    ("word", "concept"),
    [
        ("red", ("colour", "red")),
        ("Crimson", ("colour", "red")),
        ("orb", ("object", "ball")),
        ("gigantic", ("size", "large")),
        ("bouncing", ("motion", "bounce")),
        ("leftwards", ("direction", "left")),
        ("beach", ("scene", "sand")),
        ("parquet", ("scene", "wooden floor")),
        ("the", None),
        ("elephant", None),
    ],
)
def test_concept_of(word: str, concept: tuple[str, str] | None) -> None:
    assert concept_of(word) == concept


def test_every_attribute_value_has_words() -> None:
    for level in LEVELS.values():
        for names, attribute in (
            (level.objects, "object"),
            (level.scenes, "scene"),
            (level.motions, "motion"),
            (level.cameras, "camera"),
            (level.materials, "material"),
            (level.weathers, "weather"),
        ):
            assert set(names) <= ATTRIBUTE_WORDS[attribute].keys()


def test_a_caption_costs_little() -> None:
    clips, source = some_attributes(3, 200), generator(6)
    fastest = float("inf")
    for _ in range(5):
        begin = time.perf_counter()
        for attributes in clips:
            caption(attributes, "dense", source)
        fastest = min(fastest, time.perf_counter() - begin)
    assert fastest / len(clips) < 300e-6  # measured 30 us; the room is for a busy machine
