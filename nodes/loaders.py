"""Load a checkpoint as ComfyUI's own MODEL, CLIP and VAE."""

from __future__ import annotations

from pathlib import Path

from ..sora_core.checkpoint import find_checkpoint
from ..sora_core.errors import SoraError
from .adapters.clip import load_clip
from .adapters.model import DTYPES, SPEEDS, load_model
from .adapters.vae import SoraAudioVAE, SoraVideoVAE
from .host import io, model_files

FULL_SPEED = next(iter(SPEEDS))


def checkpoints() -> dict[str, Path]:
    """Return the files that can be chosen, the shipped one first."""
    shipped = find_checkpoint()
    return {f"shipped/{shipped.name}": shipped, **model_files()}


class SoraLoader(io.ComfyNode):
    """One file in, four native objects out."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        names = list(checkpoints())
        return io.Schema(
            node_id="SoraLoader",
            display_name="Sora Loader",
            category="sora/loaders",
            description="Load a Sora checkpoint: the small model that ships with this pack, or one of your own. Unofficial: no OpenAI code or weights.",
            search_aliases=["sora checkpoint", "load sora", "text to video model"],
            inputs=[
                io.Combo.Input(
                    "checkpoint",
                    options=names,
                    default=names[0],
                    tooltip="The shipped model, or a .safetensors file in models/checkpoints or models/diffusion_models that was made by sora train. Other files are refused with a sentence.",
                ),
                io.Combo.Input(
                    "dtype",
                    options=list(DTYPES),
                    default="default",
                    advanced=True,
                    tooltip="Type of the transformer's weights. default: what ComfyUI chooses for your device (float32 on a CPU). bfloat16 halves the memory.",
                ),
                io.Combo.Input(
                    "speed",
                    options=list(SPEEDS),
                    default=FULL_SPEED,
                    optional=True,
                    tooltip="full: many steps with guidance, such as 30 at cfg 4. quick: distilled to so many steps without guidance; set the sampler to these steps, cfg 1 and euler. Only in checkpoints that hold a quick model.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="The joint audio-video transformer."),
                io.Clip.Output(display_name="clip", tooltip="The text encoder, for CLIP Text Encode."),
                io.Vae.Output(display_name="vae", tooltip="The VAE of pictures: x8 in space, x4 in time."),
                io.Vae.Output(display_name="audio_vae", tooltip="The VAE of sound: 16 kHz, 25 latents per second."),
            ],
        )

    @classmethod
    def execute(cls, checkpoint: str, dtype: str, speed: str = FULL_SPEED) -> io.NodeOutput:
        """Load the file."""
        known = checkpoints()
        if checkpoint not in known:
            raise SoraError(f"checkpoint {checkpoint!r} is not there; choose one of {', '.join(known)}")
        path = known[checkpoint]
        if speed not in SPEEDS:
            raise SoraError(f"speed {speed!r} is not known; choose one of {', '.join(map(repr, SPEEDS))}")
        model = load_model(path, DTYPES[dtype], SPEEDS[speed])
        return io.NodeOutput(model, load_clip(path), SoraVideoVAE(path), SoraAudioVAE(path))

    @classmethod
    def fingerprint_inputs(cls, checkpoint: str, dtype: str, speed: str = FULL_SPEED) -> str:
        """Load again when the file has changed. The host writes this into saved clips, so it names no folder."""
        path = checkpoints().get(checkpoint)
        return f"{checkpoint} {dtype} {speed} {path.stat().st_mtime_ns if path and path.exists() else 'missing'}"
