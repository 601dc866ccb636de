"""A storyboard made shot after shot, each of them kept, and joined to one film."""

# F frames, H W pixels

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from ..media.film_file import FileFilm
from ..media.film_writer import write_lossless
from ..media.image import read_image
from .card import Card
from .film import Film, FilmStream, MemoryFilm, Piece
from .maker import Maker
from .one_clip import SHOTS, OneClip, one_clip
from .shot import lead_of, make_shot
from .stitch import Border, stitch
from .store import ShotStore
from .storyboard_plan import ShotPlan, ShotSettings, context_of, frames_of, plan_storyboard, shot_keys

Makers = Callable[[str, Sequence[tuple[float, str]]], Maker]
"""Returns the model with a prompt, and with further prompts and the seconds at which each takes over."""

Told = Callable[[int, int, str], None]
"""Number of a shot, from 1, shots in all, and `MAKING`, `MADE` or `FOUND`."""

MAKING, MADE, FOUND = "making", "made", "found"


def storyboard(
    makers: Makers,
    cards: Sequence[Card],
    settings: ShotSettings,
    *,
    seed: int = 0,
    mode: str = SHOTS,
    fade_s: float | None = None,
    context_s: float | None = None,
    store: ShotStore | None = None,
    report: Told | None = None,
) -> FilmStream:
    """Return a storyboard's film. Shots are made when it is first read, in order, and read back from where they lie.

    A shot in the store is not made again, so a run that was stopped goes on where it was, and gives the same film to
    the bit.

    Args:
        makers: the model by prompt. cards: any that `check_cards` accepts; pictures and videos are paths, films, or
            uint8 ``[H, W, 3]`` arrays.
        settings: all that the makers are set to, by which a shot is found again, and the film's size and rate.
        seed: of cards without one. mode: one of `one_clip.MODES`.
        fade_s: seconds of a fade. context_s: seconds that a run sees of what is there. None takes half a second and
            1.1 s.
        store: where finished shots are kept; None forgets them with the film.
        report: told of each shot.

    Raises:
        SoraError: cards, settings or a mode that cannot be, or a file that cannot be read; at once.
    """
    profile = makers("", ()).profile
    width, height = profile.size(settings.width, settings.height)
    fade, context = frames_of(fade_s, context_s, settings.fps)
    single = one_clip(cards, profile, settings.fps, mode)
    plans = plan_storyboard(cards, profile, settings.fps, seed=seed, fade_frames=fade, context_frames=context)
    if single is not None:
        plans = [_as_plan(single, seed)]
    # a run within a shot sees as much as a shot that goes on from another
    seen = context or context_of(settings.fps, profile)
    cues = single.cues if single else ()
    more = {**settings.more, "context": seen, **({"cues": cues} if cues else {})}
    settled = replace(settings, width=width, height=height, more=more)
    board = _Board(
        makers=makers,
        plans=plans,
        settings=settled,
        cues=cues,
        seen=seen,
        store=store,
        report=report,
        images={plan.index: _picture(plan.image) for plan in plans if plan.image is not None},
        videos={plan.index: _video(plan.video) for plan in plans if plan.video is not None},
        keys=shot_keys(plans, settled),
    )
    sound = profile.sound if makers("", ()).sound else None
    own = next((film for film in board.videos.values() if film.channels), None)
    return FilmStream(
        pieces=board.pieces(),
        num_frames=plans[-1].stop,
        width=width,
        height=height,
        fps=settings.fps,
        **({"sample_rate": sound.rate} if sound else {"sample_rate": own.sample_rate} if own else {}),
        channels=sound.channels if sound else own.channels if own else 0,
    )


def borders_of(plans: Sequence[ShotPlan]) -> list[Border]:
    """Return how each shot but the first begins, for `stitch`."""
    return [
        Border(kind=plan.transition, frames=plan.fade or (lead_of(plan.context) if plan.context else 0))
        for plan in plans[1:]
    ]


@dataclass(frozen=True, kw_only=True)
class _Board:
    """Shots on their way to a film. seen: context of each run, frames. images, videos: by the shot's index."""

    makers: Makers
    plans: Sequence[ShotPlan]
    settings: ShotSettings
    cues: Sequence[tuple[float, str]]
    seen: int
    store: ShotStore | None
    report: Told | None
    images: Mapping[int, Film]
    videos: Mapping[int, Film]
    keys: Sequence[str]

    def pieces(self) -> Iterator[Piece]:
        with ExitStack() as stack:
            store = self.store
            if store is None:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sora-"))
                store = stack.enter_context(ShotStore(Path(folder), 1 << 62))
            films: list[Film] = []
            for plan, key in zip(self.plans, self.keys, strict=True):
                films.append(self._shot(store, plan, key, films[-1] if films else None))
            yield from stitch(films, borders_of(self.plans)).pieces

    def _shot(self, store: ShotStore, plan: ShotPlan, key: str, before: Film | None) -> Film:
        found = store.get(key)
        if found is None:
            self._tell(plan, MAKING)
            # also what was just made is read back, so that a film does not depend on when its shots were made
            made = store.put(key, lambda path: write_lossless(path, self._make(plan, before)))
            self._tell(plan, MADE)
            return FileFilm(made)
        self._tell(plan, FOUND)
        return FileFilm(found)

    def _make(self, plan: ShotPlan, before: Film | None) -> FilmStream:
        settings = self.settings
        return make_shot(
            self.makers(plan.text, self.cues),
            frames=plan.count,
            width=settings.width,
            height=settings.height,
            fps=settings.fps,
            seed=plan.seed,
            context=plan.context or self.seen,
            image=self.images.get(plan.index),
            video=self.videos.get(plan.index),
            before=before if plan.context else None,
        )

    def _tell(self, plan: ShotPlan, state: str) -> None:
        if self.report:
            self.report(plan.index + 1, len(self.plans), state)


def _as_plan(single: OneClip, seed: int) -> ShotPlan:
    return ShotPlan(index=0, start=0, count=single.frames, text=single.text, seed=seed)


def _picture(value: Any) -> Film:  # noqa: ANN401
    if isinstance(value, (str, Path)):
        value = read_image(Path(value))
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return MemoryFilm(picture=torch.as_tensor(value)[None], audio=None, fps=1.0)
    return cast(Film, value)


def _video(value: Any) -> Film:  # noqa: ANN401
    return FileFilm(value) if isinstance(value, (str, Path)) else cast(Film, value)
