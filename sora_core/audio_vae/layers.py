"""Layers that run over a whole clip or over its pieces with the same result.

A whole clip is the special case of one final piece, so there is one code path and nothing to keep in step.
"""

# B batch, L frames in, M frames out, D features, K kernel, N window samples, F frequencies, S samples, H hops

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class StreamCache:
    """What a stream's layers keep between two pieces; made empty by the caller, changed in place by each call.

    tails: a layer's unread input, or its unfinished output, by layer. skips: samples that a layer has still to drop.
    final: the piece at hand is the last one.
    """

    tails: dict[nn.Module, Tensor] = field(default_factory=dict)
    skips: dict[nn.Module, int] = field(default_factory=dict)
    final: bool = False


class FrameConv(nn.Module):
    """Convolve each feature over ``kernel`` frames, ``lookahead`` of them in the future; zeros beyond the ends."""

    def __init__(
        self,
        width: int,
        *,
        kernel: int,
        lookahead: int,
        operations: Any,  # noqa: ANN401
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        """Build one depthwise convolution."""
        super().__init__()
        self.lookahead = lookahead
        self.past = kernel - 1 - lookahead
        self.conv = operations.Conv1d(width, width, kernel, groups=width, device=device, dtype=dtype)

    def forward(self, x_BLD: Tensor, cache: StreamCache) -> tuple[Tensor, Tensor]:
        """Return the convolved frames that are ready and the input frames they stand at, both ``[B, M, D]``."""
        tail = cache.tails.pop(self, None)
        x_BLD = F.pad(x_BLD, (0, 0, self.past, 0)) if tail is None else torch.cat((tail, x_BLD), dim=1)
        if cache.final:
            x_BLD = F.pad(x_BLD, (0, 0, 0, self.lookahead))
        reach = self.past + self.lookahead
        ready = max(x_BLD.shape[1] - reach, 0)
        if not cache.final:
            cache.tails[self] = x_BLD[:, ready:]
        here_BMD = x_BLD[:, self.past : self.past + ready]
        if not ready:
            return here_BMD, here_BMD
        return self.conv(x_BLD.transpose(1, 2)).transpose(1, 2), here_BMD


class ConvNeXtBlock(nn.Module):
    """Mix over frames, then over features, beside a residual path (ConvNeXt, Liu et al. 2022, in one dimension)."""

    def __init__(
        self,
        width: int,
        *,
        expansion: int,
        kernel: int,
        lookahead: int,
        operations: Any,  # noqa: ANN401
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        """Build the convolution, the norm and the two-layer perceptron."""
        super().__init__()
        made = {"device": device, "dtype": dtype}
        self.mix = FrameConv(width, kernel=kernel, lookahead=lookahead, operations=operations, **made)
        self.norm = operations.LayerNorm(width, **made)
        self.gate = operations.Linear(width, width * expansion, **made)
        self.up = operations.Linear(width, width * expansion, **made)
        self.down = operations.Linear(width * expansion, width, **made)

    def forward(self, x_BLD: Tensor, cache: StreamCache) -> Tensor:
        """Return the frames that are ready, ``[B, M, D]``."""
        mixed_BMD, here_BMD = self.mix(x_BLD, cache)
        normal_BMD = self.norm(mixed_BMD)
        return here_BMD + self.down(F.silu(self.gate(normal_BMD)) * self.up(normal_BMD))


class Gather(nn.Module):
    """Join every ``count`` neighbouring frames into one, end to end."""

    def __init__(self, count: int) -> None:
        """Remember how many."""
        super().__init__()
        self.count = count

    def forward(self, x_BLD: Tensor, cache: StreamCache) -> Tensor:
        """Return ``[B, M, count * D]``; frames that do not fill a group wait for the next piece."""
        tail = cache.tails.pop(self, None)
        x_BLD = x_BLD if tail is None else torch.cat((tail, x_BLD), dim=1)
        ready = x_BLD.shape[1] // self.count * self.count
        if not cache.final:
            cache.tails[self] = x_BLD[:, ready:]
        return x_BLD[:, :ready].unflatten(1, (-1, self.count)).flatten(2)


class Spectrum(nn.Module):
    """Short-time Fourier transform in float32, one spectrum per hop, centred on the hop; silence beyond the ends."""

    window: Tensor

    def __init__(self, *, n_fft: int, hop: int, device: torch.device | str | None) -> None:
        """Make the window, the root of a Hann window, so that analysis and synthesis together weigh one Hann."""
        super().__init__()
        self.n_fft, self.hop, self.edge = n_fft, hop, (n_fft - hop) // 2
        self.register_buffer("window", torch.hann_window(n_fft, device=device).sqrt(), persistent=False)

    def forward(self, audio_BS: Tensor, cache: StreamCache) -> Tensor:
        """Return complex64 spectra ``[B, M, F]`` of float32 samples, orthonormal scale."""
        tail = cache.tails.pop(self, None)
        audio_BS = F.pad(audio_BS, (self.edge, 0)) if tail is None else torch.cat((tail, audio_BS), dim=1)
        if cache.final:
            audio_BS = F.pad(audio_BS, (0, self.edge))
        ready = max((audio_BS.shape[1] - self.n_fft) // self.hop + 1, 0)
        if not cache.final:
            cache.tails[self] = audio_BS[:, ready * self.hop :]
        if not ready:
            return audio_BS.new_zeros(len(audio_BS), 0, self.n_fft // 2 + 1, dtype=torch.complex64)
        return torch.fft.rfft(audio_BS.unfold(1, self.n_fft, self.hop) * self.window.float(), norm="ortho")


class OverlapAdd(nn.Module):
    """Inverse of ``Spectrum``: window each spectrum's samples again, add them up, divide by the windows' sum."""

    window: Tensor

    def __init__(self, *, n_fft: int, hop: int, device: torch.device | str | None) -> None:
        """Make the window."""
        super().__init__()
        self.n_fft, self.hop, self.edge = n_fft, hop, (n_fft - hop) // 2
        self.register_buffer("window", torch.hann_window(n_fft, device=device).sqrt(), persistent=False)

    def forward(self, spectra_BLF: Tensor, cache: StreamCache) -> Tensor:
        """Return the samples that no later spectrum reaches, float32 ``[B, S]``."""
        window = self.window.float()
        if spectra_BLF.shape[1]:
            parts_BLN = torch.fft.irfft(spectra_BLF, n=self.n_fft, norm="ortho") * window
        else:
            parts_BLN = window.new_zeros(len(spectra_BLF), 0, self.n_fft)
        # The last row carries the windows alone: their sum differs at the clip's ends.
        weight_1LN = window.square().expand(1, *parts_BLN.shape[1:])
        hops_BLQH = torch.cat((parts_BLN, weight_1LN)).unflatten(2, (-1, self.hop))
        overlap = hops_BLQH.shape[2]
        length = hops_BLQH.shape[1]
        sum_BMH = sum(F.pad(hops_BLQH[:, :, q], (0, 0, q, overlap - 1 - q)) for q in range(overlap))
        assert isinstance(sum_BMH, Tensor)
        tail = cache.tails.pop(self, None)
        if tail is not None:
            sum_BMH = sum_BMH + F.pad(tail, (0, 0, 0, sum_BMH.shape[1] - tail.shape[1]))
        if not cache.final:
            cache.tails[self] = sum_BMH[:, length:]
            sum_BMH = sum_BMH[:, :length]
        flat_BS = sum_BMH.flatten(1)
        # The samples before the clip's first and after its last hop are dropped.
        skip = cache.skips.get(self, self.edge)
        cache.skips[self] = skip - min(skip, flat_BS.shape[1])
        flat_BS = flat_BS[:, skip : flat_BS.shape[1] - (self.edge if cache.final else 0)]
        return flat_BS[:-1] / flat_BS[-1:].clamp(min=1e-6)
