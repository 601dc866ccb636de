"""Tiny instances of other families' video models and VAEs: the host's own classes with random weights, and VAEs that
average and repeat on each family's grid."""

# B batch, C channels, T latent frames, F frames, S samples, A audio latents

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

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

LTXAV = {
    "image_model": "ltxav",
    "in_channels": 128,
    "cross_attention_dim": 64,
    "audio_cross_attention_dim": 32,
    "attention_head_dim": 32,
    "audio_attention_head_dim": 16,
    "num_attention_heads": 2,
    "audio_num_attention_heads": 2,
    "caption_channels": 16,
    "num_layers": 1,
}

H3 = {
    "image_model": "minimax_h3",
    "hidden_size": 96,
    "num_layers": 1,
    "token_refiner_num_layers": 1,
    "num_attention_heads": 2,
    "attention_head_dim": 48,
    "ffn_hidden_size": 64,
    "text_dim": 16,
    "timestep_input_dim": 32,
    "time_embed_hidden_size": 48,
    "time_embed_dim": 32,
    "rope_inv_freq_len": 8,
}


def wan22() -> Any:
    """Return a MODEL of Wan 2.2 5B's kind: 48 channels, x16 in space, x4 in time, flow matching."""
    import comfy.supported_models

    return _patcher(comfy.supported_models.WAN22_T2V, WAN)


def wan21(*, seed: int = 0, **settings: Any) -> Any:
    """Return a MODEL of Wan 2.1's text to video, or of half of Wan 2.2 A14B: 16 channels, x8 in space, x4 in time."""
    import comfy.supported_models

    return _patcher(comfy.supported_models.WAN21_T2V, {**WAN, "in_dim": 16, "out_dim": 16, **settings}, seed)


def wan21_image(*, seed: int = 0, channels: int = 36) -> Any:
    """Return a MODEL of Wan's image to video, which reads a mask and latents beside the noise.

    With 48 channels it is of the kind that follows a control video, and reads no mask.
    """
    from comfy.supported_models import WAN21_I2V, WAN21_FunControl2V

    kinds = {36: WAN21_I2V, 48: WAN21_FunControl2V}
    settings = {**WAN, "model_type": "i2v", "in_dim": channels, "out_dim": 16}
    return _patcher(kinds[channels], settings, seed)


def ltxv() -> Any:
    """Return a MODEL of LTX-Video's kind: 128 channels, x32 in space, x8 in time, flow matching."""
    import comfy.supported_models

    return _patcher(comfy.supported_models.LTXV, LTXV)


def ltxav() -> Any:
    """Return a MODEL of LTX-2's kind: LTX-Video's picture, and sound of 8 channels by 16 bands."""
    import comfy.supported_models

    return _patcher(comfy.supported_models.LTXAV, LTXAV)


def h3() -> Any:
    """Return a MODEL of MiniMax H3's kind: 24 channels, x16 in space, 17 frames to 5 latents, sound in stereo."""
    import comfy.supported_models

    return _patcher(comfy.supported_models.MiniMaxH3, H3)


def unheard_of() -> Any:
    """Return a MODEL of a family whose name nobody knows, made as Wan 2.1's text to video is."""
    model = wan21()
    model.model.model_config.unet_config["image_model"] = "unheard_of"
    return model


def held() -> Any:
    """Return a MODEL that is given kept frames clean and told one noise level, as HunyuanVideo is."""
    model = wan21()
    model.add_object_patch("scale_latent_inpaint", lambda latent_image, **_: latent_image)
    return model


def noised() -> Any:
    """Return Wan 2.2 5B with its kept frames under noise: what it would be with its own way of keeping taken away."""
    from comfy.model_base import BaseModel

    model = wan22()
    model.add_object_patch("scale_latent_inpaint", MethodType(BaseModel.scale_latent_inpaint, model.model))
    return model


def still_model() -> Any:
    """Return a MODEL that makes pictures in a latent space of video, as Qwen-Image does."""
    model = wan21()
    model.model.model_config.unet_config["image_model"] = "qwen_image"
    return model


