"""From the options of a command to the order by which its file is saved."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .hints import hint
from .judging import Judged
from .marks import certificate_of, check_marks, switches_of

if TYPE_CHECKING:
    from torch import Tensor

    from ..provenance.delivery import Delivered, Order
    from ..provenance.manifest.generation import CameoUse
    from ..provenance.manifest.story import Act, Ingredient
    from ..provenance.marking.layers import Layers


@dataclass(frozen=True, kw_only=True)
class Making:
    """How a command makes its file.

    title: shown. opened: a file is changed, the first of its ingredients; else a model makes it. ingredients: files it
    is made from. acts: what was done. prompt: what was asked for. seed: of the noise. model: name and SHA-256.
    """

    title: str
    opened: bool = False
    ingredients: Sequence[Ingredient] = ()
    acts: Sequence[Act] = ()
    prompt: str = ""
    seed: int | None = None
    model: tuple[str, str] = ("", "")
    cameos: Sequence[CameoUse] = ()


def layers_of(args: argparse.Namespace, *, cameo: bool = False) -> Layers:
    """Return the marks that the options of `marks.add_marks` ask for.

    Args:
        args: of the command line. cameo: whether somebody is shown who lent their likeness: the badge is then on.

    Raises:
        SoraError: options that contradict one another, a text without letters for it, or a logo that cannot be read.
    """
    from ..provenance.marking.layers import NO_MARKS, TEXT, Layers

    check_marks(args, cameo=cameo)
    if args.no_mark:
        return NO_MARKS
    if args.badge:
        from ..provenance.marking.badge_lettering import check_text

        # before anything is made, and not when the first frame is painted
        check_text(args.badge, logo=args.logo is not None)
    return Layers(
        **switches_of(args, cameo=cameo),
        text=args.badge or TEXT,
        logo=None if args.logo is None else _logo(args.logo),
        scale=args.scale,
    )


def order_of(args: argparse.Namespace, layers: Layers, making: Making, judged: Judged | None = None) -> Order:
    """Return how a command's file is saved."""
    from ..provenance.delivery import Order
    from ..provenance.home import Home
    from ..provenance.manifest.generation import Generation, salted
    from ..provenance.manifest.story import Disclosure, Story

    name, model_hash = making.model
    words = salted(making.prompt, show=args.prompt_in_manifest) if making.prompt else {}
    policy: dict[str, str] = {"policy_decision": "not asked"}
    if judged is not None:
        policy = {
            "policy_id": judged.policy.name,
            "policy_sha256": judged.policy.sha256,
            "policy_decision": judged.decision.action,
        }
    generation = Generation(
        **words,
        **policy,
        seed=making.seed,
        model_name=name,
        model_sha256=model_hash,
        cameos=tuple(making.cameos),
    )
    story = Story(
        title=making.title,
        made="opened" if making.opened else "generated",
        ingredients=tuple(making.ingredients),
        acts=tuple(making.acts),
        disclosure=Disclosure(name=name, identifier=model_hash) if name else None,
        generation=generation,
    )
    return Order(layers=layers, story=story, home=Home.default(), certificate=certificate_of(args))


def ingredients_of(opened: Sequence[Path], inputs: Sequence[Path]) -> list[Ingredient]:
    """Return files as ingredients: the first of ``opened`` is what the clip was, at ``inputs`` a model looked."""
    from ..provenance.manifest.story import Ingredient

    found = [
        Ingredient(path=path, relationship="componentOf" if place else "parentOf") for place, path in enumerate(opened)
    ]
    return found + [Ingredient(path=path, relationship="inputTo") for path in inputs]


def acts_of(command: str, *, by_model: bool) -> list[Act]:
    """Return what a command of the editor does to its first clip."""
    from ..provenance.manifest.story import Act

    return [Act(description=command, by_model=by_model)]


def say_marks(delivered: Delivered) -> None:
    """Say on stderr what of the marks a user should know."""
    for note in delivered.notes:
        hint(note)


def marks_record(delivered: Delivered) -> dict[str, Any]:
    """Return what ``--json`` says of a file's marks."""
    return {
        "mark_id": None if delivered.mark_id is None else f"{delivered.mark_id:016x}",
        "signed": delivered.signed,
        "manifest_file": None if delivered.beside is None else str(delivered.beside),
        "saved_size": f"{delivered.width}x{delivered.height}",
        "sha256": delivered.sha256,
        "notes": [*delivered.notes, *([delivered.silent] if delivered.silent else [])],
    }


def _logo(path: Path) -> Tensor:
    import torch

    from ..media.image import read_rgba

    return torch.from_numpy(read_rgba(path))
