"""Sampling: noise, schedules, solvers and guidance over a velocity model."""

from __future__ import annotations

from .denoiser import ModelDenoiser, TextStates, VelocityModel
from .guidance import Guidance
from .loop import sample_latents
from .noise import draw_noise
from .schedules import Schedule, Sigma, flow_schedule, partial_schedule, token_shift
from .solvers import SOLVERS, Denoiser, StepCallback

__all__ = [
    "SOLVERS",
    "Denoiser",
    "Guidance",
    "ModelDenoiser",
    "Schedule",
    "Sigma",
    "StepCallback",
    "TextStates",
    "VelocityModel",
    "draw_noise",
    "flow_schedule",
    "partial_schedule",
    "sample_latents",
    "token_shift",
]
