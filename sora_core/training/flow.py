"""The transformer stage's settings and its loss: flow matching with a noise level for every token."""

# B clips, T latent frames, A audio latents, L text tokens

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..config import Config
from ..dit import Cue, DiT
from ..processor import low_precision
from ..text import TextEncoder, Tokenizer
from .concepts import ConceptHeads
from .formats import FormatShare
from .latents import LatentBatch
from .parallel import ALONE, Processes
from .tasks import Levels, TaskMix


@dataclass(frozen=True, kw_only=True)
class DiTStageConfig(Config):
    """How to train.

    Args:
        minutes: wall time in all, over every resumption; the learning rate reaches zero there.
        seen: clips to train on in all, each time counted, in place of the minutes: the same run on any machine. 0
            leaves it to the minutes.
        formats: mix of sizes and lengths, see `formats.FormatShare`; empty for one, that of the pools. Each step draws
            one format and one task. The first format is the one that is measured most and named in old records.
        layouts: most packed layouts (task and format) of a compiled run, since each costs a compilation; see
            `plan.plan_steps`. 0 sets no limit.
        batch: clips in a step of the first format, of all processes together; another format has as many clips as make
            about as many tokens (`formats.step_batches`), so that its steps cost as much and the loss is as noisy.
        pool: clips kept in latent space, of all formats together. start: clips in the pools before the first step.
        refresh: new clips for each ``batch`` that is trained on, less for the smaller batches of long formats: rendered
            within the step on a GPU, by a process beside it on a CPU. 0 renders none after the start.
        muon: Muon for the blocks' matrices; False trains all with AdamW.
        muon_lr, adam_lr: learning rates before the schedule. weight_decay: decoupled.
        audio: weight of the audio loss. actor: extra weight of tokens that the actor covers.
        strike: extra weight of audio latents after a contact. concepts: weight of `concepts.ConceptHeads`.
        words: seconds in which the text encoder is trained alone, before the first step (see `concepts.teach_words`);
            at most a twentieth of the minutes.
        knows_words: whether the text encoder comes trained, so that in those seconds only the heads are.
        table_noise: noise on word rows, relative to their norm, so that unseen neighbours land near.
        ema: decay of the averaged weights, which are the ones kept. decay: last share of the minutes, over which the
            learning rate falls. threads: CPU threads of the step, 0 leaves them.
        compile: compile each block (an extra minute at the start; see the trainer's log for what it gives).
        autocast: compute in bfloat16 where that is safe and quicker; otherwise in float32.
        measure_every, save_every: seconds between measurements on unseen clips and between saved states.
    """

    minutes: float = 60.0
    seen: int = 0
    formats: tuple[FormatShare, ...] = ()
    layouts: int = 12
    batch: int = 48
    pool: int = 40_000
    start: int = 2_048
    refresh: int = 12
    muon: bool = True
    muon_lr: float = 4e-3
    adam_lr: float = 2e-3
    weight_decay: float = 0.01
    audio: float = 0.6
    actor: float = 2.0
    strike: float = 3.0
    concepts: float = 0.2
    words: float = 75.0
    knows_words: bool = False
    table_noise: float = 0.3
    ema: float = 0.997
    decay: float = 0.4
    threads: int = 0
    compile: bool = False
    autocast: bool = True
    measure_every: float = 120.0
    save_every: float = 240.0
    seed: int = 0
    mix: TaskMix = field(default_factory=TaskMix)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"formats": [share.to_dict() for share in self.formats]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DiTStageConfig:
        """Build from ``to_dict``'s values; what a record from before several formats lacks has its default."""
        defaults = {
            name: getattr(cls, name) for name in ("seen", "formats", "layouts", "muon", "knows_words", "autocast")
        }
        mixed = defaults | values
        formats = [FormatShare.from_dict(share) for share in mixed["formats"]]
        return super().from_dict(mixed | {"formats": formats, "mix": TaskMix.from_dict(mixed["mix"])})


class Told(NamedTuple):
    """Captions as the text encoder gets them. ids, mask: ``[B, L]``. named: whether each names all of its clip."""

    ids: Tensor
    mask: Tensor
    named: Sequence[bool]


class ToldCue(NamedTuple):
    """Captions of what follows a cut ``start_s`` seconds into the clips, as `Told`."""

    start_s: float
    ids: Tensor
    mask: Tensor


