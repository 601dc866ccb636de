"""The inaudible mark of a sound: 32 bits under a masking model, written while the sound passes and read blind.

The sound is cut into cells of 48 ms and one band each; a keyed sign says whether a cell is made a little louder or
softer than its surroundings, by as much as the masking model allows. Nothing is added to silence. The reader needs the
secret alone: it looks for the pattern at every beginning, speed and pace, and reads the id by soft decoding.
"""

# C channels, S samples, B bands, F bins, T frames, J chips

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ...errors import SoraError
from .reading import SecondReading, State
from .sound_grid import CHIP_S, CYCLE, QUARTERS, band_levels, cells, check_rate, check_sound, shares, spectrogram
from .sound_masking import ear, frames_of, gate, room_db, sound_of
from .sound_pattern import BITS, first_chip, pattern, written
from .sound_search import Aligned, Prepared, aligned, find, prepare_sound

THRESHOLD = 9.6
"""Score from which a mark is there.

Signs are independent of the sound, so a wrong secret's score at one place and word is a standard normal number; 2^32
words at some 200,000 places pass 9.6 less often than once in a million sounds (union bound). Measured, 1,330 pairs of a
sound and a wrong secret: mean 7.5, highest 8.6.
"""

SURE_LEAD = 1.0
"""Lead of each half's word, in standard deviations, from which the id is told."""

CARRIES = 13.0
"""Score that a marked sound must have when it leaves the marker, so that something is left after a codec."""

_BLOCK, _CONTEXT = 256, 64
_FLOOR_DB = -90.0
_EDGE_S = 0.008
_TRIES, _RESERVE = 3, 10 ** (3 / 20)
_HOPELESS = 2.0
_SHORTEST_S = 1.5
_SECOND_SCORE = 2.5
_SURE_SECOND, _LOST_SECOND = 5.0, 1.2
_REACH_S = 0.5


