"""Our transformer as ComfyUI's MODEL: the host's patcher, layers, attention and wrappers around `sora_core.dit`."""

# B batch, C channels, T latent frames, H W latent cells, A audio latents, L text tokens, N values of a packed latent

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import comfy.conds
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.patcher_extension
import comfy.supported_models_base
import comfy.utils
import torch
from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor

from ...sora_core.budget import TOKEN_BYTES
from ...sora_core.checkpoint import read_metadata, read_part, read_quick
from ...sora_core.dit import Cue, DiT, DiTConfig
from ...sora_core.errors import SoraError
from ...sora_core.request import Defaults, Quick
from ...sora_core.sampling.schedules import shift_sigma
from ...sora_core.types import PATCH, VIDEO_CHANNELS
from .latent_format import SoraLatentFormat

REFERENCES = "sora_references"
"""Key of a conditioning that holds reference latents ``[1, 16, 1, h, w]``."""

CUES = "sora_cues"
"""Key of a conditioning that holds further prompts: ``(seconds, states [1, L, D], mask [1, L])`` each."""

FRAME_RATE = "frame_rate"
"""Key of a conditioning that holds frames per second; core's LTXVConditioning sets the same one."""

AUDIO_SHIFT = "sora_audio_shift"
"""Transformer option: how far the sound's noise level lies from the picture's (see `sampler`)."""


DTYPES: dict[str, torch.dtype | None] = {"default": None, "float32": torch.float32, "bfloat16": torch.bfloat16}
"""Weight types by the name that the loader shows."""

FULL = 0
"""Steps of no quick model: the full one."""

SPEEDS = {"full": FULL, "quick, 8 steps": 8, "quick, 4 steps": 4}
"""Steps of the quick model by the name that the loader shows."""


def host_attention(q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor, options: dict[str, Any] | None) -> Tensor:
    """Attend through the host's kernel, which other packs may override."""
    heads = q_BNHK.shape[2]
    q, k, v = (x.flatten(2) for x in (q_BNHK, k_BNHK, v_BNHK))
    return optimized_attention(q, k, v, heads, transformer_options=options or {}).unflatten(-1, (heads, -1))


class HostDiT(DiT):
    """`DiT` with the host's way of being built and called.

    Args:
        sora: fields of `DiTConfig`. dtype, device, operations: from the host. The rest of its settings is ignored.
    """

    def __init__(
        self,
        *,
        sora: dict[str, Any],
        operations: Any,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        **_: object,
    ) -> None:
        super().__init__(
            DiTConfig.from_dict(sora), operations=operations, attention=host_attention, device=device, dtype=dtype
        )
        self.dtype = dtype

    def forward(  # type: ignore[override]
        self,
        x: Tensor | Sequence[Tensor],
        timestep: Any,
        context: Tensor | None = None,
        transformer_options: dict[str, Any] | None = None,
        **conds: Any,
    ) -> Tensor | list[Tensor]:
        """Predict the velocity of one stream (a tensor) or of video and audio (a list, as it came in)."""
        options = transformer_options or {}
        wrappers = comfy.patcher_extension.get_all_wrappers(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, options)
        executor = comfy.patcher_extension.WrapperExecutor.new_class_executor(self._predict, self, wrappers)
        # EasyCache adds to x in place, and in float32 x is still what the host subtracts the velocity from.
        given = x.clone() if isinstance(x, Tensor) else [stream.clone() for stream in x]
        # Wrappers look for the options in the last place or the one before it.
        return executor.execute(given, timestep, context, options, **conds)

    def _predict(
        self,
        x: Tensor | Sequence[Tensor],
        timestep: Any,
        context: Tensor | None,
        transformer_options: dict[str, Any],
        attention_mask: Tensor | None = None,
        frame_rate: float = Defaults.fps,
        references: Sequence[Tensor] = (),
        cue_starts: Sequence[float] = (),
        cue_texts: Sequence[Tensor] = (),
        cue_masks: Sequence[Tensor] = (),
        **_: object,
    ) -> Tensor | list[Tensor]:
        streams = [x] if isinstance(x, Tensor) else list(x)
        video = next((stream for stream in streams if stream.ndim == 5), None)
        audio = next((stream for stream in streams if stream.ndim == 4), None)
        if context is None:
            raise SoraError("no conditioning reached the model; connect the text of SoraLoader's CLIP")
        if context.shape[-1] != self.config.text_width:
            raise SoraError(
                f"the conditioning has {context.shape[-1]} channels and this model reads {self.config.text_width}; "
                "encode the prompt with SoraLoader's own CLIP"
            )
        if video is not None and video.shape[1] != self.config.video_channels:
            raise SoraError(
                f"the latent has {video.shape[1]} channels and this model makes {self.config.video_channels}; "
                "take one from Sora Empty Latent, or encode with SoraLoader's own VAE"
            )
        levels = timestep if isinstance(timestep, tuple) else (timestep, timestep)
        sigma_video, sigma_audio = (level if level.ndim > 1 else level[:, None] for level in levels)
        mask = torch.ones(context.shape[:2], device=context.device) if attention_mask is None else attention_mask
        velocities = super().forward(
            video,
            audio,
            context,
            mask > 0.5,
            sigma_video=sigma_video,
            sigma_audio=shift_sigma(sigma_audio, transformer_options.get(AUDIO_SHIFT, 1.0)),  # type: ignore[arg-type]
            fps=float(frame_rate),
            references=references,
            cues=[Cue(at, text, mask > 0.5) for at, text, mask in zip(cue_starts, cue_texts, cue_masks, strict=True)],
            options=transformer_options,
        )
        made = [velocity for velocity in velocities if velocity is not None]
        return made[0] if isinstance(x, Tensor) else made

    def run_block(self, index: int, x_BND: Tensor, *layout: Any, options: dict[str, Any] | None) -> Tensor:
        """Run a block, or what a patch put in its place (``patches_replace`` of the host, kind ``double_block``)."""
        options = options if options is not None else {}
        options["block_index"] = index
        options["total_blocks"] = len(self.blocks)
        options["block_type"] = "double"
        replace = options.get("patches_replace", {}).get("dit", {}).get(("double_block", index))
        run = super().run_block
        if replace is None:
            return run(index, x_BND, *layout, options=options)

        def original(given: dict[str, Any]) -> dict[str, Any]:
            return {"img": run(index, given["img"], *layout, options=given.get("transformer_options", options))}

        return replace({"img": x_BND, "transformer_options": options}, {"original_block": original})["img"]


