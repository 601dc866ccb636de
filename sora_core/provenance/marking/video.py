"""The invisible mark of the picture: 64 bits in a faint keyed field that codecs, crops and turns leave readable."""

# F frames of a piece, H W pixels, h w coarse cells

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import SoraError
from .field import code
from .field.geometry import Geometry
from .field.keys import number
from .field.masking import Masking
from .field.pattern import CELLS, FIELDS, LOOKS, field_signs, on_frame, patches
from .field.reader import Decoded, decode_view, still_scores
from .field.search import Found, find_bent, find_upright, ranked, refine
from .field.seen import Seen, Stills
from .mark_id import ID_BITS
from .reading import SecondReading, State

SECRET_BYTES = 32
LACKING, CLEAR = 2.5, 7.0
"""A second holds no mark where its score is below the first, if the others usually have the second (our decision)."""

HOLE_STILLS = 2
"""Stills in a row that each have less than `LACKING` are a hole: a second's mean would hide one that begins in its
middle. Codecs leave more than that in films that are clear on the whole (AV1 at CRF 35: 3.6 and more, mostly)."""

LEAST_SIDE, MOST_SIDE, MOST_ASPECT = 240, 8192, 4.0
LUMA_SHARES = (77, 150, 29)
"""Of 256: the luma of BT.601 in whole numbers."""
MASKING = Masking(flat=1.35, slope=0.6, ceiling=2.3, loudest=1.95)
"""Faint where it is flat and soon even: very busy places hide more but keep less of it. Loudest is 42.2 dB."""


@dataclass(frozen=True, kw_only=True)
class VideoMarkConfig:
    """How the mark is made and read.

    masking: its strength. segment_s: seconds after which the field changes; shorter ones leave less to average for
    whoever wants it off, longer ones are cheaper for a codec. fade_s: seconds of the change. window_s: the most that
    is searched as one, so that a short marked stretch of a long film is found. threshold: score from which a mark is
    said to be there in a picture that is at most mirrored or turned. bent: the same for zoomed, rotated and stretched
    ones, of which so many are tried that chance reaches higher. surest: check from which its id is said. likely: check
    that is enough where the coded bits agree by clear (chance reaches 0.57 in 1500 trials). second: score from which a
    second holds it. candidates: views of the bent ones that are looked at closely.
    """

    masking: Masking = MASKING
    segment_s: float = 2.0
    fade_s: float = 0.08
    window_s: float = 6.0
    threshold: float = 8.5
    surest: float = 4.75
    likely: float = 3.0
    clear: float = 0.65
    second: float = 5.0
    bent: float = 11.0
    candidates: int = 3


class Plan(NamedTuple):
    """What an id decides of a clip's fields: look, first field, first sign and how far the first segment has run."""

    look: int
    first: int
    turned: int
    begun_s: float


def plan(secret: bytes, mark_id: int, segment_s: float) -> Plan:
    """Return the plan of a clip."""
    return Plan(
        look=number(secret, "look", mark_id, below=LOOKS),
        first=number(secret, "first", mark_id, below=FIELDS),
        turned=number(secret, "turned", mark_id, below=2) * 2 - 1,
        begun_s=number(secret, "begun", mark_id, below=1000) / 4000 * segment_s,
    )


