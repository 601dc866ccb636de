"""The loader's speeds: the quick model of a checkpoint, merged into the MODEL's weights."""

from __future__ import annotations

import inspect

import pytest
import torch

from sora_core.checkpoint import read_part, write_quick
from sora_core.dit import DiT, Lora
from sora_core.request import Quick

pytestmark = pytest.mark.comfy

STEPS = (8, 4)


@pytest.fixture(scope="module")
def quick_path(tiny_checkpoint, tmp_path_factory):
    """The tiny model with a quick one beside it, of chance."""
    path = tmp_path_factory.mktemp("quick") / "quick.safetensors"
    config, _ = read_part(tiny_checkpoint, "dit")
    lora = Lora.for_model(DiT(config, device="meta"), 2, STEPS)
    generator = torch.Generator().manual_seed(0)
    for parameter in lora.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    write_quick(tiny_checkpoint, path, quick=Quick(rank=2, steps=STEPS), lora=lora)
    return path


@pytest.mark.parametrize("steps", STEPS)
def test_the_weights_are_merged(host, quick_path, steps):
    load = host.pack("nodes.adapters.model").load_model
    checkpoint = host.pack("sora_core.checkpoint")
    _, state = checkpoint.read_part(quick_path, "dit")
    full, patcher = load(quick_path), load(quick_path, None, steps)
    wanted = checkpoint.read_quick(quick_path).merge({name: tensor.float() for name, tensor in state.items()}, steps)
    made = patcher.model.diffusion_model.state_dict()
    for name, tensor in wanted.items():
        assert torch.equal(made[name].cpu(), tensor.to(made[name].dtype)), name
    assert not torch.equal(made["final_table"], full.model.diffusion_model.state_dict()["final_table"])
    # the host builds it again from these
    build, given = patcher.cached_patcher_init
    again = build(*given).model.diffusion_model.state_dict()
    assert all(torch.equal(again[name], made[name]) for name in made)


def test_what_is_not_there_is_refused(host, quick_path):
    load, error = host.pack("nodes.adapters.model").load_model, host.pack("sora_core.errors").SoraError
    with pytest.raises(error, match="made for 8 or 4 steps, not for 6"):
        load(quick_path, None, 6)
    plain = quick_path.with_name("plain.safetensors")
    save = host.pack("sora_core.checkpoint")
    config, state = save.read_part(quick_path, "dit")
    dit = host.pack("sora_core.dit").DiT(config)
    dit.load_state_dict(state)
    save.save_checkpoint(plain, {"dit": dit}, defaults=host.pack("sora_core.request").Defaults(), training={})
    with pytest.raises(error, match="holds no quick model"):
        load(plain, None, 8)


def test_old_workflows_load_the_full_model(host):
    loader = host.pack("nodes.loaders").SoraLoader
    given = loader.GET_NODE_INFO_V1()["input"]
    assert "speed" in given["optional"]
    assert "speed" not in given["required"]
    assert inspect.signature(loader.execute).parameters["speed"].default == "full"