class SoraModel(comfy.model_base.BaseModel):
    """The host's view of the transformer: conditionings in, noise levels per token, kept frames given clean."""

    quick: Quick | None = None
    """The quick model that is merged into the weights, with the one number of steps that they are for; else None."""

    def __init__(self, config: SoraConfig, device: torch.device | None = None) -> None:
        super().__init__(config, comfy.model_base.ModelType.FLOW, device=device, unet_model=HostDiT)

    def extra_conds(self, **given: Any) -> dict[str, Any]:
        """Return what every model call gets beside the latent."""
        out = super().extra_conds(**given)
        if (text := given.get("cross_attn")) is not None:
            # Not CONDCrossAttn: it repeats short text, and ours is masked.
            out["c_crossattn"] = comfy.conds.CONDRegular(text)
        if (mask := given.get("attention_mask")) is not None:
            out["attention_mask"] = comfy.conds.CONDRegular(mask.float())
        if (rate := given.get(FRAME_RATE)) is not None:
            out["frame_rate"] = comfy.conds.CONDConstant(float(rate))
        if references := given.get(REFERENCES):
            out["references"] = comfy.conds.CONDList([latent.float() for latent in references])
        if cues := given.get(CUES):
            starts, texts, masks = zip(*cues, strict=True)
            out["cue_starts"] = comfy.conds.CONDConstant(starts)
            out["cue_texts"] = comfy.conds.CONDList(list(texts))
            out["cue_masks"] = comfy.conds.CONDList([mask.float() for mask in masks])
        shapes = given.get("latent_shapes")
        packed = shapes is not None and len(shapes) > 1
        if packed:
            out["latent_shapes"] = comfy.conds.CONDConstant(shapes)
        if (denoise := given.get("denoise_mask")) is not None:
            masks = comfy.utils.unpack_latents(denoise, shapes) if packed else [denoise]
            for mask in masks:
                name = "denoise_mask" if mask.ndim == 5 else "audio_denoise_mask"
                out[name] = comfy.conds.CONDRegular(_narrowed(mask[:, :1]))
        return out

    def process_timestep(
        self,
        timestep: Tensor,
        denoise_mask: Tensor | None = None,
        audio_denoise_mask: Tensor | None = None,
        **_: object,
    ) -> tuple[Tensor, Tensor]:
        """Return noise levels in [0, 1]: video ``[B, 1]``, ``[B, T]`` or ``[B, T, H, W]``, audio ``[B, 1]`` or
        ``[B, A]``.
        """
        # ModelSamplingSD3 and its like may have set another multiplier than ours.
        level = (timestep / self.model_sampling.multiplier)[:, None]
        video = audio = level
        if denoise_mask is not None:
            mask = denoise_mask[:, 0].float()
            whole = mask.shape[-1] == mask.shape[-2] == 1
            video = mask.flatten(1) * level if whole else mask * level[:, :, None, None]
        if audio_denoise_mask is not None:
            audio = audio_denoise_mask[:, 0].flatten(1).float() * level
        return video, audio

    def scale_latent_inpaint(self, latent_image: Tensor, **_: object) -> Tensor:
        """Return kept frames as they are: their tokens are told that they carry no noise."""
        return latent_image

    def memory_required(self, input_shape: Sequence[int], cond_shapes: Any = None) -> float:  # noqa: ARG002
        """Return bytes of activations: 24 KiB per token, measured with the preset micro in float32, times the width.

        A nested latent comes packed as ``[B, 1, N]`` with its channels in N, which the host's own formula would take
        for so many pixels.
        """
        values = input_shape[0]
        for size in input_shape[1:]:
            values *= size
        tokens = values / (VIDEO_CHANNELS * PATCH**2)
        width = self.diffusion_model.config.width / 256
        return tokens * TOKEN_BYTES * width * comfy.model_management.dtype_size(self.get_dtype_inference()) / 4

    def map_context_window_to_modalities(
        self, primary_indices: Sequence[int], latent_shapes: Sequence[Sequence[int]], dim: int
    ) -> list[list[int]]:
        """Return the audio latents that sound during the given video latent frames, for context windows."""
        windows = [list(primary_indices)]
        for shape in latent_shapes[1:]:
            ratio = shape[dim] / latent_shapes[0][dim]
            spans = [
                range(int(index * ratio), max(int((index + 1) * ratio), int(index * ratio) + 1))
                for index in primary_indices
            ]
            chosen = dict.fromkeys(min(latent, shape[dim] - 1) for span in spans for latent in span)
            windows.append(list(chosen))
        return windows

    def resize_cond_for_context_window(
        self,
        cond_key: str,
        cond_value: Any,
        window: Any,
        x_in: Tensor,  # noqa: ARG002
        device: torch.device,
        retain_index_list: Sequence[int] = (),  # noqa: ARG002
    ) -> Any:
        """Cut the sound's mask by the sound's own window; the host cuts the rest."""
        sound = (getattr(window, "modality_windows", None) or {}).get(1)
        if cond_key != "audio_denoise_mask" or sound is None:
            return None
        return comfy.conds.CONDRegular(sound.get_tensor(cond_value.cond, device, dim=2))