def noise_model() -> Any:
    """Return a MODEL of video that predicts noise and is not trained for flow matching."""
    import comfy.model_base

    model = wan21()
    sampling = comfy.model_base.model_sampling(model.model.model_config, comfy.model_base.ModelType.EPS)
    model.add_object_patch("model_sampling", sampling)
    return model


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


def text(channels: int = 16, *, masked: bool = True, **values: Any) -> Any:
    """Return CONDITIONING as these models read it."""
    generator = torch.Generator().manual_seed(0)
    mask = {"attention_mask": torch.ones(1, 8)} if masked else {}
    return [[torch.randn(1, 8, channels, generator=generator), {**mask, **values}]]


def wan22_vae() -> Any:
    """Return a VAE on Wan 2.2 5B's grid."""
    return _video_vae(48, 16, lambda latents: max(0, latents * 4 - 3), lambda frames: max(0, (frames + 3) // 4))


def wan21_vae() -> Any:
    """Return a VAE on Wan 2.1's grid."""
    return _video_vae(16, 8, lambda latents: max(0, latents * 4 - 3), lambda frames: max(0, (frames + 3) // 4))


def ltx_vae() -> Any:
    """Return a VAE on the grid of LTX-Video and LTX-2."""
    return _video_vae(128, 32, lambda latents: max(0, latents * 8 - 7), lambda frames: max(0, (frames + 7) // 8))


def h3_vae() -> Any:
    """Return a VAE on MiniMax H3's grid: latents of 1, 4, 4, 4 and 4 frames in turn."""
    return _video_vae(
        24,
        16,
        lambda latents: max(1, (latents - 2) // 5 * 17 + 5),
        lambda frames: max(1, (frames - 5) // 17 * 5 + 2) if frames > 1 else 1,
        groups=(1, 4, 4, 4, 4),
    )


def ltx_audio_vae() -> Any:
    """Return a VAE of LTX-2's sound: 44.1 kHz in, 24 kHz out, 25 latents a second."""
    vae = _bare(TinySoundVAE(channels=8, bands=16, rate=44100, per_second=25, rate_out=24000))
    vae.downscale_ratio = vae.upscale_ratio = 4096
    vae.extra_1d_channel = 16
    vae.audio_sample_rate_output = 24000
    return vae


def h3_audio_vae() -> Any:
    """Return a VAE of MiniMax H3's sound: stereo at 32 kHz, 40 latents a second."""
    vae = _bare(TinySoundVAE(channels=32, bands=0, rate=32000, per_second=40, rate_out=32000))
    vae.downscale_ratio = vae.upscale_ratio = 800
    vae.audio_sample_rate = 32000
    return vae


class TinyVideoVAE(nn.Module):
    """Averages each latent's frames and cells, and repeats them again. Causal; the first latent is of one frame.

    groups: frames of one latent after the other, again and again; None: one, then ``stride`` each.
    """

    def __init__(self, channels: int, space: int, stride: int, groups: tuple[int, ...] | None) -> None:
        super().__init__()
        self.space, self.stride, self.groups = space, stride, groups
        mix = torch.linalg.qr(torch.randn(channels, 3, generator=torch.Generator().manual_seed(0))).Q
        self.mix_C3 = nn.Parameter(mix, requires_grad=False)

    def lengths(self, latents: int) -> list[int]:
        """Return the frames of each latent."""
        if self.groups is None:
            return [1] + [self.stride] * (latents - 1)
        return [self.groups[index % len(self.groups)] for index in range(latents)]

    def encode(self, frames_B3FHW: Tensor) -> Tensor:
        """Return latents of as many whole groups as there are."""
        groups, done = [], 0
        for length in self.lengths(frames_B3FHW.shape[2]):
            if done + length > frames_B3FHW.shape[2]:
                break
            groups.append(frames_B3FHW[:, :, done : done + length].mean(2))
            done += length
        pooled = nn.functional.avg_pool3d(torch.stack(groups, 2), (1, self.space, self.space))
        return torch.einsum("bkthw,ck->bcthw", pooled, self.mix_C3)

    def decode(self, latent_BCThw: Tensor) -> Tensor:
        """Return frames in [-1, 1]."""
        colours = torch.einsum("bcthw,ck->bkthw", latent_BCThw, self.mix_C3)
        frames = colours.repeat_interleave(torch.tensor(self.lengths(latent_BCThw.shape[2])), dim=2)
        return frames.repeat_interleave(self.space, 3).repeat_interleave(self.space, 4)


class TinySoundVAE(nn.Module):
    """Keeps the mean of each side over each latent's time. Latents ``[B, C, A, bands]``, or (0) ``[B, C, 2, A]``."""

    def __init__(self, *, channels: int, bands: int, rate: int, per_second: int, rate_out: int) -> None:
        super().__init__()
        self.channels, self.bands, self.per_second = channels, bands, per_second
        self.rate, self.output_sample_rate = rate, rate_out
        self.nothing = nn.Parameter(torch.zeros(1), requires_grad=False)
        if bands:
            self.num_of_latents_from_frames = lambda frames, fps: round(float(frames) / fps * per_second)
            self.latent_frequency_bins = bands

    def encode(self, wave_B2S: Tensor) -> Tensor:
        """Return latents; the last one is filled up with silence."""
        step = self.rate // self.per_second
        whole_B2S = nn.functional.pad(wave_B2S, (0, -wave_B2S.shape[-1] % step))
        means_B2A = nn.functional.avg_pool1d(whole_B2S, step)
        if not self.bands:
            return means_B2A[:, None].expand(-1, self.channels, -1, -1)
        sides = means_B2A.repeat_interleave(self.channels // 2, 1)
        return sides[..., None].expand(-1, -1, -1, self.bands)

    def decode(self, latent: Tensor) -> Tensor:
        """Return sound ``[B, 2, S]``."""
        means = latent.mean(1) if not self.bands else latent.unflatten(1, (2, -1)).mean((2, 4))
        return means.repeat_interleave(self.output_sample_rate // self.per_second, -1)


def _video_vae(
    channels: int,
    space: int,
    up: Callable[[int], int],
    down: Callable[[int], int],
    *,
    groups: tuple[int, ...] | None = None,
) -> Any:
    stride = up(2) - up(1)
    vae = _bare(TinyVideoVAE(channels, space, stride, groups))
    vae.latent_channels, vae.latent_dim, vae.output_channels = channels, 3, 3
    vae.upscale_ratio, vae.downscale_ratio = (up, space, space), (down, space, space)
    vae.upscale_index_formula = vae.downscale_index_formula = (stride, space, space)
    return vae


def _bare(module: Any) -> Any:
    """Return the host's VAE around a module, set up for sound as it sets up its own."""
    import comfy.model_management
    import comfy.model_patcher
    import comfy.sd

    vae = comfy.sd.VAE(sd={})
    cpu = torch.device("cpu")
    vae.first_stage_model = module.eval()
    vae.device = vae.output_device = cpu
    vae.vae_dtype = torch.float32
    vae.memory_used_encode = vae.memory_used_decode = lambda _shape, _dtype: 1 << 20
    vae.patcher = comfy.model_patcher.CoreModelPatcher(module, load_device=cpu, offload_device=cpu)
    comfy.model_management.archive_model_dtypes(module)
    if isinstance(module, TinySoundVAE):
        vae.latent_channels, vae.latent_dim, vae.output_channels = module.channels, 2, 2
        vae.pad_channel_value = "replicate"
        vae.process_input = vae.process_output = lambda wave: wave
    return vae


def _patcher(family: Any, settings: dict[str, Any], seed: int = 0) -> Any:
    import comfy.model_patcher

    config = family(dict(settings))
    config.set_inference_dtype(torch.float32, None)
    model = config.get_model({}, "")
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.diffusion_model.parameters():
        # Strong enough that what one token holds is seen in the others.
        std = parameter.shape[1:].numel() ** -0.5 if parameter.ndim > 1 else 0.5
        parameter.requires_grad_(False).normal_(std=std, generator=generator)
    for buffer in model.diffusion_model.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(generator=generator)
    cpu = torch.device("cpu")
    return comfy.model_patcher.CoreModelPatcher(model, load_device=cpu, offload_device=cpu)
