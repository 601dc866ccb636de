"""Distilling: the teacher's way, scenes as the sampler meets them, and a run that learns, stops and goes on."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import torch

from sora_core.checkpoint import load_checkpoint, read_metadata
from sora_core.conditioning import Conditions
from sora_core.dit import Cue
from sora_core.errors import SoraError
from sora_core.pipeline import Pipeline
from sora_core.request import Request, resolve
from sora_core.sampling import draw_noise
from sora_core.training import distil_stage, distil_teacher, run, stages
from sora_core.training.buckets import make_buckets
from sora_core.training.distil import Distiller
from sora_core.training.distil_config import DistilConfig
from sora_core.training.distil_scene import SceneDraw
from sora_core.training.distil_teacher import Scene, Words, move, slope, straight_run, teacher_path
from sora_core.training.flow import DiTStageConfig
from sora_core.training.formats import FormatShare
from sora_core.training.tasks import TaskMix
from sora_core.types import AVLatent, ClipFormat

SMALL = ClipFormat(width=32, height=16, frames=17)
PLAIN = TaskMix(references=0.0, image=0.0, silent=0.0, cut=0.0, later=0.0)


def scene_of(video: torch.Tensor, audio: torch.Tensor, generated: tuple, **more) -> Scene:
    words = Words(torch.zeros(len(video), 1, 16), torch.ones(len(video), 1, dtype=torch.bool))
    settings = {"told": words, "untold": words, "references": (), "fps": 12.0, "shift": 1.8} | more
    return Scene(clean=AVLatent(video, audio), generated=generated, weights=generated, **settings)


def made(size: int = 2, frames: int = 3, sound: int = 5) -> Scene:
    generator = torch.Generator().manual_seed(0)
    video = torch.randn(size, 16, frames, 2, 4, generator=generator)
    audio = torch.randn(size, 32, sound, 1, generator=generator)
    return scene_of(video, audio, (torch.ones(size, frames), torch.ones(size, sound)))


def decaying(video, audio, *_, **__):
    """A model whose way is known: ``dx / dsigma = x``, so that ``x`` falls as ``exp(sigma)`` does."""
    return video, audio


# the teacher's way


def test_the_teacher_runs_in_second_order():
    scene = made()
    noise = scene.noise(torch.Generator().manual_seed(1))
    left = torch.tensor([1.0, 0.5])
    start = scene.at(noise, left)

    def error(inner: int) -> float:
        path = teacher_path(decaying, scene, start, left, length=0.5, parts=2, inner=inner, guidance=1.0)
        assert len(path) == 3
        now, after = scene.levels(left), scene.levels(left - 0.5)
        exact = [
            half * torch.exp(end - begun).reshape(-1, *[1] * (half.ndim - 1))
            for half, begun, end in zip(start, now, after, strict=True)
        ]
        return max(float((a - b).abs().max()) for a, b in zip(path[-1], exact, strict=True))

    # halving the steps quarters the error
    assert 3.0 < error(4) / error(8) < 5.0
    assert error(8) < 0.01


def test_a_slope_leads_where_it_says():
    scene = made()
    noise = scene.noise(torch.Generator().manual_seed(1))
    left = torch.tensor([1.0, 0.5])
    x, goal = scene.at(noise, left), scene.at(noise, left - 0.25)
    now, after = scene.levels(left), scene.levels(left - 0.25)
    along = slope(x, goal, now, after)
    for half, wanted in zip(move(x, along, now, after), goal, strict=True):
        torch.testing.assert_close(half, wanted)
    # on the straight line from noise to clip it is the noise less the clip
    torch.testing.assert_close(along.video, noise.video - scene.clean.video, rtol=1e-3, atol=1e-3)


def test_a_straight_run_is_the_samplers(tiny_checkpoint, monkeypatch):
    monkeypatch.setattr(distil_teacher, "low_precision", lambda _: contextlib.nullcontext())
    pipe = Pipeline.load(tiny_checkpoint)
    plan = replace(resolve(Request(prompt="x", seconds=0.75), pipe.defaults), shift=1.8)
    shape = plan.format.latent
    first = torch.randn(1, 16, shape.frames, shape.height, shape.width)
    mask = torch.ones(shape.frames)
    mask[0] = 0
    conditions = Conditions(video=first, video_mask=mask)
    told, empty = (pipe.encode_prompt([text]) for text in ("a red ball", ""))
    later = pipe.encode_prompt(["a crimson orb"])
    wanted = pipe.sample(told, plan, seed=4, conditions=conditions, cues=[(0.4, later)])

    noise = draw_noise(4, shape)
    scene = scene_of(
        first,
        torch.zeros_like(noise.audio),
        (mask[None], torch.ones(1, shape.audio)),
        told=Words(told.states, told.mask, [Cue(0.4, later.states, later.mask)]),
        untold=Words(empty.states, empty.mask, [Cue(0.4, empty.states, empty.mask)]),
        fps=plan.format.fps,
    )
    ends = straight_run(pipe.dit, scene, noise, steps=plan.steps, guidance=plan.guidance)
    torch.testing.assert_close(ends.video, wanted.video, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ends.audio, wanted.audio, rtol=1e-4, atol=1e-4)
    assert torch.equal(ends.video[:, :, 0], first[:, :, 0])


# scenes


@pytest.fixture(scope="module")
def loaded(tiny_checkpoint):
    return load_checkpoint(tiny_checkpoint, dtype=torch.float32)


def buckets_of(loaded, mix: TaskMix, batch: int = 4):
    config = DiTStageConfig(batch=batch, pool=48, mix=mix)
    (bucket,) = make_buckets(config, (FormatShare(fmt=SMALL),), loaded.video_vae, loaded.audio_vae, level=1)
    for pool in (*bucket.pools.values(), bucket.validation):
        pool.refresh(8)
    return [bucket]


def test_scenes_hold_every_task(loaded):
    mix = TaskMix(references=0.2, image=0.2, silent=0.2, cut=0.2, later=0.1, text=0.1, first_last=0.5)
    draw = SceneDraw(
        loaded.text,
        loaded.tokenizer,
        buckets_of(loaded, mix),
        mix=mix,
        actor=2.0,
        strike=3.0,
        patch=2,
        shift=None,
        layouts=0,
        generator=torch.Generator().manual_seed(0),
    )
    seen = {"references": 0, "cues": 0, "silent": 0, "given": 0, "still": 0}
    for _ in range(24):
        scene = draw.draw()
        video = scene.generated[0]
        assert ((video == 0) | (video == 1)).all()
        assert scene.told.states.shape == scene.untold.states.shape
        assert not torch.equal(scene.told.states, scene.untold.states)
        assert len(scene.told.cues) == len(scene.untold.cues)
        weight = scene.weights[0]
        assert ((weight == 0) == (video == 0)[:, :, None, None]).all()
        assert (weight[weight > 0] >= 1).all()
        start = scene.at(scene.noise(draw.steps.generator), torch.ones(scene.size))
        kept = (video == 0)[:, None, :, None, None].expand_as(start.video)
        assert torch.equal(start.video[kept], scene.clean.video[kept])
        seen["references"] += bool(scene.references)
        seen["cues"] += bool(scene.told.cues)
        seen["silent"] += scene.clean.audio is None
        seen["given"] += bool((video == 0).any())
        seen["still"] += video.shape[1] == 1
        assert scene.shift > 0
    assert all(seen.values()), seen


# a run


@dataclass(frozen=True, kw_only=True)
class TinyDistil(DistilConfig):
    clips: int = 8
    measured: int = 4
    rank: int = 2
    mix: TaskMix = PLAIN


def distiller(folder, checkpoint, **settings) -> Distiller:
    loaded = load_checkpoint(checkpoint, dtype=torch.float32)
    config = DistilConfig(
        **{"minutes": 1.0, "steps": (4, 2), "rank": 8, "batch": 4, "measured": 4, "lr": 1e-2, "mix": PLAIN, "ema": 0.9}
        | settings
    )
    return Distiller(
        config,
        folder,
        text=loaded.text,
        dit=loaded.dit,
        tokenizer=loaded.tokenizer,
        buckets=buckets_of(loaded, config.mix, config.batch),
        shift=1.8,
        guidance=4.0,
        full_steps=12,
    )


def test_the_student_comes_nearer_to_the_guided_teacher(tmp_path, tiny_checkpoint):
    trainer = distiller(tmp_path, tiny_checkpoint)
    before = trainer.measure()
    teacher = {name: parameter.clone() for name, parameter in trainer.teacher.named_parameters()}
    own = 0
    for _ in range(25):
        assert trainer.train_step()["loss"] < 1e3
        own += bool(trainer.waiting and trainer.waiting[-1].own)
    after = trainer.measure()
    assert own == 25
    for steps in (4, 2):
        for half in ("video", "audio"):
            assert after[f"unseen_{half}_{steps}"] < 0.8 * before[f"unseen_{half}_{steps}"], (half, steps, after)
            assert after[f"teacher_{half}_{steps}"] == before[f"teacher_{half}_{steps}"]
    assert all(torch.equal(parameter, teacher[name]) for name, parameter in trainer.teacher.named_parameters())

    trainer.save()
    again = distiller(tmp_path, tiny_checkpoint)
    assert (again.step, again.clips) == (25, 100)
    for name, parameter in again.lora.named_parameters():
        assert torch.equal(parameter, dict(trainer.lora.named_parameters())[name])
    torch.testing.assert_close(again.measure(), after)
    with pytest.raises(SoraError, match="other sizes, rank or steps"):
        distiller(tmp_path, tiny_checkpoint, rank=4)


def test_the_students_own_way_reaches_its_end(tmp_path, tiny_checkpoint):
    trainer = distiller(tmp_path, tiny_checkpoint, own=1.0)
    stretches: list[list[int]] = []
    for _ in range(4):
        trainer.train_step()
        stretches.append(trainer.waiting[-1].stretch.tolist())
    # two stretches make a clip of four steps or two: each clip is at the other one every time
    assert all(one != other for clips in zip(*stretches, strict=True) for one, other in pairwise(clips))
    assert {place for clips in stretches for place in clips} == {0, 1}


def test_steps_must_share_a_grid():
    with pytest.raises(SoraError, match="must each divide the largest"):
        DistilConfig(steps=(8, 3))
    assert (DistilConfig().finest, DistilConfig().coarsest) == (8, 4)


def test_the_stage_writes_a_model_that_samples(tmp_path, tiny_checkpoint, monkeypatch):
    ticks = iter(range(10_000))
    monkeypatch.setattr("sora_core.training.distil.time.monotonic", lambda: next(ticks) / 2)
    monkeypatch.setattr(distil_stage, "SHOWN", 1)
    monkeypatch.setattr(stages, "DistilConfig", TinyDistil)
    given = {"stage": "distil", "preset": "micro", "out": tmp_path, "start": tiny_checkpoint, "batch": 4}
    small = {"formats": (FormatShare(fmt=SMALL),)}
    assert "model.safetensors" in run.train(minutes=0.02, **given, **small)
    found = read_metadata(tmp_path / "model.safetensors").defaults.quick
    assert (found.rank, found.steps, found.default) == (2, (8, 4), False)
    assert found.training["steps"] > 0
    assert {"unseen_video_8", "unseen_audio_4", "teacher_video_8"} <= found.training["distances"].keys()
    assert (tmp_path / "samples.png").exists()
    line = json.loads((tmp_path / "distil" / "log.jsonl").read_text().splitlines()[-1])
    assert {"loss", "loss_8", "video_4", "unseen_video_4", "teacher_audio_8", "clips_per_s"} <= line.keys()
    (clip,) = Pipeline.load(tmp_path / "model.safetensors").generate(Request(prompt="a red ball", quick=True, steps=4))
    assert clip.frames.shape == (9, 16, 32, 3)
    with pytest.raises(SoraError, match="already holds a run of distil"):
        run.train(minutes=0.02, **given, **small)
    run.train(minutes=0.03, **given, **small, resume=True)
    assert read_metadata(tmp_path / "model.safetensors").defaults.quick.training["steps"] > found.training["steps"]
