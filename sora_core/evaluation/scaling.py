"""Quality against clips seen: measured points, the power law that fits them, and what the targets would take.

``python -m sora_core.evaluation.scaling docs/scaling.png early.json later.json last.json --clips-per-second 20`` draws
the figures that ``sora evaluate --json`` wrote for several budgets of training; with one ``log.jsonl`` of a training
run, or the files of small runs of several budgets (`training.ablation`), it draws the losses on clips that the runs do
not learn from. A log's later points have a higher learning rate than an end has, so runs of their own say more.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SoraError
from ..media.chart import line_chart
from ..media.png import write_png
from .comparison import read_figures
from .intervals import student
from .report import lookup

FLAT = 0.01
"""A power this small promises nothing."""

AHEAD = 30.0
"""How far past the last point the fit is drawn, as a factor."""

FAR = 1e12
"""Clips beyond which nothing is promised."""

LEAST_POINTS = 3

TARGETS: dict[str, tuple[str, float]] = {
    "OBJECT WRONG": ("attribute_accuracy.object", 0.97),
    "SOMETHING WRONG": ("all_correct", 0.90),
    "HELD-OUT PAIRS WRONG": ("held_out_pairs.all_correct", 0.80),
    "HELD-OUT WORDS WRONG": ("held_out_words.attribute_accuracy", 0.90),
    "ONSETS (1 - F1)": ("onset_f1", 0.95),
}
"""What is drawn of figures: name, key, and the target of a GPU run. The error is one less the figure."""

LOSSES = {"UNSEEN PICTURE": "unseen_video", "UNSEEN SOUND": "unseen_audio"}
"""What is drawn of a log."""

RUN_LOSSES = {"UNSEEN PICTURE": "video", "UNSEEN SOUND": "audio"}
"""What is drawn of small runs."""

WARM = 0.1
"""Share of a log's clips at its beginning that is left out: there the loss falls for other reasons."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """``error = scale * clips ** -power``.

    middle, width: mean and sum of squares of the clips' logarithms. spread: of the errors' logarithms around the line.
    points: how many. These make the band.
    """

    scale: float
    power: float
    middle: float = 0.0
    width: float = 1.0
    spread: float = 0.0
    points: int = 2

    def error(self, clips: np.ndarray) -> np.ndarray:
        """Return the fitted error at these numbers of clips."""
        return self.scale * clips**-self.power

    def clips_for(self, error: float) -> float:
        """Return the clips after which the fit reaches ``error``; infinite where it never falls."""
        if self.power <= FLAT:
            return math.inf
        return math.exp(min(700.0, math.log(self.scale / error) / self.power))

    def band(self, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the 95 % band of the fit (Student, straight line in the logarithms); of no width for two points."""
        reach = np.zeros_like(clips)
        if self.points > 2:
            off = (np.log(clips) - self.middle) ** 2 / self.width
            reach = student(self.points - 2) * self.spread * np.sqrt(1 / self.points + off)
        line = self.scale * clips**-self.power
        return line * np.exp(-reach), line * np.exp(reach)


def fit(clips: Sequence[float], errors: Sequence[float]) -> Fit:
    """Fit a straight line to the logarithms by least squares (Kaplan et al. 2020, 2001.08361).

    Raises:
        SoraError: fewer than two points, or all of them at the same number of clips.
    """
    if len(clips) < 2:
        raise SoraError(f"{len(clips)} point cannot be fitted; measure at least two checkpoints of one run")
    if len(set(clips)) < 2:
        raise SoraError(f"all points are at {clips[0]:g} clips; measure checkpoints of different budgets")
    x, y = np.log(clips), np.log(np.clip(errors, 1e-4, None))
    slope, start = np.polyfit(x, y, 1)
    left = y - (start + slope * x)
    return Fit(
        scale=float(np.exp(start)),
        power=float(-slope),
        middle=float(x.mean()),
        width=float(((x - x.mean()) ** 2).sum()),
        spread=float(np.sqrt((left**2).sum() / max(1, len(x) - 2))),
        points=len(x),
    )


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Measured errors against clips seen. target: the error to reach, None where there is none. most: error there can
    be, 1 for shares.
    """

    clips: Sequence[float]
    errors: Sequence[float]
    target: float | None = None
    most: float = math.inf


def read_curves(paths: Sequence[Path]) -> dict[str, Curve]:
    """Read files of ``sora evaluate --json``, those of small runs, or one training log.

    Raises:
        SoraError: fewer than three figures, one without its number of clips, or a log that tells no unseen loss.
    """
    if len(paths) == 1 and paths[0].suffix == ".jsonl":
        return _log_curves(paths[0])
    if small := _small_runs(paths):
        return {
            name: Curve(clips=[run["clips"] for run in small], errors=[run["unseen"][key] for run in small])
            for name, key in RUN_LOSSES.items()
        }
    runs = [read_figures(path) for path in paths]
    for path, run in zip(paths, runs, strict=True):
        if not run.get("clips_seen"):
            raise SoraError(f"{path} does not say how many clips its model has seen; measure a trained checkpoint")
    _check_budgets([run["clips_seen"] for run in runs])
    runs.sort(key=lambda run: run["clips_seen"])
    return figure_curves(runs)


def _small_runs(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return runs of several budgets in their order; none where a file is something else."""
    try:
        found = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    except (OSError, ValueError):
        return []
    if not all(isinstance(run, dict) and {"unseen", "clips"} <= run.keys() for run in found):
        return []
    _check_budgets([run["clips"] for run in found])
    return sorted(found, key=lambda run: run["clips"])


