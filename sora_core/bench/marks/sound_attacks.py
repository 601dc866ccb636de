"""Attacks on the mark of a sound: what encoders, players, cutters and mixers do to it."""

# C channels, S samples, F bins, T frames

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import SoraError
from .sound_clips import music, resampled, sounds

Heard = tuple[Tensor, int]
"""Sound float32 ``[C, S]`` and its sample rate."""


@dataclass(frozen=True, kw_only=True)
class SoundAttack:
    """One attack. name: for a table. family: its kind. run: sound and rate before, sound and rate after."""

    name: str
    family: str
    run: Callable[[Tensor, int], Heard]


def recoded(sound_CS: Tensor, sample_rate: int, *, codec: str, container: str, bit_rate: int) -> Heard:
    """Return the sound as it is after an encoder, at the encoder's rate; its delay at the start may stay.

    Raises:
        SoraError: this PyAV has no such encoder.
    """
    import av
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    layout = "mono" if sound_CS.shape[0] == 1 else "stereo"
    target = io.BytesIO()
    try:
        with av.open(target, "w", format=container) as written:
            rate = _nearest_rate(Codec(codec, "w").audio_rates, sample_rate)
            stream = written.add_stream(codec, rate=rate, layout=layout)
            stream.bit_rate = bit_rate
            resampler = av.AudioResampler(
                format=stream.codec_context.format, layout=layout, rate=rate, frame_size=stream.codec_context.frame_size
            )
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound_CS.numpy()), format="fltp", layout=layout)
            frame.sample_rate = sample_rate
            for source in (frame, None):
                for part in resampler.resample(source):
                    written.mux(stream.encode(part))
            written.mux(stream.encode(None))
    except UnknownCodecError as error:
        raise SoraError(f"this PyAV has no encoder {codec}; install the wheel from the package index") from error
    target.seek(0)
    parts = []
    with av.open(target) as read:
        planar = av.AudioResampler(format="fltp", layout=layout)
        for source in read.decode(audio=0):
            parts += [part.to_ndarray() for part in planar.resample(source)]
            rate = source.sample_rate
    return torch.from_numpy(np.concatenate(parts, 1)), rate


def _nearest_rate(rates: list[int] | None, wanted: int) -> int:
    return wanted if not rates else min(rates, key=lambda rate: (rate < wanted, abs(rate - wanted)))


def _through_rate(sound_CS: Tensor, sample_rate: int, *, rate: int) -> Heard:
    low = resampled(sound_CS, rate / sample_rate) if rate < sample_rate else sound_CS
    return resampled(low, sound_CS.shape[1] / max(1, low.shape[1])), sample_rate


def _band(sound_CS: Tensor, sample_rate: int, *, low: float = 0.0, high: float = math.inf) -> Heard:
    spectrum = torch.fft.rfft(sound_CS)
    hz = torch.fft.rfftfreq(sound_CS.shape[1], 1 / sample_rate)
    # Butterworth of the fourth order, in both directions at once: half its phase is none.
    gain = 1 / (1 + (hz / high) ** 8) if math.isfinite(high) else torch.ones_like(hz)
    if low > 0:
        gain = gain / (1 + (low / hz.clamp(min=1e-3)) ** 8)
    return torch.fft.irfft(spectrum * gain, n=sound_CS.shape[1]), sample_rate


def _gain(sound_CS: Tensor, sample_rate: int, *, factor: float) -> Heard:
    return (sound_CS * factor).clamp(-1.0, 1.0), sample_rate


def _noise(sound_CS: Tensor, sample_rate: int, *, snr_db: float) -> Heard:
    level = float(sound_CS.square().mean().sqrt()) * 10 ** (-snr_db / 20)
    noise = torch.randn(sound_CS.shape, generator=torch.Generator().manual_seed(11))
    return sound_CS + level * noise, sample_rate


def _trim(sound_CS: Tensor, sample_rate: int, *, keep: float) -> Heard:
    samples = sound_CS.shape[1]
    start = int(samples * (1 - keep) * 0.43) | 1
    return sound_CS[:, start : start + int(samples * keep)], sample_rate


def _speed(sound_CS: Tensor, sample_rate: int, *, factor: float) -> Heard:
    return resampled(sound_CS, 1 / factor), sample_rate


def _stretch(sound_CS: Tensor, sample_rate: int, *, factor: float) -> Heard:
    """Play faster at the same pitch: a phase vocoder (Flanagan and Golden 1966)."""
    window = 4 * round(0.012 * sample_rate)
    hop = window // 4
    shape = torch.hann_window(window)
    padded = F.pad(sound_CS, (window, window))
    seen = torch.stft(padded, window, hop, window=shape, center=False, return_complex=True)
    place = torch.arange(0, seen.shape[2] - 1, factor)
    low, part = place.long(), place % 1
    size = seen[..., low].abs() * (1 - part) + seen[..., low + 1].abs() * part
    step = (seen[..., low + 1] * seen[..., low].conj()).angle()
    phase = seen[..., :1].angle() + F.pad(step.cumsum(-1), (1, 0))[..., :-1]
    frames = torch.fft.irfft(torch.polar(size, phase), n=window, dim=1) * shape[None, :, None]
    length = (frames.shape[2] - 1) * hop + window
    made = F.fold(frames, (1, length), (1, window), stride=(1, hop))[:, 0, 0] / 1.5
    first = round(window / factor)
    return made[:, first : first + round(sound_CS.shape[1] / factor)], sample_rate


