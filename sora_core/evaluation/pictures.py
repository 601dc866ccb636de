"""What an evaluation saw and heard, as pictures for the eye: a contact sheet and spectrograms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..media.chart import spectrogram
from ..media.png import write_png
from ..media.sheet import filmstrips
from ..types import SAMPLE_RATE, Clip
from .detector import Detection
from .prompts import Case

SHOWN = {"plain": 16, "held_out_pairs": 4, "held_out_words": 4}
"""Clips of each group that go onto the sheet: 24, a third of them never trained on."""

NOTES = {"held_out_pairs": " [PAIR NEVER TRAINED]", "held_out_words": " [WORDS NEVER TRAINED]"}
SPECTROGRAMS = 3
COLUMNS = 2
SIDE, STRIP = 128, 768
"""Pixels on the sheet of a clip's longer side and of a row, about."""

TOP_HZ = 2500.0


class Showcase:
    """Collect clips while they are measured, then draw them.

    Args:
        cases: all that will be measured; which of them are shown is drawn by ``seed``, whatever they come out like.
        seed: of the draw.
    """

    def __init__(self, cases: Sequence[Case], seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        self._chosen: set[int] = set()
        for group, wanted in SHOWN.items():
            members = [case.seed for case in cases if case.group == group]
            self._chosen.update(generator.permutation(members)[:wanted].tolist())
        self._shown: list[tuple[Case, Clip]] = []
        self._heard: list[tuple[Case, Clip, Detection]] = []

    def see(self, case: Case, clip: Clip, detection: Detection) -> None:
        """Keep a clip that was chosen, and the first ones with several contacts for their sound."""
        if case.seed in self._chosen:
            self._shown.append((case, clip))
        if case.group == "plain" and len(detection.contacts) > 1 and len(self._heard) < SPECTROGRAMS:
            self._heard.append((case, clip, detection))

    def draw(self, folder: Path) -> list[Path]:
        """Write ``samples.png`` and ``spectrograms.png``; return what was written.

        In the spectrograms the dashed lines are the contacts that the detector saw in the picture, and the ticks above
        and below them the onsets that it heard.
        """
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        if self._shown:
            written.append(folder / "samples.png")
            write_png(written[-1], _sheet(self._shown))
        if self._heard:
            rows = [
                spectrogram(
                    clip.audio.numpy(),
                    SAMPLE_RATE,
                    marks=detection.contacts.tolist(),
                    ticks=detection.onsets.tolist(),
                    title=case.prompt,
                    top_hz=TOP_HZ,
                )
                for case, clip, detection in self._heard
                if clip.audio is not None
            ]
            written.append(folder / "spectrograms.png")
            write_png(written[-1], np.concatenate(rows))
        return written


def _sheet(shown: Sequence[tuple[Case, Clip]]) -> np.ndarray:
    height, width = shown[0][1].frames.shape[1:3]
    scale = max(1, round(SIDE / max(height, width)))
    frames = max(3, round(STRIP / (width * scale)))
    per_column = -(-len(shown) // COLUMNS)
    columns = []
    for start in range(0, len(shown), per_column):
        part = shown[start : start + per_column]
        labels = [case.prompt + NOTES.get(case.group, "") for case, _ in part]
        clips = [clip.frames.numpy() for _, clip in part]
        columns.append(filmstrips(clips, labels, frames=frames, scale=scale))
    height = max(len(column) for column in columns)
    padded = [np.pad(column, ((0, height - len(column)), (0, 0), (0, 0)), constant_values=255) for column in columns]
    return np.concatenate(padded, axis=1)
