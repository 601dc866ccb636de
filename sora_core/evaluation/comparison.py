"""Two models side by side: every figure of an old one and a new one beside what it should be and what it could be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import SoraError
from .intervals import rate
from .report import BASELINES, READING, ROWS, Row, bar, described, laid_out, lookup, number

HEADER = ("measure", "target", *BASELINES, "old", "new", "better")


def comparison(new: Mapping[str, Any], old: Mapping[str, Any]) -> str:
    """Return two results of `run.evaluate` as one table.

    Args:
        new, old: figures. Truth, VAE round trip and shuffled are the new one's. Shares come with their exact 95 %
            interval; those of held-out words are of clips times attributes.
    """
    lines: list[tuple[str, ...]] = [HEADER]
    better = worse = 0
    for row in ROWS:
        before, after = lookup(old, row.key), lookup(new, row.key)
        baselines = [lookup(new[key], row.key) for key in BASELINES.values()]
        if before is None and after is None and all(baseline is None for baseline in baselines):
            continue
        verdict = _verdict(before, after, row)
        better, worse = better + (verdict == "new"), worse + (verdict == "old")
        lines.append(
            (
                row.name,
                bar(row.target, row),
                *(number(baseline, row) for baseline in baselines),
                _with_interval(before, old, row),
                _with_interval(after, new, row),
                verdict,
            )
        )
    text = [*laid_out(lines), "", f"New: {described(new)}. Old: {described(old)}.", READING]
    if any(new.get(key) != old.get(key) for key in ("clips", "level", "format")):
        text.append("The two were measured on different clips: a figure that is lower may be of a harder task.")
    text.append(f"The new one is better in {better} figures and worse in {worse}.")
    return "\n".join(text)


def read_figures(path: Path) -> dict[str, Any]:
    """Read what ``sora evaluate --json`` wrote.

    Raises:
        SoraError: the file cannot be read or holds something else.
    """
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SoraError(f"{path} cannot be read as figures ({error}); name a file of sora evaluate --json") from None
    if not isinstance(figures, dict) or not {"attribute_accuracy", "format", "level", "clips"} <= figures.keys():
        raise SoraError(f"{path} holds no figures of clips; name a file that sora evaluate --json wrote")
    return figures


def _verdict(before: float | None, after: float | None, row: Row) -> str:
    if before is None or after is None:
        return "-"
    if number(before, row) == number(after, row):
        return "same"
    return "new" if (after < before) == row.lower else "old"


def _with_interval(value: float | None, figures: Mapping[str, Any], row: Row) -> str:
    trials = figures.get("trials", {}).get(row.key)
    if value is None or not trials:
        return number(value, row)
    interval = rate(round(value * trials), trials)
    return f"{number(value, row)} [{interval.low:.2f}, {interval.high:.2f}]"
