"""Train the video VAE within a number of minutes, resumable at any time."""

# B windows, C latent channels, F frames, T latent frames, H W pixels, h w latent cells

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..config import Config
from ..errors import SoraError
from ..pixels import to_signed
from ..processor import low_precision
from ..types import ClipFormat
from ..video_vae import VideoVAE, VideoVAEConfig
from .ema import EMA
from .formats import FormatShare, size_of
from .log import RunLog
from .optim import MuonAdamW, decay_schedule, split_parameters
from .state import load_state, read_progress, save_state
from .video_windows import ClipSource, Window, WindowStream, mixed_clips, world_clips

PLAIN = ("encoder.stem", "encoder.head", "decoder.stem", "decoder.head")
"""First and last layers stay with AdamW, as Muon's authors advise."""

VALIDATION_CLIPS = 32
VALIDATION_SEED = 4096
STATISTICS_CLIPS = 256
STATISTICS_SEED = 8192
MEASURE_BATCH = 8


@dataclass(frozen=True, kw_only=True)
class VideoStageConfig(Config):
    """How to train.

    Args:
        minutes: wall time in all, over every resumption; the learning rate reaches zero there.
        level: of the world that clips are drawn from.
        formats: mix of sizes that steps are drawn from; empty for the default clip alone. The first is measured as
            ``psnr``, the others under their own names.
        batch: windows in a step.
        frames: frames of a window, ``1 + 4 k``.
        crops: windows cut from each rendered clip.
        lr: learning rate before the schedule, of Muon and AdamW alike.
        weight_decay: decoupled, on weights of two dimensions or more.
        muon: Muon for the kernels; False trains all with AdamW.
        actor_weight: weight of a pixel that the actor covers, against 1 elsewhere.
        gradient, motion, square, kl: weights of the loss terms beside the mean absolute error.
        noise: noise added to the latents that the decoder sees, in standard deviations of each channel.
        ema: decay of the averaged weights, which are the ones kept.
        decay: last share of the minutes, over which the learning rate falls.
        decoder_only: leave the encoder and the latent statistics as they are, so that latents already made, and models
            trained on them, stay valid.
        threads: CPU threads of the step.
        measure_every, save_every: seconds between measurements on unseen clips and between saved states.
        seed: of the first weights and the noise.
    """

    minutes: float = 45.0
    level: int = 1
    formats: tuple[FormatShare, ...] = ()
    batch: int = 8
    frames: int = 13
    crops: int = 2
    lr: float = 2e-3
    weight_decay: float = 0.01
    muon: bool = True
    actor_weight: float = 5.0
    gradient: float = 0.5
    motion: float = 0.25
    square: float = 2.0
    kl: float = 1e-4
    noise: float = 0.07
    ema: float = 0.998
    decay: float = 0.5
    decoder_only: bool = False
    threads: int = 4
    measure_every: float = 60.0
    save_every: float = 180.0
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"formats": [share.to_dict() for share in self.formats]}


