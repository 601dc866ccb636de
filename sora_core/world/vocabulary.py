"""The words for what the world holds: those that training uses, and those kept aside to measure generalization.

A held-out word shares no stem with any word of any training caption, so a prompt with it can only be understood through
its neighbours in the word table. Held-out words were chosen for a meaning that is not in doubt; many of them are far
from their value in the table, and stay in the list all the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Phrases:
    """Ways to say one value. Verbs are written ``third person/participle/base form``, places ``preposition/noun
    phrase``, cameras ``clause/participle``, weathers ``adverb/clause``; the rest is plain text.
    """

    train: tuple[str, ...]
    held_out: tuple[str, ...] = ()


def _phrases(train: str, held_out: str = "") -> Phrases:
    """Split comma-separated phrases."""
    first, second = (tuple(p.strip() for p in text.split(",") if p.strip()) for text in (train, held_out))
    return Phrases(train=first, held_out=second)


COLOUR_WORDS: dict[str, Phrases] = {
    "red": _phrases(
        "red, scarlet, ruby, ruby red, vermilion, carmine, cherry, cherry red, tomato red, blood red, strawberry, "
        "strawberry red, rose red, fire red, bright red, deep red, raspberry red, cranberry red, poppy, poppy "
        "red, brick red, maroon, burgundy, garnet, garnet red, cardinal red, pure red, ketchup red, lobster red, "
        "apple red",
        "crimson",
    ),
    "orange": _phrases(
        "orange, bright orange, vivid orange, amber, pumpkin, pumpkin orange, carrot, carrot orange, apricot, "
        "apricot orange, mango, mango orange, persimmon, clementine, mandarin, mandarin orange, papaya orange, "
        "saffron orange, copper orange, marigold orange, peach orange, deep orange, pure orange, nectarine orange",
        "tangerine",
    ),
    "yellow": _phrases(
        "yellow, bright yellow, vivid yellow, golden, gold, mustard, mustard yellow, canary, canary yellow, "
        "banana, banana yellow, sunflower, sunflower yellow, daffodil, daffodil yellow, buttercup, buttercup "
        "yellow, honey yellow, topaz, topaz yellow, corn yellow, butter yellow, custard yellow, pineapple yellow, "
        "sulphur yellow, citrine, citrine yellow, pure yellow, dandelion yellow, primrose yellow",
        "lemon",
    ),
    "green": _phrases(
        "green, bright green, vivid green, lime, lime green, jade, jade green, olive, olive green, mint, mint "
        "green, leaf green, forest green, fern, fern green, moss green, pistachio, pistachio green, apple green, "
        "clover green, shamrock, shamrock green, malachite, malachite green, pea green, spinach green, cucumber "
        "green, avocado green, deep green, pure green",
        "emerald",
    ),
    "cyan": _phrases(
        "cyan, bright cyan, vivid cyan, cyan blue, light cyan, pure cyan, aqua, bright aqua, aqua blue, "
        "aquamarine, teal, bright teal, teal blue, cerulean cyan, lagoon cyan, lagoon blue, seafoam, blue green, "
        "greenish blue, bluish green, caribbean blue",
        "turquoise",
    ),
    "blue": _phrases(
        "blue, bright blue, vivid blue, deep blue, pure blue, navy, navy blue, royal blue, cobalt, cobalt blue, "
        "ultramarine, ultramarine blue, azure, azure blue, indigo, indigo blue, ocean blue, denim, denim blue, "
        "lapis, lapis blue, blueberry, blueberry blue, cornflower blue, midnight blue, prussian blue, bluebell "
        "blue, jeans blue, electric blue",
        "sapphire",
    ),
    "purple": _phrases(
        "purple, bright purple, vivid purple, deep purple, pure purple, violet, violet purple, plum, plum purple, "
        "mauve, lilac, lilac purple, grape, grape purple, amethyst, amethyst purple, orchid, orchid purple, "
        "aubergine, aubergine purple, eggplant purple, wisteria, wisteria purple, heather purple, iris purple, "
        "mulberry purple, royal purple",
        "lavender",
    ),
    "white": _phrases(
        "white, bright white, pure white, clean white, pearl, pearl white, pearly white, milky, milky white, milk "
        "white, chalk white, chalky white, cream, cream white, creamy white, porcelain, porcelain white, "
        "alabaster, alabaster white, eggshell, eggshell white, cotton white, lily white, paper white, bone white, "
        "vanilla white, whitish, coconut white, swan white",
        "ivory",
    ),
}

OBJECT_WORDS: dict[str, Phrases] = {
    "ball": _phrases(
        "ball, sphere, globe, round ball, bead, marble, football, basketball, volleyball, baseball, tennis ball, "
        "soccer ball, bowling ball, round sphere, bauble, round bead, round globe, spherical ball",
        "orb",
    ),
    "box": _phrases(
        "box, block, crate, package, carton, square box, parcel, square block, cardboard box, container, chest, "
        "case, dice, die, square, gift box, boxy block, building block, square package",
        "cube",
    ),
    "star": _phrases(
        "star, five-pointed star, pointed star, star shape, star figure, starburst, starfish, asterisk, pointed "
        "asterisk, star-shaped figure, five-pointed shape",
        "pentagram",
    ),
    "ring": _phrases(
        "ring, donut, doughnut, round ring, ring shape, bracelet, torus, open ring, bagel, band, round band, "
        "loop, open loop, bangle, wristband, tyre, tire, halo, annulus, washer, round bracelet",
        "hoop",
    ),
    "car": _phrases("car, automobile, toy car, taxi, vehicle, truck, car", "sedan"),
    "boat": _phrases("boat, ship, sailboat, vessel, toy boat, sailing ship, canoe, boat", "yacht"),
    "fish": _phrases("fish, goldfish, carp, tuna, salmon, toy fish, fish", "trout"),
    "bird": _phrases("bird, pigeon, robin, parrot, gull, toy bird, bird", "sparrow"),
    "rocket": _phrases("rocket, spaceship, spacecraft, space rocket, toy rocket, rocket", "missile"),
    "tree": _phrases("tree, oak tree, pine tree, fir, oak, pine, young tree, tree", "willow"),
}

SIZE_WORDS: dict[str, Phrases] = {
    "small": _phrases("small, little, small-sized, compact, rather small, very small, small", "tiny, miniature"),
    "medium": _phrases(
        "medium, medium-sized, mid-sized, average, average-sized, normal-sized, middle-sized, medium", "moderate"
    ),
    "large": _phrases("large, big, huge, massive, large-sized, very large, very big, large", "gigantic, enormous"),
}

MATERIAL_WORDS: dict[str, Phrases] = {
    "rubber": _phrases("rubber, soft rubber, rubbery"),
    "wood": _phrases("wooden, solid wood, wood", "timber"),
    "metal": _phrases("metal, metallic, iron, shiny metal", "steel"),
}

MOTION_WORDS: dict[str, Phrases] = {
    "slide": _phrases(
        "slides/sliding/slide, glides/gliding/glide, skids/skidding/skid, slips/slipping/slip, "
        "slides along/sliding along/slide along, slides across/sliding across/slide across, "
        "glides along/gliding along/glide along, moves/moving/move, travels/traveling/travel",
        "drifts/drifting/drift",
    ),
    "roll": _phrases(
        "rolls/rolling/roll, rolls along/rolling along/roll along, rolls over and over/rolling over and over/"
        "roll over and over, keeps rolling/rolling on/keep rolling, tumbles along/tumbling along/tumble along",
    ),
    "bounce": _phrases(
        "bounces/bouncing/bounce, bounces up and down/bouncing up and down/bounce up and down, "
        "keeps bouncing/bouncing again and again/keep bouncing, bounces in place/bouncing in place/bounce in place, "
        "bounces repeatedly/bouncing repeatedly/bounce repeatedly",
        "rebounds/rebounding/rebound",
    ),
    "fall": _phrases(
        "falls/falling/fall, drops/dropping/drop, falls down/falling down/fall down, "
        "drops down/dropping down/drop down, comes down/coming down/come down, plummets/plummeting/plummet, "
        "falls from above/falling from above/fall from above, descends/descending/descend",
        "plunges/plunging/plunge",
    ),
    "rise": _phrases(
        "rises/rising/rise, goes up/going up/go up, climbs/climbing/climb, floats up/floating up/float up, "
        "lifts off/lifting off/lift off, rises upwards/rising upwards/rise upwards, rises up/rising up/rise up, "
        "floats upwards/floating upwards/float upwards, soars up/soaring up/soar up",
        "ascends/ascending/ascend",
    ),
    "stay": _phrases(
        "stays still/staying still/stay still, rests/resting/rest, does not move/not moving/stay put, "
        "stands still/standing still/stand still, sits still/sitting still/sit still, "
        "remains in place/remaining in place/remain in place, stays in place/staying in place/stay in place, "
        "keeps still/keeping still/keep still",
        "stays motionless/staying motionless/stay motionless, "
        "remains stationary/remaining stationary/remain stationary",
    ),
    "throw": _phrases(
        "is thrown/being thrown/be thrown, is tossed/being tossed/be tossed, is flung/being flung/be flung, "
        "flies in an arc/flying in an arc/fly in an arc, gets thrown/getting thrown/get thrown",
        "is hurled/being hurled/be hurled",
    ),
    "hop": _phrases(
        "hops/hopping/hop, jumps/jumping/jump, skips/skipping/skip, hops along/hopping along/hop along, "
        "jumps along/jumping along/jump along",
        "leaps/leaping/leap",
    ),
    "swing": _phrases(
        "swings/swinging/swing, sways/swaying/sway, swings to and fro/swinging to and fro/swing to and fro, "
        "swings like a pendulum/swinging like a pendulum/swing like a pendulum",
        "oscillates/oscillating/oscillate",
    ),
    "spin": _phrases(
        "spins/spinning/spin, rotates/rotating/rotate, turns around/turning around/turn around, "
        "spins in place/spinning in place/spin in place, whirls/whirling/whirl",
        "twirls/twirling/twirl",
    ),
    "circle": _phrases(
        "circles/circling/circle, moves in a circle/moving in a circle/move in a circle, "
        "goes round and round/going round and round/go round and round, loops around/looping around/loop around",
        "orbits/orbiting/orbit",
    ),
    "collide": _phrases(
        "collides with/colliding with/collide with, bumps into/bumping into/bump into, "
        "crashes into/crashing into/crash into, hits/hitting/hit, runs into/running into/run into",
        "smashes into/smashing into/smash into",
    ),
}

DIRECTION_WORDS: dict[str, Phrases] = {
    "left": _phrases(
        "left, to the left, leftwards, leftward, from right to left, towards the left, toward the left side, "
        "to the left side, from the right to the left"
    ),
    "right": _phrases(
        "right, to the right, rightwards, rightward, from left to right, towards the right, toward the right side, "
        "to the right side, from the left to the right"
    ),
}

SCENE_WORDS: dict[str, Phrases] = {
    "plain": _phrases(
        "on/a plain background, against/a plain background, in front of/an empty background, on/a blank background, "
        "against/a plain backdrop, on/a plain surface, in/an empty space, against/a bare wall, in/an empty room",
        "on/a featureless background, against/a featureless background",
    ),
    "wooden floor": _phrases(
        "on/a wooden floor, on/a wood floor, on/floorboards, on/wooden boards, on/wooden planks, on/a hardwood floor, "
        "on/a plank floor, on/an oak floor, across/a wooden floor",
        "on/a parquet floor, on/parquet",
    ),
    "sand": _phrases(
        "on/sand, on/the sand, on/sandy ground, in/the desert, on/a sandy surface, on/desert sand, on/sand dunes, "
        "on/a sandy floor, on/a sandy shore",
        "on/a beach, on/the beach",
    ),
    "dark floor": _phrases(
        "on/a dark floor, on/a black floor, on/dark ground, in/the dark, in/a dark room, on/a dim floor, "
        "on/a dark surface, on/a shadowy floor, in/darkness",
        "on/a gloomy floor, in/a gloomy room",
    ),
    "meadow": _phrases(
        "on/a meadow, in/a meadow, on/grass, in/a grassy field, on/a lawn, in/the field, on/a grassy lawn, "
        "in/a prairie",
        "on/a pasture, in/a pasture",
    ),
    "snow": _phrases(
        "on/snow, on/the snow, on/snowy ground, in/a snowy landscape, on/a snowy field, on/ice, on/icy ground, "
        "in/a wintry landscape",
        "on/frosty ground, in/a frosty landscape",
    ),
}

CAMERA_WORDS: dict[str, Phrases] = {
    "still": _phrases(
        "the camera stays still/the camera staying still, the camera does not move/the camera not moving, "
        "the view is fixed/a fixed view"
    ),
    "pan left": _phrases(
        "the camera pans left/the camera panning left, the camera pans to the left/the camera panning to the left, "
        "the view sweeps left/the view sweeping left, the camera turns to the left/the camera turning to the left"
    ),
    "pan right": _phrases(
        "the camera pans right/the camera panning right, the camera pans to the right/the camera panning to the right, "
        "the view sweeps right/the view sweeping right, the camera turns to the right/the camera turning to the right"
    ),
    "zoom in": _phrases(
        "the camera zooms in/the camera zooming in, the camera moves closer/the camera moving closer, "
        "the view zooms in/the view zooming in, the camera pushes in/the camera pushing in",
        "the camera approaches/the camera approaching",
    ),
    "zoom out": _phrases(
        "the camera zooms out/the camera zooming out, the camera moves away/the camera moving away, "
        "the view zooms out/the view zooming out, the camera pulls back/the camera pulling back",
        "the camera retreats/the camera retreating",
    ),
}

WEATHER_WORDS: dict[str, Phrases] = {
    "clear": _phrases(
        "in clear weather/the weather is clear, on a clear day/it is a clear day, under a clear sky/the sky is clear"
    ),
    "rain": _phrases(
        "in the rain/it is raining, in rainy weather/the weather is rainy, while it is raining/rain comes down, "
        "in a rain shower/there is a rain shower, while it rains/it rains",
        "in a downpour/there is a downpour",
    ),
    "snow": _phrases(
        "in snowfall/there is snowfall, while it is snowing/it is snowing, in snowy weather/the weather is snowy, "
        "with snowflakes in the air/snowflakes are in the air, while it snows/it snows",
        "in a blizzard/there is a blizzard",
    ),
}

IMPACT_WORDS: dict[str, tuple[str, ...]] = {
    "rubber": (
        "each impact makes a dull thud",
        "every hit is a soft thump",
        "we hear a dull thud at each contact",
        "it lands with a soft thud",
    ),
    "wood": (
        "each impact makes a wooden knock",
        "every hit is a hollow knock",
        "we hear a knock at each contact",
        "it lands with a wooden clack",
    ),
    "metal": (
        "each impact makes a metallic clang",
        "every hit is a ringing clang",
        "we hear a clang at each contact",
        "it lands with a bright metallic ring",
    ),
}
"""Sentences for motions that strike something, by material."""

SILENCE_WORDS = ("there is no sound", "it is silent", "all is quiet", "nothing is heard")

_MOTOR_WORDS = ("the motor hums", "we hear a motor hum", "its engine hums", "an engine is heard")

VOICE_WORDS: dict[str, tuple[str, ...]] = {
    "car": _MOTOR_WORDS,
    "boat": _MOTOR_WORDS,
    "rocket": ("its engine roars", "we hear an engine roar", "the motor roars softly", "an engine is heard"),
    "bird": ("it chirps", "we hear it chirp", "chirps are heard", "it sings"),
}
"""Sentences for objects that are heard by themselves: motors unless they stay, birds always."""

WEATHER_SOUND_WORDS: dict[str, tuple[str, ...]] = {
    "rain": ("rain patters softly", "we hear the rain patter", "the rain is heard"),
    "snow": ("the wind blows softly", "we hear the wind", "a quiet wind is heard"),
}

STRIKING = frozenset({"bounce", "fall", "throw", "hop", "collide"})
"""Motions that strike something, which is heard."""

ATTRIBUTE_WORDS: dict[str, dict[str, Phrases]] = {
    "colour": COLOUR_WORDS,
    "object": OBJECT_WORDS,
    "size": SIZE_WORDS,
    "motion": MOTION_WORDS,
    "direction": DIRECTION_WORDS,
    "scene": SCENE_WORDS,
    "camera": CAMERA_WORDS,
    "material": MATERIAL_WORDS,
    "weather": WEATHER_WORDS,
}
"""Attribute name of `spec.Attributes`, then value, then its phrases."""


def split_words(text: str) -> list[str]:
    """Return the words of ``text`` in lower case; hyphens and slashes separate."""
    return re.findall(r"[a-z]+", text.lower())


_ENDINGS = ("iness", "ingly", "ward", "wards", "ness", "ers", "ing", "ed", "es", "er", "en", "ly", "y", "s", "e")


def stem(word: str) -> str:
    """Return ``word`` without its endings, at least three letters long, a doubled last consonant made single."""
    changed = True
    while changed:
        changed = False
        for ending in _ENDINGS:
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                word = word[: -len(ending)]
                changed = True
                break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiou" else word


def _phrase_words(held_out: bool) -> set[str]:
    every = (words for values in ATTRIBUTE_WORDS.values() for words in values.values())
    return {
        word for words in every for text in (words.held_out if held_out else words.train) for word in split_words(text)
    }


TRAINED_PHRASE_WORDS: frozenset[str] = frozenset(
    _phrase_words(held_out=False)
    | {
        word
        for texts in (*IMPACT_WORDS.values(), *VOICE_WORDS.values(), *WEATHER_SOUND_WORDS.values(), SILENCE_WORDS)
        for text in texts
        for word in split_words(text)
    }
)
"""Every word of the trained phrases; `captions.KNOWN_WORDS` adds those of the templates."""

HELD_OUT_WORDS: frozenset[str] = frozenset(_phrase_words(held_out=True) - TRAINED_PHRASE_WORDS)
"""Words that no training caption holds. The function words and carriers of held-out phrases ("floor") are trained."""


_CARRIERS = frozenset(
    split_words(
        "a an the on in to at of is it and with from while be being does not very rather up down over along across "
        "again place keep keeps shape side round there each every we front against as into gets get getting off around "
        "under camera view moves moving move goes going go comes coming come bright vivid deep pure toy young"
    )
)
"""Words that carry phrases and name nothing alone."""


def _concepts() -> dict[str, tuple[str, str]]:
    """Map each word to the value that it names most often; a word of many values (such as "the") has none."""
    uses: dict[str, dict[tuple[str, str], int]] = {}
    for attribute, values in ATTRIBUTE_WORDS.items():
        for value, words in values.items():
            for text in (*words.train, *words.held_out, value):
                for word in set(split_words(text)):
                    counts = uses.setdefault(word, {})
                    counts[attribute, value] = counts.get((attribute, value), 0) + 1
    found = {}
    for word, counts in uses.items():
        best = max(counts, key=lambda key: counts[key])
        if counts[best] > 0.5 * sum(counts.values()) and word not in _CARRIERS:
            found[word] = best
    return found


_CONCEPTS = _concepts()


def concept_of(word: str) -> tuple[str, str] | None:
    """Return the attribute and value that a trained or held-out word names, or None: ``("colour", "red")``."""
    return _CONCEPTS.get(word.lower())
