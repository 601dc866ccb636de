"""Sora's solvers: in one box, or as SAMPLER and SIGMAS for core's custom sampling."""

from __future__ import annotations

from typing import Any

from ..sora_core.request import SOLVERS, Defaults
from .adapters.sampler import Run, SolverSampler, sample, schedule_of
from .host import io

STEPS = "Model calls with euler, at least 1; 30 is usual. heun takes two calls a step."
SHIFT = "Moves the noise levels towards noise, 0 to 100. 0 takes the model's own."
SOLVER = (
    "euler: first order, robust. heun: second order, two calls a step. dpmpp_2m: second order, one call. "
    "unipc: third order, one call."
)


class SoraSampler(io.ComfyNode):
    """From an empty clip to a generated one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        defaults = Defaults()
        return io.Schema(
            node_id="SoraSampler",
            display_name="Sora Sampler",
            category="sora/sampling",
            description="Generate a clip with Sora's own solvers: guidance for picture and sound apart, variations by seed. Works on any flow-matching model. The same seed gives the same clip as the sora command.",
            search_aliases=["ksampler", "generate video", "sora generate"],
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="Sora's own model, or any that is trained for flow matching (LTX, Wan, MiniMax H3 and others).",
                ),
                io.Conditioning.Input("positive", tooltip="What to show."),
                io.Conditioning.Input("negative", tooltip="What guidance leads away from; an empty prompt is usual."),
                io.Latent.Input("latent", tooltip="The clip to generate into: empty, with kept frames, or encoded."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Seed of the noise; variation i of a batch uses seed + i.",
                ),
                io.Int.Input("steps", default=defaults.steps, min=1, max=1000, tooltip=STEPS),
                io.Float.Input(
                    "cfg",
                    default=defaults.guidance,
                    min=0.0,
                    max=50.0,
                    step=0.1,
                    tooltip="How strongly the prompt is followed, 0 to 50. 1 switches guidance off, 4 is usual, much more burns the colours out.",
                ),
                io.Combo.Input("solver", options=list(SOLVERS), default=defaults.solver, tooltip=SOLVER),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="Share of the schedule that is run, more than 0 and at most 1. Below 1 varies the clip in the latent instead of making one from noise.",
                ),
                io.Float.Input(
                    "audio_cfg",
                    default=0.0,
                    min=0.0,
                    max=50.0,
                    step=0.1,
                    advanced=True,
                    tooltip="Guidance of the sound alone, 0 to 50. 0 follows cfg.",
                ),
                io.Float.Input("shift", default=0.0, min=0.0, max=100.0, step=0.05, advanced=True, tooltip=SHIFT),
                io.Float.Input(
                    "cfg_rescale",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    advanced=True,
                    tooltip="Share of the contrast that guidance added and that is taken back, 0 to 1.",
                ),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="The generated clip, for Sora Decode.")],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        positive: Any,
        negative: Any,
        latent: dict[str, Any],
        seed: int,
        steps: int,
        cfg: float,
        solver: str,
        denoise: float,
        audio_cfg: float,
        shift: float,
        cfg_rescale: float,
    ) -> io.NodeOutput:
        """Sample."""
        run = Run(
            seed=seed,
            steps=steps,
            solver=solver,
            cfg=cfg,
            audio_cfg=audio_cfg,
            rescale=cfg_rescale,
            shift=shift,
            denoise=denoise,
        )
        return io.NodeOutput(sample(model, positive, negative, latent, run))


class SoraSolver(io.ComfyNode):
    """A solver for core's custom sampling."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraSolver",
            display_name="Sora Solver",
            category="sora/sampling",
            description="One of Sora's solvers as a SAMPLER, for core's SamplerCustomAdvanced.",
            search_aliases=["sampler select", "euler", "heun", "dpmpp_2m", "unipc"],
            inputs=[
                io.Combo.Input("solver", options=list(SOLVERS), default=Defaults().solver, tooltip=SOLVER),
                io.Float.Input(
                    "audio_shift",
                    default=0.0,
                    min=0.0,
                    max=100.0,
                    step=0.05,
                    advanced=True,
                    tooltip="Shift of the sound's noise levels relative to the picture's, 0 to 100, for Sora's own model. 0 takes what it was trained with, 1 gives both the same levels.",
                ),
            ],
            outputs=[io.Sampler.Output(display_name="sampler", tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(cls, solver: str, audio_shift: float) -> io.NodeOutput:
        """Make the sampler."""
        return io.NodeOutput(SolverSampler(solver, audio_shift))


class SoraSigmas(io.ComfyNode):
    """Noise levels for core's custom sampling."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraSigmas",
            display_name="Sora Sigmas",
            category="sora/sampling",
            description="The noise levels that Sora Sampler runs down, as SIGMAS for core's SamplerCustomAdvanced.",
            search_aliases=["scheduler", "flow schedule", "shift"],
            inputs=[
                io.Model.Input("model", tooltip="The model that will be sampled, trained for flow matching."),
                io.Int.Input("steps", default=Defaults().steps, min=1, max=1000, tooltip=STEPS),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="Share of the schedule that is run, more than 0 and at most 1, from its end.",
                ),
                io.Float.Input("shift", default=0.0, min=0.0, max=100.0, step=0.05, advanced=True, tooltip=SHIFT),
            ],
            outputs=[io.Sigmas.Output(display_name="sigmas", tooltip="Noise levels, falling to 0.")],
        )

    @classmethod
    def execute(cls, model: Any, steps: int, denoise: float, shift: float) -> io.NodeOutput:
        """Make the levels."""
        return io.NodeOutput(schedule_of(model, steps, shift, denoise))
