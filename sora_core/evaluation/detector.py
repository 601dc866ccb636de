"""What a clip shows, from its frames and sound alone.

Classical and untrained: background subtraction, least-squares templates and fitted paths. It shares the world's
palette, outlines and scenery with the renderer and nothing with the model.
"""

# F frames, H W pixels, S samples, N pixels of the actor, C colours

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..types import SAMPLE_RATE, Clip
from ..world.scenery import SCENERY
from ..world.shapes import SHAPES
from ..world.spec import COLOURS, SIZES, Level
from .camera import STILL, CameraMotion, estimate_camera, name_camera, one_motion, steady
from .contacts import Segment, find_contacts, find_rebounds, split_track
from .counting import count_actors
from .identity import Look, look_at
from .materials import name_material
from .onsets import find_onsets, is_silent
from .pairs import Collision, centres, find_collision, find_edges, sort_out
from .segmentation import Segmentation, at_work_height, take_apart
from .shapes import OTHER_RADII, RADII, ShapeMatch, match_shape, settle
from .tracking import Track, classify, heights, track, whole, within, without
from .turning import TURNS, TURNS_IN_SNOW, turning
from .weather import find_falling, name_weather, opened

LEAST_SEEN = 0.25
"""Share of the frames in which something must be seen before it is named."""

LEAST_WHOLE_FRAMES = 3
"""Frames that must show each of two actors whole for both to be measured."""

