"""A film as it passes into its file: drawn large enough, with its badge, its ids in picture and sound, and hashed."""

# f frames of a piece, H W height and width, C sound channels, s samples of a piece

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...editing.film import FilmStream, Piece
from ...media.whole_factor import enlarge
from ..fingerprint.picture import PictureHasher
from ..fingerprint.sound import SoundHasher
from .layers import Layers
from .sound import SoundMarker
from .video import VideoMarker

if TYPE_CHECKING:
    from .badge import Badge


@dataclass(frozen=True, kw_only=True)
class Passed:
    """What is known of a film when it has passed: its hashes, and why its sound goes without a mark, if it does."""

    picture_hash: bytes
    sound_hash: bytes
    sound_marked: bool
    sound_reason: str


@dataclass(frozen=True, kw_only=True)
class Carried:
    """The marks that a film carries. mark_id: 64 bits. factor: by which it was drawn larger. The rest: which marks."""

    mark_id: int
    factor: int
    visible: bool
    invisible: bool
    audio: bool
    badge_text: str = ""


@dataclass(kw_only=True, eq=False)
class MarkedFilm:
    """A stream with its marks.

    Args:
        stream: as it was made; read once. layers: which marks. secret: the owner's, 32 bytes. mark_id: 64 bits.

    Raises:
        SoraError: a mark does not fit the picture.
    """

    stream: FilmStream
    layers: Layers
    secret: bytes
    mark_id: int
    factor: int = field(init=False)
    passed: Passed | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Make the markers, so that what does not fit is refused before anything is made."""
        stream, layers = self.stream, self.layers
        self.factor = layers.factor(stream.width, stream.height)
        self.width, self.height = stream.width * self.factor, stream.height * self.factor
        self._badge = self._drawn() if layers.visible else None
        self._video = self._pictured() if layers.invisible else None
        self._sound = self._heard() if layers.invisible and stream.channels else None
        self._picture_hash = PictureHasher(self.width, self.height, stream.fps)
        self._sound_hash = SoundHasher(stream.sample_rate) if stream.channels else None

    def _drawn(self) -> Badge:
        from .badge import Badge

        layers = self.layers
        return Badge(
            secret=self.secret,
            mark_id=self.mark_id,
            text=layers.text,
            logo_HWC4=layers.logo,
            width=self.width,
            height=self.height,
            fps=self.stream.fps,
        )

    def _pictured(self) -> VideoMarker:
        return VideoMarker(
            secret=self.secret, mark_id=self.mark_id, width=self.width, height=self.height, fps=self.stream.fps
        )

    def _heard(self) -> SoundMarker:
        rate, channels = self.stream.sample_rate, self.stream.channels
        return SoundMarker(secret=self.secret, mark_id=self.mark_id, sample_rate=rate, channels=channels)

    def marked(self) -> FilmStream:
        """Return it as a stream; `passed` is there when it has been read to its end."""
        return replace(self.stream, pieces=self._pieces(), width=self.width, height=self.height)

    def carried(self) -> Carried:
        """Return which marks it carries, when it has been read to its end."""
        assert self.passed is not None, "the film was read to its end"
        layers = self.layers
        return Carried(
            mark_id=self.mark_id,
            factor=self.factor,
            visible=layers.visible,
            invisible=layers.invisible,
            audio=self.passed.sound_marked,
            badge_text=layers.text if layers.visible else "",
        )

    def _pieces(self) -> Iterator[Piece]:
        for piece in self.stream.pieces:
            frames = enlarge(piece.frames, self.factor)
            if self._badge is not None:
                frames = self._badge.paint(frames)
            sound = piece.sound
            if self._sound is not None and sound is not None:
                sound = self._sound.mark(sound)
            yield self._out(frames, sound)
        frames = torch.empty((0, self.height, self.width, 3), dtype=torch.uint8)
        if self._badge is not None:
            frames = self._badge.finish()
        sound = self._sound.finish() if self._sound is not None else None
        yield self._out(frames, sound)
        self.passed = Passed(
            picture_hash=self._picture_hash.finish().to_bytes(),
            sound_hash=b"" if self._sound_hash is None else self._sound_hash.finish().to_bytes(),
            sound_marked=self._sound is not None and self._sound.capacity.carries,
            sound_reason="" if self._sound is None or self._sound.capacity.carries else self._sound.capacity.reason,
        )

    def _out(self, frames_FHWC: Tensor, sound_CS: Tensor | None) -> Piece:
        if self._video is not None:
            frames_FHWC = self._video.mark(frames_FHWC)
        self._picture_hash.see(frames_FHWC)
        if self._sound_hash is not None and sound_CS is not None:
            self._sound_hash.see(sound_CS)
        return Piece(frames_FHWC, sound_CS)
