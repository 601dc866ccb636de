"""What a clip shows, from its frames and sound alone.

Classical and untrained: background subtraction, least-squares templates and fitted paths. It shares the world's
palette, outlines and scenery with the renderer and nothing with the model.
"""

# F frames, H W pixels, S samples, N pixels of the actor, C colours

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..types import SAMPLE_RATE, Clip
from ..world.scenery import SCENERY
from ..world.shapes import SHAPES
from ..world.spec import COLOURS, SIZES, Level
from .contacts import Segment, find_contacts, split_track
from .identity import Look, look_at
from .onsets import find_onsets, is_silent
from .segmentation import Segmentation, segment
from .shapes import match_shape, settle
from .tracking import Track, classify, heights, track

LEAST_SEEN = 0.4
"""Share of the frames in which something must be seen before it is named."""

LEAST_EXPLAINED = 0.10
"""Share of the picture's difference from the background that an object must explain to be named."""


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What was seen and heard; None and empty where nothing was.

    contacts, onsets: seconds, ascending. segments: the flights and rests of the path's height. seen: seconds of the
    first and last frame in which the actor is seen. camera: None, since a still camera is assumed. look: of the actor.
    """

    colour: str | None = None
    object: str | None = None
    size: str | None = None
    motion: str | None = None
    direction: str | None = None
    scene: str | None = None
    camera: str | None = None
    radius: float | None = None
    contacts: np.ndarray = field(default_factory=lambda: np.zeros(0))
    onsets: np.ndarray = field(default_factory=lambda: np.zeros(0))
    segments: list[Segment] = field(default_factory=list)
    seen: tuple[float, float] | None = None
    silent: bool = True
    look: Look | None = None


class Detector:
    """Measures clips of one level.

    Args:
        level: the words that may be the answer.
    """

    def __init__(self, level: Level) -> None:
        self.level = level
        self.objects = tuple(name for name in level.objects if name in SHAPES)
        self.scenes = tuple(name for name in level.scenes if name in SCENERY)

    @torch.inference_mode()
    def __call__(self, clip: Clip) -> Detection:
        """Measure one clip of any size and length; what cannot be made out is None, never an error."""
        onsets, silent = np.zeros(0), True
        if clip.audio is not None:
            audio_S = clip.audio.detach().float().cpu().numpy().reshape(-1)
            onsets, silent = find_onsets(audio_S, SAMPLE_RATE), is_silent(audio_S)
        parts = segment(clip.frames, self.scenes)
        path = track(parts.alpha)
        if path.seen.float().mean() < LEAST_SEEN:
            return Detection(scene=parts.scene, onsets=onsets, silent=silent)
        colour = name_colour(parts, path)
        match = match_shape(parts, path.centre, path.seen, colour, self.objects)
        if match is not None:
            path = path._replace(centre=settle(parts, path.centre, match, colour))
        x_F, y_F, first = heights(path)
        start = first / clip.fps
        segments = split_track(y_F, clip.fps)
        contacts = find_contacts(segments, clip.fps)
        motion, direction = classify(x_F, y_F, contacts, clip.fps)
        named = match is not None and match.explained >= LEAST_EXPLAINED
        return Detection(
            colour=colour,
            object=match.object if match and named else None,
            size=name_size(match.radius) if match and named else None,
            motion=motion,
            direction=direction,
            scene=parts.scene,
            radius=match.radius if match else None,
            contacts=contacts + start,
            onsets=onsets,
            segments=segments,
            seen=(start, start + (len(y_F) - 1) / clip.fps),
            silent=silent,
            look=look_at(parts, path),
        )


def name_size(radius: float) -> str:
    """Return the size whose radius is nearest by ratio."""
    return min(SIZES, key=lambda size: abs(np.log(radius / SIZES[size])))


def name_colour(parts: Segmentation, path: Track) -> str:
    """Return the colour of the palette on whose ray through black most of the actor's pixels lie.

    Shading, the dark rim and the dark mark change the brightness of a pixel and leave it on the ray of its colour,
    so each pixel is compared with every colour at its own best brightness.
    """
    height, width = parts.alpha.shape[1:]
    x_W = torch.arange(width) + 0.5
    y_H = torch.arange(height)[:, None] + 0.5
    off_FHW = torch.hypot(x_W - path.centre[:, 0, None, None], y_H - path.centre[:, 1, None, None])
    near = off_FHW < (1.35 * (path.area / torch.pi).sqrt() + 1.5)[:, None, None]
    inside = near & (parts.alpha >= 0.999) & path.seen[:, None, None]
    if not bool(inside.any()):
        inside = near & (parts.alpha > 0.3)
    pixel_N3 = parts.picture[inside]
    return list(COLOURS)[int(colour_votes(pixel_N3).argmax())]


def colour_votes(pixel_N3: Tensor) -> Tensor:
    """Return how much the pixels speak for each colour of the palette, float ``[C]``."""
    palette_C3 = torch.tensor(list(COLOURS.values()), device=pixel_N3.device)
    bright_NC = (pixel_N3 @ palette_C3.T) / palette_C3.square().sum(1)
    bright_NC = bright_NC.clamp(0.5, 1.15)
    off_NC = (pixel_N3[:, None] - (bright_NC[..., None] * palette_C3).clamp(max=1.0)).square().sum(-1)
    return (1.0 / (off_NC + 0.01)).sum(0)
