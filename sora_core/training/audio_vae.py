"""Trains the audio autoencoder within a number of minutes, resumable at any time."""

# B clips, S samples, A latents, C latent channels

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..audio_vae import AudioVAE, AudioVAEConfig
from ..audio_vae.layers import StreamCache
from ..config import Config
from ..errors import SoraError
from ..processor import low_precision
from ..types import SAMPLE_RATE
from .audio_loss import AudioLoss, onset_errors_ms, snr_db, spectra_loss, spectral_convergence
from .audio_sounds import draw_sounds, world_impacts, world_sounds
from .ema import EMA
from .log import RunLog
from .optim import MuonAdamW
from .state import load_state, read_progress, save_state

DrawBatch = Callable[[int, torch.Generator], Tensor]
"""From a number of clips and a CPU generator to sound, float32 ``[B, S]``."""


@dataclass(frozen=True, kw_only=True)
class AudioTraining(Config):
    """How to train.

    Args:
        minutes: wall time in all, over every resumption; the learning rate ends near zero there.
        batch: clips in a step.
        rate: learning rate at its height, of Muon and AdamW alike.
        kl: weight of the divergence from a unit normal, per latent value.
        noise: greatest noise added to the latents that the decoder sees, in latent standard deviations, so that a
            generator's small errors do no harm; comes in with the loss's second stage, from 30 % to 60 % of the time.
        ema: decay of the averaged weights, which are the ones kept.
        measure_every: seconds between measurements on unseen sounds.
        save_every: seconds between saved states.
        autocast: bfloat16 for the matrix products, where that is quicker.
        decoder_only: leave the encoder and the latents' statistics as they are, so that latents already made, and
            models trained on them, stay valid.
        level: of the world whose impacts are learned.
        seed: of the data and the first weights.
    """

    minutes: float = 25.0
    batch: int = 8
    rate: float = 2e-3
    kl: float = 3e-4
    noise: float = 0.1
    ema: float = 0.999
    measure_every: float = 90.0
    save_every: float = 120.0
    autocast: bool = True
    decoder_only: bool = False
    level: int = 1
    seed: int = 0


def learning_rate(progress: float) -> float:
    """Return the learning rate's share of its height: up over 3 % of the time, level to 40 %, cosine to 1 %."""
    if progress < 0.03:
        return max(progress, 1e-3) / 0.03
    fall = min(max((progress - 0.4) / 0.6, 0.0), 1.0)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * fall))


