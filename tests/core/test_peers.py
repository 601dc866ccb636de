"""Ours beside diffusers: equal work is counted, and a machine without diffusers is told how to get it."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from torch import nn

from sora_core.bench import peers
from sora_core.bench.run import bench, judged
from sora_core.dit import PRESETS, DiTConfig
from sora_core.errors import SoraError
from sora_core.types import ClipFormat
from sora_core.video_vae import VideoVAE
from sora_core.video_vae.config import tiny

CONFIG = DiTConfig(width=32, layers=1, heads=2, hidden=96, text_width=16, modulation_width=16)


def test_without_diffusers_a_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    monkeypatch.setattr("sora_core.bench.peak.LARGE", (8, 8, 8))
    with pytest.raises(SoraError, match=r'pip install "sora-nodes\[peers\]"'):
        bench("peers", repeats=1)


def test_a_decoder_is_scaled_to_the_parameters():
    class Scaled(nn.Module):
        def __init__(self, base_dim: int) -> None:
            super().__init__()
            self.decoder = nn.Linear(base_dim, base_dim, bias=False)

    found = peers.Peers("0", None, Scaled)
    assert [peers.count(peers.equal_decoder(found, wanted).decoder) for wanted in (90, 100, 130)] == [100, 100, 144]


def test_the_counter_sees_fused_attention():
    q = torch.randn(1, 2, 5, 8)
    flops = peers.counted_flops(lambda: nn.functional.scaled_dot_product_attention(q, q, q))
    assert flops == 2 * 2 * (2 * 5 * 5 * 8)


@pytest.mark.slow
def test_both_do_the_same_work(monkeypatch):
    pytest.importorskip("diffusers")
    monkeypatch.setitem(PRESETS, peers.PRESET, lambda: CONFIG)
    monkeypatch.setattr(peers, "load_decoder", lambda *_: VideoVAE(tiny()).eval())
    fmt = ClipFormat(width=16, height=16, frames=5, fps=12.0)
    figures = peers.bench_peers(sizes={"12": (3, 4, 4)}, fmt=fmt, repeats=1)
    assert json.loads(json.dumps(figures)) == figures
    for pair in figures["transformer"]["12"].values():
        assert pair["ours"]["gflop"] == pytest.approx(pair["theirs"]["gflop"], rel=0.02)
    text = [row[0] for row in peers.rows(figures, judged({"peers": figures}))]
    assert "  transformer, 12 tokens, bfloat16" in text
    assert "  video decoder, float32" in text
