"""What a CPU multiplies quickly, and which numbers training computes in because of it."""

from __future__ import annotations

import pytest
import torch

from sora_core import processor
from sora_core.processor import Processor, low_precision
from sora_core.training import optim


@pytest.mark.parametrize(
    ("has", "wanted"),
    [
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, Processor(bfloat16=False, amx=False)),
        ({"avx512_bf16": True}, Processor(bfloat16=True, amx=False)),
        ({"amx_tile": True, "amx_bf16": True, "avx512_bf16": True}, Processor(bfloat16=True, amx=True)),
        ({"amx_tile": True, "amx_bf16": False}, Processor(bfloat16=False, amx=False)),
        ({"bf16": True}, Processor(bfloat16=True, amx=False)),
        ({}, Processor(bfloat16=False, amx=False)),
    ],
)
def test_abilities_are_read(has, wanted):
    assert Processor.of(has) == wanted


@pytest.mark.parametrize("quick", [True, False])
def test_products_are_bfloat16_only_where_that_is_quicker(quick, monkeypatch):
    monkeypatch.setattr(processor, "PROCESSOR", Processor(bfloat16=quick, amx=False))
    layer = torch.nn.Linear(4, 4)
    with low_precision("cpu"):
        assert layer(torch.ones(1, 4)).dtype == (torch.bfloat16 if quick else torch.float32)
    with low_precision("cpu", enabled=False):
        assert layer(torch.ones(1, 4)).dtype == torch.float32
    monkeypatch.setattr(optim, "PROCESSOR", Processor(bfloat16=quick, amx=False))
    turned = optim.orthogonalise(torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0)))
    assert turned.dtype == (torch.bfloat16 if quick else torch.float32)
    sizes = torch.linalg.svdvals(turned.float())
    assert sizes.min() > 0.6
    assert sizes.max() < 1.3


def test_a_pytorch_that_cannot_tell_is_taken_at_the_machines_word(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    for machine, quick in (("x86_64", False), ("aarch64", True)):
        monkeypatch.setattr(processor.platform, "machine", lambda machine=machine: machine)
        assert processor._this() == Processor(bfloat16=quick, amx=False)
