"""``bench tamper``: signed files, changed in every way that we know, and what reading them says."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

QUICK, FULL = 300, 10_000
"""Random damages."""


def bench_tamper(*, full: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return ``rows`` of `tamper_matrix`, and ``held``: how many of them said what they must.

    Args:
        full: 10,000 random damages instead of 300. tell: told what comes next.

    Raises:
        SoraError: the extra is missing, or the temporary folder cannot be written.
    """
    from ..provenance.manifest.tamper import tamper_matrix

    mutants = FULL if full else QUICK
    tell(f"{mutants} random damages among others")
    with tempfile.TemporaryDirectory() as folder:
        found = tamper_matrix(Path(folder), mutants=mutants)
    return {"rows": [{**asdict(row), "holds": row.holds} for row in found], "held": sum(row.holds for row in found)}


def rows(figures: dict[str, Any], _: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the lines of the table: the change, what reading said, and why."""
    yield f"a signed file, changed: {figures['held']} of {len(figures['rows'])} rows are as they must be", "", ""
    for row in figures["rows"]:
        why = row["note"] or ", ".join(row["codes"])
        yield f"  {row['change']}", row["state"], why if row["holds"] else f"MUST BE {row['wanted']}; {why}"