class AudioTrainer:
    """Holds the model, its average, the optimiser and the clock; ``run`` goes on until the time is up.

    Args:
        config: the model's sizes.
        training: how to train.
        folder: gets ``audio_vae.safetensors`` (averaged weights), ``state.safetensors`` and ``log.jsonl``; a state
            that is there is continued.
        draw_batch: where the sounds come from.
        start: a trained model to begin from; needed to train a decoder alone.
        device: where to train.

    Raises:
        SoraError: ``decoder_only`` without a start, or a start or a state of other sizes.
    """

    def __init__(
        self,
        config: AudioVAEConfig,
        training: AudioTraining,
        folder: Path,
        draw_batch: DrawBatch | None = None,
        *,
        start: AudioVAE | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """Build everything and load the state, if there is one."""
        if training.decoder_only and start is None:
            raise SoraError("decoder_only needs a trained audio VAE to start from; give one, or train both halves")
        if start is not None and start.config != config:
            raise SoraError("the audio VAE to start from has other sizes; train with its own configuration")
        torch.manual_seed(training.seed)
        self.training = training
        self.folder = folder
        self.draw_batch = draw_batch or partial(draw_sounds, level=training.level)
        self.device = torch.device(device)
        self.model = AudioVAE(config).to(self.device)
        if start is None:
            initialise(self.model)
        else:
            self.model.load_state_dict(start.state_dict())
        self.model.encoder.requires_grad_(not training.decoder_only)
        self.ema = EMA(self.model, training.ema)
        self.loss = AudioLoss().to(self.device)
        self.optimizer = MuonAdamW(_groups(self.model), lr=training.rate, weight_decay=0.01, betas=(0.9, 0.98))
        self.log = RunLog(folder / "log.jsonl")
        self.path = folder / "state.safetensors"
        self.step, self.elapsed = 0, 0.0
        if self.path.exists():
            self._resume()
        self.generator = torch.Generator().manual_seed(training.seed + 7919 * self.step)

    def run(self, minutes: float | None = None, progress: Callable[[float], None] | None = None) -> dict[str, float]:
        """Train until the budget, or this call's own ``minutes``, is spent; return the last measurements.

        Args:
            minutes: of this call; the whole remaining budget if None.
            progress: called after each step with the share of the budget spent.
        """
        budget = 60 * self.training.minutes
        stop = budget if minutes is None else min(budget, self.elapsed + 60 * minutes)
        measured = saved = self.elapsed
        try:
            while self.elapsed < stop:
                began = time.monotonic()
                parts = self._train_step(self.elapsed / budget)
                self.elapsed += time.monotonic() - began
                if progress is not None:
                    progress(self.elapsed / budget)
                if self.elapsed - measured >= self.training.measure_every:
                    measured = self.elapsed
                    with self.ema.swapped():
                        figures = measure(self.model, level=self.training.level)
                    self._log({**{name: float(value.detach()) for name, value in parts.items()}, **figures})
                if self.elapsed - saved >= self.training.save_every:
                    saved = self.elapsed
                    self.save()
        finally:
            # An interrupt loses nothing: the next run goes on from here.
            self.save()
        with self.ema.swapped():
            if not self.training.decoder_only:
                measure_latents(self.model, level=self.training.level)
            save_audio_vae(self.folder / "audio_vae.safetensors", self.model, self._record())
            figures = measure(self.model, level=self.training.level)
        self._log(figures)
        return figures

    def _train_step(self, progress: float) -> dict[str, Tensor]:
        """Take one step, ``progress`` of the budget being spent, and return the loss's parts."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.rate * learning_rate(progress)
        stage = 1.0 if self.training.decoder_only else min(max((progress - 0.3) / 0.3, 0.0), 1.0)
        true_BS = self.draw_batch(self.training.batch, self.generator).to(self.device)
        with low_precision(self.device, enabled=self.training.autocast):
            mean_BAC, log_variance_BAC = self.model.encoder(true_BS, StreamCache(final=True))
            spread_C = mean_BAC.detach().std(dim=(0, 1))
            amount_B11 = self.training.noise * stage * torch.rand(len(true_BS), 1, 1, device=self.device)
            noise_BAC = torch.randn_like(mean_BAC) * (0.5 * log_variance_BAC).exp()
            noise_BAC = noise_BAC + torch.randn_like(mean_BAC) * amount_B11 * spread_C
            heard_BLF = self.model.decoder.spectra(mean_BAC + noise_BAC, StreamCache(final=True))
            heard_BS = self.model.decoder.synthesise(heard_BLF, StreamCache(final=True))
        kl = 0.5 * (mean_BAC.square() + log_variance_BAC.exp() - 1 - log_variance_BAC).mean()
        with torch.no_grad():
            true_BLF = self.model.encoder.spectra(true_BS, StreamCache(final=True))
        shape = spectra_loss(heard_BLF, true_BLF)
        loss, parts = self.loss(heard_BS, true_BS, stage)
        loss = 0.5 * loss + shape["complex"] + shape["magnitude"]
        self.optimizer.zero_grad(set_to_none=True)
        (loss + self.training.kl * kl).backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.step += 1
        self.ema.update()
        return {**shape, **parts, "kl": kl, "norm": norm}

    def _record(self) -> dict[str, object]:
        """Return what the file says of its training."""
        clips = self.step * self.training.batch
        return {**self.training.to_dict(), "steps": self.step, "clips": clips, "seconds": round(self.elapsed)}

    def _log(self, values: dict[str, float]) -> None:
        """Append a line to the log."""
        shown = {name: round(value, 4) for name, value in values.items()}
        self.log.write(step=self.step, seconds=round(self.elapsed, 1), **shown)

    def save(self) -> None:
        """Write the state."""
        place = {"step": self.step, "elapsed": self.elapsed}
        about = {"model": self.model.config.to_dict(), "stage": self.training.to_dict()}
        save_state(self.path, self.model, self.ema, self.optimizer, place | about)

    def _resume(self) -> None:
        kept = read_progress(self.path)
        if kept["model"] != self.model.config.to_dict():
            raise SoraError(f"{self.path} holds a model of other sizes; train in an empty folder or use the same sizes")
        if kept["stage"]["decoder_only"] != self.training.decoder_only:
            raise SoraError(f"{self.path} trained other parts; train in an empty folder or keep decoder_only as it was")
        load_state(self.path, self.model, self.ema, self.optimizer)
        self.step, self.elapsed = kept["step"], kept["elapsed"]


def _groups(model: nn.Module) -> list[dict[str, object]]:
    """Return Muon's group, the inner matrices, and AdamW's: first and last layers, depthwise kernels, vectors."""
    learned = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    inner = [name for name, p in learned if p.ndim == 2 and not name.split(".")[1].startswith(("embed", "head"))]
    return [
        {"params": [p for name, p in learned if name in inner], "muon": True},
        {"params": [p for name, p in learned if name not in inner], "muon": False},
    ]


def initialise(model: AudioVAE) -> None:
    """Set first weights: small residual branches, a quiet decoder and narrow posteriors."""
    for name, parameter in model.named_parameters():
        if name.endswith("down.weight"):
            nn.init.normal_(parameter, std=0.02 / math.sqrt(8))
        elif name.endswith((".up.bias", ".down.bias", "embed.bias", "join.bias", "split.bias")):
            nn.init.zeros_(parameter)
    channels = model.config.latent_channels
    with torch.no_grad():
        model.decoder.head.bias.zero_()
        model.decoder.head.weight *= 0.1
        model.encoder.head.weight[:channels] *= 2
        model.encoder.head.bias.zero_()[channels:] = -7.0


@torch.no_grad()
def measure(model: AudioVAE, clips: int = 32, seed: int = 991, level: int = 1) -> dict[str, float]:
    """Return figures on world impacts that no training draws (another generator seed), 2.08 s each.

    ``snr_db`` and ``convergence`` are means over clips, ``onset_ms`` the median over contacts, ``onset_true_ms`` the
    same for the true sound (the detector's own floor), ``silence`` the peak that digital silence decodes to.
    ``all_convergence`` is the mean over clips of the world in which anything is heard, noise of weather included.
    """
    device = model.latent_mean.device
    sounds = world_impacts(clips, 33280, torch.Generator().manual_seed(seed), level)
    audible = sounds.audio.square().mean(1) > 1e-7
    true_BS = sounds.audio[audible]
    contacts = [times for times, heard in zip(sounds.contacts, audible.tolist(), strict=True) if heard]
    heard_BS = model.decode(model.encode(true_BS.to(device))).cpu()[:, : true_BS.shape[1]]
    ratio_B = snr_db(heard_BS, true_BS)
    errors = onset_errors_ms(heard_BS, contacts)
    silence = model.decode(model.encode(torch.zeros(1, SAMPLE_RATE, device=device)))
    every_BS = world_sounds(clips, 33280, torch.Generator().manual_seed(seed), level)
    every_BS = every_BS[every_BS.square().mean(1) > 1e-7]
    again_BS = model.decode(model.encode(every_BS.to(device))).cpu()[:, : every_BS.shape[1]]
    return {
        "snr_db": float(ratio_B.mean()),
        "snr_db_worst": float(ratio_B.min()),
        "convergence": float(spectral_convergence(heard_BS, true_BS).mean()),
        "all_convergence": float(spectral_convergence(again_BS, every_BS).mean()),
        "onset_ms": float(errors.median()),
        "onset_true_ms": float(onset_errors_ms(true_BS, contacts).median()),
        "onset_within_4ms": float((errors <= 4.0).float().mean()),
        "silence": float(silence.abs().max()),
    }


@torch.no_grad()
def measure_latents(model: AudioVAE, clips: int = 256, seed: int = 992, level: int = 1) -> None:
    """Measure each latent channel's mean and standard deviation and keep them in the model.

    They are those of world impacts, and above level 1 half of them of all that the world lets hear.
    """
    generator = torch.Generator().manual_seed(seed)
    device = model.latent_mean.device
    means = []
    for step in range(-(-clips // 16)):
        whole = level > 1 and step % 2
        sound_BS = (
            world_sounds(16, 33280, generator, level) if whole else world_impacts(16, 33280, generator, level).audio
        )
        means.append(model.encoder(sound_BS.to(device), StreamCache(final=True))[0])
    every_NC = torch.cat(means).flatten(0, 1).double()
    model.latent_mean.copy_(every_NC.mean(0))
    model.latent_std.copy_(every_NC.std(0).clamp(min=1e-4))


def save_audio_vae(path: Path, model: AudioVAE, record: dict[str, object]) -> None:
    """Write float32 weights with their configuration and training record in the metadata."""
    metadata = {
        "sora.format_version": "1",
        "sora.component": "audio_vae",
        "sora.config": json.dumps(model.config.to_dict()),
        "sora.training": json.dumps(record),
        "license": "Apache-2.0",
    }
    save_file({k: v.float().contiguous().cpu() for k, v in model.state_dict().items()}, path, metadata=metadata)


def load_audio_vae(path: Path, device: torch.device | str = "cpu") -> AudioVAE:
    """Read what ``save_audio_vae`` wrote."""
    with safe_open(path, framework="pt") as file:
        config = AudioVAEConfig.from_dict(json.loads(file.metadata()["sora.config"]))
    model = AudioVAE(config)
    model.load_state_dict(load_file(path))
    return model.to(device).eval()
