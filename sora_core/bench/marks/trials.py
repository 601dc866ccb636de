"""Every attack on every clip: how many bits are left, whether the mark is found, what forgers and removers reach."""

# F frames, H W height and width in pixels, 3 RGB

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...errors import SoraError
from ...evaluation.intervals import rate
from . import forgery
from .attacks import Attack, less, run
from .footage import Clip, natural
from .measures import Outcome, averages, bit_accuracy, flicker, psnr_db, spread, ssim, summary
from .scheme import Scheme, mark_id, secret

Tell = Callable[[str], None]

OWNER = "owner"
"""Name of the key that all clips are marked with."""

COLLUDING = 4
"""Further clips under the same key that an attacker averages, of the same size."""

COLLUDING_SEED, TARGET_SEED = 5000, 7000
"""Their seeds, and those of the clips that forgers put a mark on."""


@dataclass(kw_only=True)
class Trials:
    """What came out. outcomes: attack -> kind of clip -> one for each clip; likewise ``forged``. missing: not run.

    quality: kind -> one set of figures for each clip. removed: how clips without a mark in the middle are read.
    """

    families: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, dict[str, list[Outcome]]] = field(default_factory=dict)
    forged: dict[str, list[Outcome]] = field(default_factory=dict)
    quality: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def figures(self) -> dict[str, Any]:
        """Return ``attacks``, ``quality``, ``forgery``, ``removed_in_the_middle`` and ``not_run`` for JSON."""
        attacks = {
            slug(name): {
                "name": name,
                "family": self.families[name],
                **{kind: summary(outcomes) for kind, outcomes in kinds.items()},
            }
            for name, kinds in self.outcomes.items()
        }
        forged = {slug(name): {"name": name, **summary(outcomes)} for name, outcomes in self.forged.items()}
        return {
            "attacks": attacks,
            "quality": {kind: averages(rows) for kind, rows in self.quality.items()},
            "forgery": forged,
            "removed_in_the_middle": self._removal(),
            "not_run": self.missing,
        }

    def _removal(self) -> dict[str, Any]:
        counted = self.removed
        stretches = counted.get("stretches", 0)
        right = spread("right", rate(counted["told_right"], stretches)) if stretches else {}
        return {**counted, **right}


def slug(name: str) -> str:
    """Return a name as a key: letters, digits and single underscores."""
    letters = "".join(letter if letter.isalnum() else " " for letter in name.lower())
    return "_".join(letters.split())


@contextmanager
def single_threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of so many workers, each of which computes on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(workers) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


def try_all(
    scheme: Scheme, clips: Sequence[Callable[[], Clip]], attacks: Sequence[Attack], *, workers: int, tell: Tell
) -> Trials:
    """Mark every clip, attack it in every way, and read it.

    Args:
        scheme: the mark. clips: makers of clips, one held at a time. attacks: of the picture alone; those that need
            several clips are added. workers: attacks at once. tell: told what comes next.
    """
    found = Trials()
    with single_threads(workers) as pool:
        shared: dict[tuple[int, ...], Tensor] = {}
        for place, make in enumerate(clips):
            clip = make()
            tell(f"clip {place + 1} of {len(clips)}, {clip.name}")
            number = mark_id(clip.name)
            marked = scheme.mark(clip.frames_FHWC, clip.fps, secret(OWNER), number)
            found.quality.setdefault(clip.kind, []).append(
                {
                    "psnr_db": psnr_db(clip.frames_FHWC, marked),
                    "ssim": ssim(clip.frames_FHWC, marked),
                    "flicker": flicker(clip.frames_FHWC, marked),
                }
            )
            every = list(attacks)
            if clip.kind == "natural":
                size = tuple(marked.shape[1:3])
                if size not in shared:
                    shared[size] = _shared_mark(scheme, clip)
                every += _with_others(shared[size])
            _attack(found, pool, scheme, clip, marked, number, every)
            _remove(found, scheme, clip, marked)
            if clip.kind == "natural":
                _forge(found, pool, scheme, clip, marked, shared[tuple(marked.shape[1:3])], place)
    return found


def _attack(  # noqa: PLR0917
    found: Trials,
    pool: ThreadPoolExecutor,
    scheme: Scheme,
    clip: Clip,
    marked_FHWC: Tensor,
    number: int,
    attacks: Sequence[Attack],
) -> None:
    def work(numbered: tuple[int, Attack]) -> Outcome | str:
        place, attack = numbered
        try:
            frames, fps = run(attack, marked_FHWC, clip.fps, number % 2**32 + place)
        except SoraError as error:
            return str(error)
        damage = None
        if frames.shape == marked_FHWC.shape and attack.family not in ("geometry", "time"):
            damage = psnr_db(marked_FHWC, frames)
        return read(scheme, frames, fps, number, damage)

    for attack, result in zip(attacks, pool.map(work, enumerate(attacks)), strict=True):
        if isinstance(result, str):
            found.missing[attack.name] = result
            continue
        found.families[attack.name] = attack.family
        found.outcomes.setdefault(attack.name, {}).setdefault(clip.kind, []).append(result)


