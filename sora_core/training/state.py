"""Keep a run, so that it can go on in pieces: weights, average, optimizer and progress in one safetensors file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from ..atomic import replacing
from .ema import EMA


def save_state(path: Path, model: nn.Module, ema: EMA, optimizer: Optimizer, progress: dict[str, Any]) -> None:
    """Write a run's state; the old file is replaced only when the new one is whole.

    Args:
        path: safetensors file to write.
        model, ema, optimizer: the run.
        progress: plain JSON values (step, minutes, configuration).
    """
    tensors = {f"model.{name}": p.detach() for name, p in model.named_parameters()}
    tensors |= {f"ema.{name}": value for name, value in ema.average.items()}
    for index, kept in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in kept.items()}
    whole = {name: value.contiguous() for name, value in tensors.items()}
    with replacing(path) as hidden:
        save_file(whole, hidden, {"progress": json.dumps(progress | {"ema_updates": ema.updates})})


def read_progress(path: Path) -> dict[str, Any]:
    """Return the progress that `save_state` wrote."""
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["progress"])


def load_state(path: Path, model: nn.Module, ema: EMA, optimizer: Optimizer) -> dict[str, Any]:
    """Put a kept run back into freshly built parts of the same sizes, and return its progress."""
    progress = read_progress(path)
    tensors = load_file(path)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[f"model.{name}"])
    ema.load({name: tensors[f"ema.{name}"] for name in ema.average}, progress["ema_updates"])
    kept: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        kind, _, rest = key.partition(".")
        if kind == "optimizer":
            index, name = rest.split(".")
            kept.setdefault(int(index), {})[name] = value
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, state in kept.items():
        # Saved tensors are contiguous; the moments must lie as their parameters do, or every step pays for it.
        state.update({k: v.clone() if v.ndim == 0 else _laid_like(v, parameters[index]) for k, v in state.items()})
    optimizer.load_state_dict({"state": kept, "param_groups": optimizer.state_dict()["param_groups"]})
    return progress


def _laid_like(value: Tensor, parameter: Tensor) -> Tensor:
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
