"""What one call asks for, checked in full before torch or a checkpoint is loaded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .budget import available_memory, estimate_memory, gibibytes
from .config import Config
from .errors import SoraError
from .types import GRID, SAMPLE_RATE, ClipFormat, frames_on_grid, nearest_grid

SOLVERS = ("euler", "heun", "dpmpp_2m", "unipc")

ASPECTS: dict[str, tuple[int, int]] = {
    "9:16": (9, 16),
    "16:9": (16, 9),
    "1:1": (1, 1),
    "4:3": (4, 3),
    "3:4": (3, 4),
    "3:2": (3, 2),
    "2:3": (2, 3),
    "21:9": (21, 9),
}
"""Width to height. The first, upright like a telephone, is the default of a model that was trained on every shape; a
checkpoint that knows one shape best names that as its default."""

DEFAULT_ASPECT = next(iter(ASPECTS))

MAX_STEPS = 1000
MAX_GUIDANCE = 50.0
MAX_FPS = 120.0
MAX_SECONDS = 600.0
MAX_SIZE = 4096
MAX_VARIATIONS = 64
MAX_REFERENCES = 2
MAX_CUES = 8
MAX_SEED = 2**63 - 1
"""Our own bounds: ten times what serves, and far below what would only fill the memory."""


MAX_RANK = 1024

QUICK_SOLVER = "euler"
"""The quick model learns where a straight step must end, so that no other solver serves it."""


@dataclass(frozen=True, kw_only=True)
class Quick(Config):
    """What a checkpoint's quick model is: its LoRA for few steps without guidance. Travels in its ``sora.quick``.

    Args:
        rank: of the LoRA.
        steps: numbers of steps that it was made for, the default first.
        default: whether a request that leaves the sampler open gets it.
        training: the record of the run, plain JSON values.

    Raises:
        SoraError: a rank or a number of steps that cannot be.
    """

    rank: int
    steps: tuple[int, ...]
    default: bool = False
    training: dict[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        """Refuse what no LoRA has."""
        if not (_whole(self.rank) and 1 <= self.rank <= MAX_RANK):
            raise SoraError(f"the quick model's rank {self.rank!r} must be between 1 and {MAX_RANK}")
        sound = bool(self.steps) and all(_whole(steps) and 1 <= steps <= MAX_STEPS for steps in self.steps)
        if not sound or len(set(self.steps)) < len(self.steps):
            raise SoraError(
                f"the quick model's steps {list(self.steps)} must be different numbers from 1 to {MAX_STEPS}"
            )

    @property
    def words(self) -> str:
        """The numbers of steps for a sentence: ``8 or 4``."""
        return " or ".join(map(str, self.steps))

    def obstacle(
        self,
        *,
        guidance: float | None = None,
        audio_guidance: float | None = None,
        negative: str = "",
        solver: str | None = None,
        shift: float | None = None,
        steps: int | None = None,
    ) -> str | None:
        """Return what it cannot do of what is asked, as half a sentence; None if it can do all.

        Args:
            guidance, audio_guidance, negative, solver, steps: as in `Request`, None where nothing is asked.
            shift: of the noise schedule, None for the checkpoint's own.
        """
        for name, value in (("cfg", guidance), ("audio guidance", audio_guidance)):
            if value is not None and value != 1:
                return f"the quick model goes without guidance, and {name} {value:g} asks for it"
        if negative.strip():
            return "the quick model goes without guidance, which a negative prompt needs"
        if solver not in (None, QUICK_SOLVER):
            return f"the quick model is made for the solver {QUICK_SOLVER}, not for {solver}"
        if shift is not None:
            return f"the quick model is made for its own noise levels, and shift {shift:g} asks for others"
        if steps is not None and steps > max(self.steps):
            return f"the quick model is made for {self.words} steps, and {steps} are more"
        return None


@dataclass(frozen=True, kw_only=True)
class Defaults(Config):
    """What a checkpoint makes when nothing else is asked; travels in its ``sora.defaults``.

    Args:
        width, height, frames, fps: the clip that it was trained on most; unless given, that of the shipped model.
        steps, guidance, solver: the sampler setting that measured best.
        shift: of the noise schedule; None derives it from the number of tokens.
        quick: of its quick model, None where it has none; travels in ``sora.quick``, so that files without one stay
            readable.
    """

    width: int = 64
    height: int = 64
    frames: int = 25
    fps: float = 12.0
    steps: int = 30
    guidance: float = 4.0
    shift: float | None = None
    solver: str = "euler"
    quick: Quick | None = None

    @property
    def format(self) -> ClipFormat:
        """The default clip."""
        return ClipFormat(width=self.width, height=self.height, frames=self.frames, fps=self.fps)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values of every field but ``quick``."""
        values = super().to_dict()
        del values["quick"]
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Defaults:
        """Build from ``to_dict``'s values; errors as `Config.from_dict`."""
        if "quick" in values:
            raise SoraError("Defaults does not know quick; update the package to load this file")
        return super().from_dict(values | {"quick": None})


