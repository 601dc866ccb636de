"""Sounds to try marks on: speech-like, music-like, ambience, and the impacts of our own world; all are synthesised."""

# C channels, S samples, B clips, F bins

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...types import SAMPLE_RATE
from ...world.actors import bodies, move
from ...world.ambience import ambience
from ...world.dice import Dice
from ...world.sample import sample_attributes
from ...world.sound import PITCH, PITCH_OF_RADIUS, impacts
from ...world.spec import LEVELS

_VOWELS = (
    (730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410), (440, 1020, 2240),
)  # fmt: skip
"""Formants in Hz. Source: Peterson and Barney 1952, rounded."""

_SHOT_S = 2.08


def _roll(dice: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    return low + (high - low) * float(torch.rand((), generator=dice))


def resampled(sound_CS: Tensor, ratio: float) -> Tensor:
    """Return sound with ``ratio`` times as many samples, through its whole spectrum."""
    samples = max(1, round(sound_CS.shape[1] * ratio))
    spectrum = torch.fft.rfft(sound_CS.double())
    wanted = samples // 2 + 1
    spectrum = torch.nn.functional.pad(spectrum, (0, max(0, wanted - spectrum.shape[1])))[:, :wanted]
    return (torch.fft.irfft(spectrum, n=samples) * (samples / sound_CS.shape[1])).float()


def coloured(samples: int, sample_rate: int, dice: torch.Generator, *, slope_db: float = -3.0) -> Tensor:
    """Return noise ``[1, S]`` of unit power that falls by ``slope_db`` per octave above 100 Hz."""
    hz = torch.fft.rfftfreq(samples, 1 / sample_rate).clamp(min=100.0)
    spectrum = torch.fft.rfft(torch.randn(1, samples, generator=dice)) * (hz / 100) ** (slope_db / 6.02)
    noise = torch.fft.irfft(spectrum, n=samples)
    return noise / noise.square().mean().sqrt()


def _shaped(source_S: Tensor, sample_rate: int, formants: tuple[float, ...], width: float) -> Tensor:
    hz = torch.fft.rfftfreq(len(source_S), 1 / sample_rate)
    gain = 0.003 + sum(
        0.6**n / (1 + ((hz - formant) / (width * (1 + 0.5 * n))) ** 2) for n, formant in enumerate(formants)
    )
    return torch.fft.irfft(torch.fft.rfft(source_S) * gain, n=len(source_S))


def speech(seconds: float, sample_rate: int, dice: torch.Generator) -> Tensor:
    """Return speech-like sound ``[1, S]``: voiced and hissed syllables with gliding pitch, and pauses between words."""
    samples = round(seconds * sample_rate)
    track = torch.zeros(samples)
    pitch = _roll(dice, 90, 220)
    at = int(_roll(dice, 0, 0.1) * sample_rate)
    while at < samples:
        length = int(_roll(dice, 0.06, 0.22) * sample_rate)
        time_S = torch.arange(length) / sample_rate
        rise = torch.sin(math.pi * (torch.arange(length) + 0.5) / length) ** 0.5
        kind = _roll(dice)
        if kind < 0.65:
            note = pitch * _roll(dice, 0.85, 1.2)
            phase = note * (time_S + _roll(dice, -0.8, 0.8) * time_S.square())
            # A sum of harmonics that fall by 6 dB per octave, and breath.
            source = sum(
                torch.sin(2 * math.pi * n * phase) / n
                for n in range(1, max(2, int(min(5000, sample_rate / 2.2) / note)))
            )
            source = source + 0.05 * torch.randn(length, generator=dice)
            vowel = _VOWELS[int(_roll(dice, 0, len(_VOWELS) - 1e-6))]
            piece = _shaped(source * rise, sample_rate, tuple(f * _roll(dice, 0.92, 1.1) for f in vowel), 90.0)
        elif kind < 0.85:
            hiss = torch.randn(length, generator=dice)
            piece = 0.25 * _shaped(hiss * rise, sample_rate, (_roll(dice, 2500, 6000),), 1500.0)
        else:
            piece = torch.zeros(length)
        if kind >= 0.85 and _roll(dice) < 0.4:
            piece = torch.zeros(int(_roll(dice, 0.2, 0.6) * sample_rate))
        peak = float(piece.abs().max()) if len(piece) else 0.0
        if peak > 0:
            piece = piece / peak * _roll(dice, 0.2, 0.6) * (0.4 if kind >= 0.65 else 1.0)
        end = min(samples, at + len(piece))
        track[at:end] += piece[: end - at]
        at += max(1, int(len(piece) * 0.9))
    return track[None] + 2e-4 * torch.randn(1, samples, generator=dice)


def music(seconds: float, sample_rate: int, dice: torch.Generator) -> Tensor:
    """Return music-like sound ``[1, S]``: chords of decaying harmonics, a bass, and struck noise on the beat."""
    samples = round(seconds * sample_rate)
    track = torch.zeros(samples)
    beat = _roll(dice, 0.35, 0.6)
    root = 110 * 2 ** (int(_roll(dice, 0, 12)) / 12)
    for number in range(math.ceil(seconds / beat)):
        at = int(number * beat * sample_rate)
        length = min(samples - at, int(_roll(dice, 0.6, 2.2) * sample_rate))
        if length <= 0:
            break
        time_S = torch.arange(length) / sample_rate
        rise = (time_S / 0.008).clamp(max=1.0)
        degree = (0, 3, 5, 7, 10)[int(_roll(dice, 0, 5 - 1e-6))]
        for interval in (0, 4, 7, 12) if number % 2 == 0 else (12, 16):
            note = root * 2 ** ((degree + interval) / 12)
            for n in range(1, 9):
                if n * note < sample_rate / 2.2:
                    wave = torch.sin(2 * math.pi * (n * note * time_S + _roll(dice)))
                    track[at : at + length] += 0.12 / n**1.2 * wave * rise * torch.exp(-time_S * (1.5 + 0.7 * n))
        drum = min(length, int(0.15 * sample_rate))
        if drum > 8:
            fall = torch.exp(-torch.arange(drum) / (_roll(dice, 0.02, 0.05) * sample_rate))
            hit = coloured(drum, sample_rate, dice, slope_db=0.0 if number % 2 else -6.0)[0]
            track[at : at + drum] += _roll(dice, 0.03, 0.12) * hit * fall
    return (track / track.abs().max().clamp(min=1e-6) * _roll(dice, 0.4, 0.9))[None]


def outdoors(seconds: float, sample_rate: int, dice: torch.Generator) -> Tensor:
    """Return ambience ``[1, S]``: noise with slow gusts, and now and then a chirp or a drop."""
    samples = round(seconds * sample_rate)
    time_S = torch.arange(samples) / sample_rate
    gust = 0.6 + 0.4 * torch.sin(2 * math.pi * (_roll(dice, 0.1, 0.5) * time_S + _roll(dice)))
    track = _roll(dice, 0.02, 0.1) * gust * coloured(samples, sample_rate, dice, slope_db=_roll(dice, -6, -1))[0]
    for _ in range(int(seconds * _roll(dice, 0.5, 3))):
        at, pitch, fall = _roll(dice, 0, seconds), _roll(dice, 1200, 3400), _roll(dice, 0.01, 0.08)
        away = (time_S - at).clamp(min=0)
        track += 0.1 * (time_S > at) * torch.exp(-away / fall) * torch.sin(2 * math.pi * pitch * (away + away.square()))
    return track[None]


def world(seconds: float, sample_rate: int, dice: torch.Generator) -> Tensor:
    """Return what shots of our own world sound like, ``[1, S]``: impacts, here and there a motor, rain or a bird."""
    shots = []
    for _ in range(math.ceil(seconds / _SHOT_S)):
        shown = [sample_attributes(LEVELS[max(LEVELS)], dice, "any")]
        rolls = Dice([int(torch.randint(1 << 30, (), generator=dice))])
        body = bodies(shown, rolls, 1.0)
        samples = round(_SHOT_S * SAMPLE_RATE)
        path = move(shown, body, rolls, torch.arange(25)[None] / 12)
        pitch_B = PITCH_OF_RADIUS / body.radius * PITCH[shown[0].object]
        shot = impacts(path.contact_time, path.contact_speed, pitch_B, [shown[0].material], samples)
        under = ambience(shown, body, rolls, samples)
        shots.append(shot if under is None else (shot + under).clamp(-1.0, 1.0))
    whole = torch.cat(shots, 1)[:, : round(seconds * SAMPLE_RATE)]
    return whole if sample_rate == SAMPLE_RATE else resampled(whole, sample_rate / SAMPLE_RATE)


def speech_over_music(seconds: float, sample_rate: int, dice: torch.Generator) -> Tensor:
    """Return speech with quieter music under it, ``[1, S]``."""
    return 0.8 * speech(seconds, sample_rate, dice) + 0.3 * music(seconds, sample_rate, dice)


KINDS = {
    "speech": speech,
    "music": music,
    "outdoors": outdoors,
    "speech over music": speech_over_music,
    "world": world,
}
"""The kinds of sound, by name."""


def sounds(count: int, seconds: float, sample_rate: int, seed: int, *, channels: int = 1) -> list[tuple[str, Tensor]]:
    """Return ``count`` sounds, float32 ``[C, S]`` in [-1, 1], the kinds in turn, each with its name.

    Two channels are the same sound, a little louder on one side and with noises of their own.
    """
    made = []
    names = list(KINDS)
    for index in range(count):
        dice = torch.Generator().manual_seed(seed * 100_003 + index)
        name = names[index % len(names)]
        mono = KINDS[name](seconds, sample_rate, dice)
        if channels == 2:
            sides = torch.tensor([[1.0], [_roll(dice, 0.5, 1.0)]])
            mono = mono * sides + 0.01 * mono.abs().mean() * torch.randn(2, mono.shape[1], generator=dice)
        made.append((f"{name} {index // len(names)}", mono.clamp(-1.0, 1.0)))
    return made
