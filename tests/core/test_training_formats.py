"""Several clip formats in one run: mixes, plans, pools, latents on disk, and every task at level 3 on any aspect."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from sora_core.audio_vae import AudioVAE
from sora_core.audio_vae.config import tiny as tiny_audio
from sora_core.checkpoint import read_metadata
from sora_core.dit import DiTConfig
from sora_core.errors import SoraError
from sora_core.training import building
from sora_core.training.buckets import load_pools
from sora_core.training.encoded import SECOND_SEEDS, ClipEncoder
from sora_core.training.flow import DiTStageConfig
from sora_core.training.formats import MIXES, FormatShare, clip_tokens, parse_format, parse_formats, step_batches
from sora_core.training.latents import LatentPool
from sora_core.training.plan import LAYOUTS, plan_steps
from sora_core.training.shards import missing_shards, write_shards
from sora_core.training.state import read_progress
from sora_core.training.tasks import TaskMix
from sora_core.types import ClipFormat
from sora_core.video_vae import VideoVAE
from sora_core.video_vae.config import tiny as tiny_video
from sora_core.world.dice import Dice
from sora_core.world.spec import Attributes

WIDE = ClipFormat(width=48, height=32, frames=49)
SMALL = ClipFormat(width=32, height=32, frames=9)
CONFIG = DiTStageConfig(
    minutes=1.0,
    batch=4,
    pool=200,
    start=0,
    refresh=0,
    words=0.0,
    formats=(FormatShare(fmt=SMALL, share=3.0), FormatShare(fmt=WIDE, share=1.0, level=3)),
)


@pytest.fixture
def vaes():
    torch.manual_seed(0)
    made = {"video_vae": VideoVAE(tiny_video()).eval(), "audio_vae": AudioVAE(tiny_audio()).eval()}
    for vae in made.values():
        vae.requires_grad_(False)
    return made


@pytest.fixture
def make_trainer(monkeypatch, tmp_path, vaes):
    sizes = DiTConfig(width=32, layers=1, heads=2, hidden=64, modulation_width=16)
    monkeypatch.setitem(building.PRESETS, "micro", lambda _: sizes)
    monkeypatch.setattr(building, "load_vaes", lambda *_: (vaes["video_vae"], vaes["audio_vae"]))
    return lambda config=CONFIG, out=tmp_path, **more: building.dit_trainer(
        config, out, preset="micro", **{"level": 1, "device": "cpu"} | more
    )


def test_mixes_are_read():
    assert parse_formats("small") == MIXES["small"] == (FormatShare(),)
    whole = parse_formats("whole")
    assert sum(share.share for share in whole) == pytest.approx(1)
    assert sum(share.share for share in whole if share.fmt.frames == 49 and share.size != "128x128x49") == 0.5
    free = parse_formats("64x64x25:0.4, 96x96x49,128x80x49@3:.2")
    assert [(share.size, share.share, share.level) for share in free] == [
        ("64x64x25", 0.4, None),
        ("96x96x49", 1.0, None),
        ("128x80x49", 0.2, 3),
    ]
    assert [share.at(2) for share in free] == [2, 2, 3]
    assert parse_format("96x80x49") == ClipFormat(width=96, height=80, frames=49)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("large", "not understood; write small or whole"),
        ("", "not understood"),
        ("64x64", "not understood"),
        ("64x64x25:", "not understood"),
        ("64x64x25:1e", "not understood"),
        ("64x64x25:0", "must be more than 0"),
        ("64x64x25:1e999", "must be more than 0"),
        ("64x64x25:-1", "must be more than 0"),
        ("60x64x25", "width 60 must be a positive multiple of 16"),
        ("64x64x24", "frames 24 must be 1 \\+ a multiple of 4"),
        ("64x64x25@4", "level 4 of format 64x64x25 is not known; choose one of 1, 2, 3"),
        ("4096x64x25", "too large"),
        ("64x64x9999", "too large"),
        ("64x64x25,64x64x25:2", "named twice"),
        (",".join(f"64x{16 * i}x25" for i in range(1, 10)), "9 formats were given; a run holds at most 8"),
    ],
)
def test_a_mix_that_is_none_gets_one_sentence(text, said):
    with pytest.raises(SoraError, match=said):
        parse_formats(text)


def test_a_config_travels_as_json_and_an_old_one_is_still_read():
    told = json.loads(json.dumps(CONFIG.to_dict()))
    assert DiTStageConfig.from_dict(told) == CONFIG
    for later in ("seen", "formats", "layouts", "muon", "knows_words", "autocast"):
        del told[later]
    assert DiTStageConfig.from_dict(told) == replace(CONFIG, formats=())


def test_steps_of_all_formats_have_about_as_many_tokens():
    formats = [share.fmt for share in MIXES["whole"]]
    batches = step_batches(formats, 48, processes=2)
    assert batches[0] == 48
    assert all(batch % 2 == 0 for batch in batches)
    for fmt, batch in zip(formats, batches, strict=True):
        assert batch * clip_tokens(fmt) == pytest.approx(48 * clip_tokens(formats[0]), rel=0.15)


@pytest.mark.parametrize("most", [0, 12, 6])
def test_shares_of_clips_and_tasks_hold_within_a_limit_of_layouts(most):
    mix, whole = TaskMix(), MIXES["whole"]
    formats = [share.fmt for share in whole]
    batches = step_batches(formats, 48)
    shares = [share.share for share in whole]
    plan = plan_steps(mix, [fmt.latent.frames for fmt in formats], shares, batches, most)
    table = dict(zip(zip(plan.tasks, plan.places, strict=True), plan.chances, strict=True))
    assert sum(table.values()) == pytest.approx(1)
    for task in LAYOUTS:
        drawn = sum(share for (name, _), share in table.items() if name == task)
        assert drawn == pytest.approx(getattr(mix, task))
    seen = [sum(share for (_, at), share in table.items() if at == place) * batches[place] for place in range(5)]
    assert [one / sum(seen) for one in seen] == pytest.approx(shares)
    assert all(("joint", place) in table and ("later", place) in table for place in range(5))
    # six are fewer than the five formats and one layout of each other task need
    assert plan.layouts == {0: 30, 12: 12, 6: 10}[most]


def test_a_step_of_every_task_learns_at_level_three_on_any_aspect(make_trainer, monkeypatch):
    trainer = make_trainer()
    wide = trainer.buckets[1]
    assert (wide.level, wide.batch, set(wide.pools)) == (3, 1, {"plain", "later", "cut"})
    for pool in wide.pools.values():
        pool.refresh(6)
    monkeypatch.setattr(trainer.steps, "buckets", [replace(wide, batch=4)])
    for task in ("joint", *LAYOUTS):
        step = trainer.steps.draw_as(replace(wide, batch=4), task)
        frames = 1 if task == "image" else 13
        assert step.batch.video.shape == (4, 16, frames, 4, 6)
        assert bool(step.cues) == (task == "cut")
        assert len(step.references) in ((1, 2) if task == "references" else (0,))
        terms = trainer.loss(step)
        assert all(torch.isfinite(value) for value in terms.values())
        terms["loss"].backward()
        gradient = trainer.models.dit.video_out.weight.grad
        assert gradient is not None
        assert gradient.abs().max() > 0
        trainer.optimizer.zero_grad(set_to_none=True)


def test_both_actors_are_weighted(vaes):
    encoder = ClipEncoder(**vaes, level=3, fmt=SMALL, split="train", device=torch.device("cpu"))
    shown = Attributes(colour="red", object="ball", size="large", motion="collide", other=("blue", "box"))
    from sora_core.world.render import render

    made = render([shown], [3], SMALL)
    both = encoder.encode(made).actor.float()
    alone = encoder.encode(replace(made, other_mask=torch.zeros_like(made.other_mask))).actor.float()
    assert made.other_mask.max() > 0.5
    assert (both - alone).max() > 0.2
    assert (both >= alone).all()


def test_a_moving_camera_is_met_early_in_its_way(vaes):
    encoder = ClipEncoder(**vaes, level=3, fmt=WIDE, split="train", device=torch.device("cpu"), kind="later")
    planned = encoder.plan(range(200))
    begun = {
        still: [
            at for at, shown in zip(planned.starts, planned.shown, strict=True) if (shown.camera == "still") == still
        ]
        for still in (True, False)
    }
    assert 0.3 <= min(begun[False]) < max(begun[False]) <= WIDE.seconds / 2 < max(begun[True]) <= 6.0


def test_a_second_shot_has_chances_of_its_own():
    assert not torch.equal(Dice([5]).rolls, Dice([5 + SECOND_SEEDS]).rolls)


def test_captions_that_do_not_fit_are_told_in_fewer_words(make_trainer):
    trainer = make_trainer()
    pool = trainer.buckets[1].pools["plain"]
    shown = pool.encoder.plan(range(300)).shown
    whole = trainer.tokenizer.encode(
        [run_caption(attributes, seed) for seed, attributes in enumerate(shown)], max_tokens=99
    )[1].sum(1)
    assert (whole > trainer.steps.tokens).sum() > 10
    told = trainer.steps.tell(shown, ["dense"] * 300, range(300))
    fitting = whole <= trainer.steps.tokens
    assert torch.equal(told.mask.sum(1)[fitting], whole[fitting])
    assert told.ids.shape == (300, trainer.steps.tokens)
    # captions that were cut off would fill every place
    assert told.mask[~fitting].all(1).sum() < 5
    assert sum(told.named) >= 290


def run_caption(attributes: Attributes, seed: int) -> str:
    from sora_core.world.captions import caption

    return caption(attributes, "dense", torch.Generator().manual_seed(seed + 1))


def test_latents_are_made_once_and_refused_where_they_differ(vaes, tmp_path, monkeypatch):
    monkeypatch.setattr("sora_core.training.shards.SHARD", 4)
    made = {"level": 3, "fmt": SMALL, "capacity": 20, "kind": "cut"}

    def pool(**more) -> LatentPool:
        return LatentPool(**vaes | made | more, first_seed=1 << 20)

    made["fmt"] = ClipFormat(width=32, height=32, frames=17)
    one, two, rendered = pool(), pool(), pool()
    load_pools([one], [1.0], tmp_path, 8)
    names = sorted(path.name for path in (tmp_path / one.encoder.name).iterdir())
    # a pool has a batch at least
    assert names == [f"{(1 << 20) + 4 * place:010d}.safetensors" for place in range(4)]
    monkeypatch.setattr(ClipEncoder, "make", None)
    load_pools([two], [1.0], tmp_path, 8)
    monkeypatch.undo()
    rendered.refresh(len(one))
    generators = [torch.Generator().manual_seed(1) for _ in range(3)]
    batches = [kept.draw(5, generator) for kept, generator in zip((one, two, rendered), generators, strict=True)]
    for batch in batches[:2]:
        assert torch.equal(batch.video, batches[2].video)
        assert torch.equal(batch.strike, batches[2].strike)
        assert (batch.attributes, batch.second) == (batches[2].attributes, batches[2].second)
    assert one.next_seed == two.next_seed == rendered.next_seed

    with torch.no_grad():
        vaes["video_vae"].decoder.head.bias.add_(1.0)
    assert pool().load(tmp_path, 8) == 8
    with torch.no_grad():
        vaes["video_vae"].encoder.head.bias.add_(1.0)
    with pytest.raises(SoraError, match=r"was made with VAE .* and this run has VAE .*; name another folder"):
        pool().load(tmp_path, 8)
    with torch.no_grad():
        vaes["video_vae"].encoder.head.bias.sub_(1.0)
    other = pool(fmt=ClipFormat(width=32, height=48, frames=17))
    (tmp_path / one.encoder.name).rename(tmp_path / other.encoder.name)
    with pytest.raises(SoraError, match="was made with format cut-32x32x17"):
        other.load(tmp_path, 8)
    (tmp_path / other.encoder.name).rename(tmp_path / one.encoder.name)
    first = tmp_path / one.encoder.name / names[0]
    first.rename(first.with_name("0000000001.safetensors"))
    with pytest.raises(SoraError, match="another version of the world"):
        pool().load(tmp_path, 8)
    first.with_name("0000000001.safetensors").write_bytes(b"nothing")
    with pytest.raises(SoraError, match="is damaged or holds no latents"):
        pool().load(tmp_path, 8)


def test_missing_files_are_named_by_their_first_seed(vaes, tmp_path, monkeypatch):
    monkeypatch.setattr("sora_core.training.shards.SHARD", 4)
    encoder = ClipEncoder(**vaes, level=1, fmt=SMALL, split="train", device=torch.device("cpu"))
    paths = missing_shards(encoder, tmp_path, 9, 100)
    assert [path.stem for path in paths] == ["0000000100", "0000000104", "0000000108"]
    write_shards(encoder, paths[1:2])
    assert missing_shards(encoder, tmp_path, 9, 100) == [paths[0], paths[2]]


@pytest.mark.slow
def test_a_run_of_two_formats_trains_measures_and_goes_on(make_trainer, tmp_path, monkeypatch):
    config = replace(CONFIG, minutes=0.02, measure_every=100.0)
    monkeypatch.setattr("sora_core.training.buckets.VALIDATION_CLIPS", 4)
    monkeypatch.setattr("sora_core.training.buckets.MORE_VALIDATION_CLIPS", 4)
    trainer = make_trainer(config)
    for pool in trainer.pools.values():
        pool.refresh(4)
    measured = trainer.run()
    assert {"unseen_video", "unseen_concepts", "unseen_video_48x32x49", "unseen_audio_48x32x49"} <= measured.keys()
    logged = json.loads((tmp_path / "dit" / "log.jsonl").read_text().splitlines()[-1])
    assert {"loss_32x32x9", "loss_48x32x49"} <= logged.keys()
    monkeypatch.setattr("sora_core.world.captions.WORD_CAPTIONS", 900)
    kept = read_progress(tmp_path / "dit" / "state.safetensors")
    assert DiTStageConfig.from_dict(kept["stage"]) == config
    assert set(kept["next_seeds"]) == set(trainer.pools)
    again = make_trainer(replace(config, minutes=0.04))
    assert (again.step, again.clips) == (trainer.step, trainer.clips)
    building.write_model(trainer, tmp_path / "model.safetensors")
    made = read_metadata(tmp_path / "model.safetensors")
    assert made.world is not None
    assert (made.world.level, made.defaults.format) == (3, SMALL)
    assert "pan" in " ".join(made.world.words) or "camera" in made.world.words
    assert [entry["size"] for entry in made.training["formats"]] == ["32x32x9", "48x32x49"]
    building.write_model(trainer, tmp_path / "model.safetensors", default_format=WIDE)
    assert read_metadata(tmp_path / "model.safetensors").defaults.format == WIDE


def test_a_state_from_before_several_formats_goes_on(make_trainer, tmp_path):
    trainer = make_trainer(replace(CONFIG, formats=()), fmt=SMALL)
    trainer.save()
    path = tmp_path / "dit" / "state.safetensors"
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(path, "pt") as file:
        progress = json.loads(file.metadata()["progress"])
    progress |= {"step": 3, "next_seeds": {"plain": 1_100_000, "later": 1_200_000}}
    for later in ("seen", "formats", "layouts", "muon", "knows_words", "autocast"):
        del progress["stage"][later]
    save_file(load_file(path), path, {"progress": json.dumps(progress)})
    again = make_trainer(replace(CONFIG, formats=()), fmt=SMALL)
    assert again.step == 3
    assert {pool.encoder.kind: pool.next_seed for pool in again.pools.values()} == progress["next_seeds"]


def test_a_format_twice_at_one_level_is_refused(make_trainer):
    mix = (FormatShare(fmt=SMALL), FormatShare(fmt=SMALL, level=1))
    with pytest.raises(SoraError, match="in the mix twice at level 1"):
        make_trainer(replace(CONFIG, formats=mix))
    assert len(make_trainer(replace(CONFIG, formats=mix), level=2).buckets) == 2
