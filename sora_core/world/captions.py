"""What a clip shows, told in a sentence: three lengths, many phrasings, exact by construction.

Recaptioning (Betker et al. 2023, "Improving Image Generation with Better Captions") trains on rich captions and on
terse ones; here both are made from the attributes that the renderer was given.
"""

from __future__ import annotations

from functools import lru_cache

import torch

from .sample import sample_attributes
from .spec import Attributes, Level
from .vocabulary import (
    ATTRIBUTE_WORDS,
    IMPACT_WORDS,
    SILENCE_WORDS,
    STRIKING,
    TRAINED_PHRASE_WORDS,
    VOICE_WORDS,
    WEATHER_SOUND_WORDS,
    split_words,
)

LENGTHS = ("short", "medium", "dense")

ENDS = ("", "", ".")
"""One sentence in three ends with a full stop, since prompts come with and without."""

# Slots: {np} noun phrase, {a} with its article, {the} with "the", {o} object alone, {size} {colour} {look} (colour and
# material), {v} "slides to the left", {ving} "sliding to the left", {vbase} "slide to the left", {on} "on a wooden
# floor", {ground} "a wooden floor", {at} scene, weather and camera.

MEDIUM = (
    "{a} {v} {at}",
    "{a} {ving} {at}",
    "{at}, {a} {v}",
    "video of {a} {ving} {at}",
    "a video of {a} {ving} {at}",
    "a clip of {a} that {v} {at}",
    "there is {a} {ving} {at}",
    "show {a} {ving} {at}",
    "make {a} {vbase} {at}",
    "watch {a} {vbase} {at}",
    "we see {a} {ving} {at}",
    "{np} {ving} {at}",
    "{at} we see {a} {ving}",
    "{a}, {ving}, {at}",
    "the {o} is {size} and {look} and {v} {at}",
    "{size} {o}, {look}, {ving} {at}",
    "{ving} {at}: {a}",
    "let {a} {vbase} {at}",
    "an animation of {a} {ving} {at}",
    "{the} {v} {at}",
    "{a} is seen {ving} {at}",
)
SHORT_MOVING = (
    "{np} {ving}",
    "{a} {v}",
    "{a} {ving}",
    "{the} {v}",
    "video of {a} {ving}",
    "show {a} {ving}",
    "make {a} {vbase}",
    "let {a} {vbase}",
    "watch {a} {vbase}",
    "a clip of {a} {ving}",
    "{a} that {v}",
    "{ving}: {a}",
    "{np}, {ving}",
    "see how {a} {v}",
    "{a} {ving} {on}",
    "{a} {v} {on}",
)
SHORT_RESTING = (
    "{np}",
    "{a}",
    "show {a}",
    "video of {a}",
    "a clip of {a}",
    "{a} {on}",
    "{np} {on}",
    "there is {a} {on}",
)
DENSE = (
    "{a} {v} {on}. {more}",
    "{on}, {a} {v}. {more}",
    "a video of {a} {ving} {on}. {more}",
    "the {o} is {size} and {look}. it {v} {on}. {more}",
    "we see {a} {ving} {on}. {more}",
    "show {a} {ving} {on}. {more}",
    "make {a} {vbase} {on}. {more}",
    "there is {a} {on}. it {v}. {more}",
    "{a} {on} {v}. {more}",
    "the scene: {ground}. {a} {v}. {more}",
    "{size} {o}, {look}, {on}. it {v}. {more}",
    "this clip shows {a} that {v} {on}. {more}",
    "{on} there is {a} {ving}. {more}",
    "a short animation: {a} {v} {on}. {more}",
)

REFERENCES = (
    "the reference object",
    "this object",
    "the thing in the picture",
    "the same object as in the reference image",
    "the object in the picture",
    "the object from the reference image",
    "the pictured object",
    "this same thing",
)
"""Names of an actor that a reference image shows."""

