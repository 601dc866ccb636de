"""Sora's editor: more of a clip, without a seam, from one to another, and changed."""

from __future__ import annotations

from typing import Any

from ..sora_core.editing.blend import blend
from ..sora_core.editing.connect import connect
from ..sora_core.editing.curve import AMOUNT, CURVES, CUSTOM
from ..sora_core.editing.extend import DIRECTIONS, extend
from ..sora_core.editing.loop import loop
from ..sora_core.editing.recut import recut
from ..sora_core.editing.redo import read_redo
from ..sora_core.editing.remix import remix
from ..sora_core.editing.strength import STRENGTHS
from .adapters.films import film_of, video_of
from .editor import (
    CATEGORY,
    FADED_SOUND,
    FROM_FILE,
    KEPT_SOUND,
    VIDEO,
    context_input,
    maker_of,
    model_inputs,
    sampling_inputs,
    settings_of,
    unlike_input,
)
from .host import io

ADDED = "Seconds to make, more than 0 and at most 600. What is longer than the model's longest clip is made in several runs."
MADE = "The whole clip, for Save Video or another node of the editor."


class SoraExtend(io.ComfyNode):
    """More of a clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraExtend",
            display_name="Sora Extend",
            category=CATEGORY,
            description="Go on after a clip's end, or make what came before it, in picture and sound. Works on any flow-matching video model; long results are written to disk as they are made.",
            search_aliases=["extend video", "continue video", "longer"],
            inputs=[
                io.Video.Input("video", tooltip=VIDEO),
                *model_inputs("What is seen in the new part."),
                io.Float.Input("seconds", default=2.0, min=0.05, max=600.0, step=0.05, tooltip=ADDED),
                io.Combo.Input(
                    "direction",
                    options=list(DIRECTIONS),
                    default=DIRECTIONS[0],
                    tooltip="forward goes on after the end, backward makes what came before the start.",
                ),
                context_input(),
                *sampling_inputs(),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[io.Video.Output(display_name="video", tooltip=MADE)],
        )

    @classmethod
    def execute(
        cls, video: Any, seconds: float, direction: str, context: float, seed: int, **sampling: Any
    ) -> io.NodeOutput:
        """Make it."""
        maker = maker_of(seed=seed, **sampling)
        settings = settings_of(cls, seed, context)
        film = extend(maker, film_of(video), seconds=seconds, direction=direction, settings=settings)
        return io.NodeOutput(video_of(film))


class SoraLoop(io.ComfyNode):
    """A clip without a seam."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraLoop",
            display_name="Sora Loop",
            category=CATEGORY,
            description="Make a way from a clip's end back to its start, so that it can be shown again and again without a seam in picture or sound.",
            search_aliases=["seamless loop", "infinite", "cinemagraph"],
            inputs=[
                io.Video.Input("video", tooltip=VIDEO),
                *model_inputs("What is seen in the clip."),
                io.Float.Input("seconds", default=1.0, min=0.05, max=600.0, step=0.05, tooltip=ADDED),
                context_input(),
                *sampling_inputs(),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[io.Video.Output(display_name="video", tooltip=MADE)],
        )

    @classmethod
    def execute(cls, video: Any, seconds: float, context: float, seed: int, **sampling: Any) -> io.NodeOutput:
        """Make it."""
        maker = maker_of(seed=seed, **sampling)
        film = loop(maker, film_of(video), seconds=seconds, settings=settings_of(cls, seed, context))
        return io.NodeOutput(video_of(film))


