"""A story in the words of C2PA: the definition that the library signs."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from ... import __version__
from .generation import generation_data
from .labels import (
    ACTIONS,
    AI_DISCLOSURE,
    COMPONENT,
    CONTAINER,
    CREATED,
    EDITED_BY_MODEL,
    GENERATED,
    GENERATION,
    INPUT,
    LAYERS,
    OPENED,
    PARENT,
    PLACED,
    PRODUCT,
    SOFT_BINDING,
    SOUND_MARK,
    TRAINING,
    VIDEO_MARK,
    WATERMARKED,
)
from .plain import plain
from .story import MarkClaim, Story

MARK_ALGORITHMS = {"invisible": VIDEO_MARK, "audio": SOUND_MARK}

TRAINING_ENTRIES = ("cawg.ai_generative_training", "cawg.ai_training", "cawg.data_mining")


def claim(story: Story, media: str, *, outer_sha256: str = "", now: datetime | None = None) -> dict[str, Any]:
    """Return the definition of a manifest.

    Its ingredients are named `ingredient_id` (0), (1), ... in the story's order, and are added by who signs.

    Args:
        story: its parent, if it was opened, is among the ingredients.
        media: media type of the file.
        outer_sha256: see `outer_boxes`; "" for containers that have none.
        now: the time, in UTC; by default the clock's. Nobody vouches for it.
    """
    assertions = [
        _assertion(ACTIONS, {"actions": _actions(story, now or datetime.now(timezone.utc))}),
        *(_assertion(SOFT_BINDING, _soft_binding(mark)) for mark in story.marks),
    ]
    if story.disclosure is not None:
        disclosure = {
            "modelType": "c2pa.types.model",
            "modelName": plain(story.disclosure.name),
            "contentProfile": {"humanOversightLevel": story.disclosure.oversight},
        }
        if story.disclosure.identifier:
            disclosure["modelIdentifier"] = plain(story.disclosure.identifier)
        assertions.append(_assertion(AI_DISCLOSURE, disclosure))
    if story.training:
        entries = {entry: {"use": story.training} for entry in TRAINING_ENTRIES}
        assertions.append(_assertion(TRAINING, {"entries": entries}))
    if story.generation is not None:
        assertions.append(_assertion(GENERATION, generation_data(story.generation)))
    if story.layers_on or story.layers_off:
        layers = {"present": list(story.layers_on), "off": list(story.layers_off)}
        assertions.append(_assertion(LAYERS, layers))
    if outer_sha256:
        assertions.append(_assertion(CONTAINER, {"outer_sha256": outer_sha256}))
    return {
        "title": plain(story.title) or "untitled",
        "format": media,
        "claim_generator_info": [{"name": PRODUCT, "version": __version__}],
        "assertions": assertions,
    }


def ingredient_id(place: int) -> str:
    """Return how actions refer to an ingredient."""
    return f"ingredient-{place}"


def _assertion(label: str, data: dict[str, Any]) -> dict[str, Any]:
    # without "created" the library files it under what others told us
    return {"label": label, "data": data, "created": True}


def _actions(story: Story, now: datetime) -> list[dict[str, Any]]:
    """Source: C2PA 2.2, section 18.15: the first action is c2pa.created or, with one parent, c2pa.opened."""
    ids: dict[str, list[str]] = {PARENT: [], COMPONENT: [], INPUT: []}
    for place, ingredient in enumerate(story.ingredients):
        ids[ingredient.relationship].append(ingredient_id(place))
    agent = {"name": PRODUCT, "version": __version__}
    stamp = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    seen = {"parameters": {"ingredientIds": ids[INPUT]}} if ids[INPUT] else {}
    actions: list[dict[str, Any]] = []
    if ids[PARENT]:
        actions.append({"action": OPENED, "parameters": {"ingredientIds": ids[PARENT]}})
    else:
        actions.append({"action": CREATED, "digitalSourceType": GENERATED, **seen})
        seen = {}
    actions += [{"action": PLACED, "parameters": {"ingredientIds": [one]}} for one in ids[COMPONENT]]
    for act in story.acts:
        action: dict[str, Any] = {"action": act.label, **seen}
        seen = {}
        if act.by_model:
            action["digitalSourceType"] = EDITED_BY_MODEL
        if act.description:
            action["description"] = plain(act.description)
        actions.append(action)
    if seen:
        actions.append({"action": "c2pa.edited", **seen})
    if story.marks:
        actions.append({"action": WATERMARKED})
    return [{**action, "softwareAgent": agent, "when": stamp} for action in actions]


def _soft_binding(mark: MarkClaim) -> dict[str, Any]:
    span = {"start": round(mark.start_s * 1000), "end": round(mark.stop_s * 1000)}
    value = f"{mark.mark_id:0{mark.bits // 4}x}"
    return {"alg": MARK_ALGORITHMS[mark.layer], "blocks": [{"scope": {"timespan": span}, "value": value}]}
