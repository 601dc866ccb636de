"""What the user sees while something runs: one line that grows, on stderr."""

from __future__ import annotations

import sys
import time

WIDTH = 30


class Progress:
    """A bar that is drawn over itself on a terminal, and printed at each quarter into a file or pipe."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.started = time.monotonic()
        self.first: tuple[float, float] | None = None
        self.last = 0.0
        self.shown = -1
        self.terminal = sys.stderr.isatty()

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """Show that ``done`` of ``total`` is done, with a short note behind the bar."""
        share = min(max(done / total, 0.0), 1.0) if total else 1.0
        if share < self.last:
            # the next of several things to do
            self.started, self.first, self.shown = time.monotonic(), None, -1
        self.last = share
        # the pace counts from the first report: a resumed run starts in the middle
        self.first = self.first or (time.monotonic(), share)
        if not self.terminal:
            if (quarter := int(share * 4)) > self.shown:
                self.shown = quarter
                print(self._line(share, note), file=sys.stderr, flush=True)
            return
        # the end of the line is cleared: a shorter one may follow a longer
        end = "\n" if share >= 1 else ""
        print(f"\r{self._line(share, note)}\x1b[K", end=end, file=sys.stderr, flush=True)
        self.shown = -1 if share >= 1 else 0

    def say(self, line: str) -> None:
        """Print a line of its own above the bar."""
        self.close()
        print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave an unfinished bar standing and go to the next line."""
        if self.terminal and self.shown >= 0:
            print(file=sys.stderr, flush=True)
            self.shown = -1

    def _line(self, share: float, note: str) -> str:
        now = time.monotonic()
        filled = round(share * WIDTH)
        since, first = self.first or (now, share)
        left = f", {clock((now - since) * (1 - share) / (share - first))} left" if first < share < 1 else ""
        bar = "#" * filled + "." * (WIDTH - filled)
        return f"{self.what} [{bar}] {share:4.0%} {clock(now - self.started)}{left}{f'  {note}' if note else ''}"


def clock(seconds: float) -> str:
    """Return ``"4 s"`` or ``"2:05"`` (minutes) or ``"1:02:05"``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