LEAST_EXPLAINED = 0.10
"""Share of the picture's difference from the background that an object must explain to be named."""


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What was seen and heard; None and empty where nothing was.

    contacts, onsets: seconds, ascending. segments: the flights and rests of the path's height. rebounds: speeds into
    and out of the contacts between two flights. seen: seconds of the first and last frame in which the actor is seen.
    path: its x and y in the world ``[F, 2]``, frame heights, from then on. look: of the actor. moved: how the camera
    moved. material: heard in the impacts. other: colour and object of a second actor, the slower one before the two
    meet; other_radius: its size, None where either is never whole in the frame; collision: the speeds of first and
    second. counts: see `counting.count_actors`.
    """

    colour: str | None = None
    object: str | None = None
    size: str | None = None
    motion: str | None = None
    direction: str | None = None
    scene: str | None = None
    camera: str | None = None
    weather: str | None = None
    material: str | None = None
    other: str | None = None
    radius: float | None = None
    other_radius: float | None = None
    collision: Collision | None = None
    moved: CameraMotion = STILL
    contacts: np.ndarray = field(default_factory=lambda: np.zeros(0))
    onsets: np.ndarray = field(default_factory=lambda: np.zeros(0))
    segments: list[Segment] = field(default_factory=list)
    path: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    rebounds: tuple[tuple[float, float], ...] = ()
    counts: tuple[int, ...] = ()
    seen: tuple[float, float] | None = None
    silent: bool = True
    look: Look | None = None


class _Named(NamedTuple):
    """An actor looked at closely."""

    path: Track
    colour: str
    match: ShapeMatch | None

    @property
    def object(self) -> str | None:
        """Its kind, where it is like any."""
        return self.match.object if self.match and self.match.explained >= LEAST_EXPLAINED else None


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
        heard = self._listen(clip)
        picture = at_work_height(clip.frames)
        moved, shown, camera = STILL, None, "still"
        if len(self.level.cameras) > 1:
            seconds, aspect = len(picture) / clip.fps, picture.shape[2] / picture.shape[1]
            moved = estimate_camera(picture, clip.fps)
            camera = name_camera(moved, seconds, aspect)
            if camera != "still":
                picture, shown = steady(picture, one_motion(moved, seconds, aspect), clip.fps)
        parts = take_apart(picture, self.scenes, shown)
        alpha, weather = parts.alpha, "clear"
        if len(self.level.weathers) > 1:
            weather = name_weather(find_falling(parts))
            # Streaks, flakes and strings are thinner than any actor.
            alpha = opened(alpha)
        path = track(alpha)
        found = replace(heard, scene=parts.scene, camera=camera, weather=weather, moved=moved)
        found = replace(found, counts=count_actors(alpha, shown))
        if path.seen.float().mean() < LEAST_SEEN:
            return found
        if "collide" in self.level.motions:
            size = alpha.shape[1:]
            other = track(without(alpha, path))
            pair = sort_out(within(path, shown, size), within(other, shown, size))
            if pair is not None:
                sides = find_edges(alpha, shown), centres(*pair)
                collision = next(filter(None, (find_collision(*two, clip.fps) for two in sides)), None)
                if collision is not None:
                    seen = self._collided(found, parts, clip.fps, pair, collision)
                    cut = any(int(whole(one, shown, size).sum()) < LEAST_WHOLE_FRAMES for one in pair)
                    return replace(seen, other_radius=None) if cut else seen
        return self._alone(found, parts, clip.fps, within(path, shown, alpha.shape[1:]))

    def _listen(self, clip: Clip) -> Detection:
        if clip.audio is None:
            return Detection()
        audio_S = clip.audio.detach().float().cpu().numpy().reshape(-1)
        onsets = find_onsets(audio_S, SAMPLE_RATE)
        material = name_material(audio_S, SAMPLE_RATE, onsets) if len(self.level.materials) > 1 else None
        return Detection(onsets=onsets, silent=is_silent(audio_S), material=material)

    def _alone(self, found: Detection, parts: Segmentation, fps: float, path: Track) -> Detection:
        """Add what there is to say of one actor."""
        actor = self._look(parts, path)
        x_F, y_F, first = heights(actor.path)
        start = first / fps
        segments = split_track(y_F, fps)
        contacts = find_contacts(segments, fps)
        least = TURNS_IN_SNOW if found.weather == "snow" else TURNS
        turns = "spin" in self.level.motions and turning(parts, actor.path, fps) > least
        motion, direction = classify(x_F, y_F, contacts, fps, motions=self.level.motions, turns=turns)
        return replace(
            self._told(found, parts, actor),
            motion=motion,
            direction=direction,
            contacts=contacts + start,
            segments=segments,
            rebounds=tuple(find_rebounds(segments, fps)),
            path=np.stack([x_F, y_F], 1),
            seen=(start, start + (len(y_F) - 1) / fps),
        )

    def _collided(
        self, found: Detection, parts: Segmentation, fps: float, pair: tuple[Track, Track], collision: Collision
    ) -> Detection:
        """Add what there is to say of two actors that meet; the faster one before is the first."""
        left_first = abs(collision.before[0]) >= abs(collision.before[1])
        one, other = pair if left_first else pair[::-1]
        first, second = self._look(parts, one), self._look(parts, other, OTHER_RADII)
        if not left_first:
            collision = collision.reversed()
        x_F, y_F, begin = heights(first.path)
        start = begin / fps
        return replace(
            self._told(found, parts, first),
            motion="collide",
            direction="",
            other=f"{second.colour} {second.object}" if second.object else None,
            other_radius=second.match.radius if second.match else None,
            collision=collision,
            contacts=np.array([collision.time]),
            path=np.stack([x_F, y_F], 1),
            seen=(start, start + (len(y_F) - 1) / fps),
        )

    def _look(self, parts: Segmentation, path: Track, radii: tuple[float, ...] = RADII) -> _Named:
        colour = name_colour(parts, path)
        match = match_shape(parts, path, colour, self.objects, radii)
        if match is not None:
            path = path._replace(centre=settle(parts, path.centre, match, colour))
        return _Named(path, colour, match)

    @staticmethod
    def _told(found: Detection, parts: Segmentation, actor: _Named) -> Detection:
        return replace(
            found,
            colour=actor.colour,
            object=actor.object,
            size=name_size(actor.match.radius) if actor.match and actor.object else None,
            radius=actor.match.radius if actor.match else None,
            look=look_at(parts, actor.path),
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
