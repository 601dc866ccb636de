"""Tiny random models that every test may use: real code, real files, no training."""

from __future__ import annotations

import pytest
import tokenizers
import torch
from torch import nn

from sora_core.audio_vae import AudioVAE
from sora_core.audio_vae.config import tiny as tiny_audio
from sora_core.checkpoint import World, save_checkpoint
from sora_core.dit import DiT, DiTConfig
from sora_core.request import Defaults
from sora_core.text import TextConfig, TextEncoder, Tokenizer
from sora_core.video_vae import VideoVAE
from sora_core.video_vae.config import tiny as tiny_video

# at these sizes threads only wait for one another
torch.set_num_threads(1)

KNOWN = ["a", "red", "ball", "bounces"]
DEFAULTS = Defaults(width=32, height=16, frames=9, fps=12.0, steps=2, guidance=3.0)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch for runs that are there to test with ComfyUI."""
    parser.addoption("--require-comfy", action="store_true", help="fail, not skip, where ComfyUI is not found")


@pytest.fixture(scope="session", autouse=True)
def private_folder(tmp_path_factory):
    """Keep every key, index and ledger of a test out of the user's own private folder."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("private")
        patch.setenv("SORA_HOME", str(folder))
        yield folder


@pytest.fixture
def plain_files(monkeypatch):
    """Return the words that leave marks out, with names as if there were none to leave out.

    What a command makes is compared bit by bit here; marks have tests of their own, and an id of their own each time.
    """
    monkeypatch.setattr("sora_core.provenance.marking.endings.UNMARKED", "")
    return ["--no-mark"]


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Tokenizer:
    words = ["[PAD]", "[UNK]", "[CLS]", *KNOWN, "crimson", "orb", "##s"]
    pieces = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]")
    )
    pieces.normalizer = tokenizers.normalizers.Lowercase()
    pieces.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return Tokenizer(pieces)


@pytest.fixture(scope="session")
def tiny_models(tiny_tokenizer) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    text = TextEncoder(TextConfig(vocab_size=tiny_tokenizer.vocab_size, table_width=8, width=16, layers=1, heads=2))
    text.table.copy_(torch.randint(-100, 100, text.table.shape))
    text.table[tiny_tokenizer.words("crimson")[0].ids[0]] = text.table[tiny_tokenizer.words("red")[0].ids[0]]
    text.table_scale.fill_(0.01)
    dit = DiT(DiTConfig(width=32, layers=1, heads=2, hidden=64, text_width=16, modulation_width=16))
    models = {"text": text, "dit": dit, "video_vae": VideoVAE(tiny_video()), "audio_vae": AudioVAE(tiny_audio())}
    for model in models.values():
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.15)
        model.eval().requires_grad_(False)
    models["video_vae"].latent_mean.normal_()
    models["audio_vae"].latent_std.uniform_(0.5, 1.5)
    return models


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_models, tiny_tokenizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_checkpoint(
        path,
        tiny_models,
        defaults=DEFAULTS,
        training={"clips": 12, "minutes": 0.5},
        tokenizer=tiny_tokenizer.to_bytes(),
        world=World(level=1, words=frozenset(KNOWN)),
    )
    return path