class VideoVAETrainer:
    """One run: the model, its average, its optimizer and where it stands.

    Args:
        config: how to train.
        model_config: sizes of the model.
        folder: where the state, the log and the result are written; a state found there is continued.
        source: clips to train on, on ``device``; the rendered world unless given.
        start: a trained model to begin from; needed to train a decoder alone.
        device: where to render and train.

    Raises:
        SoraError: ``decoder_only`` without a start, or the state in ``folder`` belongs to another configuration.
    """

    def __init__(
        self,
        config: VideoStageConfig,
        folder: Path,
        *,
        model_config: VideoVAEConfig | None = None,
        source: ClipSource | None = None,
        start: VideoVAE | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        if config.decoder_only and start is None:
            raise SoraError("decoder_only needs a trained video VAE to start from; give one, or train both halves")
        torch.manual_seed(config.seed)
        self.config = config
        self.folder = folder
        self.device = torch.device(device)
        shares = config.formats or (FormatShare(fmt=ClipFormat()),)
        self.source = source or mixed_clips(shares, config.level, device=device)
        self.measured = {"": (self.source, VALIDATION_CLIPS)}
        if source is None:
            first = shares[0].fmt
            self.measured = {
                f"_{size_of(share.fmt)}" if place else "": (
                    world_clips(share.level or config.level, share.fmt, device=device),
                    _measured_clips(share.fmt, first),
                )
                for place, share in enumerate(shares)
            }
        sizes = start.config if start is not None else model_config
        self.model = VideoVAE(sizes or VideoVAEConfig()).to(device)
        if start is not None:
            self.model.load_state_dict(start.state_dict())
        self.model.encoder.requires_grad_(not config.decoder_only)
        groups = split_parameters(self.model, plain=PLAIN if config.muon else ("",))
        self.optimizer = MuonAdamW(groups, lr=config.lr, weight_decay=config.weight_decay)
        self.ema = EMA(self.model, config.ema)
        self.log = RunLog(folder / "log.jsonl")
        self.path = folder / "state.safetensors"
        self.step = 0
        self.drawn = 0
        self.minutes = 0.0
        if self.path.exists():
            self._resume()

    def run(self, progress: Callable[[float, str], None] | None = None) -> dict[str, float]:
        """Train until the minutes are spent, save state and result, and return the last measurement.

        Args:
            progress: called after each step with the share of the minutes spent and a few words.
        """
        config = self.config
        stream = WindowStream(
            self.source,
            batch=config.batch,
            frames=config.frames,
            crops=config.crops,
            drawn=self.drawn,
            ahead=self.device.type == "cpu",
        )
        torch.set_num_threads(config.threads)
        validation = self._validation()
        began, spent = time.monotonic(), self.minutes
        measured = saved = began
        first_step = self.step
        try:
            while self.minutes < config.minutes:
                terms = self._train_step(next(stream))
                self.drawn = stream.drawn
                now = time.monotonic()
                self.minutes = spent + (now - began) / 60
                rate = (self.step - first_step) * config.batch / (now - began)
                if progress is not None:
                    progress(self.minutes / config.minutes, f"step {self.step}, {rate:.0f} windows/s")
                if now - measured > config.measure_every:
                    self._report(terms, validation, rate)
                    measured = time.monotonic()
                if now - saved > config.save_every:
                    self.save()
                    saved = time.monotonic()
        finally:
            stream.close()
            # An interrupt loses nothing: the next run goes on from here.
            self.save()
        return self._finish(validation)

    def _train_step(self, window: Window) -> dict[str, Tensor]:
        self.optimizer.set_scale(decay_schedule(self.minutes, self.config.minutes, decay=self.config.decay))
        terms = video_loss(self.model, window, self.config)
        terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.ema.update()
        self.step += 1
        return terms

    def _validation(self) -> dict[str, Window]:
        """Return unseen clips of each format."""
        return {name: source(VALIDATION_SEED, clips, True) for name, (source, clips) in self.measured.items()}

    def _measure(self, model: VideoVAE, validation: dict[str, Window]) -> dict[str, float]:
        figures = {name: measure(model, clips) for name, clips in validation.items()}
        return {f"{key}{name}": value for name, found in figures.items() for key, value in found.items()}

    def _report(self, terms: dict[str, Tensor], validation: dict[str, Window], rate: float) -> None:
        with self.ema.swapped():
            measured = self._measure(self.model, validation)
        self.log.write(
            step=self.step,
            clips=self.drawn,
            minutes=round(self.minutes, 2),
            windows_per_s=rate,
            **{name: float(value.detach()) for name, value in terms.items()},
            **measured,
        )

    def _finish(self, validation: dict[str, Window]) -> dict[str, float]:
        """Write ``video_vae.safetensors``: averaged weights, with the latent statistics measured under them."""
        with self.ema.swapped():
            if self.config.decoder_only:
                mean, std = self.model.latent_mean.clone(), self.model.latent_std.clone()
            else:
                mean, std = latent_statistics(self.model, self.source(STATISTICS_SEED, STATISTICS_CLIPS, False))
            result = VideoVAE(self.model.config).to(self.device)
            result.load_state_dict(self.model.state_dict())
        result.set_latent_statistics(mean, std)
        measured = self._measure(result, validation)
        record = {"steps": self.step, "clips": self.drawn, "minutes": round(self.minutes, 1), **measured}
        tensors = {name: value.cpu().contiguous() for name, value in result.state_dict().items()}
        metadata = {"config": json.dumps(result.config.to_dict()), "training": json.dumps(record)}
        save_file(tensors, self.folder / "video_vae.safetensors", metadata)
        self.log.write(event="finished", **record)
        return measured

    def save(self) -> None:
        """Write the state."""
        place = {"step": self.step, "drawn": self.drawn, "minutes": self.minutes}
        about = {"model": self.model.config.to_dict(), "stage": self.config.to_dict()}
        save_state(self.path, self.model, self.ema, self.optimizer, place | about)

    def _resume(self) -> None:
        kept = read_progress(self.path)
        if kept["model"] != self.model.config.to_dict():
            raise SoraError(f"{self.path} holds a model of other sizes; train in an empty folder or use the same sizes")
        if kept["stage"]["muon"] != self.config.muon:
            raise SoraError(
                f"{self.path} was written by another optimizer; train in an empty folder or keep muon as it was"
            )
        load_state(self.path, self.model, self.ema, self.optimizer)
        self.step, self.drawn, self.minutes = kept["step"], kept["drawn"], kept["minutes"]


def train_video_vae(
    config: VideoStageConfig,
    folder: Path,
    *,
    model_config: VideoVAEConfig | None = None,
    source: ClipSource | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """Train, or continue the training in ``folder``; arguments as of `VideoVAETrainer`.

    Returns:
        The last measurement on unseen clips (``psnr``, ``psnr_actor`` in dB).
    """
    return VideoVAETrainer(config, folder, model_config=model_config, source=source, device=device).run()


def video_loss(model: VideoVAE, window: Window, config: VideoStageConfig) -> dict[str, Tensor]:
    """Return the loss of one batch (``loss``) and its parts.

    Mean absolute error with the actor weighted up (a small one more), absolute error of spatial and temporal
    differences (edges and motion), a mean square term (the measure is PSNR) and a weak divergence from the unit normal.
    The decoder sees the latent with noise, so that a generator's small errors do no harm. Our own mix.
    """
    clean = to_signed(window.frames)
    with low_precision(clean.device):
        with torch.set_grad_enabled(not config.decoder_only):
            mean, log_variance = model.moments(clean)
        mean, log_variance = mean.float(), log_variance.float()
        spread = mean.detach().std(dim=(0, 2, 3, 4), keepdim=True) * config.noise
        std = (log_variance.exp() + spread.square()).sqrt()
        decoded = model.reconstruct(mean + std * torch.randn_like(mean))
    error = decoded.float() - clean
    weight_B1FHW = 1 + (config.actor_weight - 1) * window.mask[:, None] * _balance(window.mask)
    terms = {
        "absolute": (error.abs() * weight_B1FHW).mean(),
        "gradient": error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean(),
        "motion": error.diff(dim=2).abs().mean(),
        "square": error.square().mean(),
        "kl": 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean(),
    }
    loss = terms["absolute"] + config.gradient * terms["gradient"] + config.motion * terms["motion"]
    return {"loss": loss + config.square * terms["square"] + config.kl * terms["kl"]} | {
        name: value.detach() for name, value in terms.items()
    }


@torch.no_grad()
def measure(model: VideoVAE, clips: Window) -> dict[str, float]:
    """Return the mean over clips of the PSNR after a round trip, in dB: whole picture, and where the actor is.

    Frames are rounded to 8 bits before comparing, as a viewer would get them.
    """
    whole, actor = [], []
    for frames, mask in zip(clips.frames.split(MEASURE_BATCH), clips.mask.split(MEASURE_BATCH), strict=True):
        with low_precision(frames.device):
            decoded = model.decode(model.encode(to_signed(frames)))
        shown = ((decoded.float() + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 4, 1)
        square_BFHW = ((shown - frames.float()) / 255).square().mean(dim=-1)
        whole.append(square_BFHW.mean(dim=(1, 2, 3)))
        actor.append((square_BFHW * mask).sum(dim=(1, 2, 3)) / mask.sum(dim=(1, 2, 3)).clamp(min=1.0))
    return {"psnr": _psnr(torch.cat(whole)), "psnr_actor": _psnr(torch.cat(actor))}


@torch.no_grad()
def latent_statistics(model: VideoVAE, clips: Window) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation ``[C]`` of the raw latent over whole clips."""
    latents = []
    for frames in clips.frames.split(MEASURE_BATCH):
        with low_precision(frames.device):
            latents.append(model.moments(to_signed(frames))[0].float())
    latent_BCThw = torch.cat(latents)
    return latent_BCThw.mean(dim=(0, 2, 3, 4)), latent_BCThw.std(dim=(0, 2, 3, 4))


def _measured_clips(fmt: ClipFormat, first: ClipFormat) -> int:
    """Return how many clips of a format are measured: fewer of larger ones, so that they cost about as much."""
    return max(MEASURE_BATCH, min(VALIDATION_CLIPS, VALIDATION_CLIPS * first.pixels // fmt.pixels))


def _balance(mask_BFHW: Tensor) -> Tensor:
    """Return ``[B, 1, 1, 1, 1]``, more for small actors: the root of the batch's mean area over their own, 0.5 to 3."""
    area = mask_BFHW.mean(dim=(1, 2, 3)).clamp(min=1e-4)
    return (area.mean() / area).sqrt().clamp(0.5, 3.0)[:, None, None, None, None]


def _psnr(square_B: Tensor) -> float:
    return float((-10 * square_B.clamp(min=1e-10).log10()).mean())
