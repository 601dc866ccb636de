"""What the nodes may use of ComfyUI, in one place; `adapters` and this are the only modules that import it.

Inside the host the name ``nodes`` means its own module, so everything of ours is imported relatively.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import comfy.model_management
import comfy.utils
import folder_paths
import latent_preview
import node_helpers
import torch
from comfy_api.latest import ComfyExtension, Input, InputImpl, Types, io, ui
from server import PromptServer
from torch import Tensor

__all__ = [
    "ComfyExtension",
    "Input",
    "InputImpl",
    "Types",
    "check_interrupt",
    "empty_latent",
    "io",
    "model_files",
    "preview_callback",
    "resample",
    "resize",
    "say",
    "scratch_file",
    "set_conditioning",
    "ui",
]

check_interrupt = comfy.model_management.throw_exception_if_processing_interrupted

MODEL_FOLDERS = ("checkpoints", "diffusion_models")
"""Folders of ComfyUI that may hold one of our files."""


def model_files() -> dict[str, Path]:
    """Return every safetensors file in ComfyUI's model folders, by ``folder/name``."""
    found: dict[str, Path] = {}
    for folder in MODEL_FOLDERS:
        for name in folder_paths.get_filename_list(folder):
            path = folder_paths.get_full_path(folder, name)
            if path is not None and name.endswith(".safetensors"):
                found[f"{folder}/{name.replace(chr(92), '/')}"] = Path(path)
    return found


def scratch_file(suffix: str) -> Path:
    """Return a new name in the folder that ComfyUI empties when it starts and when it ends."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"sora_{uuid4().hex}{suffix}"


def set_conditioning(conditioning: Sequence[Any], values: dict[str, Any]) -> Any:
    """Return CONDITIONING with ``values`` set in every entry; the input stays as it is."""
    return node_helpers.conditioning_set_values(conditioning, values)


def say(text: str, node_id: str | None) -> ui.PreviewText:
    """Show a text in the node that runs, and return it for its entry in the history.

    The front end draws no text of a node's results by itself, only what is sent while the node runs.
    """
    server = getattr(PromptServer, "instance", None)
    if server is not None and node_id is not None:
        server.send_progress_text(text, node_id)
    return ui.PreviewText(text)


def preview_callback(model: Any, steps: int) -> Callable[[int, Any, Any, int], None]:
    """Return the host's step callback: progress, the preview that the user switched on, and the interrupt check."""
    return latent_preview.prepare_callback(model, steps)


def resample(waveform_BCS: Tensor, rate: int, wanted: int) -> Tensor:
    """Return sound at another sample rate (the host's own torchaudio)."""
    if rate == wanted:
        return waveform_BCS
    import torchaudio

    return torchaudio.functional.resample(waveform_BCS, rate, wanted)


def resize(image_BHWC: Tensor, width: int, height: int) -> Tensor:
    """Scale pictures to cover ``width x height`` and cut what stands over, float in [0, 1]."""
    if image_BHWC.shape[1:3] == (height, width):
        return image_BHWC[..., :3]
    scaled = comfy.utils.common_upscale(image_BHWC[..., :3].movedim(-1, 1), width, height, "area", "center")
    return scaled.movedim(1, -1).clamp(0, 1)


def empty_latent(shape: Sequence[int]) -> Tensor:
    """Return zeros where the host keeps what goes between nodes."""
    return torch.zeros(tuple(shape), device=comfy.model_management.intermediate_device())
