"""Our solvers and schedules inside ComfyUI's samplers, and one whole sampling run."""

# B batch, N values of a packed latent

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import comfy.model_sampling
import comfy.samplers
import comfy.utils
import torch
from torch import Tensor

from ...sora_core.errors import SoraError
from ...sora_core.request import QUICK_SOLVER
from ...sora_core.sampling import SOLVERS, Sigma, flow_schedule
from ...sora_core.sampling.guidance import guide, rescale_contrast
from ...sora_core.sampling.schedules import Schedule, shift_sigma
from ...sora_core.types import AVLatent
from ..host import preview_callback, set_conditioning
from .latents import FPS, draw_noise, fix_empty, streams_of, told_apart
from .model import AUDIO_SHIFT, FRAME_RATE, SoraModel
from .relay import Low, Relay, split

FOLLOW = 0.0
"""Value of a knob that means: as the model has it."""

MASK = "sora_denoise_mask"
"""Transformer option: the packed mask of the run (1 generates, 0 keeps), or None."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Settings of one sampling run.

    Args:
        seed: of the first variation. steps: model calls with Euler. solver: a name in ``SOLVERS``.
        cfg: guidance of the picture. audio_cfg: of the sound, 0 follows ``cfg``.
        rescale: share in [0, 1] of the contrast that guidance added and that is taken back.
        shift: of the noise levels, 0 takes the model's. denoise: share in (0, 1] of the schedule that is run.
    """

    seed: int
    steps: int
    solver: str
    cfg: float
    audio_cfg: float = FOLLOW
    rescale: float = 0.0
    shift: float = FOLLOW
    denoise: float = 1.0


class SolverSampler(comfy.samplers.Sampler):
    """A solver of `sora_core.sampling` as the host's SAMPLER, for any flow-matching model.

    Our own model is told the sound's noise level apart from the picture's; for others both share one schedule.

    Args:
        solver: a name in ``SOLVERS``.
        audio_shift: shift of the sound's noise levels relative to the picture's; 0 takes the model's shift to the
            power of -1/2, as it was trained.
    """

    def __init__(self, solver: str, audio_shift: float = FOLLOW) -> None:
        if solver not in SOLVERS:
            raise SoraError(f"solver {solver!r} is not known; choose one of {', '.join(SOLVERS)}")
        self.solver, self.audio_shift = solver, audio_shift

    def sample(
        self,
        model_wrap: Any,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Any,
        noise: Tensor,
        latent_image: Tensor | None = None,
        denoise_mask: Tensor | None = None,
        disable_pbar: bool = False,  # noqa: ARG002
    ) -> Tensor:
        """Run from ``sigmas[0]`` to ``sigmas[-1]``; arguments as the host's samplers take them, latents packed."""
        model = model_wrap.inner_model
        sampling = model.model_sampling
        _require_flow(sampling)
        relative = self._audio_shift(model, sampling)
        options = extra_args["model_options"].setdefault("transformer_options", {})
        options[AUDIO_SHIFT], options[MASK] = relative, denoise_mask
        levels = [float(sigma) for sigma in sigmas]
        schedule = Schedule(tuple(levels), tuple(shift_sigma(level, relative) for level in levels))
        masked = comfy.samplers.KSamplerX0Inpaint(model_wrap, sigmas)
        masked.latent_image, masked.noise = latent_image, noise
        shapes = model.latent_shapes or [noise.shape]

        def split(packed: Tensor) -> AVLatent:
            return AVLatent(*told_apart(comfy.utils.unpack_latents(packed, shapes) if len(shapes) > 1 else [packed]))

        def pack(halves: AVLatent) -> Tensor:
            streams = [half for half in halves if half is not None]
            return comfy.utils.pack_latents(streams)[0] if len(streams) > 1 else streams[0]

        mask = None if denoise_mask is None else split(denoise_mask.expand_as(noise))

        def velocity(x: AVLatent, sigma: Sigma) -> AVLatent:
            packed = pack(x)
            level = packed.new_full((packed.shape[0],), sigma.video)
            clean = split(masked(packed, level, denoise_mask=denoise_mask, **extra_args))
            # The host turns velocities into clean estimates with the picture's level, for both halves alike; what
            # is kept it puts in place itself, and that lies at each half's own level.
            return AVLatent(
                video=_velocity(x.video, clean.video, None, sigma.video, sigma.video),
                audio=_velocity(x.audio, clean.audio, mask.audio if mask else None, sigma.video, sigma.audio),
            )

        def report(done: int, total: int, clean: AVLatent) -> None:
            comfy.model_management.throw_exception_if_processing_interrupted()
            if callback is not None:
                packed = pack(clean)
                callback(done - 1, packed, packed, total)

        given = torch.zeros_like(noise) if latent_image is None else latent_image
        start = _map(
            lambda half, kept, level: sampling.noise_scaling(half.new_full((half.shape[0],), level), half, kept),
            split(noise),
            split(given),
            schedule.at(0),
        )
        end = SOLVERS[self.solver](velocity, start, schedule, report)
        if levels[-1] == 0 and denoise_mask is not None:
            end = split(torch.where(denoise_mask == 0, given, pack(end)))
        last = _map(
            lambda half, _kept, level: sampling.inverse_noise_scaling(half.new_full((half.shape[0],), level), half),
            end,
            end,
            schedule.at(schedule.steps),
        )
        return pack(last)

    def _audio_shift(self, model: Any, sampling: Any) -> float:
        if not isinstance(model, SoraModel):
            return 1.0
        return self.audio_shift or float(getattr(sampling, "shift", 1.0)) ** -0.5


