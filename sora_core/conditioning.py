"""What a clip must keep: latents that are given, a mask that says which, and reference pictures.

One mechanism serves every task. A kept token enters the model clean, at noise level 0, and comes back as it went in;
image to video, first and last frame, extending, looping, sound for a picture and a picture for a sound differ only in
which tokens are kept (per-token noise levels, after Chen et al., "Diffusion Forcing", arXiv 2407.01392).
"""

# B batch, C channels, T latent frames, H W latent cells, A audio latents, K kept latent frames, p q 1 or H, 1 or W

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import SoraError
from .types import AUDIO_CHANNELS, PATCH, TEMPORAL_RATIO, VIDEO_CHANNELS, AVLatent, LatentShape

MAX_REFERENCES = 2


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Latents to keep. A mask value is the share of the noise that its token gets: 1 generates, 0 keeps.

    Values between start from the given latent under that much noise and stay near it (a remix of that strength).

    A mask finer than the tokens (2 x 2 cells) is honoured: the token is generated whole, while its kept cells run down
    the straight line that ends in the given latent.

    Args:
        video: float32 ``[B or 1, 16, T, H, W]``, normalised; anything where the mask is 1.
        video_mask: float in [0, 1], ``[T]``, ``[T, H, W]`` or ``[B or 1, T, 1 or H, 1 or W]``; needed with ``video``.
        audio: float32 ``[B or 1, 32, A, 1]``.
        audio_mask: float in [0, 1], ``[A]`` or ``[B or 1, A]``; needed with ``audio``.
        references: up to two pictures as latents ``[B or 1, 16, 1, h, w]`` of any size on the grid, best first; they
            show who is to appear and stand outside the clip's time.

    Raises:
        SoraError: a shape, a mask value or a number of references that the model cannot take.
    """

    video: Tensor | None = None
    video_mask: Tensor | None = None
    audio: Tensor | None = None
    audio_mask: Tensor | None = None
    references: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what does not fit together and bring both masks to their full number of axes."""
        if (self.video is None) != (self.video_mask is None) or (self.audio is None) != (self.audio_mask is None):
            raise SoraError("kept latents and their mask belong together; give both or neither")
        if self.video is not None and self.video_mask is not None:
            _check_video(self.video, "kept video")
            object.__setattr__(self, "video_mask", _full_mask(self.video_mask, self.video, "video_mask"))
        if self.audio is not None and self.audio_mask is not None:
            if self.audio.ndim != 4 or self.audio.shape[1] != AUDIO_CHANNELS or self.audio.shape[3] != 1:
                raise SoraError(f"kept audio is {tuple(self.audio.shape)}; it must be [clips, {AUDIO_CHANNELS}, A, 1]")
            object.__setattr__(self, "audio_mask", _full_mask(self.audio_mask, self.audio, "audio_mask"))
        if len(self.references) > MAX_REFERENCES:
            raise SoraError(f"{len(self.references)} references were given; the model takes up to {MAX_REFERENCES}")
        for reference in self.references:
            _check_video(reference, "a reference")
            if reference.shape[2] != 1:
                raise SoraError(f"a reference has {reference.shape[2]} latent frames; encode a single picture instead")

    def keep_video(self, latent_BCKHW: Tensor, start: int, frames: int) -> Conditions:
        """Return these conditions with ``latent_BCKHW`` kept from latent frame ``start`` on.

        Args:
            latent_BCKHW: whole latent frames of the clip's own height and width.
            start: first latent frame; negative counts from the clip's end.
            frames: latent frames of the whole clip, T.

        Raises:
            SoraError: the frames do not lie inside the clip or have another size than those kept already.
        """
        _check_video(latent_BCKHW, "kept video")
        kept = latent_BCKHW.shape[2]
        start = _start(start, kept, frames, "latent frames")
        if self.video is None or self.video_mask is None:
            video = latent_BCKHW.new_zeros(*latent_BCKHW.shape[:2], frames, *latent_BCKHW.shape[3:])
            mask = latent_BCKHW.new_ones(1, frames, 1, 1)
        else:
            if self.video.shape[2:] != (frames, *latent_BCKHW.shape[3:]):
                raise SoraError(
                    f"kept video of {tuple(latent_BCKHW.shape[3:])} cells in {frames} latent frames does not fit "
                    f"the {tuple(self.video.shape[2:])} kept already; encode both at the clip's size"
                )
            batch = max(len(self.video), len(latent_BCKHW))
            video = self.video.expand(batch, -1, -1, -1, -1).clone()
            mask = self.video_mask.clone()
        video[:, :, start : start + kept] = latent_BCKHW
        mask[:, start : start + kept] = 0
        return replace(self, video=video, video_mask=mask)

    def keep_audio(self, latent_BCK1: Tensor, start: int, latents: int) -> Conditions:
        """Return these conditions with ``latent_BCK1`` kept from audio latent ``start`` on (40 ms each).

        Args:
            start: first audio latent; negative counts from the clip's end.
            latents: audio latents of the whole clip, A.

        Raises:
            SoraError: the latents do not lie inside the clip.
        """
        kept = latent_BCK1.shape[2]
        start = _start(start, kept, latents, "audio latents")
        if self.audio is None or self.audio_mask is None:
            audio = latent_BCK1.new_zeros(*latent_BCK1.shape[:2], latents, 1)
            mask = latent_BCK1.new_ones(1, latents)
        else:
            audio = self.audio.expand(max(len(self.audio), len(latent_BCK1)), -1, -1, -1).clone()
            mask = self.audio_mask.clone()
        audio[:, :, start : start + kept] = latent_BCK1
        mask[:, start : start + kept] = 0
        return replace(self, audio=audio, audio_mask=mask)

    def scaled(self, video: float, audio: float) -> Conditions:
        """Return these conditions with every token's share of the noise times a factor, for a run that starts lower.

        Raises:
            SoraError: a factor below 1, and no latents to start from.
        """
        if video == audio == 1:
            return self
        if self.video is None and self.audio is None:
            raise SoraError("a strength below 1 varies a clip, and none was given; give its latents, or strength 1")
        return replace(
            self,
            video_mask=None if self.video_mask is None else self.video_mask * video,
            audio_mask=None if self.audio_mask is None else self.audio_mask * audio,
        )

    def to(self, device: torch.device | str) -> Conditions:
        """Return the same conditions as float32 on ``device``."""

        def moved(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.to(device, torch.float32)

        return Conditions(
            video=moved(self.video),
            video_mask=moved(self.video_mask),
            audio=moved(self.audio),
            audio_mask=moved(self.audio_mask),
            references=tuple(reference.to(device, torch.float32) for reference in self.references),
        )

    def hold_video(self, noise_BCTHW: Tensor) -> HeldHalf | None:
        """Return how the picture is held during sampling, or None where nothing is kept.

        Raises:
            SoraError: the kept video has another size than the clip.
        """
        if self.video is None or self.video_mask is None:
            return None
        if self.video.shape[2:] != noise_BCTHW.shape[2:]:
            raise SoraError(
                f"kept video of {tuple(self.video.shape[2:])} latents does not fit a clip of "
                f"{tuple(noise_BCTHW.shape[2:])}; encode it at the clip's size and length"
            )
        mask = self.video_mask
        level = mask
        if mask.shape[2] > 1 or mask.shape[3] > 1:
            mask = mask.expand(-1, -1, *noise_BCTHW.shape[3:])
            # A token has one noise level: that of its noisiest cell.
            level = F.max_pool2d(mask, PATCH).repeat_interleave(PATCH, 2).repeat_interleave(PATCH, 3)
        return _held(self.video, mask.unsqueeze(1), level.unsqueeze(1), noise_BCTHW)

    def hold_audio(self, noise_BCA1: Tensor) -> HeldHalf | None:
        """Return how the sound is held during sampling, or None where nothing is kept.

        Raises:
            SoraError: the kept audio has another length than the clip.
        """
        if self.audio is None or self.audio_mask is None:
            return None
        if self.audio.shape[2] != noise_BCA1.shape[2]:
            raise SoraError(
                f"kept audio of {self.audio.shape[2]} latents does not fit a clip of {noise_BCA1.shape[2]}; "
                "cut or pad the sound to the clip's length"
            )
        mask_B1A1 = self.audio_mask[:, None, :, None]
        return _held(self.audio, mask_B1A1, mask_B1A1, noise_BCA1)


class HeldHalf(NamedTuple):
    """One half's conditions, ready for the sampling loop; every tensor broadcasts to that half.

    clean: the given latents. level: each token's noise level over the step's. kept: where to give ``clean`` back.
    line: ``noise - clean``, the known velocity of kept cells that share a token with generated ones.
    """

    clean: Tensor
    level: Tensor
    kept: Tensor
    line: Tensor

    def start(self, noise: Tensor) -> Tensor:
        """Return the half at the schedule's start: given latents under each token's own share of the noise."""
        return torch.where(self.level == 1, noise, self.clean + self.level * self.line)

    def velocity(self, predicted: Tensor) -> Tensor:
        """Return the change per step of noise level: the model's for generated cells, the known one for kept cells.

        A token at ``level`` times the step's noise moves at ``level`` times its own velocity, hence a kept token not
        at all.
        """
        return self.level * torch.where(self.kept, self.line, predicted)

    def finish(self, x: Tensor) -> Tensor:
        """Return ``x`` with every kept cell exactly as it was given."""
        return torch.where(self.kept, self.clean, x)


def keep_frames(stills: Mapping[int, Tensor], shape: LatentShape, conditions: Conditions | None = None) -> Conditions:
    """Build conditions from pictures at pixel frames: 0 is the first, ``-1`` the last, any other a keyframe.

    Args:
        stills: latent ``[B or 1, 16, 1, H, W]`` by pixel frame. A latent frame after the first stands for four frames,
            so encode a later picture as a still stretch of film, not as a lone image (see ``Pipeline.encode_image``).
        shape: size of the clip in latents.
        conditions: what to add the pictures to.

    Raises:
        SoraError: a frame outside the clip, or two pictures in one latent frame.
    """
    frames = 1 + (shape.frames - 1) * TEMPORAL_RATIO
    conditions = conditions or Conditions()
    taken: dict[int, int] = {}
    for frame, latent in stills.items():
        if not -frames <= frame < frames:
            raise SoraError(f"keyframe {frame} lies outside the clip; give 0 to {frames - 1}, or -1 for the last")
        place = latent_frame(frame % frames)
        if place in taken:
            raise SoraError(f"keyframes {taken[place]} and {frame} are less than four frames apart; drop one of them")
        taken[place] = frame
        conditions = conditions.keep_video(latent, place, shape.frames)
    return conditions


def keep_prefix(latent: AVLatent, shape: LatentShape) -> Conditions:
    """Build conditions that extend a clip: its last latents become the new clip's first and are kept.

    The video latents must come from a clip that starts with them (encode the tail as a clip of its own), because the
    first latent frame stands for one frame and all later ones for four.
    """
    conditions = Conditions()
    if latent.video is not None:
        conditions = conditions.keep_video(latent.video, 0, shape.frames)
    if latent.audio is not None:
        conditions = conditions.keep_audio(latent.audio, 0, shape.audio)
    return conditions


def keep_whole_video(video_BCTHW: Tensor) -> Conditions:
    """Build conditions that keep the whole picture, for a sound to be made to it."""
    return Conditions().keep_video(video_BCTHW, 0, video_BCTHW.shape[2])


def keep_whole_audio(audio_BCA1: Tensor) -> Conditions:
    """Build conditions that keep the whole sound, for a picture to be made to it."""
    return Conditions().keep_audio(audio_BCA1, 0, audio_BCA1.shape[2])


def latent_frame(frame: int) -> int:
    """Return the latent frame that pixel frame ``frame`` (from 0) belongs to."""
    return -(-frame // TEMPORAL_RATIO)


def _held(clean: Tensor, mask: Tensor, level: Tensor, noise: Tensor) -> HeldHalf:
    """Bring one half's tensors to the noise's device and type."""
    clean, mask, level = clean.to(noise), mask.to(noise), level.to(noise)
    return HeldHalf(clean=clean, level=level, kept=(mask == 0).expand(-1, 1, *noise.shape[2:]), line=noise - clean)


def _start(start: int, kept: int, whole: int, what: str) -> int:
    """Return ``start`` from the clip's beginning."""
    first = start + whole if start < 0 else start
    if not 0 <= first <= whole - kept:
        raise SoraError(f"{kept} kept {what} from {start} on do not fit into a clip of {whole}; keep fewer")
    return first


def _check_video(latent: Tensor, what: str) -> None:
    """Refuse what is not a video latent on the token grid."""
    if latent.ndim != 5 or latent.shape[1] != VIDEO_CHANNELS:
        raise SoraError(f"{what} is {tuple(latent.shape)}; it must be [clips, {VIDEO_CHANNELS}, T, H, W]")
    if latent.shape[3] % PATCH or latent.shape[4] % PATCH:
        raise SoraError(f"{what} of {tuple(latent.shape[3:])} cells must have even sides (pixels in multiples of 16)")


def _full_mask(mask: Tensor, latent: Tensor, name: str) -> Tensor:
    """Return ``mask`` with a batch axis (and for video both spatial axes), refused where it does not fit ``latent``."""
    video = latent.ndim == 5
    if mask.ndim == 1:
        mask = mask[None, :, None, None] if video else mask[None]
    elif mask.ndim == 3:
        mask = mask[None]
    wanted = (len(latent), *latent.shape[2:]) if video else (len(latent), latent.shape[2])
    fits = mask.ndim == len(wanted) and mask.shape[1] == wanted[1]
    if not fits or any(size not in (1, full) for size, full in zip(mask.shape, wanted, strict=True)):
        raise SoraError(f"{name} is {tuple(mask.shape)}; it must fit the latents it masks, {wanted}")
    if not bool(((mask >= 0) & (mask <= 1)).all()):
        raise SoraError(f"{name} must lie in [0, 1]: 1 generates, 0 keeps")
    return mask
