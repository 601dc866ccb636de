"""What is claimed of a clip before it is signed, in plain words and without C2PA's types."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...errors import SoraError
from .generation import Generation
from .labels import COMPONENT, EDITED, INPUT, PARENT

Relationship = Literal["parentOf", "componentOf", "inputTo"]
Made = Literal["generated", "opened"]
Layer = Literal["visible", "invisible", "audio"]

RELATIONSHIPS = (PARENT, COMPONENT, INPUT)
LAYER_NAMES = ("visible", "invisible", "audio")
OVERSIGHT = ("fully_autonomous", "prompt_guided", "human_validated")
"""No human looked at it; a human gave the prompt; a human approved the result (C2PA 2.4)."""
TRAINING_USES = ("allowed", "notAllowed")
MOST_INGREDIENTS = 200


@dataclass(frozen=True, kw_only=True)
class Ingredient:
    """A file that the clip was made from; its own manifest, inside or beside it, is carried on.

    path: the file. title: shown, by default the file's name (never its folder).
    relationship: parentOf (what the clip was before; one at most), componentOf (put into it), inputTo (a model saw it).
    """

    path: Path
    title: str = ""
    relationship: Relationship = "parentOf"

    def __post_init__(self) -> None:
        """Refuse relationships that C2PA does not know."""
        if self.relationship not in RELATIONSHIPS:
            raise SoraError(
                f"the relationship {self.relationship!r} is none of {', '.join(RELATIONSHIPS)}; choose one of them"
            )


@dataclass(frozen=True, kw_only=True)
class MarkClaim:
    """A mark that lies in a stretch of the clip.

    layer: "invisible" in the picture (mark_id of 64 bits), "audio" in the sound (mark_id is the short one, 32 bits).
    start_s, stop_s: seconds.
    """

    layer: Literal["invisible", "audio"]
    mark_id: int
    start_s: float
    stop_s: float

    def __post_init__(self) -> None:
        """Refuse what the marks cannot hold."""
        if not 0 <= self.mark_id < 1 << self.bits:
            raise SoraError(f"the id {self.mark_id} of the {self.layer} mark must be from 0 to {(1 << self.bits) - 1}")
        if not 0 <= self.start_s <= self.stop_s < 1e9:
            raise SoraError(f"the mark's stretch from {self.start_s} s to {self.stop_s} s must lie in the clip")

    @property
    def bits(self) -> int:
        """How many the id has."""
        return 64 if self.layer == "invisible" else 32


@dataclass(frozen=True, kw_only=True)
class Act:
    """Something that was done to the parent. label: C2PA's name. description: shown. by_model: a model made pixels."""

    label: str = EDITED
    description: str = ""
    by_model: bool = True


@dataclass(frozen=True, kw_only=True)
class Disclosure:
    """That a model made it, for those who look for that alone. name: the model's. identifier: such as its hash."""

    name: str
    identifier: str = ""
    oversight: str = "prompt_guided"

    def __post_init__(self) -> None:
        """Refuse levels that C2PA does not know."""
        if self.oversight not in OVERSIGHT:
            raise SoraError(f"the oversight {self.oversight!r} is none of {', '.join(OVERSIGHT)}; choose one of them")


@dataclass(frozen=True, kw_only=True)
class Story:
    """What a manifest says of a clip.

    title: shown. made: "generated" by a model, or "opened": it was there before, as the parent among the ingredients
        or, without one there, as the very file that is signed.
    ingredients: files it was made from. acts: what was done to the parent, in order.
    marks: those that lie in the clip. layers_on, layers_off: marks that are there, visible ones too, and those that
        somebody turned off by an explicit choice.
    disclosure, generation: None to leave them out. training: "allowed" or "notAllowed", "" to say nothing.
    """

    title: str
    made: Made = "generated"
    ingredients: tuple[Ingredient, ...] = ()
    acts: tuple[Act, ...] = ()
    marks: tuple[MarkClaim, ...] = ()
    layers_on: tuple[Layer, ...] = ()
    layers_off: tuple[Layer, ...] = ()
    disclosure: Disclosure | None = None
    generation: Generation | None = None
    training: str = ""

    def __post_init__(self) -> None:
        """Refuse stories that contradict themselves."""
        if self.made not in ("generated", "opened"):
            raise SoraError(f"a clip is generated or opened, not {self.made!r}; choose one of them")
        if sum(one.relationship == PARENT for one in self.ingredients) > 1:
            raise SoraError("a clip has one parent at most; call the others componentOf")
        if len(self.ingredients) > MOST_INGREDIENTS:
            raise SoraError(f"{len(self.ingredients)} ingredients are too many; at most {MOST_INGREDIENTS}")
        if self.training and self.training not in TRAINING_USES:
            raise SoraError(f"training {self.training!r} is none of {', '.join(TRAINING_USES)}; choose one or none")
        named = (*self.layers_on, *self.layers_off)
        if unknown := [layer for layer in named if layer not in LAYER_NAMES]:
            raise SoraError(f"the layer {unknown[0]!r} is none of {', '.join(LAYER_NAMES)}")
        if len(set(named)) < len(named):
            raise SoraError(f"a layer is either there or turned off: {', '.join(named)} names one twice")
        if missing := [mark.layer for mark in self.marks if mark.layer not in self.layers_on]:
            raise SoraError(f"the story names a mark of the layer {missing[0]!r} that it does not list as there")

    @property
    def parent(self) -> Ingredient | None:
        """The ingredient that the clip was before, if there is one."""
        return next((one for one in self.ingredients if one.relationship == PARENT), None)
