"""Latents on disk: rendered and encoded once, by several processes, and read by every run that trains on them.

A folder holds one folder for each kind and format of clips (`ClipEncoder.name`), and that one file for every `SHARD`
clips, named by the seed of its first. What a clip shows follows from its seed and is drawn again when it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from ..atomic import replacing
from ..errors import SoraError
from .encoded import ClipEncoder, EncodedClips, Planned

SHARD = 128
"""Clips of one file: 2 MiB at 64 px and two seconds, 9 MiB at 96 px and four."""

TENSORS = ("video", "tail", "audio", "actor", "strike")


def encoder_hash(*vaes: nn.Module) -> str:
    """Return what tells encoders apart: SHA-256 of their weights and latent statistics, decoders left out.

    A decoder that was trained on leaves the latents as they are.
    """
    digest = hashlib.sha256()
    for vae in vaes:
        for name, tensor in vae.state_dict().items():
            if not name.startswith("decoder."):
                digest.update(name.encode())
                digest.update(tensor.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def missing_shards(encoder: ClipEncoder, folder: Path, clips: int, first_seed: int) -> list[Path]:
    """Return the files that lack to ``clips`` clips, whole files counted."""
    inner = folder / encoder.name
    files = [inner / f"{first_seed + place:010d}.safetensors" for place in range(0, clips, SHARD)]
    return [path for path in files if not path.exists()]


def write_shards(encoder: ClipEncoder, paths: Sequence[Path], told: Callable[[], None] | None = None) -> None:
    """Render, encode and write files of `missing_shards`.

    Args:
        encoder: what to make. paths: of the files. told: called after each.

    Raises:
        SoraError: the folder cannot be written.
    """
    about = _about(encoder)
    for path in paths:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SoraError(
                f"{path.parent} cannot be made: {error.strerror or error}; choose another folder"
            ) from error
        seeds = range(int(path.stem), int(path.stem) + SHARD)
        parts = [encoder.make(seeds[at : at + encoder.at_once]) for at in range(0, SHARD, encoder.at_once)]
        tensors = {name: torch.cat([getattr(part, name) for part in parts]).cpu().contiguous() for name in TENSORS}
        metadata = about | {"shown": _fingerprint(encoder.plan(seeds))}
        with replacing(path) as hidden:
            save_file(tensors, hidden, {"sora.latents": json.dumps(metadata)})
        if told is not None:
            told()


def write_with(
    shards: Sequence[tuple[ClipEncoder, Path]], processes: int, told: Callable[[], None] | None = None
) -> None:
    """Write files in several processes of one thread each: on a CPU the quickest way, since clips are independent.

    Args:
        shards: encoders, all on one device, and the file of each. processes: how many. told: called as files are done.

    Raises:
        SoraError: one of the processes ended early.
    """
    if processes <= 1 or len(shards) <= 1 or shards[0][0].device.type != "cpu":
        _write_all(shards, told)
        return
    context: Any = torch.multiprocessing.get_context("spawn")
    paths = [path for _, path in shards]
    helpers = [
        context.Process(target=_write_alone, args=(shards[turn::processes],), daemon=True)
        for turn in range(min(processes, len(shards)))
    ]
    for helper in helpers:
        helper.start()
    done = 0
    try:
        while any(helper.is_alive() for helper in helpers):
            for helper in helpers:
                helper.join(timeout=0.2)
            now = sum(path.exists() for path in paths)
            for _ in range(now - done if told is not None else 0):
                told()  # type: ignore[misc]
            done = now
    finally:
        for helper in helpers:
            if helper.is_alive():
                helper.terminate()
    if left := [path for path in paths if not path.exists()]:
        raise SoraError(f"{len(left)} files of latents were not written, first {left[0]}; the error stands above")


def read_shards(encoder: ClipEncoder, folder: Path, clips: int) -> Iterator[EncodedClips]:
    """Read the clips of one kind and format, in the order of their seeds.

    Args:
        encoder: what they must have been made with. folder: holds `ClipEncoder.name`. clips: at most so many.

    Raises:
        SoraError: a file that is damaged, or was made with another VAE, format, level or version of the world.
    """
    about = _about(encoder)
    for path in sorted((folder / encoder.name).glob("*.safetensors")):
        if clips <= 0:
            return
        if not path.stem.isdigit():
            raise SoraError(f"{path} is not named by a seed; remove it, or name another folder of latents")
        made = _read(path, encoder, about)
        clips -= len(made.attributes)
        yield made


def _read(path: Path, encoder: ClipEncoder, about: dict[str, str]) -> EncodedClips:
    try:
        with safe_open(path, "pt") as file:
            said: dict[str, str] = json.loads((file.metadata() or {})["sora.latents"])
            tensors = [file.get_tensor(name) for name in TENSORS]
    except (OSError, SafetensorError, ValueError, KeyError):
        raise SoraError(f"{path} is damaged or holds no latents; remove it, and it is made again") from None
    for name, value in about.items():
        if said.get(name) != value:
            raise SoraError(
                f"{path} was made with {name} {said.get(name)} and this run has {name} {value}; name another folder"
            )
    seeds = range(int(path.stem), int(path.stem) + len(tensors[0]))
    planned = encoder.plan(seeds)
    if said.get("shown") != _fingerprint(planned):
        raise SoraError(f"{path} shows what another version of the world drew; remove the folder, and it is made again")
    return EncodedClips(*tensors, attributes=planned.shown, kind=encoder.kind, second=planned.second, seeds=list(seeds))


def _about(encoder: ClipEncoder) -> dict[str, str]:
    """Return what must be the same where latents are used again."""
    return {
        "format": encoder.name,
        "split": encoder.split,
        "VAE": encoder_hash(encoder.video_vae, encoder.audio_vae),
    }


def _fingerprint(planned: Planned) -> str:
    values = [asdict(shown) for shown in planned.shown] + [
        [shot.frame, asdict(shot.attributes)] for shot in planned.second
    ]
    return hashlib.sha256(json.dumps([values, planned.starts]).encode()).hexdigest()[:16]


def _write_alone(shards: Sequence[tuple[ClipEncoder, Path]]) -> None:
    torch.set_num_threads(1)
    _write_all(shards)


def _write_all(shards: Sequence[tuple[ClipEncoder, Path]], told: Callable[[], None] | None = None) -> None:
    for _, group in groupby(shards, key=lambda shard: id(shard[0])):
        files = list(group)
        write_shards(files[0][0], [path for _, path in files], told)
