"""Checkpoints: what is saved comes back, and what is not one of ours is refused with its own sentence."""

from __future__ import annotations

import json
import os
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from sora_core.checkpoint import (
    World,
    file_hash,
    find_checkpoint,
    keymap,
    load_checkpoint,
    load_part,
    metadata,
    read_header,
    read_metadata,
    save_checkpoint,
)
from sora_core.errors import SoraError
from sora_core.request import Defaults


@pytest.fixture
def copy(tiny_checkpoint, tmp_path):
    """A checkpoint that a test may spoil."""
    return shutil.copy(tiny_checkpoint, tmp_path / "copy.safetensors")


def rewrite(path, *, tensors=None, **changes):
    """Write a checkpoint again with other metadata (None takes a key out) or tensors."""
    found = read_header(path).metadata | changes
    save_file(tensors or load_file(path), path, {key: value for key, value in found.items() if value is not None})


# what is saved comes back


def test_round_trip(tiny_checkpoint, tiny_models, tiny_tokenizer):
    loaded = load_checkpoint(tiny_checkpoint)
    for part, model in tiny_models.items():
        state = getattr(loaded, part).state_dict()
        for name, tensor in model.state_dict().items():
            assert state[name].dtype == tensor.dtype, name
            is_parameter = name in dict(model.named_parameters())
            torch.testing.assert_close(
                state[name], tensor.bfloat16().float() if is_parameter else tensor, rtol=0, atol=0
            )
        assert not getattr(loaded, part).training
        assert not any(parameter.requires_grad for parameter in getattr(loaded, part).parameters())
    assert loaded.tokenizer.to_bytes() == tiny_tokenizer.to_bytes()


def test_what_modules_compute_for_themselves_is_there(tiny_checkpoint, tiny_models):
    loaded = load_checkpoint(tiny_checkpoint)
    for part, model in tiny_models.items():
        for (name, ours), (_, theirs) in zip(getattr(loaded, part).named_buffers(), model.named_buffers(), strict=True):
            torch.testing.assert_close(ours, theirs, msg=f"{part}.{name}")


def test_metadata_without_the_models(tiny_checkpoint):
    found = read_metadata(tiny_checkpoint)
    assert found.component == "pipeline"
    assert found.defaults.width == 32
    assert found.training == {"clips": 12, "minutes": 0.5}
    assert found.world == World(level=1, words=frozenset({"a", "red", "ball", "bounces"}))
    assert found.header.metadata["license"] == "Apache-2.0"
    assert found.header.metadata["modelspec.architecture"] == "sora-nodes/pipeline"
    assert found.parameters("dit") == sum(
        t.numel() for n, t in load_file(tiny_checkpoint).items() if n.startswith("dit.")
    )


def test_header_agrees_with_the_library(tiny_checkpoint):
    tensors = load_file(tiny_checkpoint)
    header = read_header(tiny_checkpoint)
    assert header.tensors.keys() == tensors.keys()
    assert all(header.tensors[name].shape == tuple(tensor.shape) for name, tensor in tensors.items())


def test_dtype_in_the_file_and_in_memory(tiny_models, tmp_path):
    path = tmp_path / "vae.safetensors"
    save_checkpoint(path, {"audio_vae": tiny_models["audio_vae"]}, defaults=Defaults(), training={})
    kinds = {name: info.dtype for name, info in read_header(path).tensors.items()}
    assert kinds.pop("audio_vae.latent_mean") == kinds.pop("audio_vae.latent_std") == "F32"
    assert set(kinds.values()) == {"BF16"}
    model = load_part(path, "audio_vae", dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model.latent_std.dtype == torch.float32


def test_lone_part(tiny_checkpoint, tiny_models, tmp_path):
    path = tmp_path / "vae.safetensors"
    save_checkpoint(path, {"video_vae": tiny_models["video_vae"]}, defaults=Defaults(), training={})
    from_pipeline, alone = (load_part(source, "video_vae") for source in (tiny_checkpoint, path))
    frames = torch.rand(1, 3, 5, 16, 16) * 2 - 1
    torch.testing.assert_close(from_pipeline.encode(frames), alone.encode(frames))
    with pytest.raises(SoraError, match="only the part 'video_vae'"):
        load_checkpoint(path)
    with pytest.raises(SoraError, match="holds no 'dit'"):
        load_part(path, "dit")


def test_saving_is_all_or_nothing(tiny_models, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")

    def interrupted(*_):
        (path.parent / f".model.{os.getpid()}.part.safetensors").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("safetensors.torch.save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, {"dit": tiny_models["dit"]}, defaults=Defaults(), training={})
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]


def test_renames(copy, monkeypatch):
    tensors = {name.replace("dit.", "dit.old_", 1): tensor for name, tensor in load_file(copy).items()}
    rewrite(copy, tensors=tensors)
    with pytest.raises(SoraError, match="missing"):
        load_checkpoint(copy)
    monkeypatch.setattr(keymap, "RENAMES", (("dit.old_", "dit."),))
    load_checkpoint(copy)


def test_find_checkpoint_takes_the_last_pipeline(tiny_checkpoint, tiny_models, tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "__file__", str(tmp_path / "checkpoint" / "metadata.py"))
    weights = tmp_path / "weights"
    weights.mkdir()
    with pytest.raises(SoraError, match="no trained model"):
        find_checkpoint()
    save_checkpoint(weights / "z.safetensors", {"dit": tiny_models["dit"]}, defaults=Defaults(), training={})
    save_file({"table": torch.zeros(2)}, weights / "word_table.safetensors")
    for name in ("sora-1.safetensors", "sora-2.safetensors"):
        shutil.copy(tiny_checkpoint, weights / name)
    assert find_checkpoint().name == "sora-2.safetensors"


def test_hash(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert file_hash(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# what is refused


def spoil_truncate_data(path):
    path.write_bytes(path.read_bytes()[:-100])


def spoil_truncate_head(path):
    path.write_bytes(path.read_bytes()[:200])


def spoil_trailing(path):
    path.write_bytes(path.read_bytes() + b"more")


def spoil_pickle(path):
    path.write_bytes(pickle.dumps({"state_dict": [1.0]}))


def spoil_zip(path):
    torch.save({"weight": torch.zeros(3)}, path)


def spoil_foreign(path):
    save_file({f"model.diffusion_model.{n}": torch.zeros(2) for n in range(12)}, path)


def spoil_offsets(path):
    head = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}}).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(8))


