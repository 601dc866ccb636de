"""The stages of training, their states and their pictures, with models small enough for a test."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sora_core.audio_vae import AudioVAE
from sora_core.audio_vae.config import tiny as tiny_audio
from sora_core.checkpoint import load_checkpoint, read_metadata
from sora_core.dit import DiTConfig
from sora_core.errors import SoraError
from sora_core.media.png import write_png
from sora_core.training import (
    audio_vae,
    building,
    distil,
    distil_stage,
    dit,
    run,
    samples,
    stages,
    video_vae,
    video_windows,
)
from sora_core.training.audio_vae import AudioTraining
from sora_core.training.concepts import ConceptHeads, teach_words
from sora_core.training.distil_config import DistilConfig
from sora_core.training.dit import DiTStageConfig
from sora_core.training.ema import EMA
from sora_core.training.encoded import ENCODE_BATCH, ClipEncoder, RenderBeside, Work
from sora_core.training.formats import FormatShare
from sora_core.training.latents import LatentPool
from sora_core.training.optim import MuonAdamW, split_parameters
from sora_core.training.pictures import draw_curves, draw_samples
from sora_core.training.state import load_state, read_progress, save_state
from sora_core.training.tasks import TaskMix, draw_levels
from sora_core.training.video_vae import VideoStageConfig
from sora_core.training.video_windows import Window, WindowStream, mixed_clips
from sora_core.types import ClipFormat
from sora_core.video_vae import VideoVAE
from sora_core.video_vae.config import tiny as tiny_video
from sora_core.world.captions import caption
from sora_core.world.sample import sample_attributes
from sora_core.world.spec import LEVELS, held_out

SMALL = ClipFormat(width=32, height=32, frames=9, fps=12.0)
STATES = [f"{stage}/state.safetensors" for stage in run.SHARES]


@dataclass(frozen=True, kw_only=True)
class QuickVideo(VideoStageConfig):
    """As short as it gets."""

    frames: int = 5
    batch: int = 4


@dataclass(frozen=True, kw_only=True)
class QuickAudio(AudioTraining):
    """As short as it gets."""

    batch: int = 2


@dataclass(frozen=True, kw_only=True)
class QuickDiT(DiTStageConfig):
    """As short as it gets."""

    batch: int = 4
    pool: int = 32
    measure_every: float = 0.5


@dataclass(frozen=True, kw_only=True)
class QuickDistil(DistilConfig):
    """As short as it gets."""

    rank: int = 2
    batch: int = 2
    teacher_steps: int = 1
    measured: int = 2


@pytest.fixture
def quick(monkeypatch):
    """Make every stage tiny, on a clock that ticks when it is read; the code paths stay those of the command."""
    sizes = DiTConfig(width=32, layers=1, heads=2, hidden=64, modulation_width=16)
    monkeypatch.setitem(building.PRESETS, "micro", lambda _: sizes)
    for module, names in {
        stages: {
            "VideoStageConfig": QuickVideo,
            "AudioTraining": QuickAudio,
            "DiTStageConfig": QuickDiT,
            "DistilConfig": QuickDistil,
            "AudioVAEConfig": tiny_audio,
            "START_CLIPS": 1,
        },
        building: {"ClipFormat": lambda: SMALL},
        video_vae: {
            "VideoVAEConfig": tiny_video,
            "ClipFormat": lambda: SMALL,
            "VALIDATION_CLIPS": 4,
            "STATISTICS_CLIPS": 4,
        },
        distil_stage: {"SHOWN": 1},
        video_windows: {"ClipFormat": lambda: SMALL},
        samples: {"PROMPTS": samples.PROMPTS[:2], "ROUND_TRIPS": 1, "SOUNDS": 1},
    }.items():
        for name, value in names.items():
            monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(building, "load_checkpoint", None)
    ticks = itertools.count()
    for module in (dit, video_vae, audio_vae, distil):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(ticks) / 10))


def go(out: Path, minutes: float, stage: str = "all", **more) -> str:
    return run.train(stage=stage, preset="micro", minutes=minutes, out=out, **more)


def place(out: Path) -> dict[str, dict]:
    return {name: read_progress(out / name) for name in STATES}


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_all_stages_run_from_an_empty_folder_and_go_on(tmp_path):
    seen: list[float] = []
    assert "model.safetensors" in go(tmp_path, 0.04, progress=lambda share, _: seen.append(share))
    first = place(tmp_path)
    made = read_metadata(tmp_path / "model.safetensors")
    assert made.training["steps"] == first[STATES[2]]["step"] > 0
    assert made.training["clips"] == 4 * made.training["steps"]
    assert made.defaults.format == SMALL
    pictures = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png")}
    assert pictures >= {"samples.png", "video-vae/samples.png", "audio-vae/samples.png"}
    assert max(seen) >= 1
    assert all(share >= 0 for share in seen)

    with pytest.raises(SoraError, match=r"already holds a run of video-vae, audio-vae, dit, distil; add --resume"):
        go(tmp_path, 0.08)
    with pytest.raises(SoraError, match=r"add --resume"):
        go(tmp_path, 0.08, stage="dit")
    go(tmp_path, 0.08, resume=True)
    second = place(tmp_path)
    assert second[STATES[2]]["step"] > first[STATES[2]]["step"]
    assert second[STATES[2]]["minutes"] >= run.SHARES["dit"] * 0.08 > first[STATES[2]]["minutes"]
    assert second[STATES[3]]["step"] > first[STATES[3]]["step"] > 0
    assert made.defaults.quick.training["teacher"]["file"] == "model.safetensors"
    # the transformer has learned from the VAEs' latents: training them on would pull these from under it
    assert [second[name] for name in STATES[:2]] == [first[name] for name in STATES[:2]]
    assert (tmp_path / "dit" / "curves.png").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_stage_alone_goes_on_in_pieces(tmp_path):
    for stage, name in (("video-vae", STATES[0]), ("audio-vae", STATES[1])):
        go(tmp_path, 0.01, stage)
        first = read_progress(tmp_path / name)
        go(tmp_path, 0.02, stage, resume=True)
        second = read_progress(tmp_path / name)
        assert second["step"] > first["step"] > 0
        # at its end already: nothing more is learned
        go(tmp_path, 0.02, stage, resume=True)
        assert read_progress(tmp_path / name)["step"] == second["step"]
    with pytest.raises(SoraError, match="other sizes"):
        audio_vae.AudioTrainer(audio_vae.AudioVAEConfig(), QuickAudio(), tmp_path / "audio-vae")


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_run_begins_from_a_model(tmp_path, monkeypatch):
    monkeypatch.setattr(building, "load_checkpoint", load_checkpoint)
    go(tmp_path / "one", 0.03, "all")
    made = tmp_path / "one" / stages.MODEL
    go(tmp_path / "two", 0.01, "dit", start=made)
    first, second = (load_checkpoint(tmp_path / name / stages.MODEL) for name in ("one", "two"))
    for before, after in zip(first.video_vae.parameters(), second.video_vae.parameters(), strict=True):
        assert torch.equal(before, after)
    changed = (first.dit.video_out.weight - second.dit.video_out.weight).abs().max()
    assert 0 < changed < 0.2


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_all_stages_go_on_from_a_model_whose_latents_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(building, "load_checkpoint", load_checkpoint)
    go(tmp_path / "one", 0.03, "all")
    made = tmp_path / "one" / stages.MODEL
    formats = (FormatShare(fmt=SMALL, share=0.5), FormatShare(fmt=ClipFormat(width=48, height=32, frames=9), share=0.5))
    said = go(tmp_path / "two", 0.03, "all", start=made, formats=formats)
    assert said.startswith("trained video-vae, dit, distil")
    first, second = (load_checkpoint(tmp_path / name / stages.MODEL, dtype=torch.float32) for name in ("one", "two"))
    for part, same in (("video_vae.encoder", True), ("video_vae.decoder", False), ("audio_vae", True), ("dit", False)):
        pairs = zip(*(attrgetter(part)(model).parameters() for model in (first, second)), strict=True)
        assert all(torch.equal(before, after) for before, after in pairs) == same, part
    assert second.metadata.defaults.quick.steps == (8, 4)
    assert second.metadata.defaults.shift == first.metadata.defaults.shift
    record, before = second.metadata.training, first.metadata.training
    assert record["began_from"] == before
    assert record["clips"] == before["clips"] + record["clips_of_this_run"] > before["clips"]
    sizes = [form["size"] for form in second.metadata.training["formats"]]
    assert sizes == ["32x32x9", "48x32x9"]
    line = json.loads((tmp_path / "two" / "video-vae" / "log.jsonl").read_text().splitlines()[-1])
    assert {"psnr", "psnr_48x32x9"} <= line.keys()
    with pytest.raises(SoraError, match="stage audio-vae begins from nothing"):
        go(tmp_path / "three", 0.03, "audio-vae", start=made)


@pytest.mark.usefixtures("quick")
def test_a_run_ends_after_a_number_of_clips(tmp_path):
    vaes = (VideoVAE(tiny_video()), AudioVAE(tiny_audio()))
    monkey = pytest.MonkeyPatch()
    monkey.setattr(building, "load_vaes", lambda *_: vaes)
    rates = []
    with monkey.context():
        config = QuickDiT(minutes=1e-9, seen=20, start=8, refresh=0, words=0.0, decay=0.5)
        trainer = building.dit_trainer(config, tmp_path, preset="micro", level=1, device="cpu", fmt=SMALL)
        step = trainer.optimizer.step
        monkey.setattr(
            trainer.optimizer, "step", lambda: (rates.append(trainer.optimizer.param_groups[0]["lr"]), step())
        )
        trainer.run()
    monkey.undo()
    assert (trainer.clips, trainer.step, trainer.share) == (20, 5, 1.0)
    assert rates[2] == max(rates) > rates[3] > rates[4] > 0


def test_a_mix_of_clips_draws_one_format_at_a_time_by_its_seed():
    shares = [FormatShare(fmt=SMALL, share=3.0), FormatShare(fmt=ClipFormat(width=48, height=32, frames=5), level=2)]
    source = mixed_clips(shares, 1)
    shapes = [tuple(source(seed, 2, False).frames.shape) for seed in range(16)]
    assert set(shapes) == {(2, 9, 32, 32, 3), (2, 5, 32, 48, 3)}
    assert shapes == [tuple(source(seed, 2, False).frames.shape) for seed in range(16)]
    assert shapes.count((2, 9, 32, 32, 3)) > 8


@pytest.mark.parametrize(("more", "said"), [({"stage": "vae"}, "stage 'vae'"), ({"preset": "huge"}, "preset 'huge'")])
def test_unknown_names_are_refused(tmp_path, more, said):
    with pytest.raises(SoraError, match=said):
        run.train(**{"stage": "all", "preset": "micro", "minutes": 1, "out": tmp_path} | more)
    assert not list(tmp_path.iterdir())


def test_the_sheet_shows_unseen_pairs_and_words():
    from sora_core.evaluation.prompts import group_of
    from sora_core.world.reading import read_prompt

    groups = [group_of(prompt, read_prompt(prompt)) for prompt in samples.PROMPTS]
    assert groups == ["plain"] * 8 + ["held_out_pairs"] * 2 + ["held_out_words"] * 2


def test_a_state_continues_exactly(tmp_path):
    x, goal = torch.randn(8, 4), torch.randn(8, 3)

    def start() -> tuple[nn.Module, EMA, MuonAdamW]:
        torch.manual_seed(0)
        model = nn.Linear(4, 3)
        return model, EMA(model), MuonAdamW(split_parameters(model), lr=0.01)

    def steps(model: nn.Module, ema: EMA, optimizer: MuonAdamW) -> None:
        for _ in range(5):
            (model(x) - goal).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            ema.update()

    whole, first, second = start(), start(), start()
    steps(*whole)
    steps(*whole)
    steps(*first)
    save_state(tmp_path / "state.safetensors", *first, {"step": 5})
    assert load_state(tmp_path / "state.safetensors", *second)["step"] == 5
    steps(*second)
    torch.testing.assert_close(second[0].state_dict(), whole[0].state_dict())
    torch.testing.assert_close(second[1].average, whole[1].average)
    assert second[1].updates == 10


def test_windows_are_the_same_ahead_or_when_asked():
    def clips(first_seed: int, count: int, held_out: bool) -> Window:  # noqa: ARG001
        frames = torch.randint(256, (count, 9, 4, 4, 3), generator=torch.Generator().manual_seed(first_seed))
        return Window(frames.to(torch.uint8), torch.zeros(count, 9, 4, 4))

    streams = [WindowStream(clips, batch=4, frames=5, crops=2, ahead=ahead) for ahead in (True, False)]
    for _ in range(3):
        ahead, asked = (next(stream) for stream in streams)
        assert torch.equal(ahead.frames, asked.frames)
    assert streams[0].drawn == streams[1].drawn == 6
    for stream in streams:
        stream.close()


def tiny_encoder(kind: str = "plain", fmt: ClipFormat = SMALL) -> ClipEncoder:
    torch.manual_seed(0)
    return ClipEncoder(
        video_vae=video_vae.VideoVAE(tiny_video()).eval(),
        audio_vae=audio_vae.AudioVAE(tiny_audio()).eval(),
        level=1,
        fmt=fmt,
        split="train",
        device=torch.device("cpu"),
        kind=kind,
    )


def test_a_process_beside_renders_the_kinds_in_turns_each_with_its_next_seeds():
    works = [Work(tiny_encoder(), 5000, 0.6), Work(tiny_encoder("later"), 7000, 0.4)]
    beside = RenderBeside(works)
    try:
        for work, first in ((0, 5000), (1, 7000), (0, 5000 + ENCODE_BATCH)):
            until = time.monotonic() + 60
            while (made := beside.ready()) is None and time.monotonic() < until:
                time.sleep(0.05)
            asked = works[work].encoder.make(range(first, first + ENCODE_BATCH))
            assert made is not None
            assert (made.kind, made.attributes) == (asked.kind, asked.attributes)
            for ours, theirs in zip(made[:5], asked[:5], strict=True):
                torch.testing.assert_close(ours, theirs, atol=0.02, rtol=0.02)
    finally:
        beside.close()
    beside._process.join(timeout=10)
    assert not beside._process.is_alive()


def test_clips_with_a_cut_are_trained_pairs_drawn_with_one_time():
    fmt = ClipFormat(width=32, height=32, frames=25)
    made = tiny_encoder("cut", fmt).make(range(32))
    assert [shot.frame for shot in made.second] == [2, 3, 4, 5] * 8
    pairs = list(zip(made.attributes, (shot.attributes for shot in made.second), strict=True))
    assert not any(held_out(shown) for pair in pairs for shown in pair)
    kept = [(a.colour, a.object, a.size) == (b.colour, b.object, b.size) for a, b in pairs]
    assert 8 <= sum(kept) <= 24
    assert all((a.motion, a.scene) != (b.motion, b.scene) for (a, b), same in zip(pairs, kept, strict=True) if same)
    vaes = {"video_vae": tiny_encoder().video_vae, "audio_vae": tiny_encoder().audio_vae}
    pool = LatentPool(**vaes, level=1, fmt=fmt, capacity=20, kind="cut")
    pool.keep(made)
    generator = torch.Generator().manual_seed(0)
    drawn = [pool.draw(6, generator) for _ in range(20)]
    assert all(len({shot.frame for shot in batch.second}) == 1 for batch in drawn)
    assert {batch.second[0].frame for batch in drawn} == {2, 3, 4, 5}
    # rows that were replaced have their second shots replaced too
    told = dict(zip(made.attributes, made.second, strict=True))
    assert all(told[a] == shot for batch in drawn for a, shot in zip(batch.attributes, batch.second, strict=True))


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_the_stage_trains_on_every_kind_of_clip(tmp_path, monkeypatch):
    made, steps, real = tiny_encoder(), [], dit.flow_loss
    monkeypatch.setattr(building, "load_vaes", lambda *_: (made.video_vae, made.audio_vae))

    def loss(models, batch, levels, told, **more):
        steps.append((batch, told, more.get("cues", ())))
        return real(models, batch, levels, told, **more)

    monkeypatch.setattr(dit, "flow_loss", loss)
    mix = TaskMix(cut=0.4, later=0.4, image=0.0, silent=0.0, references=0.0, drop_text=0.5)
    config = QuickDiT(minutes=1e-9, seen=160, words=0.0, measure_every=100.0, mix=mix)
    fmt = ClipFormat(width=32, height=32)

    def trainer() -> dit.DiTTrainer:
        return building.dit_trainer(config, tmp_path, preset="micro", level=1, device="cpu", fmt=fmt)

    trainer().run()
    cut = [step for step in steps if step[0].second]
    assert len(cut) > 10
    assert all(cues == () for batch, _, cues in steps if not batch.second)
    for batch, told, (cue,) in cut:
        assert cue.start_s == pytest.approx((4 * batch.second[0].frame - 3) / 12)
        assert torch.equal(cue.mask.any(1), told.mask.any(1))
    seeds = read_progress(tmp_path / "dit" / "state.safetensors")["next_seeds"]
    assert seeds.keys() == {f"{kind}-32x32x25-12fps-level1" for kind in ("plain", "later", "cut")}
    assert {name: pool.next_seed for name, pool in trainer().pools.items()} == seeds
    assert min(seeds.values()) >= video_windows.TRAINING_SEEDS + ENCODE_BATCH


def test_a_clip_from_within_a_motion_is_always_given_something():
    mix = TaskMix().of_later
    levels = draw_levels(400, frames=7, audio=53, fps=12.0, mix=mix, generator=torch.Generator().manual_seed(0))
    seen, heard = (levels.video == 0).all(1), (levels.audio == 0).all(1)
    begun, ended = ((levels.video[:, end] == 0) & (levels.audio[:, end] == 0) for end in (0, -1))
    assert (begun | ended | seen | heard).all()
    assert not (seen & heard).any()
    generated = levels.audio[seen]
    assert generated.min() > 0
    assert generated.std() > 0.1
    # one to four latents at either end, or up to two at both
    given = (levels.video == 0).sum(1)
    for one, most in ((begun & ~ended, 4), (ended & ~begun, 4), (begun & ended, 2)):
        assert set(given[one & ~seen].tolist()) == {(2 if most == 2 else 1) * count for count in range(1, most + 1)}


def test_a_dead_renderer_is_told():
    beside = RenderBeside(None)  # type: ignore[arg-type]
    beside._process.join(timeout=60)
    with pytest.raises(SoraError, match="rendering process ended"):
        beside.ready()
    beside.close()


def test_curves_need_two_measurements(tmp_path):
    assert draw_curves(tmp_path) is None
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps({"step": 1, "clips": 8, "loss": 1.0}) + "\n")
    assert draw_curves(tmp_path) is None
    lines = [{"step": i, "clips": 8 * i, "loss": 1 / i, "psnr": 20.0 + i} for i in range(1, 9)]
    log.write_text("".join(json.dumps(line) + "\n" for line in [*lines, {"event": "finished"}]))
    drawn = draw_curves(tmp_path)
    assert drawn is not None
    header = drawn.read_bytes()[16:24]
    assert (int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")) == (720, 600)


def test_the_contact_sheet_has_a_row_for_each_prompt(tmp_path, monkeypatch):
    shown = {}
    monkeypatch.setattr("sora_core.training.pictures.write_png", lambda path, image: shown.update({path: image}))
    path = tmp_path / "samples.png"
    clips = [np.full((9, 16, 16, 3), value, np.uint8) for value in (70, 100, 140)]
    draw_samples(path, clips, ["a", "b", "c"])
    image = shown[path]
    write_png(path, image)
    for value in (70, 100, 140):
        assert (image == value).all(-1).sum() == 8 * 32 * 32


@pytest.mark.parametrize("alone", [True, False])
def test_words_are_taught_to_the_heads_alone_where_the_text_encoder_knows_them(alone, tiny_checkpoint):
    loaded = load_checkpoint(tiny_checkpoint, dtype=torch.float32)
    text, heads = loaded.text.requires_grad_(True), ConceptHeads(loaded.text.config.width)
    before = {name: tensor.clone() for name, tensor in text.state_dict().items()}
    shown = [sample_attributes(LEVELS[1], torch.Generator().manual_seed(seed)) for seed in range(8)]
    ids, mask = loaded.tokenizer.encode([caption(a, "medium", torch.Generator().manual_seed(0)) for a in shown])
    with torch.no_grad():
        first = float(heads(text(ids, mask), mask, shown, [True] * 8))
    last = teach_words(text, heads, lambda: (ids, mask, shown), seconds=1.0, heads_alone=alone)
    assert last < first
    assert all(torch.equal(tensor, before[name]) for name, tensor in text.state_dict().items()) == alone