class SoraConfig(comfy.supported_models_base.BASE):
    """What the host asks of a model family. ``sampling_settings`` are the checkpoint's own."""

    unet_config = {"image_model": "sora"}
    unet_extra_config: dict[str, Any] = {}
    latent_format = SoraLatentFormat
    memory_usage_factor = 1.0
    supported_inference_dtypes = [torch.bfloat16, torch.float32]

    def get_model(
        self,
        state_dict: dict[str, Tensor],  # noqa: ARG002
        prefix: str = "",  # noqa: ARG002
        device: torch.device | None = None,
    ) -> SoraModel:
        """Return the model, without weights."""
        return SoraModel(self, device=device)


def load_model(
    path: Path, dtype: torch.dtype | None = None, quick_steps: int = FULL, *, disable_dynamic: bool = False
) -> comfy.model_patcher.ModelPatcher:
    """Build the MODEL of one of our files.

    Args:
        path: the file. dtype: of the weights; None leaves it to the host.
        quick_steps: steps that the quick model, merged into the weights, is to be run in; `FULL` for the full model.
        disable_dynamic: load all weights at once (the host asks for it when it compiles a model).

    Raises:
        SoraError: the file is refused, weights that are missing included, or holds no quick model for these steps.
    """
    management = comfy.model_management
    config, state = read_part(path, "dit")
    defaults = read_metadata(path).defaults
    quick = None
    if quick_steps != FULL:
        state = _with_quick(path, state, quick_steps)
        quick = replace(defaults.quick, steps=(quick_steps,))
    device, offload = management.get_torch_device(), management.unet_offload_device()
    parameters = sum(tensor.numel() for tensor in state.values())
    supported = SoraConfig.supported_inference_dtypes
    weights = dtype or management.unet_dtype(model_params=parameters, supported_dtypes=supported)
    settings = SoraConfig({"image_model": "sora", "sora": config.to_dict()})
    settings.sampling_settings = {"shift": defaults.shift or 1.0, "multiplier": 1000}
    settings.set_inference_dtype(weights, management.unet_manual_cast(weights, device, supported))
    model = settings.get_model(state, device=offload)
    model.quick = quick
    # Read at call time: with dynamic VRAM the host puts another class in this place.
    patcher_class = comfy.model_patcher.ModelPatcher if disable_dynamic else comfy.model_patcher.CoreModelPatcher
    patcher = patcher_class(model, load_device=device, offload_device=offload)
    state = {name: tensor.to(weights) for name, tensor in state.items()}
    model.load_model_weights(state, "", assign=patcher.is_dynamic())
    patcher.cached_patcher_init = (load_model, (path, dtype, quick_steps))
    return patcher


def _with_quick(path: Path, state: dict[str, Tensor], steps: int) -> dict[str, Tensor]:
    """Return the weights with the file's quick model for so many steps merged into them, in float32."""
    lora = read_quick(path)
    if steps not in lora.steps:
        made = " or ".join(map(str, lora.steps))
        raise SoraError(f"the quick model of {path.name} is made for {made} steps, not for {steps}; choose its speed")
    # bfloat16 would round the small changes away
    return lora.merge({name: tensor.float() for name, tensor in state.items()}, steps)


def _narrowed(mask: Tensor) -> Tensor:
    """Return a video mask ``[B, 1, T, 1, 1]`` where each frame is of one piece, so that a frame has one noise level."""
    if mask.ndim != 5:
        return mask[..., :1]
    frame = mask[..., :1, :1]
    return frame if bool((mask == frame).all()) else mask