class SoraConnect(io.ComfyNode):
    """From the end of one clip to the start of another."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraConnect",
            display_name="Sora Connect",
            category=CATEGORY,
            description="Make what lies between the end of one clip and the start of another, and give all three as one.",
            search_aliases=["interpolate videos", "join clips", "transition"],
            inputs=[
                io.Video.Input("video", tooltip="The clip that comes first. " + FROM_FILE),
                io.Video.Input("video_2", tooltip="The clip that follows."),
                *model_inputs("What is seen between the two clips."),
                io.Float.Input("seconds", default=1.0, min=0.05, max=600.0, step=0.05, tooltip=ADDED),
                context_input(),
                unlike_input(),
                *sampling_inputs(),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[io.Video.Output(display_name="video", tooltip=MADE)],
        )

    @classmethod
    def execute(
        cls, video: Any, video_2: Any, seconds: float, context: float, unlike: str, seed: int, **sampling: Any
    ) -> io.NodeOutput:
        """Make it."""
        film = connect(
            maker_of(seed=seed, **sampling),
            film_of(video),
            film_of(video_2),
            seconds=seconds,
            unlike=unlike,
            settings=settings_of(cls, seed, context),
        )
        return io.NodeOutput(video_of(film))


class SoraBlend(io.ComfyNode):
    """One clip into another."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraBlend",
            display_name="Sora Blend",
            category=CATEGORY,
            description="Turn one clip into another along a curve of influence: where both are mixed, the mix is made anew.",
            search_aliases=["morph", "crossfade", "merge videos"],
            inputs=[
                io.Video.Input("video", tooltip="The clip that it begins with. " + FROM_FILE),
                io.Video.Input("video_2", tooltip="The clip that it turns into."),
                *model_inputs("What is seen while the two are mixed."),
                io.Combo.Input(
                    "curve",
                    options=[*CURVES, CUSTOM],
                    default="transition",
                    tooltip="transition: from the first to the second. mix: an even mix throughout. sample: the first, with some of the second in the middle. custom: the points below.",
                ),
                io.String.Input(
                    "points",
                    default="0:0, 0.5:0.5, 1:1",
                    tooltip="For custom: place:influence of the second clip, both 0 to 1, places rising from 0 to 1.",
                ),
                io.Float.Input(
                    "seconds",
                    default=0.0,
                    min=0.0,
                    max=600.0,
                    step=0.05,
                    tooltip="Length of the result, at most the shorter section's. 0 takes the shorter section's.",
                ),
                *[
                    io.Float.Input(
                        name,
                        default=default,
                        min=0.0,
                        max=1.0,
                        step=0.01,
                        advanced=True,
                        tooltip=f"Where the {which} clip's section {edge}, 0 (its first frame) to 1 (its end).",
                    )
                    for name, default, which, edge in (
                        ("section_start", 0.0, "first", "begins"),
                        ("section_end", 1.0, "first", "ends"),
                        ("section_start_2", 0.0, "second", "begins"),
                        ("section_end_2", 1.0, "second", "ends"),
                    )
                ],
                io.Float.Input(
                    "amount",
                    default=AMOUNT,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="How far an even mix is made anew, more than 0 and at most 1. 1 leaves nothing of either clip where they are mixed evenly, little a plain dissolve.",
                ),
                unlike_input(),
                *sampling_inputs(FADED_SOUND),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[io.Video.Output(display_name="video", tooltip="The blend, for Save Video.")],
        )

    @classmethod
    def execute(
        cls,
        video: Any,
        video_2: Any,
        curve: str,
        points: str,
        seconds: float,
        section_start: float,
        section_end: float,
        section_start_2: float,
        section_end_2: float,
        amount: float,
        unlike: str,
        seed: int,
        **sampling: Any,
    ) -> io.NodeOutput:
        """Make it."""
        film = blend(
            maker_of(seed=seed, **sampling),
            film_of(video),
            film_of(video_2),
            curve=points if curve == CUSTOM else curve,
            seconds=seconds or None,
            sections=((section_start, section_end), (section_start_2, section_end_2)),
            amount=amount,
            unlike=unlike,
            settings=settings_of(cls, seed),
        )
        return io.NodeOutput(video_of(film))


class SoraRemix(io.ComfyNode):
    """A clip with something changed."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraRemix",
            display_name="Sora Remix",
            category=CATEGORY,
            description="Make a clip anew from itself, with a new prompt: more strength changes more.",
            search_aliases=["video to video", "restyle", "edit video"],
            inputs=[
                io.Video.Input("video", tooltip=VIDEO),
                *model_inputs("What is to be seen now, all of it: also what stays."),
                io.Combo.Input(
                    "strength",
                    options=[*STRENGTHS, CUSTOM],
                    default="mild",
                    tooltip="How much may change: "
                    + ", ".join(f"{name} {share:g}" for name, share in STRENGTHS.items())
                    + " of the noise schedule; custom takes the value below.",
                ),
                io.Float.Input(
                    "custom",
                    default=0.9,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="Share of the noise schedule for custom, more than 0 and at most 1.",
                ),
                io.Boolean.Input("keep_sound", default=False, tooltip="Leave the sound as it is."),
                *sampling_inputs(KEPT_SOUND),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[io.Video.Output(display_name="video", tooltip="The changed clip, for Save Video.")],
        )

    @classmethod
    def execute(
        cls, video: Any, strength: str, custom: float, keep_sound: bool, seed: int, **sampling: Any
    ) -> io.NodeOutput:
        """Make it."""
        film = remix(
            maker_of(seed=seed, **sampling),
            film_of(video),
            strength=custom if strength == CUSTOM else strength,
            keep_sound=keep_sound,
            settings=settings_of(cls, seed),
        )
        return io.NodeOutput(video_of(film))


class SoraRecut(io.ComfyNode):
    """A clip trimmed, and sections of it made anew."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraRecut",
            display_name="Sora Recut",
            category=CATEGORY,
            description="Trim a clip, and make sections of it anew between what stays.",
            search_aliases=["trim", "inpaint time", "replace section"],
            inputs=[
                io.Video.Input("video", tooltip=VIDEO),
                *model_inputs("What is seen in the new sections."),
                io.Float.Input(
                    "start", default=0.0, min=0.0, max=36000.0, step=0.05, tooltip="Seconds at which the result begins."
                ),
                io.Float.Input(
                    "end",
                    default=0.0,
                    min=0.0,
                    max=36000.0,
                    step=0.05,
                    tooltip="Seconds at which it ends; 0 is the clip's end.",
                ),
                io.String.Input(
                    "redo",
                    default="0.8:1.4",
                    tooltip="Sections to make anew, in seconds of the clip before it is trimmed: 0.8:1.4, or 0.8:1.4=2 for a new length; several with commas. Empty only trims.",
                ),
                context_input(),
                *sampling_inputs(),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[io.Video.Output(display_name="video", tooltip=MADE)],
        )

    @classmethod
    def execute(
        cls, video: Any, start: float, end: float, redo: str, context: float, seed: int, **sampling: Any
    ) -> io.NodeOutput:
        """Make it."""
        film = recut(
            maker_of(seed=seed, **sampling),
            film_of(video),
            start_s=start,
            end_s=end or None,
            redo=read_redo(redo),
            settings=settings_of(cls, seed, context),
        )
        return io.NodeOutput(video_of(film))
