"""One prompt text from its parts, and what the connected model makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...sora_core.editing.expand import expand_prompt
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


INSTRUCTION = (
    "Rewrite the input as one prompt for a video model with sound. Keep every thing it names; add subject, action, "
    "setting, camera, light and what is heard, in plain words and in the order in which they happen. Answer with the "
    "prompt alone."
)
"""What a text model is asked (ours)."""

WORDS = {"short": "20 to 40", "medium": "60 to 100", "long": "150 to 200"}
TOKENS = {"short": 96, "medium": 224, "long": 448}
"""Lengths that it is asked for, and the tokens after which it is stopped."""


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


def expand(prompt: str, length: str, seed: int, text_model: Any = None) -> str:
    """Return a prompt written out: by the world's grammar, or by a CLIP that can write.

    Raises:
        SoraError: an empty prompt, or a CLIP that cannot write.
    """
    if not prompt.strip():
        raise SoraError('the prompt is empty; write a few words, for example "a red ball"')
    if text_model is None:
        return expand_prompt(prompt, length, seed)
    asked = f"{INSTRUCTION}\nLength: {WORDS[length]} words.\nInput: {prompt.strip()}\nOutput:"
    tokens = text_model.tokenize(asked, min_length=1)
    try:
        ids = text_model.generate(tokens, do_sample=True, max_length=TOKENS[length], seed=seed)
    except (AttributeError, NotImplementedError, TypeError) as error:
        raise SoraError(
            "the connected text model only reads text and cannot write it; connect one that core's Generate Text takes, "
            "or none for Sora's own model"
        ) from error
    written = text_model.decode(ids)
    return written.strip() or prompt