class Generator(nn.Module):
    """What is trained together: text encoder and transformer, and the heads that are thrown away afterwards."""

    def __init__(self, text: TextEncoder, dit: DiT) -> None:
        super().__init__()
        self.text = text
        self.dit = dit
        self.concepts = ConceptHeads(text.config.width)


def encode_padded(
    tokenizer: Tokenizer, prompts: list[str], tokens: int, device: torch.device | str
) -> tuple[Tensor, Tensor]:
    """Return ids and mask ``[B, tokens]``: always the full length, because the transformer sees the padding too."""
    ids, mask = tokenizer.encode(prompts, max_tokens=tokens)
    short = tokens - ids.shape[1]
    ids = torch.nn.functional.pad(ids, (0, short), value=tokenizer.pad_id)
    return ids.to(device), torch.nn.functional.pad(mask, (0, short), value=False).to(device)


def flow_loss(
    models: Generator,
    batch: LatentBatch,
    levels: Levels,
    told: Told,
    *,
    fps: float,
    references: tuple[Tensor, ...],
    silent: bool,
    generator: torch.Generator,
    config: DiTStageConfig,
    cues: Sequence[ToldCue] = (),
    processes: Processes = ALONE,
) -> dict[str, Tensor]:
    """Return the flow-matching loss of one batch: mean square error of the velocity where tokens are generated.

    Args:
        models: text encoder and transformer. batch: clean clips. levels: noise levels; 0 is given, not generated.
        told: the captions. fps: pixel frames per second.
        references: clean pictures of the actor ``[B, 16, 1, H, W]``. silent: leave the sound out.
        generator: of the noise, on the clips' device. config: weights of the loss.
        cues: captions of the later shots.
        processes: each of which has such a part of a batch; the mean of their losses and gradients is that of the
            whole batch. Their generators stand at the same place.

    Returns:
        ``loss`` and its parts ``video``, ``audio`` and ``concepts``, float32 scalars with gradients.
    """
    sigma_video, sigma_audio = levels.video, levels.audio
    clean = batch.video.clone()
    held = levels.tail[:, None, None, None]
    clean[:, :, -1] = torch.where(held, batch.tail, clean[:, :, -1])
    noise = _noise(clean, generator, processes)
    level = sigma_video[:, None, :, None, None]
    noisy = (1 - level) * clean + level * noise
    audio_noise = _noise(batch.audio, generator, processes)
    audio_level = sigma_audio[:, None, :, None]
    noisy_audio = (1 - audio_level) * batch.audio + audio_level * audio_noise
    with low_precision(clean.device, enabled=config.autocast):
        states = models.text(told.ids, told.mask)
        video, audio = models.dit(
            noisy,
            None if silent else noisy_audio,
            states,
            told.mask,
            sigma_video=sigma_video,
            sigma_audio=sigma_audio,
            fps=fps,
            references=references,
            cues=[Cue(cue.start_s, models.text(cue.ids, cue.mask), cue.mask) for cue in cues],
        )
    patch = models.dit.config.patch
    weight = (1 + config.actor * batch.actor).repeat_interleave(patch, -1).repeat_interleave(patch, -2)
    weight = weight * (sigma_video > 0)[:, :, None, None]
    sound_weight = (1 + config.strike * batch.strike) * (sigma_audio > 0)
    seen, heard = processes.mean(torch.stack([weight.sum(), sound_weight.sum()])).clamp(min=1.0).unbind()
    terms = {"video": ((video - (noise - clean)).square().mean(1) * weight).sum() / seen}
    if silent:
        terms["audio"] = torch.zeros((), device=clean.device)
    else:
        error = (audio - (audio_noise - batch.audio)).square().mean((1, 3))
        terms["audio"] = (error * sound_weight).sum() / heard
    terms["concepts"] = models.concepts(states, told.mask, batch.attributes, told.named, processes)
    terms["loss"] = terms["video"] + config.audio * terms["audio"] + config.concepts * terms["concepts"]
    return terms


def _noise(like: Tensor, generator: torch.Generator, processes: Processes) -> Tensor:
    """Return this process's part of the whole batch's noise."""
    clips = len(like)
    whole = torch.randn(clips * processes.size, *like.shape[1:], generator=generator, device=generator.device)
    return whole[processes.part(len(whole))].to(like.device)
