"""What the rendered world holds: its words, sizes, physical constants and levels.

Everything here is data. Positions are in frame heights (y down from the top edge), time in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.10, 0.12),
    "orange": (1.00, 0.52, 0.05),
    "yellow": (0.98, 0.90, 0.12),
    "green": (0.10, 0.66, 0.18),
    "cyan": (0.12, 0.86, 0.90),
    "blue": (0.12, 0.25, 0.92),
    "purple": (0.60, 0.16, 0.78),
    "white": (0.97, 0.97, 0.97),
}
"""sRGB in [0, 1]."""

OBJECTS = ("ball", "box", "star", "ring", "car", "boat", "fish", "bird", "rocket", "tree")

SIZES: dict[str, float] = {"small": 0.105, "medium": 0.150, "large": 0.205}
"""Radius (half the object's height) in frame heights; each clip varies it by up to 6 %."""

MATERIALS = ("rubber", "wood", "metal")

RESTITUTION: dict[str, float] = {"rubber": 0.78, "wood": 0.55, "metal": 0.68}
"""Speed after a contact over speed before it."""

SCENES = ("plain", "wooden floor", "sand", "dark floor", "meadow", "snow")

MOTIONS = ("slide", "roll", "bounce", "fall", "rise", "stay", "throw", "hop", "swing", "spin", "circle", "collide")
"""``slide`` and ``roll`` go left or right (`DIRECTIONS`)."""

DIRECTIONS = ("left", "right")
DIRECTED = frozenset({"slide", "roll", "throw", "hop"})
CAMERAS = ("still", "pan left", "pan right", "zoom in", "zoom out")
WEATHERS = ("clear", "rain", "snow")

CALM = 0.5
"""Share of the clips in which the camera is still, and of those in clear weather, where a level has others too: what an
actor does is learned first from clips in which nothing else moves (our decision)."""

GRAVITY = 4.0
"""Frame heights per second squared: 256 px/s^2 at a height of 64 px. Ours: three arcs fit into two seconds."""

FLOOR = 0.86
"""Height of the line that objects rest on, in frame heights from the top."""


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """What one clip shows, in the world's own words (never synonyms).

    ``direction`` is empty for motions that have none. ``other`` is the second actor (colour, object) or empty.
    """

    colour: str
    object: str
    size: str
    motion: str
    direction: str = ""
    scene: str = "plain"
    camera: str = "still"
    material: str = "rubber"
    weather: str = "clear"
    other: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Level:
    """A subset of the world, so that what a checkpoint learned can match the compute there was."""

    number: int
    objects: tuple[str, ...]
    scenes: tuple[str, ...]
    motions: tuple[str, ...]
    cameras: tuple[str, ...] = ("still",)
    materials: tuple[str, ...] = ("rubber",)
    weathers: tuple[str, ...] = ("clear",)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes that vary at this level and can be measured."""
        names = ["colour", "object", "size", "motion", "direction", "scene"]
        return (*names, "camera") if len(self.cameras) > 1 else tuple(names)


LEVELS: dict[int, Level] = {
    1: Level(number=1, objects=OBJECTS[:4], scenes=SCENES[:4], motions=MOTIONS[:6]),
    2: Level(
        number=2,
        objects=OBJECTS,
        scenes=SCENES,
        motions=MOTIONS[:11],
        materials=MATERIALS,
        weathers=WEATHERS,
    ),
    3: Level(
        number=3,
        objects=OBJECTS,
        scenes=SCENES,
        motions=MOTIONS,
        cameras=CAMERAS,
        materials=MATERIALS,
        weathers=WEATHERS,
    ),
}


def held_out_look(colour: str, obj: str) -> bool:
    """Say whether this colour and object are never trained on together (one pair in eight)."""
    return (tuple(COLOURS).index(colour) + 3 * OBJECTS.index(obj)) % 8 == 1


def held_out_act(obj: str, motion: str) -> bool:
    """Say whether this object and motion are never trained on together (about one pair in eight)."""
    return (MOTIONS.index(motion) + 3 * OBJECTS.index(obj)) % 8 == 4


def held_out(attributes: Attributes) -> bool:
    """Say whether a clip with these attributes is kept out of training; of two actors, either is reason enough."""
    actors = [(attributes.colour, attributes.object)]
    if attributes.other:
        colour, obj = attributes.other
        actors.append((colour, obj))
    return any(held_out_look(colour, obj) or held_out_act(obj, attributes.motion) for colour, obj in actors)
