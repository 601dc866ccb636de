"""Draw a clip's starting noise from its seed, the same on every device and in every batch."""

# C channels, T latent frames, H W latent cells, A audio latents

from __future__ import annotations

import torch

from ..types import AUDIO_CHANNELS, VIDEO_CHANNELS, AVLatent, LatentShape


def draw_noise(
    seed: int, shape: LatentShape, *, audio: bool = True, count: int = 1, device: torch.device | str = "cpu"
) -> AVLatent:
    """Draw standard normal noise for ``count`` variations of one clip; variation i is seeded with ``seed + i``.

    One float32 generator on the CPU serves each variation, video ``[C, T, H, W]`` first and audio ``[C, A, 1]`` after
    it (our decision), so that a seed means the same clip on every device, a variation has the same bits alone and in
    a batch, and switching the sound off leaves the picture as it was.

    Args:
        seed: of the first variation; any integer that ``torch.Generator.manual_seed`` takes.
        shape: size of the clip in latents.
        audio: whether to draw the sound.
        count: variations, at least 1.
        device: where the result is moved to.

    Returns:
        video float32 ``[count, 16, T, H, W]`` and audio float32 ``[count, 32, A, 1]`` or None.
    """
    assert count >= 1, count
    video_CTHW: list[torch.Tensor] = []
    audio_CA1: list[torch.Tensor] = []
    for index in range(count):
        generator = torch.Generator().manual_seed(seed + index)
        video_CTHW.append(torch.randn(VIDEO_CHANNELS, shape.frames, shape.height, shape.width, generator=generator))
        if audio:
            audio_CA1.append(torch.randn(AUDIO_CHANNELS, shape.audio, 1, generator=generator))
    return AVLatent(
        video=torch.stack(video_CTHW).to(device),
        audio=torch.stack(audio_CA1).to(device) if audio else None,
    )
