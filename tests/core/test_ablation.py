"""Small runs that differ in one thing: that they do, that each is measured alike, and what the table says."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sora_core.audio_vae import AudioVAE
from sora_core.audio_vae.config import tiny as tiny_audio
from sora_core.dit import DiTConfig
from sora_core.dit.flops import count_flops, count_tokens
from sora_core.errors import SoraError
from sora_core.training import ablation, building
from sora_core.training.tasks import TaskMix
from sora_core.types import ClipFormat
from sora_core.video_vae import VideoVAE
from sora_core.video_vae.config import tiny as tiny_video


def test_the_runs_cost_alike():
    operations = [count_flops(choice.sizes, count_tokens(ClipFormat())) for choice in ablation.CHOICES.values()]
    assert max(operations) / min(operations) < 1.1
    seen = {replace(ablation.STAGE, **choice.changed).seen for choice in ablation.CHOICES.values()}
    assert seen == {ablation.SEEN}


def test_a_table_tells_each_run_by_its_distance_from_the_base():
    unseen = dict.fromkeys(ablation.MEASURES, 0.5)
    base = {"name": "base", "level": 3, "clips": 48, "rendered": 32, "parameters": 1_000_000, "gflop": 0.3}
    other = base | {"name": "adamw", "unseen": unseen | {"video": 0.6}}
    said = ablation.table([base | {"unseen": unseen}, other])
    assert (
        "| Muon against AdamW | AdamW at 2e-3 for all | 1.00 M | 0.30 | 48 | 0.6000 (+20.0%) | 0.5000 (+0.0%)" in said
    )
    assert "of 32 different ones" in said
    with pytest.raises(SoraError, match="'base' is not there"):
        ablation.table([other])


@pytest.mark.slow
def test_runs_are_trained_once_and_told(tmp_path, monkeypatch, capsys):
    sizes = DiTConfig(width=32, layers=1, heads=2, hidden=64, modulation_width=16)
    choices = {
        "base": ablation.Choice(says="plain", sizes=sizes),
        "even": ablation.Choice(asks="weights", says="none", sizes=sizes, changed={"actor": 0.0, "strike": 0.0}),
    }
    monkeypatch.setattr(ablation, "RUNS", choices)
    plain = TaskMix(references=0.0, image=0.0, silent=0.0, cut=0.0, later=0.0)
    stage = replace(ablation.STAGE, seen=8, batch=4, words=0.01, mix=plain)
    monkeypatch.setattr(ablation, "STAGE", stage)
    monkeypatch.setattr(ablation, "LATENTS", 16)
    monkeypatch.setattr(ablation, "COMPILED", False)
    monkeypatch.setattr(building, "load_vaes", lambda *_: (VideoVAE(tiny_video()), AudioVAE(tiny_audio())))
    threads = torch.get_num_threads()
    try:
        given = [str(tmp_path), "--latents", str(tmp_path / "latents"), "--level", "1"]
        assert ablation.main([*given, "--markdown", str(tmp_path / "table.md")]) == 0
        said = (tmp_path / "table.md").read_text()
        assert said in capsys.readouterr().out
        assert said.count("\n| ") == 2
        monkeypatch.setattr(ablation, "run_choice", lambda *_, **__: pytest.fail("it was trained already"))
        assert ablation.main(given) == 0
    finally:
        torch.set_num_threads(threads)
    # what only counts actors is another loss than what counts all alike
    assert "SoraError" not in said
    figures = ablation.read(tmp_path)[0]
    assert figures["unseen"]["video"] != figures["unseen"]["actor"]
    assert ablation.main([*given, "--runs", "base,none"]) == 2
    assert "run 'none' is not known; choose some of base, even" in capsys.readouterr().err
