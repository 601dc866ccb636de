"""RMS normalisation that stays fused under autocast."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def normalise(norm: nn.Module, x: Tensor) -> Tensor:
    """Apply an RMSNorm layer in the dtype of ``x``.

    Autocast leaves the gain in float32, and with mixed types PyTorch runs the norm unfused. A host's own layer is
    called as it is.
    """
    if isinstance(norm, nn.RMSNorm) and norm.weight.dtype != x.dtype:
        return F.rms_norm(x, norm.normalized_shape, norm.weight.to(x.dtype), norm.eps)
    return norm(x)
