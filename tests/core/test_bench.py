"""The benchmark runs and says what it measured; nothing here depends on how fast the machine is."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

from sora_core.bench import dit, end_to_end, extension, fresh, vae
from sora_core.bench.report import _end_to_end, table
from sora_core.bench.run import AIMS, bench, figure, judged
from sora_core.bench.timing import median_seconds
from sora_core.dit import PRESETS, DiTConfig
from sora_core.errors import SoraError
from sora_core.pipeline import Pipeline
from sora_core.request import Defaults, Quick, Request, resolve
from sora_core.types import ClipFormat


@pytest.fixture
def quick(monkeypatch):
    """Measure a tiny transformer and tiny clips, in this process."""
    config = DiTConfig(width=32, layers=1, heads=2, hidden=64, text_width=16, modulation_width=16)
    monkeypatch.setitem(PRESETS, "micro", lambda: config)
    monkeypatch.setattr(dit.bench_dit, "__kwdefaults__", dit.bench_dit.__kwdefaults__ | {"presets": ("micro",)})
    monkeypatch.setattr(
        vae.bench_vae, "__kwdefaults__", vae.bench_vae.__kwdefaults__ | {"side": 16, "lengths_s": (0.5, 1.0)}
    )
    monkeypatch.setattr("sora_core.bench.peak.LARGE", (8, 8, 8))
    monkeypatch.setattr("sora_core.bench.timing.LEAST_SECONDS", 0.0)
    monkeypatch.setattr(end_to_end, "STEPS", 2)
    monkeypatch.setattr(extension, "LONG_S", 5.0)
    monkeypatch.setattr(extension, "STEPS", 1)
    for module in (vae, end_to_end, extension):
        monkeypatch.setattr(module, "in_fresh_process", lambda target, *values: target(*values))


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_every_subject_is_measured(tiny_checkpoint):
    told = []
    figures = bench("all", checkpoint=tiny_checkpoint, repeats=1, progress=lambda *words: told.append(words))
    assert json.loads(json.dumps(figures)) == figures
    assert set(figures) == {"machine", "dit", "vae", "end_to_end", "extension", "aims"}
    assert set(figures["dit"]) == set(PRESETS)
    timed = figures["dit"]["micro"]["bfloat16"]
    assert {"median_ms", "gflops", "matmul_peak_gflops", "share_of_peak", "operators"} == set(timed)
    assert sum(timed["operators"].values()) == pytest.approx(1)
    assert set(figures["dit"]["2b"]) == {"parameters", "tokens", "gflop"}
    assert figures["vae"].keys() == {"ms_per_frame", "large_ms_per_frame", "memory"}
    assert {"sampling_s", "decoding_s", "writing_s", "total_s", "cold_start_s"} <= set(figures["end_to_end"])
    assert figures["end_to_end"]["steps"] == 2
    assert figures["end_to_end"]["quick"] == {}
    assert figures["end_to_end"]["times_real_time"] > 0
    assert figures["extension"]["peak_ratio"] >= 1
    assert told[0][2] == "dit: starting"
    assert told[-1][:2] == (1, 1)
    text = table(figures)
    for words in ("share of peak", "aim >= 0.27", "memory growth, stream", "cold start", "micro", "peak memory of 5 s"):
        assert words in text


def test_unknown_subjects_are_refused():
    with pytest.raises(SoraError, match="subject 'gpu'"):
        bench("gpu")


def test_aims_are_judged_where_there_is_a_figure():
    figures = {"end_to_end": {"total_s": 7.0, "cold_start_s": 15.0, "cold_start_peak_mib": None}}
    assert {key: aim["met"] for key, aim in judged(figures).items()} == {
        "end_to_end.total_s": False,
        "end_to_end.cold_start_s": True,
    }
    assert figure({"a": {"b": 2}}, "a.b") == 2
    assert figure({"a": 1}, "a.b") is None
    assert {aim.words() for aim in AIMS} >= {">= 0.27", "<= 1.2", "<= 6"}


def test_the_quick_model_is_measured_for_the_steps_it_was_made_for():
    pipeline = SimpleNamespace(defaults=Defaults(quick=Quick(rank=4, steps=(4, 2))))
    assert [(request.steps, request.quick) for request in end_to_end._requests(pipeline)] == [(30, False), (4, True)]
    plain = SimpleNamespace(defaults=Defaults())
    assert [request.steps for request in end_to_end._requests(plain)] == [30]
    medians = end_to_end._medians([(1.0, 2.0, 3.0, 6.0), (3.0, 4.0, 3.0, 10.0), (2.0, 0.0, 3.0, 5.0)], 3.0)
    assert medians["sampling_and_decoding_s"] == 3
    assert medians["times_real_time"] == 0.5
    figures = {"clip_seconds": 3.0, "steps": 30, "guidance": 4.0, "cold_start_s": 9.0, "cold_start_peak_mib": None}
    judged_at = {"all_correct": 0.5, "held_out_pairs.all_correct": 0.25, "onset_f1": None, "gravity_residual_px": 0.5}
    figures |= {**medians, "quick": {"4": medians}, "quality": {"4": judged_at}, "quality_clips": 8}
    figures |= {"long": {"4": 2.0}, "long_seconds": 4.0}
    rows = list(_end_to_end(figures, judged({"end_to_end": figures})))
    assert ("  times real time", "0.50 x", "aim >= 1: missed") in rows
    said = "all correct 0.50, held-out pairs 0.25, gravity residual 0.50"
    assert ("  judged at 4 steps", "8 clips", said) in rows
    assert ("  4 steps", "2.00 s", "2.00 x real time") in rows


def test_clips_are_judged_at_each_number_of_steps(tiny_checkpoint):
    pipeline = Pipeline.load(tiny_checkpoint)
    plans = {steps: resolve(Request(prompt="x", steps=int(steps)), pipeline.defaults) for steps in ("2", "1")}
    told = []
    found = end_to_end._quality(pipeline, plans, 8, told.append)
    assert told == ["judging 8 clips at 2 steps", "judging 8 clips at 1 steps"]
    assert found.keys() == plans.keys()
    assert all(figures.keys() == set(end_to_end.QUALITY) for figures in found.values())
    assert found["2"]["all_correct"] is not None


def test_calls_take_turns():
    order = []
    seconds = median_seconds(lambda: order.append("a"), lambda: order.append("b"), repeats=3, least=0.0)
    assert len(seconds) == 2
    assert "".join(order) == "ab" + "ab" + "ababab"


@pytest.mark.slow
def test_a_fresh_process_answers_or_is_reported(capfd):
    assert fresh.in_fresh_process(abs, -3) == 3
    with pytest.raises(SoraError, match="without a result"):
        fresh.in_fresh_process(abs, "x")
    assert "TypeError" in capfd.readouterr().err


def test_peak_memory_never_falls():
    before = fresh.peak_memory()
    held = torch.ones(1 << 20)
    after = fresh.peak_memory()
    assert before is None or (after is not None and after >= before > held.numel())


def test_decoding_streams_all_frames():
    fmt = ClipFormat(width=16, height=16, frames=9)
    chunks = list(vae._latents(fmt.latent.frames, 2))
    assert sum(chunk.shape[2] for chunk in chunks) == fmt.latent.frames
    assert all(chunk.shape[2] <= vae.STREAMED_FRAMES for chunk in chunks)