def _echo(sound_CS: Tensor, sample_rate: int, *, delay_s: float, factor: float) -> Heard:
    delay = round(delay_s * sample_rate)
    return sound_CS + factor * F.pad(sound_CS, (delay, 0))[:, : sound_CS.shape[1]], sample_rate


def _compressor(sound_CS: Tensor, sample_rate: int, *, threshold_db: float, ratio: float) -> Heard:
    width = 2 * round(0.01 * sample_rate) + 1
    power = F.avg_pool1d(sound_CS.square().mean(0)[None, None], width, 1, width // 2)[0]
    over_db = (10 * torch.log10(power + 1e-12) - threshold_db).clamp(min=0.0)
    return sound_CS * 10 ** (over_db * (1 / ratio - 1) / 20), sample_rate


def _mix(sound_CS: Tensor, sample_rate: int, *, level_db: float) -> Heard:
    other = music(sound_CS.shape[1] / sample_rate + 0.1, sample_rate, torch.Generator().manual_seed(77))
    other = other[:, : sound_CS.shape[1]]
    factor = sound_CS.square().mean().sqrt() / other.square().mean().sqrt().clamp(min=1e-9)
    return sound_CS + float(factor) * 10 ** (level_db / 20) * other, sample_rate


def _mute(sound_CS: Tensor, sample_rate: int) -> Heard:
    at_s = torch.arange(sound_CS.shape[1]) / sample_rate
    return sound_CS * ((at_s % 1.0) >= 0.3), sample_rate


def _requantise(sound_CS: Tensor, sample_rate: int, *, bits: int) -> Heard:
    steps = 2 ** (bits - 1)
    return (sound_CS * steps).round().clamp(-steps, steps - 1) / steps, sample_rate


def _none(sound_CS: Tensor, sample_rate: int) -> Heard:
    return sound_CS, sample_rate


def _attack(name: str, family: str, run: Callable[[Tensor, int], Heard]) -> SoundAttack:
    return SoundAttack(name=name, family=family, run=run)


def _codec(name: str, codec: str, container: str, kilobits: int) -> SoundAttack:
    run = partial(recoded, codec=codec, container=container, bit_rate=kilobits * 1000)
    return _attack(f"{name} {kilobits}k", "codec", run)


SOUND_ATTACKS: tuple[SoundAttack, ...] = (
    _attack("none", "none", _none),
    _codec("MP3", "libmp3lame", "mp3", 128),
    _codec("MP3", "libmp3lame", "mp3", 64),
    _codec("AAC", "aac", "adts", 128),
    _codec("AAC", "aac", "adts", 96),
    _codec("AAC", "aac", "adts", 64),
    _codec("Opus", "libopus", "ogg", 48),
    _codec("Opus", "libopus", "ogg", 24),
    _attack("resample 16 kHz", "resample", partial(_through_rate, rate=16_000)),
    _attack("resample 8 kHz", "resample", partial(_through_rate, rate=8_000)),
    _attack("low-pass 3.5 kHz", "filter", partial(_band, high=3_500.0)),
    _attack("high-pass 300 Hz", "filter", partial(_band, low=300.0)),
    _attack("gain .3", "gain", partial(_gain, factor=0.3)),
    _attack("gain 1.5 clipped", "gain", partial(_gain, factor=1.5)),
    _attack("compressor", "gain", partial(_compressor, threshold_db=-30.0, ratio=4.0)),
    _attack("noise 30 dB", "noise", partial(_noise, snr_db=30.0)),
    _attack("noise 20 dB", "noise", partial(_noise, snr_db=20.0)),
    _attack("8 bits", "noise", partial(_requantise, bits=8)),
    _attack("trim to 50 %", "trim", partial(_trim, keep=0.5)),
    _attack("mute .3 s of each", "trim", _mute),
    _attack("speed .95", "speed", partial(_speed, factor=0.95)),
    _attack("speed 1.05", "speed", partial(_speed, factor=1.05)),
    _attack("speed 1.1", "speed", partial(_speed, factor=1.1)),
    _attack("tempo 1.06, same pitch", "speed", partial(_stretch, factor=1.06)),
    _attack("echo .15 s", "mix", partial(_echo, delay_s=0.15, factor=0.4)),
    _attack("mix with music 0 dB", "mix", partial(_mix, level_db=0.0)),
)
"""What the mark of a sound is tried with. Source: our decision; the codecs and rates of `provenance` papers."""

__all__ = ["SOUND_ATTACKS", "SoundAttack", "recoded", "resampled", "sounds"]
