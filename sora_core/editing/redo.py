"""Sections of a film that are to be made anew. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..errors import SoraError
from .checks import frames_of_seconds


@dataclass(frozen=True, kw_only=True)
class Redo:
    """A section to make anew. start_s, end_s: on the source's own time. seconds: its new length; None keeps it."""

    start_s: float
    end_s: float
    seconds: float | None = None


def in_order(redo: Sequence[Redo]) -> list[Redo]:
    """Return sections by their start.

    Raises:
        SoraError: one that ends before it starts, two that overlap, or a new length that cannot be.
    """
    ordered = sorted(redo, key=lambda each: each.start_s)
    for section in ordered:
        if not 0 <= section.start_s < section.end_s:
            raise SoraError(
                f"a section from {section.start_s:g} to {section.end_s:g} s must not start before 0 and end after its "
                "start, for example 0.5 to 1.2"
            )
        if section.seconds is not None:
            frames_of_seconds(section.seconds, 1, "the section's new seconds")
    for before, section in pairwise(ordered):
        if section.start_s < before.end_s:
            raise SoraError(f"the section from {section.start_s:g} s overlaps the one before it; keep them apart")
    return ordered


def read_redo(text: str) -> list[Redo]:
    """Return sections written ``"0.8:1.4, 2:2.5=1"``: start and end in seconds, and a new length behind ``=``.

    Raises:
        SoraError: a section that is written otherwise.
    """
    sections: list[Redo] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        span, equals, length = part.partition("=")
        start, _, end = span.partition(":")
        try:
            seconds = float(length) if equals else None
            sections.append(Redo(start_s=float(start), end_s=float(end), seconds=seconds))
        except ValueError:
            raise SoraError(
                f"section {part!r} is not start:end in seconds; write for example 0.8:1.4, or 0.8:1.4=2 for a new "
                "length"
            ) from None
    return sections
