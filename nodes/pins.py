"""Clips from pictures at times, and several of one kind."""

from __future__ import annotations

from typing import Any

from ..sora_core.editing.keyframes import from_prompt, keyframes
from ..sora_core.editing.remix import remix
from .adapters.films import film_of, video_of
from .adapters.pins import pins_of
from .editor import (
    CATEGORY,
    FROM_FILE,
    context_input,
    maker_of,
    model_inputs,
    sampling_inputs,
    settings_of,
    size_inputs,
)
from .host import io

MOST = 20
"""Pictures, and clips, that one node takes."""

TIMES = "Seconds at which each {what} begins, in the order of the sockets, with commas: 0, 1.5, end. As many as {what}s are connected; end lets the {what} end with the film."


def clip_inputs(seconds: float, unless: str = "") -> list[Any]:
    """Return the inputs for a clip that is made from nothing; ``unless`` says when they do not count."""
    length = io.Float.Input(
        "seconds",
        default=seconds,
        min=0.05,
        max=600.0,
        step=0.05,
        tooltip="Seconds, more than 0 and at most 600." + unless,
    )
    return [length, *size_inputs(unless)]


class SoraKeyframes(io.ComfyNode):
    """Pictures and clips pinned at times."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraKeyframes",
            display_name="Sora Keyframes",
            category=CATEGORY,
            description="Pin pictures and clips at times, and make the film between them.",
            search_aliases=["keyframe", "image at time", "inpaint items"],
            inputs=[
                *model_inputs("What is seen between the keyframes."),
                io.Autogrow.Input(
                    "images",
                    template=io.Autogrow.TemplatePrefix(
                        io.Image.Input("image", tooltip="A picture; several in a batch are a clip."),
                        prefix="image_",
                        min=0,
                        max=MOST,
                    ),
                    tooltip="Pictures, scaled to cover the film's size and cut evenly. A batch of several is a clip.",
                ),
                io.String.Input("image_times", default="0, end", tooltip=TIMES.format(what="picture")),
                io.Autogrow.Input(
                    "videos",
                    template=io.Autogrow.TemplatePrefix(
                        io.Video.Input("video", tooltip="A clip, with its sound."), prefix="video_", min=0, max=MOST
                    ),
                    tooltip="Clips, with their sound, brought to the film's size and frame rate.",
                ),
                io.String.Input("video_times", default="", tooltip=TIMES.format(what="clip")),
                *clip_inputs(2.0),
                context_input(),
                *sampling_inputs(),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[io.Video.Output(display_name="video", tooltip="The film, for Save Video.")],
        )

    @classmethod
    def execute(
        cls,
        image_times: str,
        video_times: str,
        seconds: float,
        width: int,
        height: int,
        fps: float,
        context: float,
        seed: int,
        images: dict[str, Any] | None = None,
        videos: dict[str, Any] | None = None,
        **sampling: Any,
    ) -> io.NodeOutput:
        """Make it."""
        maker = maker_of(seed=seed, **sampling)
        rate = fps or maker.profile.fps
        film = keyframes(
            maker,
            pins_of(images, image_times, videos, video_times, rate),
            seconds=seconds,
            fps=rate,
            width=width,
            height=height,
            settings=settings_of(cls, seed, context),
        )
        return io.NodeOutput(video_of(film))


class SoraVariations(io.ComfyNode):
    """Several clips of one wish."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraVariations",
            display_name="Sora Variations",
            category=CATEGORY,
            description="Make one to four clips of one prompt, or of one clip, from seeds that follow each other.",
            search_aliases=["variants", "batch", "n variants"],
            inputs=[
                *model_inputs("What is seen."),
                io.Int.Input(
                    "count",
                    default=4,
                    min=1,
                    max=4,
                    tooltip="Clips, 1 to 4. Clip i, counted from 0, is made with seed + i.",
                ),
                io.Video.Input(
                    "video",
                    optional=True,
                    tooltip="A clip to vary; without one they come from the prompt alone. " + FROM_FILE,
                ),
                io.Float.Input(
                    "strength",
                    default=0.9,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="How much a connected clip may change: the share of the noise schedule that is run, more than 0 and at most 1.",
                ),
                *clip_inputs(2.0, " A connected clip keeps its own."),
                *sampling_inputs(),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[io.Video.Output(display_name="videos", is_output_list=True, tooltip="The clips, as a list.")],
        )

    @classmethod
    def execute(
        cls,
        count: int,
        strength: float,
        seconds: float,
        width: int,
        height: int,
        fps: float,
        seed: int,
        video: Any = None,
        **sampling: Any,
    ) -> io.NodeOutput:
        """Make them."""
        maker = maker_of(seed=seed, **sampling)
        size = {"seconds": seconds, "width": width, "height": height, "fps": fps or None}
        made = []
        for index in range(count):
            settings = settings_of(cls, seed + index)
            film = (
                from_prompt(maker, settings=settings, **size)
                if video is None
                else remix(maker, film_of(video), strength=strength, settings=settings)
            )
            made.append(video_of(film))
        return io.NodeOutput(made)
