"""Write the golden files again: ``python tests/golden/make.py``. Only when the numbers are meant to change.

Each holds a tiny model's weights, one input and the output, so that a change of code that should change no number can
be seen not to.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sora_core.audio_vae import AudioVAE, AudioVAEConfig
from sora_core.dit import DiT, DiTConfig
from sora_core.video_vae import VideoVAE, VideoVAEConfig

HERE = Path(__file__).parent

DIT = DiTConfig(width=16, layers=2, heads=2, hidden=24, text_width=8, modulation_width=8)
VIDEO = VideoVAEConfig(
    pixel_width=4,
    encoder_width=6,
    decoder_width=6,
    frame_width=4,
    encoder_blocks=1,
    decoder_blocks=1,
    decoder_frame_blocks=1,
    decoder_pixel_blocks=1,
)
AUDIO = AudioVAEConfig(
    n_fft=320,
    encoder_width=6,
    decoder_width=6,
    encoder_blocks=1,
    latent_blocks_out=1,
    decoder_blocks=1,
)


def models() -> dict[str, nn.Module]:
    """Return the three models, weights not yet set."""
    return {"dit": DiT(DIT), "video_vae": VideoVAE(VIDEO), "audio_vae": AudioVAE(AUDIO)}


def inputs(name: str) -> dict[str, Tensor]:
    """Draw the inputs of one model."""
    generator = torch.Generator().manual_seed(7)

    def drawn(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator)

    if name == "dit":
        return {
            "video": drawn(1, 16, 2, 4, 4),
            "audio": drawn(1, 32, 5, 1),
            "text": drawn(1, 4, 8),
            "text_mask": torch.tensor([[True, True, True, False]]),
            "sigma_video": torch.tensor([[0.3, 0.8]]),
            "sigma_audio": torch.tensor([[0.6]]),
            "reference": drawn(1, 16, 1, 2, 4),
        }
    if name == "video_vae":
        return {"frames": drawn(1, 3, 5, 16, 16).tanh()}
    return {"audio": 0.3 * drawn(1, 1920)}


@torch.no_grad()
def outputs(model: nn.Module, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Run a model the way its golden file records."""
    if isinstance(model, DiT):
        reference = given["reference"]
        rest = {name: tensor for name, tensor in given.items() if name != "reference"}
        video, audio = model(**rest, fps=12.0, references=[reference])
        return {"velocity_video": video, "velocity_audio": audio}
    assert isinstance(model, VideoVAE | AudioVAE)
    latent = model.encode(*given.values())
    return {"latent": latent, "decoded": model.decode(latent)}


def main() -> None:
    """Write all three."""
    for name, model in models().items():
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for key, tensor in model.state_dict().items():
                if key == "latent_std":
                    tensor.uniform_(0.5, 1.5, generator=generator)
                else:
                    tensor.normal_(0, 0.25, generator=generator)
        given = inputs(name)
        tensors = {f"weights.{key}": value for key, value in model.state_dict().items()}
        tensors |= {f"input.{key}": value for key, value in given.items()}
        tensors |= {f"output.{key}": value for key, value in outputs(model.eval(), given).items()}
        save_file({key: value.contiguous() for key, value in tensors.items()}, HERE / f"{name}.safetensors")
        (HERE / f"{name}.safetensors").chmod(0o644)


if __name__ == "__main__":
    main()
