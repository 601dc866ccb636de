"""Tiny instances of other families' video models, of random weights, in the host's own classes."""

from __future__ import annotations

from typing import Any

import torch

WAN = {
    "image_model": "wan2.1",
    "model_type": "t2v",
    "patch_size": (1, 2, 2),
    "in_dim": 48,
    "out_dim": 48,
    "dim": 96,
    "ffn_dim": 64,
    "freq_dim": 32,
    "text_dim": 16,
    "num_heads": 2,
    "num_layers": 1,
    "text_len": 8,
}

LTXV = {
    "image_model": "ltxv",
    "in_channels": 128,
    "cross_attention_dim": 32,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "caption_channels": 16,
    "num_layers": 1,
}


def wan22() -> Any:
    """Return a MODEL of Wan 2.2 5B's kind: 48 channels, x16 in space, x4 in time, flow matching."""
    import comfy.supported_models

    return _patcher(comfy.supported_models.WAN22_T2V, WAN)


def ltxv() -> Any:
    """Return a MODEL of LTX-Video's kind: 128 channels, x32 in space, x8 in time, flow matching."""
    import comfy.supported_models

    return _patcher(comfy.supported_models.LTXV, LTXV)


def picture_model() -> Any:
    """Return a MODEL that makes pictures and is not trained for flow matching: Stable Diffusion's kind."""
    import comfy.supported_models

    small = {
        "image_size": 32,
        "in_channels": 4,
        "out_channels": 4,
        "model_channels": 32,
        "num_res_blocks": [1],
        "channel_mult": [1],
        "transformer_depth": [1],
        "transformer_depth_output": [1, 1],
        "transformer_depth_middle": 1,
        "context_dim": 16,
        "num_heads": 2,
        "use_spatial_transformer": True,
        "use_linear_in_transformer": False,
        "adm_in_channels": None,
        "use_temporal_attention": False,
    }
    return _patcher(comfy.supported_models.SD15, small)


def text(channels: int = 16, **values: Any) -> Any:
    """Return CONDITIONING as these models read it."""
    generator = torch.Generator().manual_seed(0)
    return [[torch.randn(1, 8, channels, generator=generator), {"attention_mask": torch.ones(1, 8), **values}]]


def _patcher(family: Any, settings: dict[str, Any]) -> Any:
    import comfy.model_patcher

    config = family(settings)
    config.set_inference_dtype(torch.float32, None)
    model = config.get_model({}, "")
    generator = torch.Generator().manual_seed(0)
    for parameter in model.diffusion_model.parameters():
        parameter.requires_grad_(False).normal_(std=0.05, generator=generator)
    cpu = torch.device("cpu")
    return comfy.model_patcher.CoreModelPatcher(model, load_device=cpu, offload_device=cpu)