@dataclass(frozen=True, kw_only=True)
class SoundMarkConfig:
    """How a sound is marked and searched.

    Attributes:
        margin_db: how far over (negative: under) the masking threshold the mark may lie.
        most_db: largest change of a bin.
        target_db: how far a cell should stand out of its surroundings; cells that already do are changed less.
        least: score of 2 s under which the mark may go 3 dB higher than ``margin_db``.
        enough: score of 2 s from which they are changed no further, so that broad noise is not changed for nothing.
        slowest, fastest: range of speeds that the reader tries.
    """

    margin_db: float = -3.0
    most_db: float = 6.0
    target_db: float = 4.0
    least: float = 14.0
    enough: float = 20.0
    slowest: float = 0.9
    fastest: float = 1.11

    def __post_init__(self) -> None:
        if not -20.0 <= self.margin_db <= 12.0:
            raise SoraError(f"margin_db {self.margin_db:g} is out of range; use -20 to 12")
        if not 0.5 <= self.slowest <= 1.0 <= self.fastest <= 2.0:
            raise SoraError(f"speeds {self.slowest:g} to {self.fastest:g} cannot be searched; use 0.5-1 to 1-2")


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What a sound can carry. seconds: its length. score: as the reader would find it. carries: is that enough?"""

    seconds: float
    score: float
    carries: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class SoundReading:
    """What was found in a sound.

    Attributes:
        state: present, partial (stretches that could carry it do not) or absent.
        short_id: the 32 bits, None unless both halves of the code are sure.
        score: standard deviations over what a wrong secret gives; threshold: from where it counts.
        bits: the 32 bits as best they can be told, first the highest.
        seconds: each second of the sound.
        speed: of the sound over that when marked. pitch: the same for its frequencies.
    """

    state: State
    short_id: int | None
    score: float
    threshold: float
    bits: tuple[int, ...]
    seconds: tuple[SecondReading, ...]
    speed: float
    pitch: float


class SoundMarker:
    """Marks a sound that passes in pieces; the cuts between them make no difference."""

    def __init__(
        self, *, secret: bytes, mark_id: int, sample_rate: int, channels: int, config: SoundMarkConfig | None = None
    ) -> None:
        """Prepare to mark.

        Args:
            secret: 32 bytes, the owner's marking key.
            mark_id: 64 bits; the sound carries the upper 32.
            sample_rate: Hz, 8,000 to 96,000.
            channels: 1 or 2.
            config: how.

        Raises:
            SoraError: a rate, a number of channels or an id that cannot be.
        """
        check_rate(sample_rate)
        if channels not in {1, 2}:
            raise SoraError(f"sound of {channels} channels cannot be marked; use 1 or 2")
        if not 0 <= mark_id < 1 << 64:
            raise SoraError(f"mark_id {mark_id} is not a number of 64 bits")
        self._config = config or SoundMarkConfig()
        self._rate = sample_rate
        self._channels = channels
        self._sign_BJ = written(pattern(secret), mark_id >> BITS)
        self._first = first_chip(secret, mark_id)
        self._ear = ear(sample_rate)
        self._share_FB = shares(self._ear.hz)
        self._block = _BLOCK * self._ear.hop
        self._context = _CONTEXT * self._ear.hop
        self._held = torch.zeros(channels, self._context)
        self._taken = 0
        self._given = 0
        self._tail = torch.zeros(channels, 4 * self._ear.hop)
        self._match = 0.0
        self._energy = 0.0

    def mark(self, sound_CS: Tensor) -> Tensor:
        """Take a piece, give what is ready: float32 ``[C, s]``, up to 2.6 s behind.

        Raises:
            SoraError: it is not float sound of the channels that were told.
        """
        check_sound(sound_CS, self._rate)
        if sound_CS.shape[0] != self._channels:
            raise SoraError(f"a piece has {sound_CS.shape[0]} channels after {self._channels} were told; keep to one")
        self._taken += sound_CS.shape[1]
        self._held = torch.cat([self._held, torch.nan_to_num(sound_CS.float())], 1)
        return self._ready()

    def finish(self) -> Tensor:
        """Give the rest."""
        owed = self._taken - self._given
        self._held = torch.nn.functional.pad(self._held, (0, self._block + 2 * self._context))
        return self._ready()[:, :owed] if owed else self._held[:, :0]

    @property
    def capacity(self) -> Capacity:
        """What has been marked so far is worth; ask after `finish`."""
        return _capacity(self._taken / self._rate, self._match / math.sqrt(self._energy + 1e-9))

    @property
    def carries(self) -> bool:
        """Whether the sound carries the id; ask after `finish`."""
        return self.capacity.carries

    @property
    def reason(self) -> str:
        """Why it does not, or how well it does."""
        return self.capacity.reason

    def _ready(self) -> Tensor:
        parts = [torch.zeros(self._channels, 0)]
        whole = self._block + 2 * self._context
        while self._held.shape[1] >= whole:
            parts.append(self._one(self._held[:, :whole]))
            self._held = self._held[:, self._block :]
            self._given += self._block
        return torch.cat(parts, 1)

    def _one(self, piece_CS: Tensor) -> Tensor:
        """Return the marked middle of a block with its context."""
        middle = piece_CS[:, self._context : self._context + self._block]
        if not bool(piece_CS.any()):
            self._tail = torch.zeros_like(self._tail)
            return middle
        start_s = (self._given - self._context) / self._rate
        number = math.ceil(start_s / CHIP_S)
        offset_s = number * CHIP_S - start_s
        host_BJ = self._cells(piece_CS, offset_s)
        sign_BJ = self._sign_BJ[:, (torch.arange(host_BJ.shape[1]) + number + self._first) % CYCLE]
        own_J = self._own(start_s + offset_s, host_BJ.shape[1])
        push_BJ = sign_BJ * self._need(host_BJ * sign_BJ)
        spectrum_CFT, room_CFT = self._room(piece_CS)
        strength, match, energy, mark_CS = 1.0, 0.0, 0.0, torch.zeros_like(piece_CS)
        for _ in range(_TRIES):
            mark_CS = self._mark(piece_CS, spectrum_CFT, room_CFT, strength * push_BJ, offset_s)
            value_BJ = self._cells(piece_CS + mark_CS, offset_s)[:, own_J]
            match, energy = float((value_BJ * sign_BJ[:, own_J]).sum()), float(value_BJ.square().sum())
            score = match / math.sqrt(energy + 1e-9)
            wanted = min(max(score, self._config.least), self._config.enough)
            if strength == 1.0 and wanted == score:
                break
            if strength == 1.0 and score < _HOPELESS:
                mark_CS = torch.zeros_like(mark_CS)
                break
            strength = min(strength * max(wanted / max(1e-6, score), 0.3), _RESERVE)
        self._match += match
        self._energy += energy
        return self._joined(piece_CS, mark_CS)

    def _joined(self, piece_CS: Tensor, mark_CS: Tensor) -> Tensor:
        """Return the middle with its mark, faded in from the mark that the block before would have gone on with."""
        begin, end, fade = self._context, self._context + self._block, self._tail.shape[1]
        rise = (torch.arange(fade) + 0.5) / fade
        middle = mark_CS[:, begin:end].clone()
        middle[:, :fade] = middle[:, :fade] * rise + self._tail * (1 - rise)
        self._tail = mark_CS[:, end : end + fade]
        marked = piece_CS[:, begin:end] + middle
        return marked.clamp(-1.0, 1.0) if float(piece_CS.abs().max()) <= 1.0 else marked

    def _own(self, first_s: float, chips: int) -> Tensor:
        """Return which chips begin in the middle of the block, so that each is counted once."""
        begin_s, end_s = self._given / self._rate, min(self._given + self._block, self._taken) / self._rate
        at_s = first_s + torch.arange(chips, dtype=torch.float64) * CHIP_S
        return (at_s >= begin_s - 1e-9) & (at_s < end_s - 1e-9)

    def _cells(self, piece_CS: Tensor, offset_s: float) -> Tensor:
        seen = spectrogram(piece_CS.mean(0), self._rate, floor_db=_FLOOR_DB)
        return cells(band_levels(seen), seen, start_s=offset_s)[:, ::QUARTERS]

    def _need(self, agrees_BJ: Tensor) -> Tensor:
        """Return how much of the room each cell uses: less where the sound already speaks for the mark."""
        target = self._config.target_db
        return ((target - agrees_BJ) / target).clamp(0.15, 1.0)

    def _room(self, piece_CS: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames of a piece and by how many dB each of their bins may change."""
        frames_CFT = frames_of(self._ear, piece_CS)
        most_db, margin_db = self._config.most_db, self._config.margin_db
        return frames_CFT, torch.stack(
            [room_db(self._ear, one, most_db=most_db, margin_db=margin_db) for one in frames_CFT]
        )

    def _mark(self, piece_CS: Tensor, frames_CFT: Tensor, room_CFT: Tensor, push_BJ: Tensor, offset_s: float) -> Tensor:
        model = self._ear
        centre_s = (torch.arange(frames_CFT.shape[2]) * model.hop + model.window / 2) / self._rate - offset_s
        push_FT = self._share_FB @ push_BJ @ _blend(centre_s, push_BJ.shape[1])
        gain = 10 ** (push_FT * room_CFT / 20) - 1
        return gate(piece_CS, sound_of(model, frames_CFT * gain), self._rate)


