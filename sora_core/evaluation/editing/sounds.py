"""Sound made to a picture and pictures made to a sound: do what is heard and what is seen come together?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from ...editing.film import MemoryFilm
from ...editing.sound import foley, sound_to_video
from ..detector import Detection
from ..measures import Judged, synchrony
from ..onsets import find_onsets, is_silent
from ..prompts import Case, expected
from .measured import Measured, share_of
from .studio import Studio

FOLEY_SHARE, VIDEO_SHARE = 0.9, 0.75
"""Of the onset F1 of clips made from text."""


def onset_f1(
    studio: Studio, cases: Sequence[Case], seen: Sequence[Detection], heard: Sequence[Detection]
) -> float | None:
    """Return the F1 of what is heard in some clips against what is seen in others, one of each for every case."""
    judged = [
        Judged(
            group=case.group,
            expected=expected(case.attributes, studio.level),
            detection=replace(picture, onsets=sound.onsets, silent=sound.silent),
            first=torch.zeros(0),
        )
        for case, picture, sound in zip(cases, seen, heard, strict=True)
    ]
    return synchrony(judged)[0]


def listen(film: MemoryFilm) -> Detection:
    """Say what a film sounds like, without looking."""
    audio = film.clip().audio
    if audio is None:
        return Detection()
    return Detection(onsets=find_onsets(audio.numpy(), film.sample_rate), silent=is_silent(audio.numpy()))


def measure_sounds(
    studio: Studio, cases: Sequence[Case], true: Sequence[Detection], from_text: Sequence[Detection]
) -> dict[str, Measured]:
    """Measure both ways over the same true clips.

    The truth is the clips themselves. The baseline of a sound made to a picture is the sound of another of the clips;
    that of a picture made to a sound is one that was made from the prompt alone.

    Args:
        studio: who makes. cases: clips, of which about half should strike.
        true, from_text: what is seen and heard in the cases' true clips, and in clips made from their prompts.
    """
    heard: list[Detection] = []
    seen: list[Detection] = []
    for case, film in zip(cases, studio.sources(cases), strict=True):
        maker = studio.maker(case.prompt)
        heard.append(listen(foley(maker, film, settings=studio.settings(case, "foley")).collect()))
        shown = sound_to_video(
            maker,
            film,
            width=film.width,
            height=film.height,
            fps=film.fps,
            settings=studio.settings(case, "sound to video"),
        )
        seen.append(studio.detect(studio.finish("sound to video", case, shown)))
    usual, truth = onset_f1(studio, cases, from_text, from_text), onset_f1(studio, cases, true, true)
    return {
        "foley_onset_f1": Measured(
            value=onset_f1(studio, cases, true, heard),
            bar=share_of(usual, 1.0, FOLEY_SHARE),
            ground_truth=truth,
            baseline=onset_f1(studio, cases, true, [*true[1:], true[0]]),
        ),
        "sound_to_video_onset_f1": Measured(
            value=onset_f1(studio, cases, seen, true),
            bar=share_of(usual, 1.0, VIDEO_SHARE),
            ground_truth=truth,
            baseline=onset_f1(studio, cases, from_text, true),
        ),
    }
