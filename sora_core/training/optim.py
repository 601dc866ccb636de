"""The optimizer and the learning-rate schedule of every training stage."""

# O output features, K inputs of one output (channels x kernel), M min(O, K), G matrices of one shape

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..processor import PROCESSOR

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Quintic coefficients that push every singular value towards 1 (Jordan et al. 2024, "Muon")."""

NEWTON_SCHULZ_STEPS = 5


class MuonAdamW(Optimizer):
    """Muon for weight matrices and convolution kernels, AdamW for everything else, with one state dict.

    Muon orthogonalises the Nesterov momentum of each weight, seen as a matrix ``[O, K]``. The update is scaled by
    ``0.2 sqrt(max(O, K))``, which gives it the root mean square of an AdamW update, so both kinds share one learning
    rate and one weight decay (Moonlight, arXiv 2502.16982). ``torch.optim.Muon`` refuses kernels of more than two
    dimensions, hence this class.

    Args:
        groups: made by `split_parameters`; each has ``params`` and ``muon``.
        lr: learning rate of both kinds before the schedule.
        weight_decay: decoupled; never on parameters of fewer than two dimensions.
        momentum: of Muon.
        betas, eps: of AdamW.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "betas": betas,
            "eps": eps,
            "muon": False,
        }
        super().__init__(groups, defaults)
        for group in self.param_groups:
            group["base_lr"] = group["lr"]

    def set_scale(self, scale: float) -> None:
        """Set every group's learning rate to ``scale`` times its own base."""
        for group in self.param_groups:
            group["lr"] = group["base_lr"] * scale

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step on every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                (self._step_muon if group["muon"] else self._step_adamw)(params, group)
        return loss

    def _step_muon(self, params: list[Tensor], group: dict[str, Any]) -> None:
        by_shape: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
        for p in params:
            by_shape[(p.shape[0], p.numel() // p.shape[0])].append(p)
        for (rows, columns), same in by_shape.items():
            looks = []
            for p in same:
                assert p.grad is not None
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                looks.append(_matrix(p.grad.lerp(state["momentum"], group["momentum"])))
            updates_GOK = orthogonalise(torch.stack(looks))
            scale = 0.2 * max(rows, columns) ** 0.5
            for p, update_OK in zip(same, updates_GOK, strict=True):
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(_kernel(update_OK, p), alpha=-group["lr"] * scale)

    def _step_adamw(self, params: list[Tensor], group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        for p in params:
            assert p.grad is not None
            state = self.state[p]
            if not state:
                state["step"] = torch.zeros(())
                state["mean"], state["square"] = torch.zeros_like(p), torch.zeros_like(p)
            state["step"] += 1
            state["mean"].lerp_(p.grad, 1 - beta1)
            state["square"].mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
            step = float(state["step"])
            scale = (state["square"] / (1 - beta2**step)).sqrt_().add_(group["eps"])
            if p.ndim >= 2:
                p.mul_(1 - group["lr"] * group["weight_decay"])
            p.addcdiv_(state["mean"], scale, value=-group["lr"] / (1 - beta1**step))


def split_parameters(model: nn.Module, *, plain: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Split a model's trainable parameters into Muon's and AdamW's.

    Args:
        plain: name prefixes that stay with AdamW whatever their shape (embeddings, first and last layers).

    Returns:
        Two parameter groups for `MuonAdamW`.
    """
    prefixes = tuple(plain)
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    chosen = {name for name, p in named if p.ndim >= 2 and not name.startswith(prefixes or ("\0",))}
    return [
        {"params": [p for name, p in named if name in chosen], "muon": True},
        {"params": [p for name, p in named if name not in chosen], "muon": False},
    ]


def orthogonalise(matrices_GOK: Tensor) -> Tensor:
    """Bring every singular value of each matrix near 1 (0.7 to 1.2) by Newton-Schulz.

    Args:
        matrices_GOK: ``[G, O, K]``, any scale.

    Returns:
        ``[G, O, K]``, bfloat16, or float32 on a CPU that does not multiply bfloat16 itself (there it takes a third of
        the time).
    """
    a, b, c = NEWTON_SCHULZ
    low = matrices_GOK.device.type != "cpu" or PROCESSOR.bfloat16
    x = matrices_GOK.to(torch.bfloat16 if low else torch.float32)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram_GMM = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram_GMM, gram_GMM, gram_GMM, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def decay_schedule(step: float, total: float, *, warmup: float = 0.02, decay: float = 0.4) -> float:
    """Return the factor on the learning rate: linear warm-up, constant, linear decay to zero at ``total``.

    Args:
        step, total: progress and its end in any one unit (steps, or minutes of a time budget).
        warmup, decay: shares of ``total``.

    Source: the trapezoid of "Scaling Laws and Compute-Optimal Training Beyond Fixed Durations" (arXiv 2405.18392).
    """
    progress = min(max(step / total, 0.0), 1.0)
    rise = min(1.0, (progress + 1e-3) / warmup) if warmup > 0 else 1.0
    fall = min(1.0, (1.0 - progress) / decay) if decay > 0 else 1.0
    return min(rise, fall)


def _matrix(kernel: Tensor) -> Tensor:
    """View a kernel as ``[O, K]`` in its own memory order (channels-last kernels stay free of copies)."""
    if kernel.ndim == 4:
        kernel = kernel.permute(0, 2, 3, 1)
    return kernel.reshape(kernel.shape[0], -1)


def _kernel(matrix_OK: Tensor, like: Tensor) -> Tensor:
    """Undo `_matrix`."""
    if like.ndim != 4:
        return matrix_OK.reshape(like.shape)
    out, channels, height, width = like.shape
    return matrix_OK.reshape(out, height, width, channels).permute(0, 3, 1, 2)