KNOWN_WORDS: frozenset[str] = TRAINED_PHRASE_WORDS | frozenset(
    ("a", "an", "the", "another", "one", "with", "while")
).union(
    word
    for template in (*MEDIUM, *SHORT_MOVING, *SHORT_RESTING, *DENSE, *REFERENCES)
    for word in split_words(" ".join(part.partition("}")[2] for part in ("}" + template).split("{")))
)
"""Every word that a training caption can hold; a prompt's other words are understood only through their neighbours."""

WORD_CAPTIONS = 6000
"""Captions drawn to find a level's words: each phrase stands in dozens of them."""


def known_words(level: Level) -> frozenset[str]:
    """Return the words that training captions of one level hold, found by drawing many of them."""
    generator = torch.Generator().manual_seed(0)
    words: set[str] = set()
    for index in range(WORD_CAPTIONS):
        shown = sample_attributes(level, generator)
        words.update(split_words(caption(shown, LENGTHS[index % len(LENGTHS)], generator, reference=index % 8 == 0)))
    return frozenset(words)


class _Draw:
    """A fixed number of draws made at once: one call to the generator per caption, so that captions cost little."""

    def __init__(self, generator: torch.Generator) -> None:
        self._numbers = iter(torch.randint(1 << 30, (40,), generator=generator).tolist())

    def pick(self, options: tuple[str, ...]) -> str:
        """Return one of ``options``."""
        return options[next(self._numbers) % len(options)]

    def chance(self, percent: int) -> bool:
        """Return True in ``percent`` of cases."""
        return next(self._numbers) % 100 < percent


def caption(
    attributes: Attributes,
    length: str,
    generator: torch.Generator,
    vocabulary: str = "train",
    *,
    reference: bool = False,
) -> str:
    """Tell a clip.

    Args:
        attributes: what the renderer is given.
        length: ``short`` names the object and some of its looks and motion; ``medium`` names every attribute that is
            not at its default (colour, object, size, motion, direction and scene always) in one sentence; ``dense``
            adds sound in two or three sentences.
        generator: CPU generator; the caption depends on nothing else.
        vocabulary: ``train``, or ``held_out`` to use held-out words wherever there is one, at least two of them.
        reference: name the actor by one of `REFERENCES`, without its colour, kind, size or material, since an image
            shows them; templates that spell the looks out are left aside.

    Returns:
        Lower-case ASCII text.
    """
    draw = _Draw(generator)
    words = _Words(attributes, draw, held_out=vocabulary == "held_out", reference=reference)
    if reference:
        return _referring(words, draw, length) + draw.pick(ENDS)
    if length == "short":
        return _short(words, draw) + draw.pick(ENDS)
    slots = words.slots(named=("size", "colour", "material"))
    if length == "medium":
        return draw.pick(MEDIUM).format_map(slots) + draw.pick(ENDS)
    assert length == "dense", f"caption length {length!r} is none of {LENGTHS}"
    slots["more"] = ". ".join(words.remarks())
    return draw.pick(DENSE).format_map(slots).removesuffix(" ").removesuffix(".") + draw.pick(ENDS)


