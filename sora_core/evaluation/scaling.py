"""Quality against clips seen: measured points of one run, and the power law that fits them.

``python -m sora_core.evaluation.scaling docs/scaling.png early.json later.json last.json`` draws the figures that
``sora evaluate --json`` wrote for several checkpoints of one run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SoraError
from ..media.chart import line_chart
from ..media.png import write_png

FLAT = 0.01
"""A power this small promises nothing."""

AHEAD = 30.0
"""How far past the last point the fit is drawn, as a factor."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """``error = scale * clips ** -power``."""

    scale: float
    power: float

    def error(self, clips: np.ndarray) -> np.ndarray:
        """Return the fitted error at these numbers of clips."""
        return np.minimum(1.0, self.scale * clips**-self.power)

    def clips_for(self, error: float) -> float:
        """Return the clips after which the fit reaches ``error``; infinite where it never falls."""
        return float((self.scale / error) ** (1 / self.power)) if self.power > FLAT else float("inf")


def fit(clips: Sequence[float], errors: Sequence[float]) -> Fit:
    """Fit a straight line to the logarithms by least squares (Kaplan et al. 2020, 2001.08361).

    Raises:
        SoraError: fewer than two points.
    """
    if len(clips) < 2:
        raise SoraError(f"{len(clips)} point cannot be fitted; measure at least two checkpoints of one run")
    slope, start = np.polyfit(np.log(clips), np.log(np.clip(errors, 1e-4, 1.0)), 1)
    return Fit(scale=float(np.exp(start)), power=float(-slope))


def draw(path: Path, runs: Sequence[dict[str, Any]]) -> dict[str, Fit]:
    """Draw the errors of several evaluations against clips seen, each with its fit, and return the fits."""
    runs = sorted(runs, key=lambda run: run["clips_seen"])
    clips = [float(run["clips_seen"]) for run in runs]
    errors = {
        "OBJECT WRONG": [1 - run["attribute_accuracy"]["object"] for run in runs],
        "SOMETHING WRONG": [1 - run["all_correct"] for run in runs],
        "ONSETS (1 - F1)": [1 - run["onset_f1"] for run in runs],
    }
    fits = {name: fit(clips, values) for name, values in errors.items()}
    ahead = np.geomspace(clips[0], clips[-1] * AHEAD, 40)
    curves: dict[str, tuple[Any, Any]] = {}
    for name, values in errors.items():
        curves[name] = (clips, values)
        curves[f"FIT {fits[name].power:.2f}"] = (ahead, fits[name].error(ahead))
    chart = line_chart(
        curves, title="ERROR AGAINST CLIPS SEEN", x_label="CLIPS SEEN", log_x=True, log_y=True, width=900
    )
    write_png(path, chart)
    return fits


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the figure and say what the fits promise."""
    parser = argparse.ArgumentParser(prog="python -m sora_core.evaluation.scaling", description=__doc__)
    parser.add_argument("picture", type=Path, help="the PNG to write")
    parser.add_argument("figures", type=Path, nargs="+", help="files of sora evaluate --json")
    args = parser.parse_args(arguments)
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in args.figures]
    for name, fitted in draw(args.picture, runs).items():
        sys.stdout.write(
            f"{name}: error = {fitted.scale:.3g} x clips^-{fitted.power:.2f}; "
            f"0.1 after {fitted.clips_for(0.1):.2g} clips, 0.03 after {fitted.clips_for(0.03):.2g}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