def read(scheme: Scheme, frames_FHWC: Tensor, fps: float, number: int, damage_db: float | None = None) -> Outcome:
    """Return what the owner's reader finds in frames that should carry an id."""
    reading = scheme.read(scheme.prepare(frames_FHWC, fps), secret(OWNER), True)
    return Outcome(bit_accuracy(reading.bits, number), reading.state != "absent", reading.mark_id == number, damage_db)


def _shared_mark(scheme: Scheme, like: Clip) -> Tensor:
    """Return the estimate of what one key puts on several clips of a size, ``[F, H, W]``."""
    frames, height, width = like.frames_FHWC.shape[:3]
    films = []
    for place in range(COLLUDING):
        other = natural(COLLUDING_SEED + place, width=width, height=height, frames=min(frames, 48), fps=like.fps)
        films.append(scheme.mark(other.frames_FHWC, like.fps, secret(OWNER), mark_id(other.name)))
    return forgery.averaged(films, like.fps)


def _with_others(mark_FHW: Tensor) -> list[Attack]:
    """Return the attacks with what other clips under the same key give away."""

    def estimate(frames: Tensor, _: float) -> Tensor:
        return forgery.fitted(mark_FHW, len(frames))

    def steady(frames: Tensor, _: float) -> Tensor:
        return mark_FHW.mean(0, keepdim=True).expand(len(frames), -1, -1)

    return [
        Attack(f"mean of {COLLUDING} other clips subtracted", "estimate", less(estimate, 2.0)),
        Attack(f"mean of {COLLUDING} other clips and of time subtracted", "estimate", less(steady, 2.0)),
    ]


def _remove(found: Trials, scheme: Scheme, clip: Clip, marked_FHWC: Tensor) -> None:
    """Read the clip with the unmarked frames in its middle half, and count what is told of the seconds."""
    frames = len(marked_FHWC)
    start, stop = frames // 4, frames - frames // 4
    spliced = forgery.spliced(marked_FHWC, clip.frames_FHWC, start, stop)
    reading = scheme.read(scheme.prepare(spliced, clip.fps), secret(OWNER), True)
    counted = found.removed
    counted["clips"] = counted.get("clips", 0) + 1
    counted[reading.state] = counted.get(reading.state, 0) + 1
    for key in ("stretches", "told_right"):
        counted.setdefault(key, 0)
    for second in reading.seconds:
        inside = start <= second.start_s * clip.fps and second.stop_s * clip.fps <= stop
        outside = second.stop_s * clip.fps <= start or second.start_s * clip.fps >= stop
        if inside or outside:
            counted["stretches"] += 1
            counted["told_right"] += second.present == outside


def _forge(  # noqa: PLR0917
    found: Trials,
    pool: ThreadPoolExecutor,
    scheme: Scheme,
    clip: Clip,
    marked_FHWC: Tensor,
    shared_FHW: Tensor,
    place: int,
) -> None:
    """Put estimates of the mark on a clip that has none; each that is then found is a success of the forger.

    ``named`` is told of any id: the forger is content with whatever id a reader shows. ``bits`` are those of the clip
    that the estimate comes from.
    """
    frames, height, width = marked_FHWC.shape[:3]
    frames = min(frames, 48)
    target = natural(TARGET_SEED + place, width=width, height=height, frames=frames, fps=clip.fps).frames_FHWC
    tries = {
        "no forgery": lambda: target,
        "residual copied": lambda: forgery.copied(marked_FHWC, target),
        "residual copied, twice as strong": lambda: forgery.copied(marked_FHWC, target, 2.0),
        "folded tile": lambda: forgery.subtracted(
            target, forgery.fitted(forgery.folded(marked_FHWC, clip.fps, seconds=1.0), frames), -2.0
        ),
        f"mean of {COLLUDING} clips": lambda: forgery.subtracted(target, forgery.fitted(shared_FHW, frames), -2.0),
    }
    number = mark_id(clip.name)

    def work(forge: Callable[[], Tensor]) -> Outcome:
        reading = scheme.read(scheme.prepare(forge(), clip.fps), secret(OWNER), True)
        right = bit_accuracy(reading.bits, number)
        return Outcome(right, reading.state != "absent", reading.mark_id is not None)

    for name, result in zip(tries, pool.map(work, tries.values()), strict=True):
        found.forged.setdefault(name, []).append(result)