def sample(
    model: Any,
    positive: Any,
    negative: Any,
    latent: Mapping[str, Any],
    run: Run,
    *,
    sampler: comfy.samplers.Sampler | None = None,
    sigmas: Tensor | None = None,
    low: Low | None = None,
) -> dict[str, Any]:
    """Return the LATENT with its samples generated.

    Args:
        model: the MODEL. positive, negative: CONDITIONING. latent: with a ``noise_mask``, 1 generates and 0 keeps.
        run: settings. sampler: a SAMPLER in place of the run's solver. sigmas: SIGMAS in place of its steps and shift;
            of them the share ``run.denoise`` is run. low: a second model for the low noise levels.

    Raises:
        SoraError: settings out of range, or that a quick model cannot follow, a model that is not trained for flow
            matching, or a result that is not finite.
    """
    _require_quick(model, run, own_solver=sampler is None, own_levels=sigmas is None)
    samples = fix_empty(model, latent["samples"])
    noise = draw_noise(samples, run.seed)
    sigmas = schedule_of(model, run.steps, run.shift, run.denoise) if sigmas is None else last_part(sigmas, run.denoise)
    rate = {FRAME_RATE: latent[FPS]} if FPS in latent else {}
    texts = [set_conditioning(text, rate) if rate else text for text in (positive, negative)]
    if sampler is None:
        sampler = SolverSampler(run.solver, run.shift**-0.5 if run.shift else FOLLOW)
    stages = [(model, sigmas)]
    if low is not None:
        sampler = Relay(sampler)
        stages = list(zip((model, low.model), split(sigmas, low.level), strict=True))
    callback = preview_callback(model, len(sigmas) - 1)
    made, done = samples, 0
    for part, levels in stages:
        if len(levels) < 2:
            continue
        guider = comfy.samplers.CFGGuider(_guided(part, run))
        guider.set_conds(*texts)
        guider.set_cfg(run.cfg)
        made = guider.sample(
            noise,
            samples,
            sampler,
            levels,
            denoise_mask=latent.get("noise_mask"),
            callback=callback if len(stages) == 1 else _counted_on(callback, done, len(sigmas) - 1),
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
            seed=run.seed,
        )
        done += len(levels) - 1
    for half in streams_of(made):
        if half is not None and not bool(torch.isfinite(half).all()):
            raise SoraError("the result is not finite; lower cfg, or load the model in float32")
    return {**latent, "samples": made.to(comfy.model_management.intermediate_device())}


def last_part(sigmas: Tensor, denoise: float) -> Tensor:
    """Return the last share ``denoise`` in (0, 1] of SIGMAS, at least one step.

    Raises:
        SoraError: fewer than two noise levels.
    """
    if sigmas.ndim != 1 or len(sigmas) < 2:
        raise SoraError(f"sigmas {list(sigmas.shape)} hold no step; connect two noise levels or more")
    return sigmas[-(max(1, round((len(sigmas) - 1) * denoise)) + 1) :]


def schedule_of(model: Any, steps: int, shift: float = FOLLOW, denoise: float = 1.0) -> Tensor:
    """Return SIGMAS ``[steps + 1]``, float32, falling to 0.

    Args:
        model: a MODEL that is trained for flow matching.
        steps: at least 1. shift: 0 takes the model's own. denoise: share in (0, 1] of the schedule, from its end.

    Raises:
        SoraError: a value out of range, or a model of another kind.
    """
    if steps < 1:
        raise SoraError(f"steps {steps} must be at least 1; 30 is usual")
    if not 0 < denoise <= 1:
        raise SoraError(f"denoise {denoise:g} must be more than 0 and at most 1; 1 makes a clip from noise alone")
    if not 0 <= shift <= 100:
        raise SoraError(f"shift {shift:g} must be between 0 (the model's own) and 100")
    sampling = model.get_model_object("model_sampling")
    _require_flow(sampling)
    total = max(steps, int(steps / denoise))
    if shift or isinstance(model.model, SoraModel):
        levels = torch.tensor(flow_schedule(total, shift or float(sampling.shift)).video)
    else:
        levels = comfy.samplers.calculate_sigmas(sampling, "simple", total)
    return levels[-(steps + 1) :]


