"""Reads the visible mark: in which seconds its letters are there, and whether its texture is."""

# H W pixels, h w nodes of the texture, N templates, C colours

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from .badge_config import SHORTEST_SIDE, BadgeConfig
from .badge_draw import SECRET_BYTES
from .badge_lettering import check_logo, check_text
from .badge_spotter import Spotter
from .badge_trace import Trace
from .reading import SecondReading, State

SAMPLES_PER_S = 4

THRESHOLD, LOWER = 0.16, 0.4
"""Of a second: above every clip without a badge, of 120 by 4 texts (0.09 at most), and below every second with one
(0.22 at least, a text of two letters at CRF 30). Where one second has passed it, the others need 0.4 of the best."""

TRACE_THRESHOLD = 5.0
"""Deviations from chance, of a second's texture, as the best of its patterns: 3.2 at most in 600 readings without."""

_ALPHABETS = ("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789")
_DECOY_STEPS = (5, 11, 18)
_SHORTEST_REST_S = 0.5
_WIDEST_RATIO = 6


@dataclass(frozen=True, kw_only=True)
class BadgeReading:
    """What was found of a visible mark.

    state: of the letters; ``partial`` also if they are nowhere and the keyed texture is there all the same.
    score: of the best second: how much better the text is found than other texts of its shape, about 0 without and
    0.3 to 0.6 with a badge. threshold: from which a second counts. seconds: the letters, second by second; for a logo
    without text the texture instead.
    traces: the texture, second by second, in deviations from chance; empty where the id is not known.
    """

    state: State
    score: float
    threshold: float
    seconds: tuple[SecondReading, ...]
    traces: tuple[SecondReading, ...] = ()

    @property
    def painted_over(self) -> tuple[SecondReading, ...]:
        """The seconds whose texture is there while their letters are not: the badge was taken out of them."""
        pairs = zip(self.seconds, self.traces, strict=False)
        return tuple(second for second, trace in pairs if trace.present and not second.present)


def read_badge(
    pieces: Iterable[Tensor],
    *,
    fps: float,
    secret: bytes,
    mark_id: int | None,
    text: str,
    logo: Tensor | None = None,
    config: BadgeConfig | None = None,
) -> BadgeReading:
    """Look for a badge whose text is known, and for the texture of a clip whose id is known.

    Args:
        pieces: uint8 RGB ``[f, H, W, 3]``, f any number; of any size that keeps the film's proportions.
        fps: frames per second.
        secret: the owner's marking key, 32 bytes.
        mark_id: the clip's id, or None: then only the letters are looked for.
        text: the badge's.
        logo: uint8 RGBA ``[h, w, 4]``, or None. A picture of a few pixels is too easily found by chance, so a logo
            without text is told by the texture alone, which takes the id.
        config: as it was painted with.

    Raises:
        SoraError: text or logo cannot have been drawn.

    Source: our decision. The letters are held against other texts of the same lengths (each letter some steps on in
    the alphabet), so that a ground that resembles letters raises both and the difference stays about 0.
    """
    assert len(secret) == SECRET_BYTES, len(secret)
    config = config or BadgeConfig()
    check_logo(logo)
    text = check_text(text, logo=logo is not None)
    reader: _Reader | None = None
    count = 0
    for frame_HWC in (frame for piece in pieces for frame in piece):
        if reader is None:
            height, width = frame_HWC.shape[:2]
            if min(width, height) < SHORTEST_SIDE // 2 or max(width, height) > _WIDEST_RATIO * min(width, height):
                return BadgeReading(state="absent", score=0.0, threshold=THRESHOLD, seconds=())
            size = {"width": width, "height": height}
            texts = [text, *_decoys(text)]
            spotter = Spotter(texts, logo, letter_height=config.letter_height, **size) if text else None
            reader = _Reader(spotter, None if mark_id is None else Trace(secret, mark_id, **size))
        if count == 0 or int(count * SAMPLES_PER_S / fps) != int((count - 1) * SAMPLES_PER_S / fps):
            reader.see(frame_HWC, int(count / fps))
        count += 1
    if reader is None:
        return BadgeReading(state="absent", score=0.0, threshold=THRESHOLD, seconds=())
    return reader.reading(count / fps)


@dataclass
class _Reader:
    """Collects scores; one list entry per sampled frame."""

    spotter: Spotter | None
    trace: Trace | None
    starts: list[int] = field(default_factory=list)
    letters: list[float] = field(default_factory=list)
    textures: list[Tensor] = field(default_factory=list)

    def see(self, frame_HWC: Tensor, second: int) -> None:
        self.starts.append(second)
        if self.spotter is not None:
            peaks_N = self.spotter.peaks(self.spotter.reduce(frame_HWC))
            self.letters.append(float(peaks_N[0] - peaks_N[1:].mean()))
        if self.trace is not None:
            self.textures.append(self.trace.reduce(frame_HWC))

    def reading(self, length_s: float) -> BadgeReading:
        spans = list(self._spans(length_s))
        traces = tuple(self._texture(*span) for span in spans) if self.trace is not None else ()
        seconds, bar = (self._read(spans), THRESHOLD) if self.spotter is not None else (traces, TRACE_THRESHOLD)
        found = sum(second.present for second in seconds)
        state: State = "absent" if not found else "present" if found == len(seconds) else "partial"
        if state == "absent" and any(trace.present for trace in traces):
            state = "partial"
        score = max((second.score for second in seconds), default=0.0)
        return BadgeReading(state=state, score=score, threshold=bar, seconds=seconds, traces=traces)

    def _read(self, spans: Sequence[tuple[int, int, float, float]]) -> tuple[SecondReading, ...]:
        """Return the letters, second by second."""
        scores = [sum(self.letters[first:stop]) / (stop - first) for first, stop, _, _ in spans]
        bar = LOWER * max(scores) if max(scores) >= THRESHOLD else THRESHOLD
        return tuple(
            SecondReading(start_s, stop_s, score, score >= bar)
            for (_, _, start_s, stop_s), score in zip(spans, scores, strict=True)
        )

    def _spans(self, length_s: float) -> Iterator[tuple[int, int, float, float]]:
        """Yield first and last sample, start and end of each second; a short rest belongs to the second before it."""
        firsts = [place for place, start in enumerate(self.starts) if not place or start != self.starts[place - 1]]
        if len(firsts) > 1 and length_s - self.starts[firsts[-1]] < _SHORTEST_REST_S:
            firsts.pop()
        edges = [*firsts, len(self.starts)]
        for first, stop in pairwise(edges):
            end_s = length_s if stop == len(self.starts) else float(self.starts[stop])
            yield first, stop, float(self.starts[first]), end_s

    def _texture(self, first: int, stop: int, start_s: float, stop_s: float) -> SecondReading:
        assert self.trace is not None
        score = float(self.trace.scores(torch.stack(self.textures[first:stop]).mean(dim=0)).max())
        return SecondReading(start_s, stop_s, score, score >= TRACE_THRESHOLD)


def _decoys(text: str) -> list[str]:
    return ["".join(_stepped(character, steps) for character in text) for steps in _DECOY_STEPS]


def _stepped(character: str, steps: int) -> str:
    for alphabet in _ALPHABETS:
        if character in alphabet:
            return alphabet[(alphabet.index(character) + steps) % len(alphabet)]
    return character
