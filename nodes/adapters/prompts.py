"""One prompt text from its parts, and what the connected model makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...sora_core.errors import SoraError
from .clip import words_unknown_to

NO_STYLE = "none"

STYLES: Mapping[str, str] = {
    NO_STYLE: "",
    "festive": "in a festive style with warm holiday lights",
    "kakalaka": "in the kakalaka style, playful and colourful",
    "news": "in the style of a television news report",
    "selfie": "as a selfie video held at arm's length",
    "handheld": "filmed with a handheld camera",
    "golden": "in the golden light of a low sun",
    "anime": "in the style of an anime film",
    "retro": "in a retro style with film grain",
    "nostalgic": "in a nostalgic vintage style with faded colours",
    "comic": "in the style of a comic book",
}
"""The ten style names of the Sora app, in our own words: what its presets said was never published."""


def compose(
    *,
    subject: str,
    action: str = "",
    scene: str = "",
    camera: str = "",
    style: str = NO_STYLE,
    sound: str = "",
    dialogue: str = "",
) -> str:
    """Return one prompt: a first sentence of subject, action and scene, then what else is named.

    Raises:
        SoraError: nothing to show, or a style that is not known.
    """
    if style not in STYLES:
        raise SoraError(f"style {style!r} is not known; choose one of {', '.join(STYLES)}")
    shown = " ".join(part.strip() for part in (subject, action, scene) if part.strip())
    if not shown:
        raise SoraError('the prompt is empty; fill in at least the subject, for example "a large red ball"')
    first = ", ".join(part for part in (shown, camera.strip(), STYLES[style]) if part)
    rest = [f"the sound is {sound.strip()}"] if sound.strip() else []
    if dialogue.strip():
        rest.append(f'a voice says "{dialogue.strip()}"')
    return ". ".join([first, *rest])


def account(clip: Any, prompt: str) -> str:
    """Return the prompt with what the connected model does not know of it, for showing in the node."""
    unknown = words_unknown_to(clip, prompt) if clip is not None else None
    if not unknown:
        return prompt
    taken = [f"{word} (taken for {near})" if near else f"{word} (will change little)" for word, near in unknown]
    return f"{prompt}\n\nNot known to the connected model: {', '.join(taken)}."