def _check_budgets(clips: Sequence[float]) -> None:
    if len(set(clips)) < LEAST_POINTS:
        raise SoraError(
            f"{len(set(clips))} budgets make no curve; give the figures of at least {LEAST_POINTS} different ones"
        )


def figure_curves(runs: Sequence[Mapping[str, Any]]) -> dict[str, Curve]:
    """Return the curves of `TARGETS` that every run measured."""
    curves = {}
    for name, (key, target) in TARGETS.items():
        values = [lookup(run, key) for run in runs]
        if all(value is not None for value in values):
            errors = [1 - value for value in values if value is not None]
            curves[name] = Curve(
                clips=[float(run["clips_seen"]) for run in runs], errors=errors, target=round(1 - target, 4), most=1.0
            )
    return curves


def _log_curves(path: Path) -> dict[str, Curve]:
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise SoraError(f"{path} cannot be read as a training log ({error}); name the log.jsonl of a run") from None
    curves = {}
    for name, key in LOSSES.items():
        rows = [line for line in lines if isinstance(line, dict) and line.get(key) and line.get("clips")]
        told = [(float(row["clips"]), float(row[key])) for row in rows]
        told = [point for point in told if point[0] >= WARM * told[-1][0]]
        if len(told) >= LEAST_POINTS:
            curves[name] = Curve(clips=[clips for clips, _ in told], errors=[loss for _, loss in told])
    if not curves:
        raise SoraError(f"{path} tells no loss on unseen clips at {LEAST_POINTS} points; name the log.jsonl of a run")
    return curves


def draw(path: Path, curves: Mapping[str, Curve]) -> dict[str, Fit]:
    """Draw errors against clips seen, each with its fit and the fit's 95 % band, and return the fits."""
    fits = {name: fit(curve.clips, curve.errors) for name, curve in curves.items()}
    first, last = (limit(c for curve in curves.values() for c in curve.clips) for limit in (min, max))
    ahead = np.geomspace(first, last * AHEAD, 60)
    bands: dict[str, tuple[Any, Any, Any]] = {}
    for name, fitted in fits.items():
        lower, upper = (np.clip(edge, 1e-3, 10.0) for edge in fitted.band(ahead))
        bands[name] = (ahead, lower, upper)
    write_png(
        path,
        line_chart(
            {name: (ahead, np.clip(fits[name].error(ahead), 1e-3, curve.most)) for name, curve in curves.items()},
            points={name: (curve.clips, np.maximum(curve.errors, 1e-3)) for name, curve in curves.items()},
            bands=bands,
            title="ERROR AGAINST CLIPS SEEN: MEASURED, FITTED, 95 % BAND OF THE FIT",
            x_label="CLIPS SEEN",
            log_x=True,
            log_y=True,
            width=900,
            height=480,
        ),
    )
    return fits


def sentence(
    name: str, curve: Curve, fitted: Fit, clips_per_second: float | None = None, wanted: Sequence[float] = ()
) -> str:
    """Say what a fit promises: the clips that the target takes, and the minutes at a rate of training.

    Args:
        name, curve, fitted: what was measured. clips_per_second: rate of training.
        wanted: errors to tell the clips of where the curve has no target of its own; 0.9 and 0.5 of the last one
            unless given.
    """
    law = (
        f"{name}: error = {fitted.scale:.3g} x clips^{round(-fitted.power, 2) + 0.0:.2f} over {len(curve.clips)} points"
    )
    errors = [curve.target] if curve.target is not None else wanted or [0.9 * curve.errors[-1], 0.5 * curve.errors[-1]]
    told = []
    for error in errors:
        clips = fitted.clips_for(error)
        if curve.target is not None and curve.errors[-1] <= curve.target:
            told.append(f"its target {error:g} is reached at {curve.clips[-1]:.3g} clips")
        elif clips > FAR:
            told.append(f"{error:.3g} is out of reach of this fit")
        else:
            time = (
                f", {clips / clips_per_second / 60:.3g} minutes at {clips_per_second:g} clips/s"
                if clips_per_second
                else ""
            )
            told.append(f"{error:.3g} after {clips:.2g} clips{time}")
    return f"{law}; {'; '.join(told)}."


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the figure and say what the fits promise."""
    parser = argparse.ArgumentParser(prog="python -m sora_core.evaluation.scaling", description=__doc__)
    parser.add_argument("picture", type=Path, help="the PNG to write")
    parser.add_argument(
        "figures", type=Path, nargs="+", help="files of sora evaluate --json or of small runs, or one log.jsonl"
    )
    parser.add_argument("--clips-per-second", type=float, metavar="R", help="rate of training here, to tell minutes")
    parser.add_argument("--until", type=float, nargs="+", default=[], metavar="E", help="losses to tell the clips of")
    args = parser.parse_args(arguments)
    try:
        curves = read_curves(args.figures)
        fits = draw(args.picture, curves)
    except SoraError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for name, curve in curves.items():
        sys.stdout.write(sentence(name, curve, fits[name], args.clips_per_second, args.until) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
