"""Sound for a clip, and a clip for a sound."""

from __future__ import annotations

from typing import Any

from ..sora_core.editing.sound import foley, sound_to_video
from .adapters.films import film_of, track_of, video_of
from .editor import (
    CATEGORY,
    FOR_SOUND,
    VIDEO,
    context_input,
    maker_of,
    model_inputs,
    sampling_inputs,
    settings_of,
    size_inputs,
)
from .host import io


class SoraFoley(io.ComfyNode):
    """Sound for a silent clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraFoley",
            display_name="Sora Foley",
            category=CATEGORY,
            description="Make the sound of a clip's picture, which stays as it is. Needs a model that makes picture and sound together, and its audio VAE.",
            search_aliases=["video to audio", "sound effects", "foley"],
            inputs=[
                io.Video.Input("video", tooltip=VIDEO + " A sound that it has is replaced."),
                *model_inputs("What is seen and heard."),
                context_input(),
                *sampling_inputs(FOR_SOUND),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[io.Video.Output(display_name="video", tooltip="The clip with its new sound, for Save Video.")],
        )

    @classmethod
    def execute(cls, video: Any, context: float, seed: int, **sampling: Any) -> io.NodeOutput:
        """Make it."""
        maker = maker_of(seed=seed, **sampling)
        return io.NodeOutput(video_of(foley(maker, film_of(video), settings=settings_of(cls, seed, context))))


class SoraSoundToVideo(io.ComfyNode):
    """A clip for a sound."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraSoundToVideo",
            display_name="Sora Sound to Video",
            category=CATEGORY,
            description="Make the picture of a sound, which stays as it is. Needs a model that makes picture and sound together, and its audio VAE.",
            search_aliases=["audio to video", "music video", "sound driven"],
            inputs=[
                io.Audio.Input("audio", tooltip="The sound; brought to the model's sample rate and channels."),
                *model_inputs("What is seen."),
                io.Float.Input(
                    "seconds",
                    default=0.0,
                    min=0.0,
                    max=600.0,
                    step=0.05,
                    tooltip="Seconds, at most 600; a shorter sound is filled up with silence. 0 is as long as the sound.",
                ),
                *size_inputs(),
                context_input(),
                *sampling_inputs(FOR_SOUND),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[io.Video.Output(display_name="video", tooltip="The clip with the given sound, for Save Video.")],
        )

    @classmethod
    def execute(
        cls,
        audio: Any,
        seconds: float,
        width: int,
        height: int,
        fps: float,
        context: float,
        seed: int,
        **sampling: Any,
    ) -> io.NodeOutput:
        """Make it."""
        film = sound_to_video(
            maker_of(seed=seed, **sampling),
            track_of(audio),
            width=width,
            height=height,
            fps=fps or None,
            seconds=seconds or None,
            settings=settings_of(cls, seed, context),
        )
        return io.NodeOutput(video_of(film))
