"""What the audio autoencoder is trained to make small, and the figures it is judged by."""

# B clips, S samples, M mel bands, F frequencies, L spectra, N contacts

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..types import SAMPLE_RATE

RESOLUTIONS = (256, 512, 1024, 2048)


def mel_bands(n_fft: int, bands: int) -> Tensor:
    """Return triangular mel filters ``[F, M]`` (the common 2595 log10(1 + f / 700) scale), each of unit peak."""
    top = 2595 * math.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, bands + 2) / 2595) - 1)
    hz_F1 = torch.linspace(0, SAMPLE_RATE / 2, n_fft // 2 + 1)[:, None]
    rise = (hz_F1 - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - hz_F1) / (edges[2:] - edges[1:-1])
    return torch.minimum(rise, fall).clamp(min=0.0)


class AudioLoss(nn.Module):
    """Weigh waveform, spectra at four resolutions and mel bands together.

    Source: multi-resolution spectra as Parallel WaveGAN (Yamamoto 2020); the relative waveform error and the weights
    are ours: the world's sounds are deterministic, so the waveform itself can be asked for, and no adversary is needed.
    """

    def __init__(self) -> None:
        """Make the windows and the mel filters."""
        super().__init__()
        for n_fft in RESOLUTIONS:
            self.register_buffer(f"window_{n_fft}", torch.hann_window(n_fft), persistent=False)
            self.register_buffer(f"mel_{n_fft}", mel_bands(n_fft, n_fft // 16), persistent=False)

    def _magnitude(self, audio_BS: Tensor, n_fft: int) -> Tensor:
        """Return ``[B, L, F]`` magnitudes; a full-scale sine peaks near 1."""
        padded = nn.functional.pad(audio_BS, (n_fft // 2, n_fft // 2))
        frames = padded.unfold(1, n_fft, n_fft // 4) * getattr(self, f"window_{n_fft}")
        spectrum = torch.view_as_real(torch.fft.rfft(frames)) * (4 / n_fft)
        return (spectrum.square().sum(-1) + 1e-9).sqrt()

    def forward(self, heard_BS: Tensor, true_BS: Tensor, stage: float = 1.0) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of decoded against true sound, and its parts.

        Args:
            heard_BS, true_BS: float32.
            stage: 0 asks for the waveform alone, loud clips first; 1 for everything, quiet clips too. Starting at 1
                ends in silence: with phases still unknown, every spectral term and every quiet clip pulls towards it.
        """
        error_B = (heard_BS - true_BS).square().mean(1)
        power_B = true_BS.square().mean(1)
        steep = 3.0 * 10.0**stage
        relative_B = error_B / (power_B + 1e-3 * 10.0**-stage)
        relative = (torch.log1p(steep * relative_B) / math.log1p(steep)).mean()
        wave = ((heard_BS - true_BS).abs().mean(1) / (power_B.sqrt() + 3e-2)).mean()
        loss, parts = relative + 0.1 * wave, {"relative": relative, "wave": wave}
        if stage > 0:
            # One resolution a step, drawn at random: the same expectation at a quarter of the price.
            chosen = RESOLUTIONS[int(torch.randint(len(RESOLUTIONS), ()))]
            spectral = self.spectral(heard_BS, true_BS, chosen)
            loss = loss + stage * (0.05 * spectral["linear"] + 0.02 * spectral["log"] + 0.02 * spectral["mel"])
            parts |= spectral
        return loss, parts

    def spectral(self, heard_BS: Tensor, true_BS: Tensor, n_fft: int) -> dict[str, Tensor]:
        """Return the distances of magnitudes: relative, logarithmic, and logarithmic in mel bands."""
        heard_BLF, true_BLF = self._magnitude(heard_BS, n_fft), self._magnitude(true_BS, n_fft)
        distance_B = (heard_BLF - true_BLF).square().sum((1, 2)).sqrt()
        mel_FM = getattr(self, f"mel_{n_fft}")
        heard_BLM, true_BLM = heard_BLF @ mel_FM + 1e-2, true_BLF @ mel_FM + 1e-2
        return {
            "linear": (distance_B / (true_BLF.square().sum((1, 2)).sqrt() + 0.1)).mean(),
            "log": ((heard_BLF + 1e-3).log() - (true_BLF + 1e-3).log()).abs().mean(),
            "mel": (heard_BLM.log() - true_BLM.log()).abs().mean(),
        }


def spectra_loss(heard_BLF: Tensor, true_BLF: Tensor) -> dict[str, Tensor]:
    """Return the squared errors of compressed spectra, with phase and of magnitudes alone, relative to their power.

    The magnitudes keep faint and high partials alive until their phases are found (Braun and Tashev 2021).
    """
    power = torch.view_as_real(true_BLF).square().mean() + 1e-4
    error = torch.view_as_real(heard_BLF) - torch.view_as_real(true_BLF)
    heard, true = (torch.sqrt(torch.view_as_real(x).square().sum(-1) + 1e-6) for x in (heard_BLF, true_BLF))
    return {"complex": error.square().mean() / power, "magnitude": 0.5 * (heard - true).square().mean() / power}


def snr_db(heard_BS: Tensor, true_BS: Tensor) -> Tensor:
    """Return the signal-to-error ratio of each clip in dB, ``[B]``; only clips that are not silent mean anything."""
    error_B = (heard_BS - true_BS).double().square().sum(1)
    return 10 * torch.log10((true_BS.double().square().sum(1) + 1e-12) / (error_B + 1e-12))


def spectral_convergence(heard_BS: Tensor, true_BS: Tensor) -> Tensor:
    """Return ``|STFT error| / |STFT|`` of magnitudes (1024 samples) of each clip, ``[B]``."""
    loss = AudioLoss().to(heard_BS.device)
    heard_BLF, true_BLF = loss._magnitude(heard_BS, 1024), loss._magnitude(true_BS, 1024)
    return (heard_BLF - true_BLF).square().sum((1, 2)).sqrt() / (true_BLF.square().sum((1, 2)).sqrt() + 1e-6)


def onsets(audio_S: Tensor) -> Tensor:
    """Return the seconds at which a sound sets in: where 1 ms is 9 dB over the 12 ms before it and over -46 dB."""
    step, past = 16, 12
    energy = audio_S[: len(audio_S) // step * step].unflatten(0, (-1, step)).square().mean(1)
    level = 10 * torch.log10(energy + 1e-7)
    before = nn.functional.pad(level, (past, 0), value=-70.0).unfold(0, past, 1)[: len(level)].amax(1)
    rise = torch.nonzero((level > before + 9) & (level > -46)).flatten()
    first = [i for n, i in enumerate(rise.tolist()) if n == 0 or i - rise[n - 1] > past]
    return torch.tensor(first, dtype=torch.float32) * step / SAMPLE_RATE


def onset_errors_ms(heard_BS: Tensor, contacts: list[Tensor]) -> Tensor:
    """Return ``[N]``: how far the nearest onset is from each true contact, in ms, 250 at most."""
    errors: list[Tensor] = []
    for audio_S, times in zip(heard_BS, contacts, strict=True):
        found = onsets(audio_S)
        if len(times):
            gap = (times[:, None] - found[None]).abs().amin(1) if len(found) else torch.full_like(times, 1.0)
            errors.append((1000 * gap).clamp(max=250.0))
    return torch.cat(errors) if errors else torch.zeros(0)
