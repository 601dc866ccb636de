"""The visible mark: a small badge that moves over the picture, and a faint texture under all of it."""

# F f frames, H W pixels, h w pixels of the patch around the badge, C colours

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...errors import SoraError
from .badge_config import SHORTEST_SIDE, BadgeConfig
from .badge_draw import SECRET_BYTES, Draw
from .badge_lettering import Lettering, check_logo, check_text, lay_out, letter
from .badge_path import Path, Place
from .badge_texture import Texture

_PAD = 2
"""Pixels around the badge for what warp and fractions of a pixel need."""

_TURN, _SWELL = math.radians(0.5), 0.008
_WAVES_HZ = (0.61, 0.83, 1.07)
_SHAKE = 0.12
"""The warp: turned and swollen at most so far, at these speeds; and each frame shaken by this part of a pixel."""

_GRAINS = 4
_GRAIN = 0.05

_BRIGHT, _DIM = 172.0, 140.0
"""Grey levels of the ground from which letters turn dark, and below which they turn white again."""

_TURNING_S, _FOLLOW_S = 0.25, 0.35
_TINT = 0.12


class Badge:
    """Paints the visible mark into a film that passes by in pieces.

    Args:
        secret: the owner's marking key, 32 bytes.
        mark_id: the clip's id, 64 bits.
        text: up to 32 characters; shown in capitals. May be empty if there is a logo.
        logo_HWC4: uint8 RGBA ``[h, w, 4]``, shown left of the text, or None.
        width, height: of the frames, pixels; the short side at least 240.
        fps: frames per second.
        config: look and movement.

    Raises:
        SoraError: the frame is too small, or text or logo cannot be drawn.

    Source: our decision; see `BadgeConfig`, `Path` and `Texture` for each part.
    """

    def __init__(
        self,
        *,
        secret: bytes,
        mark_id: int,
        text: str,
        logo_HWC4: Tensor | None = None,
        width: int,
        height: int,
        fps: float,
        config: BadgeConfig | None = None,
    ) -> None:
        """Draw the letters and the keyed numbers."""
        assert len(secret) == SECRET_BYTES, len(secret)
        assert fps > 0, fps
        config = config or BadgeConfig()
        if min(width, height) < SHORTEST_SIDE:
            raise SoraError(
                f"a picture of {width}x{height} is too small for a badge; its short side must be {SHORTEST_SIDE} pixels"
                " or more, so scale it up first"
            )
        check_logo(logo_HWC4)
        text = check_text(text, logo=logo_HWC4 is not None)
        layout = lay_out(text, logo_HWC4, width=width, height=height, letter_height=config.letter_height)
        self._lettering = letter(layout, logo_HWC4)
        self._config, self._fps, self._shape = config, fps, (height, width)
        box_height, box_width = self._lettering.distance_HW.shape
        self._box = (box_height + 2 * _PAD, box_width + 2 * _PAD)
        assert self._box[0] <= height, (self._box, height)
        assert self._box[1] <= width, (self._box, width)
        self._path = Path(
            Draw(secret, mark_id, "path"),
            width=width,
            height=height,
            box_width=self._box[1],
            box_height=self._box[0],
            fps=fps,
            config=config,
        )
        self._texture = (
            Texture(secret, mark_id, width=width, height=height, fps=fps, strength=config.texture)
            if config.texture
            else None
        )
        self._template_Chw = _template(self._lettering)
        self._noise = Draw(secret, mark_id, "frames")
        grains = Draw(secret, mark_id, "grain").bell(_GRAINS, *self._box)
        self._grains_Khw = torch.from_numpy(grains.astype(np.float32)) * _GRAIN
        self._phases = self._noise.uniform(3) * 2 * np.pi
        self._held: list[Tensor] = []
        self._painted = 0
        self._ground: NDArray[np.float64] | None = None
        self._dark, self._darkness = False, 0.0
        self._boxes: list[tuple[int, int, int, int]] = []

    @property
    def boxes(self) -> list[tuple[int, int, int, int]]:
        """Return what was covered in each frame so far: top, left, bottom, right, in pixels."""
        return list(self._boxes)

    def paint(self, frames_FHWC: Tensor) -> Tensor:
        """Take the next piece.

        Args:
            frames_FHWC: uint8 RGB ``[f, H, W, 3]``, f any number; left as it is.

        Returns:
            the frames that are done, uint8 ``[g, H, W, 3]``; up to about a second is held back.
        """
        assert frames_FHWC.dtype == torch.uint8, frames_FHWC.dtype
        assert tuple(frames_FHWC.shape[1:]) == (*self._shape, 3), frames_FHWC.shape
        step = self._path.step
        for frame_HWC in frames_FHWC:
            self._path.see(frame_HWC[::step, ::step, 1].numpy())
            self._held.append(frame_HWC)
        return self._emit(self._path.ready(last=False))

    def finish(self) -> Tensor:
        """Return the rest of the film, uint8 ``[g, H, W, 3]``."""
        return self._emit(self._path.ready(last=True))

    def _emit(self, places: list[Place]) -> Tensor:
        if not places:
            return torch.zeros(0, *self._shape, 3, dtype=torch.uint8)
        frames_FHWC = torch.stack(self._held[: len(places)])
        # a piece that is larger than what is held back would be kept alive by one of its frames
        self._held = [frame_HWC.clone() for frame_HWC in self._held[len(places) :]]
        if self._texture is not None:
            self._texture.lay(frames_FHWC, self._painted)
        for frame_HWC, place in zip(frames_FHWC, places, strict=True):
            self._stamp(frame_HWC, place)
            self._painted += 1
        return frames_FHWC

    def _stamp(self, frame_HWC: Tensor, place: Place) -> None:
        """Paint the badge into one frame, in place."""
        height, width = self._box
        top = min(int(place.top), self._shape[0] - height)
        left = min(int(place.left), self._shape[1] - width)
        self._boxes.append((top, left, top + height, left + width))
        room_hwC = frame_HWC[top : top + height, left : left + width]
        patch_Chw = room_hwC.permute(2, 0, 1).float()
        sampled_Chw = self._sample(place.top - top, place.left - left)
        ink_hw = (0.5 - sampled_Chw[0]).clamp(0, 1)
        light_C, dark_C, busy = self._colours(patch_Chw)
        shift = [int(value * size) for value, size in zip(self._noise.uniform(2), self._box, strict=True)]
        grain_hw = self._grains_Khw[self._painted % _GRAINS].roll(shift, (0, 1))
        ink_C, halo_C = (light_C, dark_C) if self._darkness < 0.5 else (dark_C, light_C)
        # half way between white and dark letters both would be grey, so they sink into the ground and rise again
        seen = abs(1 - 2 * self._darkness) ** 0.5
        opacity = min(self._config.opacity + 0.1 * busy, 1.0) * seen
        halo_hw = sampled_Chw[1] * ((0.42 + 0.25 * busy) * seen)
        patch_Chw = patch_Chw + (halo_C[:, None, None] - patch_Chw) * halo_hw
        if len(sampled_Chw) > 2:
            alpha_hw = sampled_Chw[5] * self._config.opacity
            logo_Chw = sampled_Chw[2:5] * (255 * self._config.opacity)
            patch_Chw = patch_Chw * (1 - alpha_hw) + logo_Chw * (1 + grain_hw)
        ink_hw = ink_hw * (opacity * (1 + grain_hw)).clamp(0, 1)
        patch_Chw = patch_Chw + (ink_C[:, None, None] - patch_Chw) * ink_hw
        room_hwC.copy_(patch_Chw.clamp_(0, 255).round_().permute(1, 2, 0))

    def _sample(self, down: float, across: float) -> Tensor:
        """Return the template moved by fractions of a pixel and slightly warped, ``[C, h, w]``."""
        time_s = self._painted / self._fps
        turn, swell, lean = (
            math.sin(2 * math.pi * hertz * time_s + phase) for hertz, phase in zip(_WAVES_HZ, self._phases, strict=True)
        )
        shake = (self._noise.uniform(2) - 0.5) * (2 * _SHAKE)
        height, width = self._box
        cos, sin = math.cos(turn * _TURN), math.sin(turn * _TURN)
        scale = 1 + swell * _SWELL
        # rows x, y of output-to-template, in grid units of -1 to 1, which differ in length down and across
        theta_23 = torch.tensor(
            [
                [cos * scale, (sin + lean * 0.01) * height / width, -2 * (across + float(shake[1])) / width],
                [-sin * width / height, cos * scale, -2 * (down + float(shake[0])) / height],
            ],
            dtype=torch.float32,
        )
        grid_hw2 = F.affine_grid(theta_23[None], [1, 1, height, width], align_corners=False)
        return F.grid_sample(
            self._template_Chw[None], grid_hw2, mode="bilinear", padding_mode="border", align_corners=False
        )[0]

    def _colours(self, patch_Chw: Tensor) -> tuple[Tensor, Tensor, float]:
        """Return the light and the dark colour, and how busy the ground is, 0 to 1; turns the letters where needed."""
        thin_Chw = patch_Chw[:, ::2, ::2]
        mean_C = thin_Chw.mean(dim=(1, 2)).double().numpy()
        now = np.append(mean_C, float(thin_Chw[1].std()))
        follow = 1 - math.exp(-1 / (self._fps * _FOLLOW_S))
        fresh = self._ground is None
        self._ground = now if self._ground is None else self._ground + follow * (now - self._ground)
        level = float(self._ground[:3] @ (0.299, 0.587, 0.114))
        self._dark = level > (_DIM if self._dark else _BRIGHT)
        goal = float(self._dark)
        step = 1.0 if fresh else 1 / max(self._fps * _TURNING_S, 1)
        self._darkness += float(np.clip(goal - self._darkness, -step, step))
        hue_C = self._ground[:3] - level
        light_C, dark_C = 248 + _TINT * hue_C, 22 + 2 * _TINT * hue_C
        busy = min(float(self._ground[3]) / 40, 1.0)
        return torch.from_numpy(light_C).float().clamp(0, 255), torch.from_numpy(dark_C).float().clamp(0, 255), busy


def _template(lettering: Lettering) -> Tensor:
    """Return distance, halo and, where there is one, the logo, with room around: float32 ``[C, h, w]``."""
    edge = (_PAD, _PAD, _PAD, _PAD)
    far = float(lettering.distance_HW.max())
    layers = [F.pad(lettering.distance_HW, edge, value=far)[None], F.pad(lettering.halo_HW, edge)[None]]
    if lettering.logo_4HW is not None:
        layers.append(F.pad(lettering.logo_4HW, edge))
    return torch.cat(layers)
