"""Looks for a badge's letters anywhere in a frame, by normalised correlation."""

# H W pixels of the reduced frame, N templates, C colours

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .badge_lettering import Layout, lay_out, letter

SIDE = 288
"""Pixels of the short side that frames are reduced to: letters are then 12 pixels high."""

_FLOOR = 6.0
"""Grey levels; a ground with less contrast is taken as flat, so that its noise is not blown up to letters."""

_CLIP = 3.0
_HALO = 0.5


class Template(NamedTuple):
    """What to look for: its spectrum over the reduced frame, its size, and the root of its energy."""

    spectrum_HW: Tensor  # noqa: N815
    height: int
    width: int
    norm: float


class Spotter:
    """Looks for several texts at once, so that the right one can be held against others.

    Args:
        texts: from `check_text`, none empty.
        logo_HWC4: beside the text, uint8 ``[h, w, 4]``, or None; it changes the layout and is not looked for itself.
        width, height: of the frames, pixels; they tell the letters' size, whatever the film was resized to.
        letter_height: see `BadgeConfig`.

    Source: normalised cross-correlation (J. P. Lewis, "Fast normalized cross-correlation", 1995) of frames whose
    local mean is taken away and whose local contrast is made even, so that bright edges do not outweigh letters.
    """

    def __init__(
        self, texts: Sequence[str], logo_HWC4: Tensor | None, *, width: int, height: int, letter_height: float
    ) -> None:
        """Draw the templates."""
        scale = SIDE / min(width, height)
        self._size = (round(height * scale), round(width * scale))
        # lengths of 32 k are quick to transform; what is added is never part of a window
        self._padded = (-(-self._size[0] // 32) * 32, -(-self._size[1] // 32) * 32)
        self._templates = []
        for text in texts:
            layout = lay_out(text, logo_HWC4, width=width, height=height, letter_height=letter_height, strict=False)
            self._templates.append(self._template(layout, logo_HWC4, scale))

    def _template(self, layout: Layout, logo_HWC4: Tensor | None, scale: float) -> Template:
        drawn = letter(layout, logo_HWC4, scale=scale)
        image_HW = drawn.ink() - _HALO * drawn.halo_HW
        # a logo stands left of the letters
        wide = min(round((layout.width - layout.logo_width) * scale), image_HW.shape[1])
        image_HW = image_HW[:, image_HW.shape[1] - wide :]
        image_HW = image_HW[: self._size[0], : self._size[1]]
        image_HW = image_HW - image_HW.mean()
        canvas_HW = torch.zeros(self._padded)
        canvas_HW[: image_HW.shape[0], : image_HW.shape[1]] = image_HW
        norm = float(image_HW.norm())
        spectrum_HW = torch.fft.rfft2(canvas_HW).conj()
        return Template(spectrum_HW, image_HW.shape[0], image_HW.shape[1], max(norm, 1e-6))

    def reduce(self, frame_HWC: Tensor) -> Tensor:
        """Return the frame's even grey image, float32 ``[H, W]``, for a frame uint8 ``[height, width, 3]``."""
        small = F.interpolate(
            luma(frame_HWC)[None, None], size=self._size, mode="bilinear", antialias=True, align_corners=False
        )
        flat = small - _box_mean(small)
        even = flat / (_box_mean(flat * flat) + _FLOOR**2).sqrt()
        return even[0, 0].clamp(-_CLIP, _CLIP)

    def peaks(self, even_HW: Tensor) -> Tensor:
        """Return how well each text is found where it is found best, float32 ``[N]``, 0 to 1, for a reduced frame.

        White letters on dark ground and dark ones on white count alike.
        """
        canvas_HW = F.pad(even_HW, (0, self._padded[1] - even_HW.shape[1], 0, self._padded[0] - even_HW.shape[0]))
        spectrum_HW = torch.fft.rfft2(canvas_HW)
        sums_HW = F.pad(even_HW.double(), (1, 0, 1, 0)).cumsum(0).cumsum(1)
        squares_HW = F.pad(even_HW.double() ** 2, (1, 0, 1, 0)).cumsum(0).cumsum(1)
        found = []
        for template in self._templates:
            rows, columns = self._size[0] - template.height + 1, self._size[1] - template.width + 1
            match_HW = torch.fft.irfft2(spectrum_HW * template.spectrum_HW, s=self._padded)[:rows, :columns]
            count = template.height * template.width
            mean_HW = _windows(sums_HW, template.height, template.width) / count
            spread_HW = _windows(squares_HW, template.height, template.width) - mean_HW**2 * count
            energy_HW = spread_HW.clamp_min(0.02 * count).sqrt().float()
            found.append((match_HW.abs() / (energy_HW * template.norm)).amax())
        return torch.stack(found)


def luma(frame_HWC: Tensor) -> Tensor:
    """Return how bright a frame is, float32 ``[height, width]``, 0 to 255."""
    return frame_HWC.float() @ torch.tensor([0.299, 0.587, 0.114])


def _box_mean(image: Tensor) -> Tensor:
    rows = F.avg_pool2d(image, (15, 1), stride=1, padding=(7, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, 15), stride=1, padding=(0, 7), count_include_pad=False)


def _windows(sums_HW: Tensor, height: int, width: int) -> Tensor:
    return sums_HW[height:, width:] - sums_HW[:-height, width:] - sums_HW[height:, :-width] + sums_HW[:-height, :-width]
