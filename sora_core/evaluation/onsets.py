"""Onsets of sounds: when something is heard, to about a millisecond."""

# S audio samples, N short windows, K onsets

from __future__ import annotations

import numpy as np

WINDOW_S = 0.016
"""Length of one spectrum; an impact rises within less."""

HOP_S = 0.0025
"""Step between spectra: twice as fine as the 5 ms that the measure asks for."""

LAG = 4
"""Spectra are compared with the one 10 ms before, so that a slow attack still counts as one rise."""

SILENCE = 0.01
"""Peak amplitude under which a whole clip is called silent (-40 dBFS)."""

GAP_S = 0.07
"""Least time between two onsets."""

ATTACK_S = 0.008
"""Longest climb from a quarter to three quarters of an impact's envelope; that of a bird's chirp takes 14 ms."""

LOUD = 0.04
"""Least by which an impact is louder than all of what was heard just before: rain, wind and motors go on."""

EARLIER_S = 0.03
"""How long before an impact is listened to: the lowest motor beats every 22 ms."""


def is_silent(audio_S: np.ndarray) -> bool:
    """Say whether a clip's sound never leaves the floor."""
    return audio_S.size == 0 or not np.abs(audio_S).max() >= SILENCE


def find_onsets(audio_S: np.ndarray, sample_rate: int) -> np.ndarray:
    """Find when sounds begin.

    Args:
        audio_S: float ``[S]`` in [-1, 1].
        sample_rate: samples per second.

    Returns:
        float64 ``[K]`` seconds, ascending; empty for a silent clip or one with values that are not finite.

    Source: half-wave rectified spectral flux on compressed magnitudes, then a search for the rise of the envelope at
    1 ms around each peak (our own choice of constants, set on rendered impacts).
    """
    audio_S = np.asarray(audio_S, dtype=np.float64)
    if is_silent(audio_S) or not np.isfinite(audio_S).all():
        return np.zeros(0)
    flux_N = _flux(audio_S, sample_rate)
    threshold = max(0.15 * flux_N.max(), 1.0)
    kept: list[float] = []
    for n in np.argsort(-flux_N):
        if flux_N[n] < threshold:
            break
        time, sharp = _refine(audio_S, sample_rate, n * HOP_S)
        if sharp and all(abs(time - other) >= GAP_S for other in kept):
            kept.append(time)
    return np.sort(np.asarray(kept, dtype=np.float64))


def _flux(audio_S: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the rise of the spectrum around each hop, float64 ``[N]``."""
    width, hop = round(WINDOW_S * sample_rate), max(1, round(HOP_S * sample_rate))
    # One window of silence before the first sample lets a sound that starts at 0 s rise too.
    padded_S = np.concatenate([np.zeros(width), audio_S, np.zeros(width)])
    windows_NW = np.lib.stride_tricks.sliding_window_view(padded_S, width)[::hop] * np.hanning(width)
    level_NB = np.log1p(50.0 * np.abs(np.fft.rfft(windows_NW, axis=1)) / width)
    rise_NB = np.maximum(level_NB[LAG:] - level_NB[:-LAG], 0.0)
    flux_N = rise_NB.sum(axis=1)
    # The rise between spectra n and n + LAG is centred LAG / 2 hops later; spectrum n is centred half a window after
    # its start, which the padding puts at -width.
    shift = round(width / 2 / hop) - LAG // 2
    count = 1 + len(audio_S) // hop
    return np.pad(flux_N, (0, count + abs(shift)))[max(shift, 0) :][:count]


def _refine(audio_S: np.ndarray, sample_rate: int, around: float) -> tuple[float, bool]:
    """Return the time within 20 ms of ``around`` at which the envelope climbs out of what was there before.

    Also say whether it is the attack of an impact: `ATTACK_S` long at most and `LOUD` at least.
    """
    step = max(1, sample_rate // 2000)
    low = max(0, round((around - 0.020) * sample_rate))
    high = min(len(audio_S), round((around + 0.020) * sample_rate))
    count = (high - low) // step
    if count < 4:
        return around, False
    envelope_N = np.abs(audio_S[low : low + count * step]).reshape(count, step).max(axis=1)
    # Running maximum over 2 ms bridges the zero crossings of a tone of 250 Hz and more.
    held_N = np.max(np.lib.stride_tricks.sliding_window_view(np.pad(envelope_N, (3, 0), mode="edge"), 4), axis=1)
    top = int(np.argmax(held_N))
    before = held_N[: top + 1].min()
    bottom = top - int(np.argmin(held_N[top::-1]))
    above_N = np.flatnonzero(held_N[bottom : top + 1] >= before + 0.25 * (held_N[top] - before))
    risen_N = np.flatnonzero(held_N[bottom : top + 1] >= before + 0.75 * (held_N[top] - before))
    attack_s = (int(risen_N[0]) - int(above_N[0])) * step / sample_rate
    start = low + (bottom + int(above_N[0])) * step
    earlier_S = np.abs(audio_S[max(0, start - round(EARLIER_S * sample_rate)) : max(0, start - 2 * step)])
    risen = held_N[top] - (earlier_S.max() if earlier_S.size else 0.0)
    return start / sample_rate, bool(attack_s <= ATTACK_S and risen >= LOUD)