def _guided(model: Any, run: Run) -> Any:
    """Return the model with the sound guided by itself, where that is asked for."""
    audio_cfg = run.audio_cfg or run.cfg
    if audio_cfg == run.cfg and not run.rescale:
        return model
    scales = {5: run.cfg}

    def combine(given: dict[str, Any]) -> Tensor:
        """Return ``x - clean`` of the guided estimate, as the host wants it, stream by stream."""
        shapes = given["model"].latent_shapes or [given["input"].shape]
        sigma = given["sigma"].reshape(-1, *[1] * (given["input"].ndim - 1))
        options = given["model_options"]["transformer_options"]
        # Samplers that are not ours say neither.
        mask = options[MASK] if options.get(MASK) is not None else torch.ones_like(given["input"])
        parts = (given["cond"] / sigma, given["uncond"] / sigma, given["input"], mask.expand_as(given["input"]))
        streams = zip(*(comfy.utils.unpack_latents(p, shapes) if len(shapes) > 1 else [p] for p in parts), strict=True)
        made = []
        for with_prompt, without, x, generated in streams:
            scale = scales.get(x.ndim, audio_cfg)
            velocity = guide(with_prompt, without, scale)
            if scale != 1 and run.rescale:
                level = sigma.reshape(-1, *[1] * (x.ndim - 1))
                if x.ndim != 5:
                    level = shift_sigma(level, options.get(AUDIO_SHIFT, 1.0))
                weight = (generated > 0).to(x)
                velocity = rescale_contrast(
                    velocity, with_prompt, x, level * generated, weight=weight, share=run.rescale
                )
            made.append(velocity)
        packed = comfy.utils.pack_latents(made)[0] if len(made) > 1 else made[0]
        return packed * sigma

    changed = model.clone()
    # With a picture's cfg of 1 the host would leave the pass away that the sound still needs.
    changed.set_model_sampler_cfg_function(combine, disable_cfg1_optimization=audio_cfg != 1)
    return changed


def _counted_on(callback: Any, done: int, total: int) -> Any:
    """Return a step callback that goes on counting behind ``done`` steps of ``total``."""
    return lambda step, clean, x, _: callback(step + done, clean, x, total)


def _velocity(
    x: Tensor | None, clean: Tensor | None, mask: Tensor | None, generated: float, kept: float
) -> Tensor | None:
    if x is None or clean is None:
        return None
    level = generated if mask is None else mask * generated + (1 - mask) * kept
    return (x - clean) / level


def _map(function: Any, x: AVLatent, y: AVLatent, level: Sigma) -> AVLatent:
    """Apply ``function(half, other half, noise level)`` to the halves that are there."""
    return AVLatent(
        video=None if x.video is None else function(x.video, y.video, level.video),
        audio=None if x.audio is None else function(x.audio, y.audio, level.audio),
    )


def _require_quick(model: Any, run: Run, *, own_solver: bool, own_levels: bool) -> None:
    """Refuse settings that a quick model of ours was not made for, as the library does: its clips would be spoilt."""
    if not isinstance(model.model, SoraModel) or model.model.quick is None:
        return
    quick = model.model.quick
    trained = (FOLLOW, float(model.get_model_object("model_sampling").shift))
    obstacle = quick.obstacle(
        guidance=run.cfg,
        audio_guidance=run.audio_cfg or None,
        solver=run.solver if own_solver else None,
        shift=run.shift if own_levels and run.shift not in trained else None,
        steps=run.steps if own_levels else None,
    )
    if obstacle is not None:
        raise SoraError(
            f"{obstacle}; set steps {quick.words}, cfg 1 and solver {QUICK_SOLVER}, or choose speed 'full' in Sora Loader"
        )


def _require_flow(sampling: Any) -> None:
    # LTX's largest level is the float below 1.
    if not isinstance(sampling, comfy.model_sampling.CONST) or abs(float(sampling.sigma_max) - 1) > 1e-3:
        raise SoraError(
            f"the model samples by {type(sampling).__bases__[-1].__name__} and Sora's solvers need flow matching; "
            "use one of core's samplers with it"
        )
