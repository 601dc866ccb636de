"""Read the id once the field is found, and tell second by second where it is."""

# T stills, N cells along the torus, Q fields, A both signs of the sync, K coded bits

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from . import code
from .geometry import Geometry
from .pattern import (
    CELLS,
    FIELDS,
    SHARES,
    Layout,
    band,
    check_signs,
    field_signs,
    layout,
    patches,
    payload_signs,
    sync_signs,
    tag_signs,
)
from .search import Found
from .seen import Seen

STAY = 0.0
STEP = -2.0
"""Log odds of a still being of the same segment as the one before, and of the next one (our decision)."""

LINGERS = 2.5
"""Standard deviations from which a still is taken to hold a field that is not its own."""


class Decoded(NamedTuple):
    """What a view says.

    mark_id: the nearest id. agreement: of its coded bits, 1 at most. check: how the cells that follow from the id
    agree, in standard deviations of chance. sync: the same for the sync. fields, turns: of each still.
    cells: the evened cells of each still.
    """

    mark_id: int
    agreement: float
    check: float
    sync: float
    found: Found
    fields: NDArray[np.int64]
    turns: NDArray[np.int64]
    cells: NDArray[np.float32]


def cells_of(seen: Seen, geometry: Geometry, strength: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return every still's cells on the flat torus ``[T, N * N]``, as they were lit, with a mean square of 1."""
    parts, lit_NN = [], torch.from_numpy(strength)
    for stills in seen.stills.split(8):
        lit = torch.fft.irfft2(seen.spectra(stills, geometry, keep=False), s=(CELLS, CELLS)) * lit_NN
        matched = torch.fft.rfft2(lit) * torch.from_numpy(band())
        parts.append(torch.fft.irfft2(matched, s=(CELLS, CELLS)).flatten(1))
    cells = torch.cat(parts)
    return (cells / cells.square().mean(1, keepdim=True).sqrt_().clamp_(min=1e-9)).numpy()


@lru_cache(maxsize=64)
def _tags(secret: bytes, look: int) -> NDArray[np.float32]:
    return np.stack([tag_signs(secret, look, number) for number in range(FIELDS)])


def _gains(sync_T: NDArray[np.float32], tag_TQ: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how each still agrees with each field and sign, in standard deviations ``[T, A]``; A is 2 Q."""
    parts = np.sqrt([SHARES["sync"], SHARES["tag"]])
    parts = (parts / np.linalg.norm(parts)).astype(np.float32)
    both = [parts[1] * tag_TQ + parts[0] * sync_T[:, None] * sign for sign in (-1, 1)]
    return np.stack(both, 2).reshape(len(sync_T), -1)


def _path(gain_TA: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the likeliest run of states ``[T]``: a field stays or goes on to the next one, whose sign is turned."""
    # odds of amplitude unknown: half the square of what is positive
    odds = np.maximum(gain_TA, 0) ** 2 / 2
    fields, signs = np.divmod(np.arange(2 * FIELDS), 2)
    before = ((fields - 1) % FIELDS) * 2 + 1 - signs
    best, came = odds[0], np.zeros(odds.shape, np.int64)
    for still in range(1, len(odds)):
        stay, step = best + STAY, best[before] + STEP
        came[still] = np.where(step > stay, before, np.arange(2 * FIELDS))
        best = np.maximum(stay, step) + odds[still]
    state = int(best.argmax())
    states = np.empty(len(odds), np.int64)
    for still in range(len(odds) - 1, -1, -1):
        states[still] = state
        state = int(came[still, state])
    return states


def _weights(gain_TA: NDArray[np.float32], states_T: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return how much each still says of each state: a codec lets a field linger into the next one's time."""
    weight = np.where(gain_TA > LINGERS, gain_TA, 0)
    every = np.arange(len(states_T))
    weight[every, states_T] = np.maximum(gain_TA[every, states_T], 0.5)
    return weight


def decode_view(seen: Seen, secret: bytes, found: Found) -> Decoded:
    """Read the id as it lies in a view."""
    where = layout(secret)
    cells_TC = cells_of(seen, found.geometry, patches(secret, found.look))
    sync = sync_signs(secret, found.look)
    sync_T = cells_TC[:, where.sync] @ sync / len(sync) ** 0.5
    tag_TQ = cells_TC[:, where.tag] @ _tags(secret, found.look).T / len(where.tag) ** 0.5
    gain_TA = _gains(sync_T, tag_TQ)
    states = _path(gain_TA)
    fields, turns = states // 2, states % 2 * 2 - 1
    weight_TA = _weights(gain_TA, states)
    merged = {int(state) // 2: weight_TA[:, state] @ cells_TC for state in np.unique(states)}
    soft = np.zeros(code.CODED_BITS, np.float32)
    for number, cells in merged.items():
        spread = cells[where.payload] * payload_signs(secret, found.look, number)
        soft += np.bincount(where.coded, spread, code.CODED_BITS).astype(np.float32)
    mark_id, agreement = code.decode(soft)
    check = _agreement(secret, found.look, mark_id, merged, where)
    own = weight_TA[np.arange(len(states)), states]
    signed = (own * turns) @ cells_TC[:, where.sync]
    sync_score = float(signed @ sync / max(float(np.linalg.norm(signed)), 1e-9))
    return Decoded(mark_id, agreement, check, sync_score, found, fields, turns, cells_TC)


def _agreement(secret: bytes, look: int, mark_id: int, merged: dict[int, NDArray[np.float32]], where: Layout) -> float:
    total = power = 0.0
    for number, cells in merged.items():
        part = cells[where.check]
        total += float(part @ check_signs(secret, look, number, mark_id))
        power += float(part @ part)
    return total / max(power, 1e-9) ** 0.5


def still_scores(secret: bytes, decoded: Decoded, *, whole: bool) -> NDArray[np.float32]:
    """Return how each still agrees with what it should hold, in standard deviations ``[T]``.

    whole: expect all shares, as follows from the id; else only sync and tag.
    """
    where = layout(secret)
    coded = code.encode(decoded.mark_id)
    scores = np.zeros(len(decoded.fields), np.float32)
    known: dict[tuple[int, int], NDArray[np.float32]] = {}
    for still, (number, turn) in enumerate(zip(decoded.fields, decoded.turns, strict=True)):
        key = int(number), int(turn)
        if key not in known:
            cells = field_signs(
                secret, decoded.found.look, key[0], turned=key[1], mark_id=decoded.mark_id, coded_K=coded
            )
            if not whole:
                cells[where.payload] = 0
                cells[where.check] = 0
            known[key] = cells
        expected = known[key]
        scores[still] = decoded.cells[still] @ expected / np.count_nonzero(expected) ** 0.5
    return scores
