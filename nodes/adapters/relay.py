"""Two models in one sampling run: the second goes on from where the first has come to."""

# B batch, N values of a packed latent

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import comfy.samplers
import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Low:
    """The MODEL of the low noise levels. level: steps that begin above it stay with the first model."""

    model: Any
    level: float


class Relay(comfy.samplers.Sampler):
    """A SAMPLER that remembers how far it came, and goes on from there when it is called again.

    Both calls get the same noise and the same kept latents, so a second model is given what is kept exactly as the
    first one was. (Giving it the first one's result as its latent, as two samplers in a row do, would put noise there.)
    """

    def __init__(self, sampler: comfy.samplers.Sampler) -> None:
        self.sampler = sampler
        self.reached: Tensor | None = None

    def sample(
        self,
        model_wrap: Any,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Any,
        noise: Tensor,
        latent_image: Tensor | None = None,
        denoise_mask: Tensor | None = None,
        disable_pbar: bool = False,
    ) -> Tensor:
        """Run from ``sigmas[0]`` to ``sigmas[-1]``; arguments as the host's samplers take them, latents packed."""
        sampling = model_wrap.inner_model.model_sampling
        nothing = torch.zeros_like(noise)
        if self.reached is not None:
            given = nothing if latent_image is None else latent_image
            left = self.reached.to(noise) - sampling.noise_scaling(sigmas[0], nothing, given)
            unit = sampling.noise_scaling(sigmas[0], torch.ones_like(noise), nothing)
            left = left / unit
            # What is kept may carry other noise after a sampler that adds its own.
            noise = left if denoise_mask is None else torch.where(denoise_mask == 0, noise, left)
        made = self.sampler.sample(
            model_wrap, sigmas, extra_args, callback, noise, latent_image, denoise_mask, disable_pbar
        )
        # The host's samplers divide by the share of the clean latent at the end.
        self.reached = sampling.noise_scaling(sigmas[-1], nothing, made)
        return made


def split(sigmas: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Return the noise levels of the first and of the second model; either may be a single one, with no step."""
    first = int((sigmas[:-1] > level).sum())
    return sigmas[: first + 1], sigmas[first:]