def _blend(centre_s: Tensor, chips: int) -> Tensor:
    """Return how much each frame is of each chip, ``[J, T]``: 1 inside, a slope of 16 ms at the edges."""
    middle = (torch.arange(chips) + 0.5) * CHIP_S
    away = (centre_s[None] - middle[:, None]).abs()
    return ((CHIP_S / 2 + _EDGE_S - away) / (2 * _EDGE_S)).clamp(0, 1)


def _capacity(seconds: float, score: float) -> Capacity:
    if seconds < _SHORTEST_S:
        return Capacity(
            seconds=seconds, score=score, carries=False, reason=f"it lasts {seconds:.2f} s; 1.5 s are the least"
        )
    if score < CARRIES:
        reason = f"too little of its {seconds:.2f} s is loud and broad enough (score {score:.1f}, needed {CARRIES:g})"
        return Capacity(seconds=seconds, score=score, carries=False, reason=reason)
    return Capacity(seconds=seconds, score=score, carries=True, reason=f"score {score:.1f} of at least {CARRIES:g}")


def sound_capacity(sound_CS: Tensor, sample_rate: int, config: SoundMarkConfig | None = None) -> Capacity:
    """Return whether a whole sound would carry an id, by marking a copy with a secret of its own.

    Raises:
        SoraError: a rate, a shape or a type that no mark is made for.
    """
    check_sound(sound_CS, sample_rate)
    marker = SoundMarker(
        secret=bytes(32), mark_id=0, sample_rate=sample_rate, channels=sound_CS.shape[0], config=config
    )
    marker.mark(sound_CS)
    marker.finish()
    return marker.capacity


