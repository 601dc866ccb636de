"""Which material an impact sounds of: its partials and how fast they die away."""

# S samples, B bands, C candidates

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from ..world.sound import TIMBRE, strike

WINDOWS_S = ((0.003, 0.035), (0.035, 0.067), (0.067, 0.131))
"""Stretches after the onset whose spectra are compared."""

PITCHES = np.geomspace(85.0, 520.0, 60)
"""First partials in Hz that are tried: every object of every size lies between."""

CALM_S = 0.135
"""Time after an onset in which no other may follow."""

SIZE = 1024
TOP_HZ = 3000.0


def name_material(audio_S: np.ndarray, sample_rate: int, onsets: np.ndarray) -> str | None:
    """Return the material whose strike is most like the loudest impact, or None where none is heard apart.

    Args:
        audio_S: float ``[S]`` in [-1, 1]. sample_rate: per second. onsets: seconds, ascending.
    """
    best: tuple[float, np.ndarray] | None = None
    for index, onset in enumerate(onsets):
        following = onsets[index + 1] if index + 1 < len(onsets) else np.inf
        piece = audio_S[round(onset * sample_rate) :][: round(CALM_S * sample_rate)]
        if following - onset < CALM_S or len(piece) < round(CALM_S * sample_rate):
            continue
        loud = float(np.abs(piece).max())
        if np.isfinite(loud) and (best is None or loud > best[0]):
            best = loud, piece
    if best is None:
        return None
    names, table_CB = _candidates(sample_rate)
    return names[int((table_CB @ _print(best[1], sample_rate)).argmax())]


@lru_cache(maxsize=2)
def _candidates(sample_rate: int) -> tuple[tuple[str, ...], np.ndarray]:
    """Return materials and the prints of their strikes at all pitches, float64 ``[C, B]``."""
    names, prints = [], []
    pitch = torch.tensor(PITCHES, dtype=torch.float32)
    for name in TIMBRE:
        waves = strike(torch.zeros(len(pitch)), pitch, torch.full((len(pitch),), 0.5), name).numpy()
        names += [name] * len(pitch)
        prints += [_print(wave.astype(np.float64)[: round(CALM_S * sample_rate)], sample_rate) for wave in waves]
    return tuple(names), np.stack(prints)


def _print(piece_S: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return compressed spectra of the stretches after an onset, of length one, float64 ``[B]``."""
    spectra = []
    for begin, end in WINDOWS_S:
        part = piece_S[round(begin * sample_rate) : round(end * sample_rate)]
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), SIZE))[: round(TOP_HZ * SIZE / sample_rate)]
        spectra.append(np.sqrt(spectrum / max(1, len(part))))
    found = np.concatenate(spectra)
    return found / max(float(np.linalg.norm(found)), 1e-12)
