"""One shot out of a node's sockets."""

# F frames

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...sora_core.editing.engine import Report
from ...sora_core.editing.film import FilmStream
from ...sora_core.editing.keyframes import read_times
from ...sora_core.editing.profile import our_profile
from ...sora_core.editing.shot import make_shot
from ...sora_core.errors import SoraError
from ...sora_core.request import MAX_SEED
from .cues import set_cues
from .films import film_from_images, film_of
from .maker import HostMaker


def with_cues(maker: HostMaker, cues: Mapping[str, Any] | None, times: str) -> HostMaker:
    """Return a maker whose prompt others take over from, where any are connected.

    Args:
        maker: with the first prompt. cues: the others, by socket. times: seconds at which each takes over.

    Raises:
        SoraError: not one time for each, times out of order, or a family that takes one prompt.
    """
    texts = [text for text in (cues or {}).values() if text is not None]
    starts = read_times(times)
    if len(texts) != len(starts):
        raise SoraError(
            f"{len(texts)} cues are connected and cue_times names {len(starts)} times; write one for each, for example: "
            "0.75, 1.5"
        )
    if not texts:
        return maker
    if maker.profile.family != our_profile().family:
        raise SoraError(f"{maker.profile.family} takes one prompt for a clip; disconnect the cues")
    return replace(
        maker,
        positive=set_cues(maker.positive, list(zip(starts, texts, strict=True))),
        negative=set_cues(maker.negative, [(start, maker.negative) for start in starts]),
    )


def shot_of(
    maker: HostMaker,
    *,
    seconds: float,
    width: int,
    height: int,
    fps: float,
    seed: int,
    context: float,
    previous: Any = None,
    image: Any = None,
    video: Any = None,
    report: Report | None = None,
) -> FilmStream:
    """Return a shot as `make_shot` does; fps and context 0 take the model's rate and 1.1 s.

    Args:
        previous, video: VIDEO or None. image: IMAGE or None.
    """
    rate = fps or maker.profile.fps
    return make_shot(
        maker,
        frames=max(1, math.floor(seconds * rate + 0.5)),
        width=width,
        height=height,
        fps=rate,
        seed=seed % (MAX_SEED + 1),
        context=max(1, math.floor(context * rate + 0.5)) if context else None,
        image=None if image is None else film_from_images(image[:1], None, rate),
        video=None if video is None else film_of(video),
        before=None if previous is None else film_of(previous),
        report=report,
    )