def spoil_overlap(path):
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    head = json.dumps({"a": entry, "b": entry}).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(8))


def spoil_json(path):
    path.write_bytes((9).to_bytes(8, "little") + b"{not json" + bytes(4))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), ["does not exist"]),
        (lambda path: (path.unlink(), path.mkdir()), ["is a folder"]),
        (lambda path: path.write_bytes(b""), ["is empty"]),
        (lambda path: path.write_bytes(b"abc"), ["only 3 bytes"]),
        (lambda path: path.write_bytes(b"\0" * 64), ["not a safetensors file"]),
        (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), ["Git LFS"]),
        (lambda path: path.write_bytes(b"GGUF" + bytes(60)), ["GGUF"]),
        (spoil_truncate_data, ["is cut off", "bytes of at least"]),
        (spoil_truncate_head, ["is cut off"]),
        (spoil_trailing, ["4 bytes after"]),
        (spoil_pickle, ["a pickle"]),
        (spoil_zip, ["torch.save", "pickle"]),
        (spoil_foreign, ["12 tensors", "model.diffusion_model.0", "sora.format_version 1"]),
        (spoil_offsets, ["damaged head"]),
        (spoil_overlap, ["damaged head"]),
        (spoil_json, ["damaged head"]),
        (lambda path: rewrite(path, **{"sora.format_version": "2"}), ["sora.format_version '2'", "reads 1"]),
        (lambda path: rewrite(path, **{"sora.component": "watermark"}), ["'watermark'", "pipeline"]),
        (lambda path: rewrite(path, **{"sora.config": "{}"}), ["settings for nothing"]),
        (lambda path: rewrite(path, **{"sora.config": "["}), ["no sound sora.config"]),
        (lambda path: rewrite(path, **{"sora.world": '{"level": 1}'}), ["sora.world"]),
        (lambda path: rewrite(path, **{"sora.training": None}), ["sora.training"]),
        (lambda path: rewrite(path, **{"sora.defaults": '{"width": 64}'}), ["Defaults lacks"]),
    ],
)
def test_refusals_of_the_head(copy, spoil, words):
    spoil(copy)
    with pytest.raises(SoraError) as caught:
        read_metadata(copy)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_every_cut_is_refused(tiny_checkpoint, tmp_path):
    data = tiny_checkpoint.read_bytes()
    path = tmp_path / "cut.safetensors"
    for length in (*range(0, 64, 7), *range(64, len(data), len(data) // 40)):
        path.write_bytes(data[:length])
        with pytest.raises(SoraError):
            read_metadata(path)


def test_noise_is_refused_and_nothing_else_happens(tmp_path):
    generator = torch.Generator().manual_seed(0)
    path = tmp_path / "noise.safetensors"
    for _ in range(50):
        noise = torch.randint(0, 256, (200,), generator=generator, dtype=torch.uint8).numpy().tobytes()
        path.write_bytes((64).to_bytes(8, "little") + b"{" + noise)
        with pytest.raises(SoraError):
            read_metadata(path)


def change_config(path, part, **changes):
    config = json.loads(read_header(path).metadata["sora.config"])
    config[part] = {key: value for key, value in (config[part] | changes).items() if value is not None}
    rewrite(path, **{"sora.config": json.dumps(config)})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colour": 3}, ["'dit'", "does not know colour"]),
        ({"width": None}, ["'dit'", "lacks width"]),
        ({"heads": 3}, ["'dit'", "not supported"]),
        ({"hidden": 96}, ["of another shape", "should be [96"]),
        ({"layers": 2}, ["missing: ", "..."]),
    ],
)
def test_settings_that_do_not_fit_are_refused(copy, changes, words):
    change_config(copy, "dit", **changes)
    with pytest.raises(SoraError) as caught:
        load_checkpoint(copy)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_wrong_keys_are_named_five_at_most(copy):
    tensors = load_file(copy) | {f"dit.extra{n}": torch.zeros(1) for n in range(7)}
    rewrite(copy, tensors=tensors)
    with pytest.raises(SoraError, match=r"7 unexpected: extra0, extra1, extra2, extra3, extra4 \.\.\."):
        load_checkpoint(copy)


def test_keys_of_no_part_are_refused(copy):
    rewrite(copy, tensors=load_file(copy) | {"lora.up": torch.zeros(1)})
    with pytest.raises(SoraError, match=r"unexpected: lora\.up"):
        load_checkpoint(copy)


def test_another_kind_of_number_is_refused(copy):
    tensors = load_file(copy)
    tensors["text.table"] = tensors["text.table"].float()
    rewrite(copy, tensors=tensors)
    with pytest.raises(SoraError, match=r"float32 and should be .* int8"):
        load_checkpoint(copy)
