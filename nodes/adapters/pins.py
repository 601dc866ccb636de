"""Pictures and clips at times, out of a node's sockets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...sora_core.editing.film import Film
from ...sora_core.editing.keyframes import Pin, read_times
from ...sora_core.errors import SoraError
from .films import film_from_images, film_of


def pins_of(
    images: Mapping[str, Any] | None,
    image_times: str,
    videos: Mapping[str, Any] | None,
    video_times: str,
    fps: float,
) -> list[Pin]:
    """Return the pins of connected sockets; a batch of pictures is a clip at ``fps``.

    Raises:
        SoraError: nothing is connected, or there are fewer times than pictures or clips.
    """
    pictures = [film_from_images(image, None, fps) for image in _connected(images)]
    clips = [film_of(video) for video in _connected(videos)]
    if not pictures and not clips:
        raise SoraError("no picture and no clip is connected; connect one, or use Sora Empty Latent and Sora Sampler")
    return [*_paired(pictures, image_times, "image"), *_paired(clips, video_times, "video")]


def _connected(sockets: Mapping[str, Any] | None) -> list[Any]:
    return [value for value in (sockets or {}).values() if value is not None]


def _paired(films: list[Film], text: str, what: str) -> list[Pin]:
    if not films:
        return []
    times = read_times(text)
    if len(times) != len(films):
        raise SoraError(
            f"{len(films)} {what}s are connected and {what}_times names {len(times)} times; write one for each, for "
            "example: 0, 1.5, end"
        )
    return [Pin(at_s=at, film=film) for at, film in zip(times, films, strict=True)]
