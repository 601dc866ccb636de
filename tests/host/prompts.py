"""The usual prompts of these tests, and what is measured on what they make."""

from __future__ import annotations

import math
from typing import Any

import torch
from hosting import Graph
from torch import Tensor

TINY = "checkpoints/tiny.safetensors"
"""A model of random weights: quick, for everything but what the picture looks like."""

SHIPPED = "shipped/sora_micro.safetensors"

PROMPT = "a large red ball bounces on a wooden floor"

SMALL = {"width": 64, "height": 64, "seconds": 2.0, "quick": False}
"""What the nodes begin with, for a request of the library, whose own default is the shipped model's."""


class Clip:
    """A prompt that begins with a loaded model and its text; ``model`` and the rest are links."""

    def __init__(self, host: Any, checkpoint: str = TINY, text: str = PROMPT, **loading: Any) -> None:
        self.graph: Graph = host.graph()
        self.host = host
        self.model, self.clip, self.vae, self.audio_vae = self.graph.add("SoraLoader", checkpoint=checkpoint, **loading)
        self.positive = self.add("CLIPTextEncode", text=text, clip=self.clip)
        self.negative = self.add("CLIPTextEncode", text="", clip=self.clip)

    def add(self, class_type: str, **inputs: Any) -> list[Any]:
        """Add a node; return the link to its first output."""
        return self.graph.add(class_type, **inputs)[0]

    def give(self, value: Any) -> list[Any]:
        """Return a link to an object."""
        return self.graph.give(value)

    def empty(self, *, size: int = 32, seconds: float = 0.75, **inputs: Any) -> list[Any]:
        """Add an empty latent: nine frames of 32 pixels."""
        return self.add(
            "SoraEmptyLatent", **{"size": "custom", "width": size, "height": size, "seconds": seconds, **inputs}
        )

    def ksampler(self, latent: list[Any], **inputs: Any) -> list[Any]:
        """Add core's KSampler: two steps of Euler."""
        defaults = {"seed": 1, "steps": 2, "cfg": 3.0, "sampler_name": "euler", "scheduler": "simple"}
        texts = {"model": self.model, "positive": self.positive, "negative": self.negative}
        return self.add("KSampler", **{**defaults, **texts, "latent_image": latent, **inputs})

    def sora(self, latent: list[Any], **inputs: Any) -> list[Any]:
        """Add Sora Sampler: two steps of Euler."""
        texts = {"model": self.model, "positive": self.positive, "negative": self.negative}
        return self.add("SoraSampler", **{"seed": 1, "steps": 2, "cfg": 3.0, **texts, "latent": latent, **inputs})

    def decode(self, latent: list[Any], **inputs: Any) -> list[list[Any]]:
        """Add Sora Decode; return its links: video, images, audio."""
        return self.graph.add(
            "SoraDecode", **{"latent": latent, "vae": self.vae, "audio_vae": self.audio_vae, **inputs}
        )

    def values(self, *links: list[Any], **options: Any) -> Any:
        """Run, and return the objects at the links."""
        return self.host.values(self.graph, *links, **options)


def halves(latent: dict[str, Any]) -> list[Tensor]:
    """Return the streams of a LATENT."""
    samples = latent["samples"]
    return list(samples.unbind()) if samples.is_nested else [samples]


def furthest(a: Tensor, b: Tensor) -> float:
    """Return the largest difference."""
    assert a.shape == b.shape, (a.shape, b.shape)
    return float((a.float() - b.float()).abs().max())


def decibels(made: Tensor, wanted: Tensor, *, peak: float | None = None) -> float:
    """Return the PSNR for a ``peak``, or without one the ratio of signal to error."""
    error = float((made.double() - wanted.double()).square().mean())
    signal = float(wanted.double().square().mean()) if peak is None else peak**2
    return math.inf if error == 0 else 10 * math.log10(signal / error)


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    """Return a smooth IMAGE ``[1, H, W, 3]`` of whole bytes: a field of colour with a brighter square."""
    generator = torch.Generator().manual_seed(seed)
    colours = torch.rand(3, 2, 2, generator=generator)
    field = torch.nn.functional.interpolate(colours[None], (height, width), mode="bilinear", align_corners=True)[0]
    field[:, height // 4 : height // 2, width // 4 : width // 2] = torch.rand(3, 1, 1, generator=generator)
    return (field.movedim(0, -1) * 255).round()[None] / 255
