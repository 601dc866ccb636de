"""A storyboard: shots as text or as cards, and the nodes that make them."""

from __future__ import annotations

from typing import Any

from ..sora_core.editing.card import TRANSITIONS
from ..sora_core.editing.one_clip import MODES, SHOTS
from ..sora_core.errors import SoraError
from .adapters.board import Source, card_after, expand, script_cards, settle
from .adapters.family import profile_of
from .editor import CATEGORY, context_input, model_inputs, sampling_inputs, size_inputs
from .host import io
from .shots import fade_input, limit_input

Cards = io.Custom("SORA_CARDS")
"""A list of shots; no type of core's holds several things that belong together."""

SCRIPT = "[2s]a large red ball bounces on a wooden floor [2s, fade]a small blue box falls"

UNCONNECTED = object()
"""Stands for an input that is not connected: one that is arrives as None where inputs are checked."""


class SoraCard(io.ComfyNode):
    """One shot of a storyboard."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraCard",
            display_name="Sora Card",
            category=CATEGORY,
            description="One shot of a storyboard: what is shown, for how long, and how it begins. Connect cards in a row, the last one to Sora Storyboard.",
            search_aliases=["storyboard card", "shot", "scene"],
            inputs=[
                io.String.Input(
                    "text",
                    multiline=True,
                    default="a large red ball bounces on a wooden floor",
                    tooltip="What the shot shows. May be empty with a picture or a clip.",
                ),
                io.Float.Input(
                    "seconds",
                    default=2.0,
                    min=0.05,
                    max=600.0,
                    step=0.05,
                    tooltip="How long it lasts, more than 0 and at most 600.",
                ),
                io.Combo.Input(
                    "transition",
                    options=list(TRANSITIONS),
                    default=TRANSITIONS[0],
                    tooltip="How it begins: cut, fade over the shot before, or continue from that one's last frames. The first is a cut.",
                ),
                io.Int.Input(
                    "seed",
                    default=-1,
                    min=-1,
                    max=0x7FFFFFFFFFFFFFFF,
                    control_after_generate=False,
                    tooltip="Seed of this shot alone; -1 follows the storyboard's.",
                ),
                Cards.Input("cards", optional=True, tooltip="The cards before this one."),
                io.Image.Input("image", optional=True, tooltip="The shot's first frame."),
                io.Video.Input(
                    "video",
                    optional=True,
                    tooltip="What the shot begins with. A longer clip is cut to the card, a shorter one goes on.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[
                Cards.Output(display_name="cards", tooltip="All cards so far, for the next card or a storyboard.")
            ],
        )

    @classmethod
    def execute(
        cls,
        text: str,
        seconds: float,
        transition: str,
        seed: int,
        cards: Any = None,
        image: Any = None,
        video: Any = None,
    ) -> io.NodeOutput:
        """Add it to the cards before."""
        own = cls.hidden.unique_id
        given = {"image": image, "video": video}
        begins = {name: Source(node_id=own, name=name) for name, value in given.items() if value is not None}
        card = {"duration_s": seconds, "text": text, "transition": transition, "seed": None if seed < 0 else seed}
        return io.NodeOutput(card_after(cards, **card, **begins))


class SoraStoryboard(io.ComfyNode):
    """Shots to one film."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        model, _, _, vae = model_inputs("")
        return io.Schema(
            node_id="SoraStoryboard",
            display_name="Sora Storyboard",
            category=CATEGORY,
            description="Make a film of several shots from a script or from cards. Each shot is kept when it is finished: a run that was stopped goes on where it was, and a changed card makes only its own shot anew.",
            search_aliases=["storyboard", "multi shot", "script", "long video"],
            enable_expand=True,
            inputs=[
                model,
                io.Clip.Input("clip", tooltip="The model's CLIP, which reads the shots' texts."),
                vae,
                io.String.Input(
                    "script",
                    multiline=True,
                    default=SCRIPT,
                    tooltip="Shots, each behind its seconds and, where wanted, how it begins and its seed: [3s, fade, seed 7]it bounces. Sora's longer form with Shot 1: and Scene: is read too. Not read where cards are connected.",
                ),
                io.String.Input(
                    "negative_text",
                    multiline=True,
                    default="",
                    tooltip="What guidance leads away from. Not read where a negative is connected.",
                ),
                *size_inputs(),
                io.Combo.Input(
                    "mode",
                    options=list(MODES),
                    default=SHOTS,
                    tooltip="single: one clip in which the prompt changes, for a few short shots with cuts and Sora's own model. shots: a clip for each. auto: single where that can be.",
                ),
                fade_input(),
                context_input(),
                limit_input(),
                *sampling_inputs(),
                io.Conditioning.Input("negative", optional=True, tooltip="What guidance leads away from."),
                Cards.Input("cards", optional=True, tooltip="Sora Cards, in place of the script."),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
            outputs=[io.Video.Output(display_name="video", tooltip="The film, for Save Video.")],
        )

    @classmethod
    def validate_inputs(cls, script: str | None, cards: Any = UNCONNECTED) -> bool | str:
        """Refuse a script before any model is loaded."""
        try:
            if script is not None and cards is UNCONNECTED:
                script_cards(script)
        except SoraError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        model: Any,
        vae: Any,
        script: str,
        negative_text: str,
        width: int,
        height: int,
        fps: float,
        mode: str,
        fade: float,
        context: float,
        seed: int,
        audio_vae: Any = None,
        model_low: Any = None,
        cards: Any = None,
        **_: Any,
    ) -> io.NodeOutput:
        """Lay the shots out as nodes."""
        profile = profile_of(model, vae, audio_vae, model_low)
        sizes = {"fps": fps, "width": width, "height": height, "seed": seed}
        settled = cards if cards is not None else script_cards(script)
        board = settle(settled, profile, **sizes, mode=mode, fade=fade, context=context)
        video, graph = expand(board, cls.hidden.dynprompt, cls.hidden.unique_id, negative_text)
        return io.NodeOutput(video, expand=graph)
