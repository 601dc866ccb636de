"""Write a prompt from its parts."""

from __future__ import annotations

from typing import Any

from ..sora_core.editing.expand import EXPANSIONS
from ..sora_core.request import MAX_SEED
from .adapters.prompts import NO_STYLE, STYLES, account, compose, expand
from .host import io, say


class SoraPrompt(io.ComfyNode):
    """Subject, action, scene and the rest to one text."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraPrompt",
            display_name="Sora Prompt",
            category="sora/prompt",
            description="Write a prompt from its parts. With a CLIP connected, the node says which words its model does not know and what it takes them for.",
            search_aliases=["prompt builder", "sora style", "shot description"],
            inputs=[
                io.String.Input(
                    "subject",
                    default="a large red ball",
                    tooltip="Who or what is seen. The shipped model knows balls, boxes, stars and rings in eight colours and three sizes.",
                ),
                io.String.Input(
                    "action",
                    default="bounces",
                    tooltip="What it does: slides or rolls to the left or right, bounces, falls, rises, stays.",
                ),
                io.String.Input(
                    "scene",
                    default="on a wooden floor",
                    tooltip="Where: on a wooden floor, on sand, on a dark floor, on a plain background.",
                ),
                io.String.Input(
                    "camera", default="", tooltip="Shot and camera movement, for large models. Empty leaves it out."
                ),
                io.Combo.Input(
                    "style",
                    options=list(STYLES),
                    default=NO_STYLE,
                    tooltip="One of the Sora app's ten style names, written out in our own words; for large models.",
                ),
                io.String.Input(
                    "sound", default="", tooltip="What is heard, for example: a dull thud. Empty leaves it out."
                ),
                io.String.Input(
                    "dialogue", default="", tooltip="What a voice says, for models that can speak. Empty leaves it out."
                ),
                io.Clip.Input(
                    "clip",
                    optional=True,
                    tooltip="The model's CLIP. With Sora's own, unknown words are named in the node; others cannot tell.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[io.String.Output(display_name="prompt", tooltip="The whole text, for CLIP Text Encode.")],
        )

    @classmethod
    def execute(
        cls,
        subject: str,
        action: str,
        scene: str,
        camera: str,
        style: str,
        sound: str,
        dialogue: str,
        clip: Any = None,
    ) -> io.NodeOutput:
        """Join the parts and show the result."""
        prompt = compose(
            subject=subject, action=action, scene=scene, camera=camera, style=style, sound=sound, dialogue=dialogue
        )
        return io.NodeOutput(prompt, ui=say(account(clip, prompt), cls.hidden.unique_id))


class SoraPromptExpand(io.ComfyNode):
    """A few words to a whole prompt."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraPromptExpand",
            display_name="Sora Prompt Expand",
            category="sora/prompt",
            description="Write a few words out to a whole prompt. What is left open is drawn from what Sora's own model knows; with a text model connected, that one writes.",
            search_aliases=["prompt enhance", "rewrite prompt", "expansion level"],
            inputs=[
                io.String.Input(
                    "prompt",
                    multiline=True,
                    default="a red ball",
                    tooltip="What is to be seen, in a few words; what it names is kept.",
                ),
                io.Combo.Input(
                    "length",
                    options=list(EXPANSIONS),
                    default="medium",
                    tooltip="short adds a motion, medium size and scene too, long also the sound. A text model is asked for 20 to 40, 60 to 100 or 150 to 200 words.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=MAX_SEED,
                    control_after_generate=True,
                    tooltip="Seed of what is left open; the same seed and inputs give the same prompt.",
                ),
                io.Clip.Input(
                    "text_model",
                    optional=True,
                    tooltip="A CLIP that can write, as core's Generate Text takes it (Gemma, Qwen). Without one the prompt is written in the words of Sora's own model.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[io.String.Output(display_name="prompt", tooltip="The whole text, for CLIP Text Encode.")],
        )

    @classmethod
    def execute(cls, prompt: str, length: str, seed: int, text_model: Any = None) -> io.NodeOutput:
        """Write it and show the result."""
        expanded = expand(prompt, length, seed, text_model)
        return io.NodeOutput(expanded, ui=say(expanded, cls.hidden.unique_id))
