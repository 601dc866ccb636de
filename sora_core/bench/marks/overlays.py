"""Attacks that lay something over the picture, put it into another, or film it from a screen."""

# F frames, H W height and width in pixels, 3 RGB

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .codecs import H264, recode
from .geometry import even, in_pieces, resized, tilted
from .looks import blurred, gamma, noisy


def captioned(frames_FHWC: Tensor, rng: torch.Generator) -> Tensor:
    """Return frames with three lines of bold white blocks like a caption's words, over the lower part."""
    done = frames_FHWC.clone()
    height, width = done.shape[1:3]
    letter = max(3, height // 40)
    for line in range(3):
        top = round(height * (0.68 + 0.09 * line))
        left = round(width * 0.1)
        while left < width * 0.88:
            wide = round(letter * (0.5 + float(torch.rand((), generator=rng))))
            done[:, max(0, top - 2) : top + 2 * letter + 2, left - 2 : left + wide + 2] = 0
            done[:, top : top + 2 * letter, left : left + wide] = 255
            left += wide + letter // 2 + 2
    return done


def letterboxed(frames_FHWC: Tensor, share: float) -> Tensor:
    """Return frames made smaller to that share of both sides, in the middle of a black frame of the old size."""
    height, width = frames_FHWC.shape[1:3]
    small = resized(frames_FHWC, even(width * share), even(height * share))
    left, top = (width - small.shape[2]) // 2, (height - small.shape[1]) // 2
    done = torch.zeros_like(frames_FHWC)
    done[:, top : top + small.shape[1], left : left + small.shape[2]] = small
    return done


def barred(frames_FHWC: Tensor, share: float) -> Tensor:
    """Return frames with black bars of that share of the height at the top and at the bottom."""
    bar = round(frames_FHWC.shape[1] * share)
    done = frames_FHWC.clone()
    done[:, :bar] = 0
    done[:, len(done[0]) - bar :] = 0
    return done


def with_inset(frames_FHWC: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Return frames with another picture, of that share of both sides, over a corner."""
    height, width = frames_FHWC.shape[1:3]
    rows, columns = even(height * share), even(width * share)
    other = torch.rand(1, 3, 9, 16, generator=rng)
    other = F.interpolate(other, (rows, columns), mode="bicubic").mul(255).clamp(0, 255).to(torch.uint8)
    done = frames_FHWC.clone()
    top = (height - rows) * int(torch.randint(2, (), generator=rng))
    left = (width - columns) * int(torch.randint(2, (), generator=rng))
    done[:, top : top + rows, left : left + columns] = other[0].movedim(0, -1)
    return done


def filmed_from_screen(frames_FHWC: Tensor, fps: float, rng: torch.Generator) -> Tensor:
    """Return a simulation of a screen that was filmed: aside, moire, the lens, gamma, noise, H.264 at CRF 28.

    The perspective is 0.06, the stripes are 3 % strong and 2.7 pixels wide at an angle, all our own choice.
    """
    height, width = frames_FHWC.shape[1:3]
    down, across = torch.arange(height)[:, None], torch.arange(width)[None]
    stripes_HW = 1 + 0.03 * torch.sin(2.33 * across + 0.21 * down) * torch.sin(2.29 * down - 0.17 * across)
    seen = tilted(frames_FHWC, 0.06, rng)
    seen = in_pieces(seen, lambda planes: planes * stripes_HW)
    seen = noisy(gamma(blurred(seen, 0.7), 1.1), 3.0, rng)
    return recode(seen, fps, H264, 28)


def filled(frames_FHWC: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Return frames with a rectangle, of that share of both sides, painted over from its borders.

    Each pixel is the mean of the four border pixels in its row and column, weighted by nearness; a stand-in for an
    inpainting network, which would also leave nothing of a mark inside.
    """
    height, width = frames_FHWC.shape[1:3]
    rows, columns = even(height * share), even(width * share)
    top = 1 + int(torch.randint(max(1, height - rows - 2), (), generator=rng))
    left = 1 + int(torch.randint(max(1, width - columns - 2), (), generator=rng))
    down = ((torch.arange(rows) + 1) / (rows + 1))[:, None]
    right = ((torch.arange(columns) + 1) / (columns + 1))[None]
    near = torch.stack(torch.broadcast_tensors(1 / down, 1 / (1 - down), 1 / right, 1 / (1 - right)))
    above, under, before, behind = near / near.sum(0)
    done = frames_FHWC.clone()
    for frame_HW3 in done:
        whole = frame_HW3.float()
        box = (slice(top, top + rows), slice(left, left + columns))
        filling = (
            above[..., None] * whole[top - 1, box[1]][None]
            + under[..., None] * whole[min(top + rows, height - 1), box[1]][None]
            + before[..., None] * whole[box[0], left - 1][:, None]
            + behind[..., None] * whole[box[0], min(left + columns, width - 1)][:, None]
        )
        frame_HW3[box] = filling.round_().to(torch.uint8)
    return done
