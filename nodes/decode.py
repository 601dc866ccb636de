"""Latents to a clip."""

from __future__ import annotations

from typing import Any

from .adapters.clips import decode_clips
from .host import io


class SoraDecode(io.ComfyNode):
    """Picture and sound out of a latent, as VIDEO and as their parts."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraDecode",
            display_name="Sora Decode",
            category="sora/decode",
            description="Decode a latent to a video with its sound, and to frames and sound apart. The picture is decoded piece by piece; the sound keeps the loudness that the model gave it. Works with any family's VAEs. Variations come out as a list.",
            search_aliases=["vae decode video audio", "latent to video"],
            inputs=[
                io.Latent.Input("latent", tooltip="The generated clip."),
                io.Vae.Input("vae", tooltip="The VAE of pictures that belongs to the model."),
                io.Vae.Input(
                    "audio_vae", optional=True, tooltip="The VAE of sound; needed where the latent holds any."
                ),
                io.Float.Input(
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=120.0,
                    step=0.5,
                    advanced=True,
                    tooltip="Frames per second of the video, 0 to 120. 0 takes what the latent was made for (12 where it does not say). Another rate plays the same frames faster or slower, and the sound is cut to their length.",
                ),
            ],
            outputs=[
                io.Video.Output(
                    display_name="video", is_output_list=True, tooltip="The clip with its sound, for Save Video."
                ),
                io.Image.Output(display_name="images", is_output_list=True, tooltip="Its frames."),
                io.Audio.Output(
                    display_name="audio",
                    is_output_list=True,
                    tooltip="Its sound, 16 kHz mono with Sora's own VAE; nothing where the latent holds none.",
                ),
            ],
        )

    @classmethod
    def execute(cls, latent: dict[str, Any], vae: Any, fps: float, audio_vae: Any = None) -> io.NodeOutput:
        """Decode."""
        return io.NodeOutput(*decode_clips(vae, latent, audio_vae=audio_vae, fps=fps))
