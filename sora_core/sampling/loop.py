"""Run a solver from noise to a clean clip in latent space."""

from __future__ import annotations

import torch

from ..errors import SoraError
from ..types import AVLatent
from .denoiser import ModelDenoiser
from .schedules import Schedule
from .solvers import SOLVERS, StepCallback


@torch.inference_mode()
def sample_latents(
    denoiser: ModelDenoiser, schedule: Schedule, *, solver: str = "euler", callback: StepCallback | None = None
) -> AVLatent:
    """Sample the denoiser's clips along ``schedule``.

    Args:
        denoiser: model, prompt, conditions and starting noise.
        schedule: noise levels, from 1 to 0.
        solver: a name in ``SOLVERS``.
        callback: after each step, with steps done, steps in all and the clean clip as that step saw it. What it
            raises ends the run at once and reaches the caller (cancellation within one step).

    Returns:
        float32 latents in the shapes of the noise; kept values are exactly those given.

    Raises:
        SoraError: an unknown solver, or a result that is not finite.
    """
    if solver not in SOLVERS:
        raise SoraError(f"solver '{solver}' is unknown; choose one of {', '.join(SOLVERS)}")
    x = denoiser.finish(SOLVERS[solver](denoiser, denoiser.start(), schedule, callback))
    for half, tensor in (("picture", x.video), ("sound", x.audio)):
        if tensor is not None and not bool(torch.isfinite(tensor).all()):
            raise SoraError(f"the {half} came out not finite; lower the guidance or run in float32")
    return x