def mark_sound(
    sound_CS: Tensor, *, sample_rate: int, secret: bytes, mark_id: int, config: SoundMarkConfig | None = None
) -> Tensor:
    """Return a whole sound marked; see `SoundMarker`."""
    marker = SoundMarker(
        secret=secret, mark_id=mark_id, sample_rate=sample_rate, channels=sound_CS.shape[0], config=config
    )
    return torch.cat([marker.mark(sound_CS), marker.finish()], 1)


def read_sound_mark(
    sound_CS: Tensor,
    *,
    sample_rate: int,
    secret: bytes,
    config: SoundMarkConfig | None = None,
    thorough: bool = True,
) -> SoundReading:
    """Look for a mark, knowing only the secret.

    Args:
        sound_CS: float ``[C, S]``.
        sample_rate: Hz, 8,000 to 96,000.
        secret: 32 bytes.
        config: the range of speeds.
        thorough: try other speeds, and single stretches of long sounds.

    Raises:
        SoraError: a rate, a shape or a type that no mark is made for.
    """
    config = config or SoundMarkConfig()
    prepared = prepare_sound(
        sound_CS, sample_rate=sample_rate, slowest=config.slowest, fastest=config.fastest, thorough=thorough
    )
    return read_prepared_sound(prepared, secret)


def read_prepared_sound(prepared: Prepared, secret: bytes) -> SoundReading:
    """Look for a mark in a sound that `prepare_sound` has made ready for any number of secrets."""
    keyed = pattern(secret)
    found = find(prepared, keyed)
    there = found.score >= THRESHOLD
    seconds, lost = _seconds(aligned(prepared, found), written(keyed, found.short_id), prepared.seen.seconds)
    if not there:
        seconds = tuple(second._replace(present=False) for second in seconds)
    return SoundReading(
        state="absent" if not there else "partial" if lost else "present",
        short_id=found.short_id if there and found.lead >= SURE_LEAD else None,
        score=found.score,
        threshold=THRESHOLD,
        bits=tuple(found.short_id >> shift & 1 for shift in reversed(range(BITS))),
        seconds=seconds,
        speed=1 / found.guess.pace,
        pitch=found.guess.scale,
    )


def _seconds(seen: Aligned, sign_BJ: Tensor, length_s: float) -> tuple[tuple[SecondReading, ...], bool]:
    """Return the score of each second, heard with half a second on both sides, and whether some have lost the mark.

    Two seconds in a row have lost it if they would score at least 5 were they marked like the others, and do not
    score 1.2. A quiet second is not held against the sound.
    """
    match_J = (seen.value * sign_BJ[:, seen.place]).sum(0)
    energy_J = seen.value.square().sum(0)
    middle_J = seen.origin_s + (torch.arange(len(match_J)) + 0.5) * seen.chip_s
    seconds: list[SecondReading] = []
    sums: list[tuple[float, float]] = []
    for start in range(max(1, math.ceil(length_s - 0.25))):
        stop = min(start + 1.0, length_s)
        inside = (middle_J > start - _REACH_S) & (middle_J < stop + _REACH_S)
        match, energy = float(match_J[inside].sum()), float(energy_J[inside].sum())
        score = match / math.sqrt(energy + 1e-9)
        seconds.append(SecondReading(float(start), stop, score, score >= _SECOND_SCORE))
        sums.append((match, energy))
    marked = [both for both, second in zip(sums, seconds, strict=True) if second.present]
    rate = sum(match for match, _ in marked) / (sum(energy for _, energy in marked) + 1e-9)
    lost = [
        rate * math.sqrt(energy) >= _SURE_SECOND and match < _LOST_SECOND * math.sqrt(energy) for match, energy in sums
    ]
    return tuple(seconds), any(one and other for one, other in pairwise(lost))


__all__ = [
    "Capacity",
    "Prepared",
    "SoundMarkConfig",
    "SoundMarker",
    "SoundReading",
    "mark_sound",
    "prepare_sound",
    "read_prepared_sound",
    "read_sound_mark",
    "sound_capacity",
]