class _Words:
    """The phrases drawn for one caption."""

    def __init__(self, attributes: Attributes, draw: _Draw, held_out: bool, reference: bool) -> None:
        self.attributes, self.draw, self.held_out, self.reference = attributes, draw, held_out, reference

    def say(self, attribute: str, value: str) -> str:
        """Return a phrase for a value, a held-out one if asked for and there is one."""
        phrases = ATTRIBUTE_WORDS[attribute][value]
        # the plain word is what most people write, so it comes up more often than its share
        if not self.held_out and self.draw.chance(35) and attribute in {"colour", "object", "size"}:
            return value
        return self.draw.pick(phrases.held_out if self.held_out and phrases.held_out else phrases.train)

    def slots(self, named: tuple[str, ...]) -> dict[str, str]:
        """Draw every slot of the templates; ``named`` are the looks that the noun phrase holds."""
        clip = self.attributes
        noun, size, colour = (
            self.say("object", clip.object),
            self.say("size", clip.size),
            self.say("colour", clip.colour),
        )
        material = self.material()
        look = f"{colour} {material}" if material else colour
        looks = [text for name, text in (("size", size), ("colour", look)) if name in named]
        if self.draw.chance(12):
            looks.reverse()
        phrase = " ".join((*looks, noun))
        third, participle, base = self.motion()
        preposition, ground = self.say("scene", clip.scene).split("/")
        place = f"{preposition} {ground}"
        return {
            "np": phrase,
            "a": with_article(phrase),
            "the": f"the {phrase}",
            "o": noun,
            "size": size,
            "colour": colour,
            "look": look,
            "v": third,
            "ving": participle,
            "vbase": base,
            "on": place,
            "ground": ground,
            "at": " ".join((place, *self.surroundings())),
        }

    def material(self) -> str:
        """Return the material's word; the default one is named in one caption of ten."""
        material = self.attributes.material
        return self.say("material", material) if material != "rubber" or self.draw.chance(10) else ""

    def motion(self) -> tuple[str, str, str]:
        """Return third person, participle and base form, each with its direction or the second actor."""
        clip = self.attributes
        third, participle, base = self.say("motion", clip.motion).split("/")
        tail = ""
        if clip.direction:
            tail = f" {self.say('direction', clip.direction)}"
        elif clip.motion == "collide":
            looks = [self.say(name, value) for name, value in zip(("colour", "object"), clip.other, strict=False)]
            tail = (
                f" {with_article(' '.join(looks))}" if looks else f" another {'one' if self.reference else clip.object}"
            )
        return third + tail, participle + tail, base + tail

    def surroundings(self) -> list[str]:
        """Return weather and camera phrases where they are not the default."""
        clip = self.attributes
        found = [self.say("weather", clip.weather).split("/")[0]] if clip.weather != "clear" else []
        if clip.camera != "still":
            clause, participle = self.say("camera", clip.camera).split("/")
            found.append(f"with {participle}" if self.draw.chance(50) else f"while {clause}")
        return found

    def remarks(self) -> list[str]:
        """Return the further sentences of a dense caption: camera, weather, sound."""
        clip = self.attributes
        found: list[str] = []
        if clip.camera != "still" or self.draw.chance(5):
            found.append(self.say("camera", clip.camera).split("/")[0])
        if clip.weather != "clear" or self.draw.chance(3):
            found.append(self.say("weather", clip.weather).split("/")[1])
        return [*found, self.sound()]

    def sound(self) -> str:
        """Return the loudest thing that is heard, or that nothing is: one remark, so that the caption stays short."""
        clip = self.attributes
        if clip.motion in STRIKING:
            return self.draw.pick(IMPACT_WORDS[clip.material])
        if clip.object in VOICE_WORDS and (clip.motion != "stay" or clip.object == "bird"):
            return self.draw.pick(VOICE_WORDS[clip.object])
        return self.draw.pick(WEATHER_SOUND_WORDS.get(clip.weather, SILENCE_WORDS))


def _short(words: _Words, draw: _Draw) -> str:
    """Return a caption that leaves most things open; with held-out words, colour and motion are always in."""
    moving = words.held_out or draw.chance(75)
    looks = ["colour"] if words.held_out or draw.chance(80) else []
    if words.held_out or draw.chance(20):
        looks.insert(0, "size")
    return draw.pick(SHORT_MOVING if moving else SHORT_RESTING).format_map(words.slots(named=tuple(looks)))


_LOOKS = ("{o}", "{size}", "{look}", "{colour}")


def _referring(words: _Words, draw: _Draw, length: str) -> str:
    """Return a caption that names the actor as what the reference image shows, its looks left out."""
    name = draw.pick(REFERENCES)
    slots = words.slots(named=()) | dict.fromkeys(("np", "a", "the"), name)
    if length == "dense":
        slots["more"] = ". ".join(words.remarks())
    groups = {"short": SHORT_MOVING if draw.chance(85) else SHORT_RESTING, "medium": MEDIUM, "dense": DENSE}
    templates = tuple(text for text in groups[length] if not any(look in text for look in _LOOKS))
    return draw.pick(templates).format_map(slots).removesuffix(" ").removesuffix(".")


@lru_cache(maxsize=4096)
def with_article(phrase: str) -> str:
    """Return ``phrase`` after "a" or "an"."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"
