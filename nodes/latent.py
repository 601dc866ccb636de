"""Latents to begin from: empty ones, ones with given pictures, and whole clips."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..sora_core.errors import SoraError
from .adapters.clips import encode_clip, fitted, frames_of, keep_images
from .adapters.empty import TRAINED, describe, make_empty, size_presets
from .host import io, say


class SoraEmptyLatent(io.ComfyNode):
    """An empty clip of a size and length."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        sizes = list(size_presets())
        return io.Schema(
            node_id="SoraEmptyLatent",
            display_name="Sora Empty Latent",
            category="sora/latent",
            description="An empty clip to generate into: picture and sound together. Outside what the shipped model was trained on, the node says so, with the cost.",
            search_aliases=["empty video latent", "sora size", "clip length"],
            inputs=[
                io.Combo.Input(
                    "size",
                    options=sizes,
                    default=sizes[0],
                    tooltip="Width x height in pixels. The first ones have about the area that the shipped model was trained on (64x64); those named Sora are the app's own sizes, put on the grid of 16 pixels, for large models. custom takes width and height below.",
                ),
                io.Float.Input(
                    "seconds",
                    default=2.0,
                    min=0.01,
                    max=600.0,
                    step=0.05,
                    tooltip="Length in seconds, more than 0 and at most 600. Rounded up to the model's grid of frames; Sora Decode cuts the clip to the asked length again. One frame is an image.",
                ),
                io.Float.Input(
                    "fps",
                    default=12.0,
                    min=1.0,
                    max=120.0,
                    step=0.5,
                    tooltip="Frames per second, 1 to 120. The shipped model was trained on 12.",
                ),
                io.Int.Input(
                    "batch", default=1, min=1, max=64, tooltip="Variations, 1 to 64. Variation i uses seed + i."
                ),
                io.Boolean.Input(
                    "sound", default=True, tooltip="Make sound with the picture. Off makes a plain video latent."
                ),
                io.Int.Input(
                    "width",
                    default=TRAINED.width,
                    min=16,
                    max=4096,
                    step=16,
                    advanced=True,
                    tooltip="Pixels, a multiple of 16; used when size is custom.",
                ),
                io.Int.Input(
                    "height",
                    default=TRAINED.height,
                    min=16,
                    max=4096,
                    step=16,
                    advanced=True,
                    tooltip="Pixels, a multiple of 16; used when size is custom.",
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="Another video model whose latent is wanted (its channels and ratios, picture alone). Leave empty for Sora's own.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[io.Latent.Output(display_name="latent", tooltip="Picture and sound, all noise to be.")],
        )

    @classmethod
    def execute(
        cls,
        size: str,
        seconds: float,
        fps: float,
        batch: int,
        sound: bool,
        width: int,
        height: int,
        model: Any = None,
    ) -> io.NodeOutput:
        """Make the latent."""
        presets = size_presets()
        if size not in presets:
            raise SoraError(f"size {size!r} is not known; choose one of {', '.join(presets)}")
        width, height = presets[size] or (width, height)
        latent = make_empty(width=width, height=height, seconds=seconds, fps=fps, batch=batch, sound=sound, model=model)
        said = describe(width=width, height=height, seconds=seconds, fps=fps, batch=batch, model=model)
        return io.NodeOutput(latent, ui=say(said, cls.hidden.unique_id))


class SoraImageToVideo(io.ComfyNode):
    """Given first and last pictures in an empty clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraImageToVideo",
            display_name="Sora Image to Video",
            category="sora/latent",
            description="Put a first and/or last image into a clip at its place, kept exactly by a mask; any sampler fills in the rest.",
            search_aliases=["i2v", "first last frame", "image to video"],
            inputs=[
                io.Vae.Input("vae", tooltip="The VAE of pictures that belongs to the model."),
                io.Latent.Input("latent", tooltip="The clip, from Sora Empty Latent."),
                io.Image.Input(
                    "first_image",
                    optional=True,
                    tooltip="First frame, any size; scaled to cover the clip and cut evenly. Of a batch the first picture is taken.",
                ),
                io.Image.Input(
                    "last_image",
                    optional=True,
                    tooltip="Last frame, any size; scaled to cover the clip and cut evenly. Of a batch the first picture is taken.",
                ),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="The clip with the images and their mask.")],
        )

    @classmethod
    def execute(
        cls,
        vae: Any,
        latent: dict[str, Any],
        first_image: Tensor | None = None,
        last_image: Tensor | None = None,
    ) -> io.NodeOutput:
        """Encode the images and mark them as kept."""
        return io.NodeOutput(keep_images(vae, latent, first_image, last_image))


class SoraEncode(io.ComfyNode):
    """A whole clip to a latent."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraEncode",
            display_name="Sora Encode",
            category="sora/latent",
            description="Encode a video, or images and sound, to a latent: to vary it (denoise below 1), extend it or keep parts of it.",
            search_aliases=["video to latent", "encode video audio", "v2v"],
            inputs=[
                io.Vae.Input("vae", tooltip="The VAE of pictures that belongs to the model."),
                io.Vae.Input(
                    "audio_vae",
                    optional=True,
                    tooltip="The VAE of sound. Without it the latent holds the picture alone.",
                ),
                io.Video.Input("video", optional=True, tooltip="A clip with or without sound. Give this, or images."),
                io.Image.Input("images", optional=True, tooltip="Frames in order. Give these, or a video."),
                io.Audio.Input(
                    "audio",
                    optional=True,
                    tooltip="Sound for the images, or in place of the video's own. Cut, or filled up with silence, to the clip.",
                ),
                io.Float.Input(
                    "fps",
                    default=12.0,
                    min=0.0,
                    max=120.0,
                    step=0.5,
                    tooltip="Frames per second, 0 to 120. A video is brought to it by leaving out or repeating frames; 0 keeps its own. For images it says how fast they follow each other (0: 12).",
                ),
                io.Int.Input(
                    "width",
                    default=TRAINED.width,
                    min=0,
                    max=4096,
                    step=16,
                    advanced=True,
                    tooltip="Pixels, a multiple of 16; 0 keeps the source's own, cut to the grid. The shipped model was trained on 64.",
                ),
                io.Int.Input(
                    "height",
                    default=TRAINED.height,
                    min=0,
                    max=4096,
                    step=16,
                    advanced=True,
                    tooltip="Pixels, a multiple of 16; 0 keeps the source's own, cut to the grid. The shipped model was trained on 64.",
                ),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="The clip in latent space.")],
        )

    @classmethod
    def execute(
        cls,
        vae: Any,
        fps: float,
        width: int,
        height: int,
        audio_vae: Any = None,
        video: Any = None,
        images: Tensor | None = None,
        audio: dict[str, Any] | None = None,
    ) -> io.NodeOutput:
        """Encode what is connected."""
        if (video is None) == (images is None):
            raise SoraError("connect a video or images, one of the two: they are the picture to encode")
        if audio is not None and audio_vae is None:
            raise SoraError("a sound is connected and no audio VAE to encode it; connect SoraLoader's audio_vae")
        rate = fps or TRAINED.fps
        if video is not None:
            images, own, rate = frames_of(video, fps)
            audio = audio if audio is not None else own
        return io.NodeOutput(
            encode_clip(vae, fitted(images, width, height), audio_vae=audio_vae, audio=audio, fps=rate)
        )
