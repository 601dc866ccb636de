"""What the nodes of the editor have in common: the model's inputs, and how they become a maker."""

from __future__ import annotations

from typing import Any

from ..sora_core.editing.engine import Settings
from ..sora_core.request import SOLVERS, Defaults
from .adapters.empty import TRAINED
from .adapters.maker import HostMaker
from .adapters.sampler import Run
from .host import io, say
from .sampling import SOLVER, STEPS

FROM_FILE = "From a file it is read piece by piece, however long it is."
VIDEO = "The clip. " + FROM_FILE
CATEGORY = "sora/editing"

WITHOUT_SOUND = "The VAE of sound. Without it what is made is silent, also with a model that makes both."
FADED_SOUND = "The VAE of sound. Without it the clips' own sound is faded over."
KEPT_SOUND = "The VAE of sound. Without it the sound stays as it is."
FOR_SOUND = "The VAE of sound that belongs to the model. Needed here."


def model_inputs(prompt: str) -> list[Any]:
    """Return the sockets of a model; ``prompt`` says what the positive one describes."""
    return [
        io.Model.Input(
            "model",
            tooltip="Sora's own model, or any video model that is trained for flow matching (Wan, LTX, MiniMax H3 and others).",
        ),
        io.Conditioning.Input("positive", tooltip=prompt),
        io.Conditioning.Input("negative", tooltip="What guidance leads away from; an empty prompt is usual."),
        io.Vae.Input("vae", tooltip="The VAE of pictures that belongs to the model."),
    ]


def sampling_inputs(audio_vae: str = WITHOUT_SOUND) -> list[Any]:
    """Return the settings of a sampling run, and the sockets that not every graph needs."""
    defaults = Defaults()
    return [
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=0xFFFFFFFFFFFFFFFF,
            control_after_generate=True,
            tooltip="Seed of the noise. The same seed and inputs give the same clip.",
        ),
        io.Int.Input("steps", default=defaults.steps, min=1, max=1000, tooltip=STEPS),
        io.Float.Input(
            "cfg",
            default=defaults.guidance,
            min=0.0,
            max=50.0,
            step=0.1,
            tooltip="How strongly the prompt is followed, 0 to 50. 1 switches guidance off, 4 is usual.",
        ),
        io.Combo.Input("solver", options=list(SOLVERS), default=defaults.solver, tooltip=SOLVER),
        io.Vae.Input(
            "audio_vae",
            optional=True,
            tooltip=audio_vae,
        ),
        io.Model.Input(
            "model_low",
            optional=True,
            tooltip="A second model for the low noise levels, as Wan 2.2 14B has; it keeps the same frames.",
        ),
        io.Int.Input(
            "switch_step",
            default=0,
            min=0,
            max=1000,
            optional=True,
            advanced=True,
            tooltip="Steps that the first of two models runs, 0 to 1000. 0 changes at the noise level that Wan 2.2 was trained to change at.",
        ),
        io.Sampler.Input(
            "sampler", optional=True, tooltip="A SAMPLER of core's in place of the solver, for a model that needs one."
        ),
        io.Sigmas.Input(
            "sigmas", optional=True, tooltip="SIGMAS of core's in place of steps, for a model that needs its own."
        ),
    ]


def size_inputs(unless: str = "") -> list[Any]:
    """Return the inputs for the size and frame rate of a clip that is made; ``unless`` says when they do not count."""
    return [
        io.Int.Input(
            "width",
            default=TRAINED.width,
            min=16,
            max=4096,
            step=16,
            tooltip="Pixels; cut to the model's grid. The shipped model was trained on 64." + unless,
        ),
        io.Int.Input(
            "height",
            default=TRAINED.height,
            min=16,
            max=4096,
            step=16,
            tooltip="Pixels; cut to the model's grid. The shipped model was trained on 64." + unless,
        ),
        io.Float.Input(
            "fps",
            default=0.0,
            min=0.0,
            max=120.0,
            step=0.5,
            tooltip="Frames per second, 0 to 120. 0 takes what the model was trained on." + unless,
        ),
    ]


def context_input() -> Any:
    """Return the input for how much of a clip each run sees."""
    return io.Float.Input(
        "context",
        default=0.0,
        min=0.0,
        max=60.0,
        step=0.05,
        advanced=True,
        tooltip="Seconds of the clip that each run sees beside what it makes, 0 to 60. 0 takes 1.1 s, or less where less serves; more follows the motion better and leaves less to be made in a run.",
    )


def unlike_input() -> Any:
    """Return the input for what happens to a second clip of another size."""
    return io.Combo.Input(
        "unlike",
        options=["resize", "refuse"],
        default="resize",
        advanced=True,
        tooltip="A second clip of another size or frame rate: resize brings it to the first one's, refuse stops with a sentence.",
    )


def maker_of(
    *,
    model: Any,
    positive: Any,
    negative: Any,
    vae: Any,
    seed: int,
    steps: int,
    cfg: float,
    solver: str,
    audio_vae: Any = None,
    model_low: Any = None,
    switch_step: int = 0,
    sampler: Any = None,
    sigmas: Any = None,
) -> HostMaker:
    """Return the maker of a node's model and sampling inputs."""
    return HostMaker.of(
        model=model,
        positive=positive,
        negative=negative,
        vae=vae,
        audio_vae=audio_vae,
        model_low=model_low,
        switch_step=switch_step,
        sampler=sampler,
        sigmas=sigmas,
        run=Run(seed=seed, steps=steps, solver=solver, cfg=cfg),
    )


def settings_of(node: Any, seed: int, context: float = 0.0) -> Settings:
    """Return a node's engine settings; it shows in its own box which of its runs is done."""

    def report(done: int, total: int) -> None:
        if total > 1:
            say(f"run {done} of {total}", node.hidden.unique_id if node.hidden else None)

    return Settings(context_s=context or None, seed=seed, report=report)