class VideoMarker:
    """Writes the mark into a film, piece by piece.

    Args:
        secret: 32 bytes, the owner's marking key.
        mark_id: 0 to 2^64 - 1, drawn at random for each clip.
        width, height: pixels, 240 or more on the short side, 4 : 1 at most.
        fps: frames per second.
        config: how strong.

    Raises:
        SoraError: one of these does not fit.
    """

    def __init__(
        self,
        *,
        secret: bytes,
        mark_id: int,
        width: int,
        height: int,
        fps: float,
        config: VideoMarkConfig | None = None,
    ) -> None:
        _check(secret)
        if not 0 <= mark_id < 1 << ID_BITS:
            raise SoraError(f"mark id {mark_id} does not fit; give a whole number from 0 to 2^{ID_BITS} - 1")
        if not fps > 0 or not math.isfinite(fps):
            raise SoraError(f"a film of {fps} frames per second cannot be marked; give a rate above 0")
        short, long = min(width, height), max(width, height)
        if short < LEAST_SIDE or long > MOST_SIDE:
            raise SoraError(
                f"a picture of {width}x{height} cannot carry the invisible mark: its sides must have "
                f"{LEAST_SIDE} to {MOST_SIDE} pixels; scale it first"
            )
        if long > short * MOST_ASPECT:
            raise SoraError(
                f"a picture of {width}x{height} is too long for the invisible mark; the long side may be "
                f"{MOST_ASPECT:g} times the short one at most, so crop it first"
            )
        self.config = config or VideoMarkConfig()
        self._secret, self._mark_id = secret, mark_id
        self._width, self._height, self._fps = width, height, fps
        self._plan = plan(secret, mark_id, self.config.segment_s)
        self._coded = code.encode(mark_id)
        self._fields: dict[int, Tensor] = {}
        self._num_frames = 0
        self._step = max(1, round(short / 480 * 2))

    def mark(self, frames_FHWC: Tensor) -> Tensor:
        """Return the next piece with the mark in it.

        Args:
            frames_FHWC: uint8 RGB ``[F, H, W, 3]``; any number of frames.
        """
        expected = (self._height, self._width, 3)
        if tuple(frames_FHWC.shape[1:]) != expected or frames_FHWC.dtype != torch.uint8:
            raise SoraError(
                f"frames of {tuple(frames_FHWC.shape[1:])} {frames_FHWC.dtype} reached a marker of {expected} "
                "torch.uint8; give frames of that size as uint8 RGB"
            )
        marked = torch.empty_like(frames_FHWC)
        for index in range(len(frames_FHWC)):
            self._mark_one(frames_FHWC[index], marked[index])
            self._num_frames += 1
        return marked

    def _mark_one(self, frame_HWC: Tensor, marked_HWC: Tensor) -> None:
        step = self._step
        sparse = frame_HWC[::step, ::step].float()
        luma = torch.stack([sparse[..., c] * (share / 256) for c, share in enumerate(LUMA_SHARES)]).sum(0)
        gains = self.config.masking.gains(luma[None])[None]
        cells = gains.shape[-1] * 8 * step, gains.shape[-2] * 8 * step
        gain = F.interpolate(gains, size=(cells[1], cells[0]), mode="bilinear", align_corners=False)
        gain = gain[0, 0, : self._height, : self._width]
        levels = (self._now() * gain).round_().to(torch.int16)
        torch.add(frame_HWC, levels[..., None], out=(sum_ := torch.empty(frame_HWC.shape, dtype=torch.int16)))
        marked_HWC.copy_(sum_.clamp_(0, 255))

    def _now(self) -> Tensor:
        """Return the field of the next frame, faded over from one segment to the next."""
        passed = self._num_frames / self._fps + self._plan.begun_s
        segment, rest = divmod(passed, self.config.segment_s)
        left = self.config.segment_s - rest
        field = self._field(int(segment))
        if left >= self.config.fade_s:
            return field
        angle = (1 - left / self.config.fade_s) * math.pi / 2
        return field * math.cos(angle) + self._field(int(segment) + 1) * math.sin(angle)

    def _field(self, segment: int) -> Tensor:
        if segment not in self._fields:
            cells = field_signs(
                self._secret,
                self._plan.look,
                (self._plan.first + segment) % FIELDS,
                turned=self._plan.turned * (-1) ** segment,
                mark_id=self._mark_id,
                coded_K=self._coded,
            )
            lit = patches(self._secret, self._plan.look)
            drawn = on_frame(cells.reshape(CELLS, CELLS), lit, self._height, self._width)
            self._fields = {n: one for n, one in self._fields.items() if n >= segment - 1}
            self._fields[segment] = drawn
        return self._fields[segment]


@dataclass(frozen=True, kw_only=True)
class VideoReading:
    """What the reader found.

    state: present, partial or absent. mark_id: None unless error correction and the keyed check agree. score: in
    standard deviations of chance, threshold: from where it counts. bits: the 64 decoded bits, the highest first, a
    best guess even where absent. seconds: second by second. geometry: how the picture had been bent.
    """

    state: State
    mark_id: int | None
    score: float
    threshold: float
    bits: tuple[int, ...]
    seconds: tuple[SecondReading, ...]
    geometry: Geometry


Prepared = Seen
"""What of a film depends on no key: see `prepare`."""


def prepare(pieces: Iterable[Tensor], *, fps: float, config: VideoMarkConfig | None = None) -> Prepared:
    """Do what is the same for all keys, so that many can be tried on one film.

    Args:
        pieces: uint8 RGB ``[f, H, W, 3]``, together the film.
        fps: frames per second.
        config: unused values are those of reading; None for the usual ones.

    Raises:
        SoraError: there is no frame, or their size changes.
    """
    del config
    stills = Stills(fps)
    for piece in pieces:
        stills.see(piece)
    return stills.finish()


def read_prepared(
    prepared: Prepared, secret: bytes, *, config: VideoMarkConfig | None = None, thorough: bool = True
) -> VideoReading:
    """Look for the mark of a secret in a prepared film.

    Args:
        prepared: from `prepare`.
        secret: 32 bytes, the owner's marking key.
        config: as it was marked with.
        thorough: also look for zoomed, rotated and stretched pictures where the upright ones hold nothing.

    Raises:
        SoraError: the secret has another length.
    """
    _check(secret)
    config = config or VideoMarkConfig()
    found = find_upright(prepared, secret, config.segment_s, config.window_s)
    best = _best(prepared, secret, found[:1], config)
    if thorough and not _sure(best, config):
        bent = find_bent(prepared, secret, config.segment_s, config.window_s)
        tried = [
            refine(prepared, secret, one, config.segment_s, config.window_s)
            for one in ranked([*found, *bent])[: config.candidates]
        ]
        # by how far each is over its own threshold
        best = max(best, _best(prepared, secret, tried, config), key=lambda one: _score(one) - _least(one, config))
    return _reading(prepared, secret, best, config)


