"""The quick model: a LoRA beside the transformer, in its file, in a request and in the pipeline."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.func import functional_call

from sora_core.checkpoint import load_checkpoint, load_part, read_header, read_metadata, read_quick, write_quick
from sora_core.cli import main
from sora_core.dit import Lora, merged
from sora_core.errors import SoraError
from sora_core.media.mp4 import read_tags
from sora_core.pipeline import Pipeline
from sora_core.request import Defaults, Quick, Request, resolve

STEPS = (4, 2)
RANK = 3
QUICK = Quick(rank=RANK, steps=STEPS, default=True, training={"clips": 7})
WITH = Defaults(quick=Quick(rank=8, steps=(8, 4), default=True), shift=1.8)


def shaken(model: nn.Module, scale: float = 0.1) -> Lora:
    """Return a LoRA that changes every parameter, differently for each number of steps."""
    lora = Lora.for_model(model, RANK, STEPS, torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(2)
    for parameter in lora.parameters():
        parameter.data += scale * torch.randn(parameter.shape, generator=generator)
        # as a file rounds it
        parameter.data = parameter.data.bfloat16().float()
    return lora.requires_grad_(False)


@pytest.fixture(scope="module")
def lora(tiny_models) -> Lora:
    return shaken(tiny_models["dit"])


@pytest.fixture(scope="module")
def quick_checkpoint(tiny_checkpoint, lora, tmp_path_factory):
    path = tmp_path_factory.mktemp("quick") / "tiny.safetensors"
    write_quick(tiny_checkpoint, path, quick=QUICK, lora=lora)
    return path


@pytest.fixture
def copy(quick_checkpoint, tmp_path):
    """A checkpoint that a test may spoil."""
    return shutil.copy(quick_checkpoint, tmp_path / "copy.safetensors")


def rewrite(path, *, tensors=None, **changes):
    found = read_header(path).metadata | changes
    save_file(tensors or load_file(path), path, {key: value for key, value in found.items() if value is not None})


def wish(**settings) -> Request:
    return Request(**{"prompt": "a red ball", **settings})


# the change itself


def test_a_new_lora_changes_nothing(tiny_models):
    state = tiny_models["dit"].state_dict()
    lora = Lora.for_model(tiny_models["dit"], RANK, STEPS)
    for steps in STEPS:
        for name, tensor in lora.merge(state, steps).items():
            assert torch.equal(tensor, state[name]), name


def test_matrices_share_one_change_and_the_rest_has_its_own(tiny_models, lora):
    state = tiny_models["dit"].state_dict()
    four, two = (lora.merge(state, steps) for steps in STEPS)
    for name, tensor in state.items():
        assert not torch.equal(four[name], tensor), name
        if tensor.ndim == 2:
            assert torch.equal(four[name], two[name]), name
            assert torch.linalg.matrix_rank(four[name] - tensor, rtol=1e-3) <= RANK, name
        else:
            assert not torch.equal(four[name], two[name]), name
    assert [lora.nearest(steps) for steps in (1, 2, 4, 30)] == [2, 2, 4, 4]


def test_gradients_are_those_of_the_merged_model(tiny_models):
    model = tiny_models["dit"]
    lora = shaken(model).requires_grad_(True)
    base = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    video, text = torch.randn(2, 16, 2, 4, 4, generator=generator), torch.randn(2, 3, 16, generator=generator)
    told = (video, None, text, torch.ones(2, 3, dtype=torch.bool))
    level = {"sigma_video": torch.full((2, 1), 0.5)}

    # as autograd sees it
    weights = {name: base[name] + lora.change(name, 2) for name in base}
    functional_call(model, weights, told, level)[0].square().mean().backward()
    wanted = {name: parameter.grad for name, parameter in lora.named_parameters()}
    assert sum(gradient is None for gradient in wanted.values()) < len(wanted) / 4, "a clip without sound uses most"
    lora.zero_grad(set_to_none=True)

    student = merged(model, lora, 2).requires_grad_(True)
    lora.put_into(student, base, 2)
    student(*told, **level)[0].square().mean().backward()
    lora.pull_gradients(student, 2)
    for name, parameter in lora.named_parameters():
        if wanted[name] is None:
            assert parameter.grad is None, name
        else:
            torch.testing.assert_close(parameter.grad, wanted[name], rtol=1e-4, atol=1e-7, msg=name)
    assert all(parameter.grad is None for parameter in student.parameters())
    assert all(torch.equal(parameter, base[name]) for name, parameter in model.named_parameters())


# the file


def test_a_file_holds_it_beside_everything_else(tiny_checkpoint, quick_checkpoint, lora):
    before, after = load_file(tiny_checkpoint), load_file(quick_checkpoint)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert {name for name in after if name not in before} == {f"quick.{name}" for name in lora.tensors()}
    found = read_metadata(quick_checkpoint)
    assert found.defaults.quick == QUICK
    assert found.defaults.quick.training == {"clips": 7}
    loaded = load_checkpoint(quick_checkpoint)
    for made in (loaded.quick, read_quick(quick_checkpoint)):
        for name, tensor in lora.tensors().items():
            assert torch.equal(made.tensors()[name], tensor), name
    load_part(quick_checkpoint, "dit")


def test_files_without_one_are_as_before(tiny_checkpoint):
    assert read_metadata(tiny_checkpoint).defaults.quick is None
    assert load_checkpoint(tiny_checkpoint).quick is None
    with pytest.raises(SoraError, match="holds no quick model"):
        read_quick(tiny_checkpoint)
    with pytest.raises(SoraError, match="holds no quick model of rank 3 for 4 or 2 steps"):
        write_quick(tiny_checkpoint, tiny_checkpoint, quick=QUICK)


def test_what_is_said_of_it_can_be_changed(copy):
    before = load_file(copy)
    write_quick(copy, copy, quick=replace(QUICK, default=False))
    assert not read_metadata(copy).defaults.quick.default
    assert all(torch.equal(tensor, before[name]) for name, tensor in load_file(copy).items())


def without(path, word):
    rewrite(path, tensors={name: tensor for name, tensor in load_file(path).items() if word not in name})


def with_quick(path, **changes):
    rewrite(path, **{"sora.quick": json.dumps(QUICK.to_dict() | changes)})


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: without(path, "attn.q.weight.lora_up"), ["lacks 1 tensor (blocks", "attn.q.weight.lora_up"]),
        (lambda path: without(path, "lora_down"), ["lacks", "lora_down", "..."]),
        (lambda path: without(path, "quick."), ["one half of a quick model"]),
        (lambda path: rewrite(path, **{"sora.quick": None}), ["one half of a quick model"]),
        (lambda path: rewrite(path, **{"sora.quick": "["}), ["no sound sora.quick"]),
        (lambda path: rewrite(path, **{"sora.quick": "{}"}), ["sora.quick is not supported", "lacks"]),
        (lambda path: with_quick(path, colour=1), ["does not know colour"]),
        (lambda path: with_quick(path, rank=0), ["rank 0 must be between 1 and 1024"]),
        (lambda path: with_quick(path, rank="3"), ["rank '3' must be"]),
        (lambda path: with_quick(path, steps=[]), ["steps [] must be different numbers"]),
        (lambda path: with_quick(path, steps=[4, 4]), ["steps [4, 4] must be different numbers"]),
        (lambda path: with_quick(path, steps=4), ["sora.quick is not supported"]),
        (lambda path: with_quick(path, rank=4), ["should be [4, 32] for rank 4"]),
        (lambda path: with_quick(path, steps=[8, 4, 2]), ["and 3 numbers of steps", "its own transformer"]),
        (
            lambda path: rewrite(path, tensors=load_file(path) | {"quick.blocks.9.table.diff": torch.zeros(1)}),
            ["unknown 1 tensor (blocks.9.table.diff)"],
        ),
    ],
)
def test_refusals(copy, spoil, words):
    spoil(copy)
    with pytest.raises(SoraError) as caught:
        load_checkpoint(copy)
    assert all(word in str(caught.value) for word in words), str(caught.value)


# the request


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, (True, 8, 1.0)),
        ({"steps": 4}, (True, 4, 1.0)),
        ({"steps": 6, "guidance": 1.0, "solver": "euler", "shift": 1.8}, (True, 6, 1.0)),
        ({"quick": False}, (False, 30, 4.0)),
        ({"quick": False, "steps": 8}, (False, 8, 4.0)),
        ({"steps": 9}, (False, 9, 4.0)),
        ({"guidance": 3.0}, (False, 30, 3.0)),
        ({"audio_guidance": 2.0}, (False, 30, 4.0)),
        ({"solver": "heun"}, (False, 30, 4.0)),
        ({"shift": 3.0}, (False, 30, 4.0)),
        ({"negative": "a box"}, (False, 30, 4.0)),
        ({"strength": 0.9}, (False, 30, 4.0)),
        ({"strength": 0.9, "quick": True}, (True, 8, 1.0)),
    ],
)
def test_what_takes_the_quick_model(settings, wanted):
    plan = resolve(wish(**settings), WITH)
    assert (plan.quick, plan.steps, plan.guidance) == wanted
    by_hand = resolve(wish(**{"quick": wanted[0], **settings}), replace(WITH, quick=replace(WITH.quick, default=False)))
    assert by_hand == plan


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"guidance": 3.0}, "cfg 3"),
        ({"negative": "a box"}, "negative prompt"),
        ({"solver": "heun"}, "solver euler, not for heun"),
        ({"steps": 30}, "8 or 4 steps, and 30 are more"),
        ({"shift": 3.0}, "shift 3"),
    ],
)
def test_what_the_quick_model_cannot_do(settings, words):
    with pytest.raises(SoraError, match=words):
        resolve(wish(quick=True, **settings), WITH)
    assert resolve(wish(**settings), Defaults()).quick is None


def test_where_there_is_none():
    assert resolve(wish(quick=False), Defaults()).quick is None
    assert resolve(wish(), Defaults(quick=replace(WITH.quick, default=False))).quick is False
    with pytest.raises(SoraError, match="no quick one"):
        resolve(wish(quick=True), Defaults())


# the pipeline


def test_the_pipeline_samples_with_merged_weights(quick_checkpoint, lora):
    pipe = Pipeline.load(quick_checkpoint)
    by_hand = replace(pipe, dit=merged(pipe.dit, lora, 2), quick=None, defaults=replace(pipe.defaults, quick=None))
    (wanted,) = by_hand.generate(wish(seed=3, steps=2, guidance=1.0, quick=None))
    (made,) = pipe.generate(wish(seed=3, steps=2))
    assert torch.equal(made.frames, wanted.frames)
    assert torch.equal(made.audio, wanted.audio)
    (full,) = pipe.generate(wish(seed=3, steps=2, guidance=1.0, quick=False))
    assert not torch.equal(full.frames, made.frames)


def test_speed_by_default(quick_checkpoint, tiny_checkpoint):
    pipe = Pipeline.load(quick_checkpoint)
    request = Request(prompt="evaluation")
    plans = [
        resolve(request, pipe.at_speed(quick=q, steps=n).defaults) for q, n in ((True, None), (True, 2), (False, 5))
    ]
    assert [(plan.quick, plan.steps) for plan in plans] == [(True, 4), (True, 2), (False, 5)]
    assert resolve(request, pipe.at_speed(quick=False).defaults).guidance == 3.0
    with pytest.raises(SoraError, match="made for 4 or 2 steps, not for 3"):
        pipe.at_speed(quick=True, steps=3)
    with pytest.raises(SoraError, match="no quick one"):
        Pipeline.load(tiny_checkpoint).at_speed(quick=True)


def test_a_share_of_the_schedule_is_a_share_of_the_quick_steps(quick_checkpoint):
    pipe = Pipeline.load(quick_checkpoint)
    plan = resolve(wish(), pipe.defaults)
    (clip,) = pipe.generate(wish())
    latent = pipe.encode_video(torch.cat([clip.frames, clip.frames[-1:]])[: plan.format.frames])
    from sora_core.conditioning import Conditions

    given = Conditions(video=latent, video_mask=torch.ones(latent.shape[2]))
    silent = replace(plan, samples=0)
    seen: list[int] = []
    for strength in (1.0, 0.97, 0.5, 0.1):
        pipe.sample(
            pipe.encode_prompt(["a ball"]),
            silent,
            conditions=given,
            strength=strength,
            callback=lambda _, total, __: seen.append(total),
        )
    assert seen == [4] * 4 + [3] * 3 + [2] * 2 + [1], "below 1 something of what is given stays"


# the command


def test_a_clip_says_which_model_made_it(quick_checkpoint, tmp_path, capsys, plain_files):
    common = ["--checkpoint", str(quick_checkpoint), "--device", "cpu", "--threads", "1", "--json", *plain_files]

    def made(name: str, *words: str) -> dict:
        assert main(["generate", "a red ball", "-o", str(tmp_path / name), *words, *common]) == 0
        return json.loads(capsys.readouterr().out)["settings"]

    quick = made("quick.mp4")
    assert (quick["quick"], quick["steps"], quick["cfg"]) == (True, 4, 1.0)
    full = made("full.mp4", "--full")
    assert (full["quick"], full["steps"], full["cfg"]) == (False, 2, 3.0)
    assert json.loads(read_tags(tmp_path / "quick.mp4")["settings"])["quick"] is True
    assert main(["info", str(tmp_path / "quick.mp4"), "--json"]) == 0
    assert "--steps 4 --cfg 1 --solver euler --dtype float32 --quick" in json.loads(capsys.readouterr().out)["command"]
    assert main(["info", str(tmp_path / "full.mp4")]) == 0
    assert "--full" in capsys.readouterr().out
    assert main(["info", str(quick_checkpoint)]) == 0
    assert "4 or 2 steps without guidance, LoRA of rank 3, the default" in capsys.readouterr().out
    assert main(["generate", "a red ball", "--quick", "--negative", "a box", *common]) != 0
    assert "negative prompt needs" in capsys.readouterr().err


def test_a_remix_takes_the_full_model_since_few_steps_round_its_strength(
    quick_checkpoint, tmp_path, capsys, plain_files
):
    common = ["--checkpoint", str(quick_checkpoint), "--device", "cpu", "--threads", "1", "--json", *plain_files]

    def made(command: str, *words: str) -> bool:
        assert main([command, *words, "-o", str(tmp_path / f"{len(list(tmp_path.iterdir()))}.mp4"), *common]) == 0
        return json.loads(capsys.readouterr().out)["settings"]["quick"]

    assert made("generate", "a red ball")
    source = str(tmp_path / "0.mp4")
    assert made("extend", source, "a red ball", "--seconds", "0.5")
    assert not made("remix", source, "a ball")
    assert made("remix", source, "a ball", "--quick")
    assert made("remix", source, "a ball", "--strength", "1")
