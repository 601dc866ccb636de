"""The table of how often a policy is wrong."""

from __future__ import annotations

from .run import Figures, Rate

HEADER = ("prompts", "missed (false negatives)", "stopped (false positives)", "other category")


def table(figures: Figures) -> str:
    """Return the figures as text: a line for each category, then the sums, then how fast."""
    lines = [HEADER]
    lines += [(row.name, _rate(row.missed), _rate(row.stopped), _count(row.misnamed)) for row in figures.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    text = [_line(lines[0], widths), "  ".join("-" * width for width in widths)]
    text += [_line(line, widths) for line in lines[1:]]
    speed = figures.latency
    text += [
        "",
        f"The {figures.half} half, policy {figures.policy} ({figures.sha256[:12]}); exact 95 % intervals; "
        "blocked or held for review counts as stopped.",
        f"One prompt takes {speed.median_ms:.2f} ms (99 %: {speed.p99_ms:.2f} ms), one of 2,000 characters "
        f"{speed.long_median_ms:.2f} ms (99 %: {speed.long_p99_ms:.2f} ms).",
    ]
    return "\n".join(text)


def _rate(rate: Rate) -> str:
    if rate.value is None:
        return "-"
    return f"{rate.wrong:>3}/{rate.count:<3} {100 * rate.value:5.1f} % [{100 * rate.low:4.1f}, {100 * rate.high:5.1f}]"


def _count(rate: Rate) -> str:
    return f"{rate.wrong}/{rate.count}" if rate.count else "-"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    first, *rest = (
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join((first, *rest)).rstrip()
