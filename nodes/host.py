"""What the nodes may use of ComfyUI, in one place; `adapters` and this are the only modules that import it.

Inside the host the name ``nodes`` means its own module, so everything of ours is imported relatively.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import comfy.model_management
import comfy.utils
import folder_paths
import latent_preview
import node_helpers
import torch
from comfy.cli_args import args
from comfy_api.latest import ComfyExtension, Input, InputImpl, Types, io, ui
from server import PromptServer
from torch import Tensor

from ..sora_core.errors import SoraError
from ..sora_core.media.strange_name import file_inside

__all__ = [
    "ComfyExtension",
    "Input",
    "InputImpl",
    "Place",
    "Types",
    "check_interrupt",
    "empty_latent",
    "input_files",
    "io",
    "loaded_file",
    "metadata_wanted",
    "model_file",
    "model_files",
    "output_place",
    "preview_callback",
    "resample",
    "resize",
    "saved_video",
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


def model_file(name: str) -> Path | None:
    """Return the model file of that name in any of the host's folders for them, or None."""
    for folder in (*MODEL_FOLDERS, "unet_gguf"):
        if folder in folder_paths.folder_names_and_paths and (path := folder_paths.get_full_path(folder, name)):
            return Path(path)
    return model_files().get(name)


def loaded_file(name: Any) -> Path | None:
    """Return the file in the host's input, output or temp folder that an annotated name stands for, or None."""
    if not isinstance(name, str) or "\0" in name:
        return None
    try:
        path = Path(folder_paths.get_annotated_filepath(name))
    except ValueError:
        return None
    return path if path.is_file() else None


class Place(NamedTuple):
    """Where a file is saved. path: of the file. subfolder: of the output folder, as the front end asks for it."""

    path: Path
    subfolder: str


def output_place(prefix: str, ending: str, width: int = 0, height: int = 0) -> Place:
    """Return the next free name ``prefix_00001_ending`` in the host's output folder, which is made where it is missing.

    The host checks the folder alone, and only on the system that it runs on.

    Args:
        prefix: as typed, with the host's ``%year%`` and the like. ending: ``.mp4``. width, height: for the prefix.

    Raises:
        SoraError: the prefix leads out of the output folder, or names what is no file.
    """
    base = Path(folder_paths.get_output_directory())
    file_inside(base, prefix)
    try:
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, str(base), width, height)
    except OSError as error:
        raise SoraError(f"the output folder cannot be written: {error.strerror}; choose another prefix") from error
    while (path := file_inside(base, str(Path(subfolder) / f"{name}_{counter:05}_{ending.lstrip('_')}"))).exists():
        counter += 1
    if os.path.realpath(path.parent) != os.path.realpath(folder):
        raise SoraError(f"the prefix {prefix!r} leads out of the output folder; give a plain name, for example 'clip'")
    return Place(path, subfolder)


def metadata_wanted() -> bool:
    """Say whether the host was started with leave to write workflows into files."""
    return not args.disable_metadata


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


def input_files(kinds: Sequence[str]) -> list[str]:
    """Return the names of the files in the host's input folder that are of some kinds, ``video`` or ``image``."""
    folder = Path(folder_paths.get_input_directory())
    names = sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    return sorted(folder_paths.filter_files_content_types(names, list(kinds)))


def saved_video(place: Place) -> tuple[Any, Any]:
    """Return a saved clip as VIDEO, and what the front end shows of it."""
    result = ui.SavedResult(place.path.name, place.subfolder, io.FolderType.output)
    if place.path.suffix == ".png":
        return InputImpl.VideoFromFile(str(place.path)), ui.SavedImages([result])
    return InputImpl.VideoFromFile(str(place.path)), ui.PreviewVideo([result])
