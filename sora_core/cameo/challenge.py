"""What a person is asked to say and do on camera, and the little that can be checked of it without a model."""

# F frames, f frames of a piece, H W pixels, C sound channels, S samples

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import SoraError

if TYPE_CHECKING:
    from ..editing.film import Film

TURNS = ("left", "right", "up", "down")
DIGITS, NUM_TURNS = 6, 3
SECONDS = 60.0
"""Longest recording: what is asked takes about ten."""
SHORTEST = 3.0
HAND_IN = 15 * 60
"""Seconds from the challenge until its recording must be here (our decision: a minute to record, the rest to copy)."""

_QUIET = 1e-3
_STILL = 0.3
_CUT = 40.0
_GRID = 16
_MOST_FRAMES = 8000


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """One demand. nonce: 32 hex digits. digits: to be read aloud. turns: of the head, in this order. issued: Unix s."""

    nonce: str
    digits: str
    turns: tuple[str, ...]
    issued: int

    @property
    def text(self) -> str:
        """The demand in words."""
        return (
            f"record yourself in one take of {SHORTEST:g} to {SECONDS:g} seconds, face in the middle, with sound: say "
            f"the digits {' '.join(self.digits)}, then turn your head {', '.join(self.turns)}"
        )

    def record(self) -> dict[str, Any]:
        """Return it as it is kept and hashed."""
        return {"nonce": self.nonce, "digits": self.digits, "turns": list(self.turns), "issued": self.issued}


@dataclass(frozen=True, kw_only=True)
class Checks:
    """What was found in a recording. duration_s: its length. loudness: root mean square of its sound in [0, 1].
    motion, jump: middle and largest change between neighbouring frames, in levels of 255.

    None of it shows that a living person was filmed; a person must look and listen.
    """

    duration_s: float
    loudness: float
    motion: float
    jump: float

    def record(self) -> dict[str, int]:
        """Return it in thousandths, as whole numbers."""
        return {name: round(value * 1000) for name, value in vars(self).items()}


def draw_challenge(secret: bytes, issued: int) -> Challenge:
    """Return a fresh demand: HMAC-SHA256 of a random nonce under the ledger's secret chooses it."""
    return challenge_of(secret, secrets.token_hex(16), issued)


def challenge_of(secret: bytes, nonce: str, issued: int) -> Challenge:
    """Return the demand that belongs to a nonce."""
    drawn = hmac.new(secret, b"sora-nodes cameo challenge v1" + bytes.fromhex(nonce), hashlib.sha256).digest()
    number = int.from_bytes(drawn, "big")
    number, digits = divmod(number, 10**DIGITS)
    left, turns = list(TURNS), []
    for _ in range(NUM_TURNS):
        number, place = divmod(number, len(left))
        turns.append(left.pop(place))
    return Challenge(nonce=nonce, digits=f"{digits:0{DIGITS}d}", turns=tuple(turns), issued=issued)


def check_recording(film: Film) -> Checks:
    """Return what a recording holds, if it can be an answer at all.

    Args:
        film: the recording, any size and rate.

    Raises:
        SoraError: it is too short or long, silent, a still, or cut.
    """
    seconds = film.num_frames / film.fps
    if not SHORTEST <= seconds <= SECONDS or film.num_frames > _MOST_FRAMES:
        raise SoraError(
            f"the recording is {seconds:.1f} s long ({film.num_frames} frames); make one of {SHORTEST:g} to "
            f"{SECONDS:g} s"
        )
    sound_CS = film.sound() if film.channels else None
    loudness = 0.0 if sound_CS is None or not sound_CS.numel() else float(sound_CS.square().mean().sqrt())
    if not loudness >= _QUIET:
        raise SoraError("the recording holds no sound; record again with the microphone on, and read the digits aloud")
    changes = sorted(_changes(film))
    motion, jump = (changes[len(changes) // 2], changes[-1]) if changes else (0.0, 0.0)
    if sum(changes) / max(1, len(changes)) < _STILL:
        raise SoraError("the recording does not move; record a film, not a picture, and turn your head as asked")
    if jump > _CUT:
        raise SoraError("the recording is cut, for one frame has nothing of the one before; record it in one take")
    return Checks(duration_s=seconds, loudness=loudness, motion=motion, jump=jump)


def _changes(film: Film) -> Iterator[float]:
    """Yield the mean change of grey from each frame to the next on a grid of 16 x 16, in levels of 255."""
    import torch

    before = None
    for piece_fHWC in film.frames():
        grey_fHW = piece_fHWC.float().mean(-1)
        small_fhw = torch.nn.functional.adaptive_avg_pool2d(grey_fHW[:, None], _GRID)[:, 0]
        for frame_hw in small_fhw:
            if before is not None:
                yield float((frame_hw - before).abs().mean())
            before = frame_hw