def read_video_mark(
    pieces: Iterable[Tensor],
    *,
    fps: float,
    secret: bytes,
    config: VideoMarkConfig | None = None,
    thorough: bool = True,
) -> VideoReading:
    """Look for the mark of a secret in a film, knowing nothing else.

    Args:
        pieces: uint8 RGB ``[f, H, W, 3]``, together the film.
        fps: frames per second.
        secret: 32 bytes, the owner's marking key.
        config: as it was marked with.
        thorough: as in `read_prepared`.

    Raises:
        SoraError: the secret has another length, there is no frame, or their size changes.
    """
    _check(secret)
    return read_prepared(prepare(pieces, fps=fps, config=config), secret, config=config, thorough=thorough)


def _check(secret: bytes) -> None:
    if len(secret) != SECRET_BYTES:
        raise SoraError(f"a marking key of {len(secret)} bytes does not fit; give {SECRET_BYTES} random bytes")


def _score(decoded: Decoded) -> float:
    return 0.816 * decoded.found.score + 0.577 * decoded.check


def _least(decoded: Decoded, config: VideoMarkConfig) -> float:
    """Return the score from which a mark is there in a view."""
    return config.threshold if decoded.found.geometry.upright else config.bent


def _sure(decoded: Decoded, config: VideoMarkConfig) -> bool:
    told = decoded.check >= config.surest or (decoded.check >= config.likely and decoded.agreement >= config.clear)
    return _score(decoded) >= _least(decoded, config) and told


def _best(prepared: Prepared, secret: bytes, found: list[Found], config: VideoMarkConfig) -> Decoded:
    tried: list[Decoded] = []
    for one in found:
        tried.append(decode_view(prepared, secret, one))
        if _sure(tried[-1], config):
            break
    return max(tried, key=lambda one: _score(one) - _least(one, config))


def _reading(prepared: Prepared, secret: bytes, best: Decoded, config: VideoMarkConfig) -> VideoReading:
    score, least = _score(best), _least(best, config)
    known = _sure(best, config)
    stills_T = still_scores(secret, best, whole=known)
    holes_T = _holes(prepared, stills_T)
    seconds = _seconds(prepared, stills_T, holes_T, config, there=score >= least)
    state: State = "absent"
    if score >= least:
        usual = float(np.median([one.score for one, _ in seconds if one.present] or [0.0]))
        # where a codec left little of it everywhere, a weak second proves nothing
        lacking = any(alive and one.score < LACKING for one, alive in seconds) or bool(holes_T.any())
        state = "partial" if lacking and usual >= CLEAR else "present"
    return VideoReading(
        state=state,
        mark_id=best.mark_id if known else None,
        score=score,
        threshold=least,
        bits=tuple(int(bit) for bit in code.bits_of(best.mark_id)),
        seconds=tuple(one for one, _ in seconds),
        geometry=best.found.geometry,
    )


def _holes(prepared: Prepared, scores_T: np.ndarray) -> np.ndarray:
    """Return which stills lie in a hole: several in a row that could carry a mark and have next to nothing of it."""
    alive_T = prepared.alive.numpy() > 0.2
    usual = float(np.median(scores_T[alive_T])) if alive_T.any() else 0.0
    faint_T = alive_T & (scores_T < LACKING) & (usual >= CLEAR)
    holes_T = np.zeros_like(faint_T)
    for first in range(len(faint_T) - HOLE_STILLS + 1):
        if faint_T[first : first + HOLE_STILLS].all():
            holes_T[first : first + HOLE_STILLS] = True
    return holes_T


def _seconds(
    prepared: Prepared, scores_T: np.ndarray, holes_T: np.ndarray, config: VideoMarkConfig, *, there: bool
) -> list[tuple[SecondReading, bool]]:
    """Return the reading of each second, and whether it could carry a mark."""
    starts = np.array(prepared.starts)
    readings = []
    for second in range(max(1, math.ceil(prepared.seconds - 1e-6))):
        inside = (starts >= second - 1e-6) & (starts < second + 1 - 1e-6)
        if not inside.any():
            continue
        score = float(scores_T[inside].sum() / inside.sum() ** 0.5)
        alive = float(prepared.alive[torch.from_numpy(inside)].mean()) > 0.2
        stop = min(second + 1.0, prepared.seconds)
        held = there and score >= config.second and not holes_T[inside].any()
        readings.append((SecondReading(float(second), stop, score, held), alive))
    return readings
