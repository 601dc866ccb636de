"""Reference pictures in a conditioning."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .adapters.clips import encode_references
from .adapters.empty import TRAINED
from .adapters.model import REFERENCES
from .host import io, set_conditioning


class SoraReference(io.ComfyNode):
    """Show the model who or what to use."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraReference",
            display_name="Sora Reference",
            category="sora/conditioning",
            description="Show one or two pictures of who or what is to appear; the prompt may call it the reference object. For Sora's own model.",
            search_aliases=["reference image", "character", "subject"],
            inputs=[
                io.Conditioning.Input("positive", tooltip="The prompt."),
                io.Conditioning.Input(
                    "negative",
                    tooltip="The negative prompt; it sees the references too, so that guidance does not lead away from them.",
                ),
                io.Vae.Input("vae", tooltip="SoraLoader's VAE of pictures."),
                io.Image.Input(
                    "image",
                    tooltip="The first reference, any size; scaled to the nearest shape on the grid of 16 pixels within the size below, which may cut a little of its edges.",
                ),
                io.Image.Input("image_2", optional=True, tooltip="A second picture of the same."),
                io.Int.Input(
                    "width",
                    default=TRAINED.width,
                    min=16,
                    max=1024,
                    step=16,
                    advanced=True,
                    tooltip="Largest width of a reference in pixels, a multiple of 16. The shipped model was trained on 64.",
                ),
                io.Int.Input(
                    "height",
                    default=TRAINED.height,
                    min=16,
                    max=1024,
                    step=16,
                    advanced=True,
                    tooltip="Largest height of a reference in pixels, a multiple of 16. The shipped model was trained on 64.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="The prompt with the references."),
                io.Conditioning.Output(display_name="negative", tooltip="The negative prompt with the references."),
            ],
        )

    @classmethod
    def execute(
        cls,
        positive: Any,
        negative: Any,
        vae: Any,
        image: Tensor,
        width: int,
        height: int,
        image_2: Tensor | None = None,
    ) -> io.NodeOutput:
        """Encode the pictures and put them into both conditionings."""
        images = [image] if image_2 is None else [image, image_2]
        shown = {REFERENCES: encode_references(vae, images, width, height)}
        return io.NodeOutput(set_conditioning(positive, shown), set_conditioning(negative, shown))