@dataclass(frozen=True, kw_only=True)
class Request:
    """One wish: a prompt and every knob. None means the checkpoint's default.

    Args:
        prompt: what to show. negative: what guidance leads away from; empty is the plain unconditional text.
        seconds: rounded up to the grid of frames; the clip is then cut to it.
        width, height: pixels, multiples of 16, both or neither. aspect: a key of `ASPECTS`; keeps the default area.
        fps: frames per second.
        seed: variation ``i`` uses ``seed + i``.
        steps, guidance, guidance_rescale, solver, shift: the sampler. audio_guidance: None follows ``guidance``.
        quick: True for the checkpoint's quick model (few steps, no guidance), False for the full one; None takes the
            quick one where the checkpoint names it as its default and nothing is asked that it cannot do: guidance, a
            negative prompt, another solver or shift, or more steps than it was made for. Nor where a clip is varied,
            since a share of eight steps is too coarse: .9 of them are seven, .875.
        strength: share in (0, 1] of the schedule that is to be run: below 1 a given clip is varied (see
            `Pipeline.sample`).
        image, last_image: first and last frame; up to two ``references`` show who or what to use: a path or a uint8
            ``[H, W, 3]`` array. Opaque here.
        cues: further prompts, each with the second of the clip at which it takes over with a cut: ``(start, text)``.
        still: one frame and no sound.
        audio: False leaves the sound away.

    Raises:
        SoraError: a value that nothing can be made from.
    """

    prompt: str
    negative: str = ""
    seconds: float | None = None
    width: int | None = None
    height: int | None = None
    aspect: str | None = None
    fps: float | None = None
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    audio_guidance: float | None = None
    guidance_rescale: float = 0.0
    solver: str | None = None
    shift: float | None = None
    quick: bool | None = None
    strength: float = 1.0
    variations: int = 1
    image: object | None = field(default=None, compare=False)
    last_image: object | None = field(default=None, compare=False)
    references: Sequence[object] = field(default=(), compare=False)
    cues: Sequence[tuple[float, str]] = ()
    still: bool = False
    audio: bool = True

    def __post_init__(self) -> None:
        """Refuse each bad value with its own sentence."""
        if not self.prompt.strip():
            raise SoraError('the prompt is empty; say what to show, for example "a red ball bounces"')
        try:
            "".join([self.prompt, self.negative, *(text for _, text in self.cues)]).encode()
        except UnicodeEncodeError:
            raise SoraError("the prompt holds bytes that are no text; write it in UTF-8") from None
        self._check_size()
        self._check_time()
        self._check_sampler()
        self._check_conditions()

    def _check_size(self) -> None:
        if (self.width is None) != (self.height is None):
            raise SoraError("width and height go together; give both, for example 64x64, or neither")
        if self.aspect is not None:
            if self.aspect not in ASPECTS:
                raise SoraError(f"aspect {self.aspect!r} is not known; choose one of {', '.join(ASPECTS)}")
            if self.width is not None:
                raise SoraError(f"size {self.width}x{self.height} and aspect {self.aspect} both set it; give one")
        if self.width is None or self.height is None:
            return
        size = f"{self.width}x{self.height}"
        if max(self.width, self.height) > MAX_SIZE:
            raise SoraError(f"size {size} is more than {MAX_SIZE}x{MAX_SIZE}{self._memory_note()}; 64x64 is usual")
        if min(self.width, self.height) <= 0 or self.width % GRID or self.height % GRID:
            nearest = f"{nearest_grid(self.width)}x{nearest_grid(self.height)}"
            raise SoraError(f"size {size} must be positive multiples of {GRID}; the nearest is {nearest}")

    def _check_time(self) -> None:
        for name, value, limit, usual in (
            ("seconds", self.seconds, MAX_SECONDS, "2"),
            ("fps", self.fps, MAX_FPS, "12"),
        ):
            if value is None:
                continue
            if not value > 0:
                raise SoraError(f"{name} {value:g} must be more than 0, for example {usual}")
            if value > limit:
                raise SoraError(f"{name} {value:g} is more than {limit:g}{self._memory_note()}; {usual} is usual")
        if self.fps is not None and self.fps < 1:
            raise SoraError(f"fps {self.fps:g} must be at least 1, for example 12")
        if self.still and self.seconds is not None:
            raise SoraError("a still has no length; leave away either the still or the seconds")

    def _check_sampler(self) -> None:
        _check_count("steps", self.steps, MAX_STEPS, "30 is usual; more take more time, not more memory")
        _check_count("variations", self.variations, MAX_VARIATIONS, "run the command again with another seed for more")
        for name, value in (("cfg", self.guidance), ("audio guidance", self.audio_guidance)):
            if value is not None and not 0 < value <= MAX_GUIDANCE:
                raise SoraError(
                    f"{name} {value:g} must be more than 0 and at most {MAX_GUIDANCE:g}: 1 switches guidance off, "
                    f"4 is usual, much more burns the colours out (memory stays the same{self._memory_note(', ')})"
                )
        if not 0 <= self.guidance_rescale <= 1:
            raise SoraError(f"guidance rescale {self.guidance_rescale:g} must be between 0 (off) and 1")
        if self.solver is not None and self.solver not in SOLVERS:
            raise SoraError(f"solver {self.solver!r} is not known; choose one of {', '.join(SOLVERS)}")
        if not 0 < self.strength <= 1:
            raise SoraError(f"strength {self.strength:g} must be more than 0 and at most 1; 0.9 is usual")
        if self.shift is not None and not 0 < self.shift <= 100:
            raise SoraError(f"shift {self.shift:g} must be more than 0 and at most 100; 1 leaves the schedule straight")
        if not 0 <= self.seed <= MAX_SEED - self.variations:
            raise SoraError(f"seed {self.seed} must be between 0 and {MAX_SEED - self.variations}")

    def _check_conditions(self) -> None:
        if len(self.references) > MAX_REFERENCES:
            raise SoraError(f"{len(self.references)} references are more than {MAX_REFERENCES}; leave some away")
        if self.still and (self.image is not None or self.last_image is not None):
            raise SoraError("a still is one frame, and the image would be all of it; leave away either of them")

        if self.cues and self.still:
            raise SoraError("a still has no later time for cues to take over at; leave away either of them")
        check_cue_starts([start for start, _ in self.cues], self.seconds)
        for start, text in self.cues:
            if not text.strip():
                raise SoraError(f"the cue at {start:g} s is empty; say what to show from there on, or leave it away")

    def _memory_note(self, joint: str = " and ") -> str:
        """Return ``" and would need about 21.0 GiB of memory"`` for this request, defaults filled in."""
        defaults = Defaults()
        fps = _clamped(self.fps or defaults.fps)
        fmt = ClipFormat(
            width=nearest_grid(int(_clamped(self.width or defaults.width))),
            height=nearest_grid(int(_clamped(self.height or defaults.height))),
            frames=frames_on_grid(max(1, round(_clamped(self.seconds or defaults.frames / defaults.fps) * fps))),
            fps=fps,
        )
        return f"{joint}would need about {gibibytes(estimate_memory(fmt, max(self.variations, 1)))} of memory"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A request with every default filled in.

    Args:
        format: size on the grid, which the model makes.
        frames, samples: what is kept of it, counted from the start; ``samples`` is 0 without sound.
        steps, guidance, audio_guidance, guidance_rescale, solver, shift: as in `Request`.
        quick: whether the quick model makes it; None where the checkpoint has none.
    """

    format: ClipFormat
    frames: int
    samples: int
    steps: int
    guidance: float
    audio_guidance: float
    guidance_rescale: float
    solver: str
    shift: float | None
    quick: bool | None = None

    @property
    def seconds(self) -> float:
        """Length of what is kept."""
        return self.frames / self.format.fps


def resolve(request: Request, defaults: Defaults) -> Plan:
    """Fill in the defaults, choose between the full and the quick model, and put the length on the grid.

    The picture is cut to the whole frame nearest to the asked length, and the sound to the end of that frame, so that
    both end together.

    Raises:
        SoraError: the clip would take more memory than there is (the sentence says how much), or the quick model is
            asked for what it cannot do.
    """
    fps = float(request.fps or defaults.fps)
    seconds = request.seconds or defaults.frames / defaults.fps
    frames = 1 if request.still else max(1, round(seconds * fps))
    width, height = _size(request, defaults)
    fmt = ClipFormat(width=width, height=height, frames=frames_on_grid(frames), fps=fps)
    quick = _quick(request, defaults)
    if quick:
        assert defaults.quick is not None
        defaults = replace(defaults, steps=defaults.quick.steps[0], guidance=1.0, solver=QUICK_SOLVER)
    guidance = float(request.guidance if request.guidance is not None else defaults.guidance)
    plan = Plan(
        format=fmt,
        frames=frames,
        samples=round(frames / fps * SAMPLE_RATE) if request.audio and not request.still else 0,
        steps=request.steps or defaults.steps,
        guidance=guidance,
        audio_guidance=float(request.audio_guidance if request.audio_guidance is not None else guidance),
        guidance_rescale=float(request.guidance_rescale),
        solver=request.solver or defaults.solver,
        shift=request.shift if request.shift is not None else defaults.shift,
        quick=quick,
    )
    check_cue_starts([start for start, _ in request.cues], plan.seconds)
    _check_memory(plan, request.variations)
    return plan


def check_cue_starts(starts: Sequence[float], seconds: float | None = None) -> None:
    """Refuse cues that cannot take over one after another within a clip.

    Args:
        starts: seconds from the first frame, in the order of the cues. seconds: length of the clip, None if unknown.

    Raises:
        SoraError: too many of them, or one too early or too late.
    """
    if len(starts) > MAX_CUES:
        raise SoraError(f"{len(starts)} cues are more than {MAX_CUES}; leave some away")
    before = 0.0
    for start in starts:
        if not start > before:
            after = f"the one before it, at {before:g} s" if before else "the beginning, 0 s"
            raise SoraError(f"the cue at {start:g} s must start after {after}; give cues in the order of their times")
        if seconds is not None and not start < seconds:
            raise SoraError(f"the cue at {start:g} s must start before the clip ends at {seconds:g} s; move it forward")
        before = start


def size_for_aspect(aspect: str, pixels: int) -> tuple[int, int]:
    """Return the width and height on the grid whose shape and area come nearest to ``aspect`` and ``pixels``."""
    across, down = ASPECTS[aspect]
    width = math.sqrt(pixels * across / down)
    columns = [max(1, math.floor(width / GRID)) * GRID, math.ceil(width / GRID) * GRID]
    height = math.sqrt(pixels * down / across)
    rows = [max(1, math.floor(height / GRID)) * GRID, math.ceil(height / GRID) * GRID]

    def error(size: tuple[int, int]) -> float:
        shape = math.log(size[0] * down / (size[1] * across))
        return abs(shape) + abs(math.log(size[0] * size[1] / pixels)) / 2

    return min(((w, h) for w in columns for h in rows), key=error)


def _quick(request: Request, defaults: Defaults) -> bool | None:
    """Return whether the quick model serves a request; None where there is none.

    Raises:
        SoraError: it is asked for and does not.
    """
    if defaults.quick is None:
        if request.quick:
            raise SoraError(
                "this model has no quick one beside it; leave quick away, or make one with sora train --stage distil"
            )
        return None
    obstacle = defaults.quick.obstacle(
        guidance=request.guidance,
        audio_guidance=request.audio_guidance,
        negative=request.negative,
        solver=request.solver,
        shift=None if request.shift == defaults.shift else request.shift,
        steps=request.steps,
    )
    if request.quick is None:
        return defaults.quick.default and obstacle is None and request.strength == 1
    if request.quick and obstacle is not None:
        raise SoraError(f"{obstacle}; leave it away, or take the full model")
    return request.quick


def _size(request: Request, defaults: Defaults) -> tuple[int, int]:
    if request.width is not None and request.height is not None:
        return request.width, request.height
    if request.aspect is not None:
        return size_for_aspect(request.aspect, defaults.width * defaults.height)
    return defaults.width, defaults.height


def _check_memory(plan: Plan, variations: int) -> None:
    needed = estimate_memory(plan.format, variations, guided=plan.guidance != 1)
    if needed > (there := available_memory()):
        fmt = plan.format
        raise SoraError(
            f"{variations} x {fmt.width}x{fmt.height}, {plan.seconds:g} s at {fmt.fps:g} fps would need about "
            f"{gibibytes(needed)} of memory and {gibibytes(there)} are free; "
            "ask for a smaller size, a shorter clip, fewer frames per second or fewer variations"
        )


def _check_count(name: str, value: int | None, limit: int, advice: str) -> None:
    if value is not None and not 1 <= value <= limit:
        raise SoraError(f"{name} {value} must be between 1 and {limit}; {advice}")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _clamped(value: float) -> float:
    """Return a value that arithmetic can bear, for a sentence about one that it cannot."""
    return min(max(value, 1e-3), 1e12)
