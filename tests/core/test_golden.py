"""Tiny models with stored weights, inputs and outputs: code may change, these numbers may not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

FOLDER = Path(__file__).parent.parent / "golden"
sys.path.insert(0, str(FOLDER))

import make  # noqa: E402  (the golden files' own script, beside them)


@pytest.mark.parametrize("name", ["dit", "video_vae", "audio_vae"])
def test_numbers_stay(name):
    path = FOLDER / f"{name}.safetensors"
    assert path.stat().st_size < 100_000
    stored: dict[str, dict[str, torch.Tensor]] = {"weights": {}, "input": {}, "output": {}}
    for key, tensor in load_file(path).items():
        kind, _, rest = key.partition(".")
        stored[kind][rest] = tensor
    model = make.models()[name]
    model.load_state_dict(stored["weights"])
    # the order of arguments is lost in the file
    given = {key: stored["input"][key] for key in make.inputs(name)}
    for key, value in make.outputs(model.eval(), given).items():
        assert value.abs().mean() > 1e-3, key
        torch.testing.assert_close(value, stored["output"][key], atol=1e-5, rtol=1e-5)
