"""Prompts become ids, ids become states, and unseen words land near their neighbours."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer as Pieces
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from sora_core.errors import SoraError
from sora_core.text import TextConfig, TextEncoder, Tokenizer, WordTable, load_word_table, save_word_table
from sora_core.text.word_table import WEIGHTS
from sora_core.training.visual_words import VISUAL_WORDS
from sora_core.training.word_table import quantise, reduce_rows
from sora_core.world.captions import KNOWN_WORDS, caption
from sora_core.world.sample import sample_attributes
from sora_core.world.spec import LEVELS
from sora_core.world.vocabulary import HELD_OUT_WORDS, concept_of

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "a", "red", "ball", "bounce", "##s", "on", "wood", ".", "-"]

needs_table = pytest.mark.skipif(not any(WEIGHTS.glob("*.safetensors")), reason="the word table is not built")


@pytest.fixture
def tokenizer() -> Tokenizer:
    pieces = Pieces(WordPiece({word: index for index, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    pieces.normalizer = BertNormalizer(lowercase=True)
    pieces.pre_tokenizer = BertPreTokenizer()
    return Tokenizer(pieces)


@pytest.fixture
def encoder() -> TextEncoder:
    torch.manual_seed(0)
    table = torch.randint(-127, 128, (len(VOCABULARY), 16), dtype=torch.int8)
    made = TextEncoder(TextConfig(vocab_size=len(VOCABULARY), table_width=16, width=24, layers=2, heads=3))
    made.table.copy_(table)
    made.table_scale.fill_(1 / 64)
    return made.eval()


def test_encode_begins_pads_and_masks(tokenizer: Tokenizer) -> None:
    ids, mask = tokenizer.encode(["a red ball", "Ball", ""])
    assert ids.tolist() == [[2, 3, 4, 5], [2, 5, 0, 0], [2, 0, 0, 0]]
    assert mask.tolist() == [[True] * 4, [True, True, False, False], [True, False, False, False]]


def test_encode_cuts_the_end(tokenizer: Tokenizer) -> None:
    ids, mask = tokenizer.encode(["red ball " * 40], max_tokens=5)
    assert ids.tolist() == [[2, 4, 5, 4, 5]]
    assert mask.all()


def test_empty_prompt_is_one_visible_token(tokenizer: Tokenizer) -> None:
    ids, mask = tokenizer.encode([""])
    assert ids.tolist() == [[2]]
    assert mask.tolist() == [[True]]


def test_unknown_word_is_the_unknown_token(tokenizer: Tokenizer) -> None:
    ids, _ = tokenizer.encode(["zebra ball"])
    assert ids.tolist() == [[2, 1, 5]]


def test_bytes_round_trip(tokenizer: Tokenizer) -> None:
    again = Tokenizer.from_bytes(tokenizer.to_bytes())
    assert again.to_bytes() == tokenizer.to_bytes()
    assert torch.equal(again.encode(["a red ball bounces"])[0], tokenizer.encode(["a red ball bounces"])[0])


def test_foreign_bytes_are_refused() -> None:
    with pytest.raises(SoraError, match="tokenizer"):
        Tokenizer.from_bytes(b"\x80\x04 no json")


def test_words_keep_pieces_together(tokenizer: Tokenizer) -> None:
    words = tokenizer.words("A red-wood ball bounces.")
    assert [word.text for word in words] == ["a", "red", "wood", "ball", "bounces"]
    assert words[-1].ids == (6, 7)


def test_states_are_zero_under_the_mask_and_finite(tokenizer: Tokenizer, encoder: TextEncoder) -> None:
    ids, mask = tokenizer.encode(["a red ball", ""])
    states = encoder(ids, mask)
    assert states.shape == (2, 4, 24)
    assert states.isfinite().all()
    assert (states[1, 1:] == 0).all()
    assert states[0].abs().amin(-1).gt(0).all()


def test_alone_is_as_in_a_batch(tokenizer: Tokenizer, encoder: TextEncoder) -> None:
    alone = encoder(*tokenizer.encode(["a ball"]))
    batch = encoder(*tokenizer.encode(["a ball", "a red ball on wood ."]))
    assert torch.allclose(batch[:1, :3], alone, atol=1e-5)


def test_order_of_words_matters(tokenizer: Tokenizer, encoder: TextEncoder) -> None:
    first = encoder(*tokenizer.encode(["red ball"]))
    second = encoder(*tokenizer.encode(["ball red"]))
    assert (first[0, 1] - second[0, 2]).abs().max() > 1e-3


def test_noise_is_for_training_only(tokenizer: Tokenizer, encoder: TextEncoder) -> None:
    ids, mask = tokenizer.encode(["a red ball"])
    encoder.table_noise = 0.3
    assert torch.equal(encoder(ids, mask), encoder(ids, mask))
    encoder.train()
    assert not torch.equal(encoder(ids, mask), encoder(ids, mask))


def test_table_is_saved_and_never_trained(encoder: TextEncoder) -> None:
    assert {"table", "table_scale"} <= encoder.state_dict().keys()
    assert encoder.table.dtype == torch.int8
    assert not any(name.startswith("table") for name, _ in encoder.named_parameters())


def test_state_dict_keys() -> None:
    model = TextEncoder(TextConfig(vocab_size=8, table_width=8, width=8, layers=1, heads=1), device="meta")
    parts = ("attention_norm", "q", "k", "v", "o", "feed_norm", "gate", "up", "down")
    expected = {"table", "table_scale", "project.weight", "project.bias", "norm.weight"}
    assert model.state_dict().keys() == expected | {f"blocks.0.{part}.weight" for part in parts}


def test_config_refuses_what_cannot_be_built() -> None:
    with pytest.raises(SoraError, match="heads"):
        TextConfig(vocab_size=8, width=20, heads=3)


def test_reduced_rows_are_uncorrelated_and_of_unit_size() -> None:
    rows = reduce_rows(torch.randn(200, 24, generator=torch.Generator().manual_seed(0)).cumsum(1), 6, 1.0)
    assert torch.allclose(rows.mT @ rows / len(rows), torch.eye(6), atol=1e-4)


def test_quantise_is_within_half_a_step() -> None:
    rows = torch.rand(300, 8, generator=torch.Generator().manual_seed(0)) - 0.5
    stored, scale = quantise(rows)
    assert ((stored * scale - rows).abs() <= scale / 2 + 1e-7).all()


def test_word_table_file_round_trip(tokenizer: Tokenizer, tmp_path: Path) -> None:
    rows = torch.randint(-127, 128, (len(VOCABULARY), 4), dtype=torch.int8)
    save_word_table(
        WordTable(rows, torch.rand(4), tokenizer), tmp_path / "table.safetensors", {"license": "Apache-2.0"}
    )
    again = load_word_table(tmp_path / "table.safetensors")
    assert torch.equal(again.rows, rows)
    assert again.tokenizer.to_bytes() == tokenizer.to_bytes()


def test_missing_word_table_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(SoraError, match="python -m sora_core"):
        load_word_table(tmp_path / "none.safetensors")


@pytest.fixture(scope="module")
def table() -> WordTable:
    return load_word_table()


@needs_table
def test_table_is_small_and_fits_its_tokenizer(table: WordTable) -> None:
    assert table.rows.numel() + 4 * table.scale.numel() + len(table.tokenizer.to_bytes()) <= 6 * 2**20
    assert len(table.rows) == table.tokenizer.vocab_size


@needs_table
def test_visual_words_are_whole(table: WordTable) -> None:
    assert all(table.tokenizer.is_known(word) for word in VISUAL_WORDS)


@needs_table
@pytest.mark.parametrize(
    ("word", "near", "far"),
    [
        ("orb", "sphere", "box"),
        ("gigantic", "large", "small"),
        ("tiny", "small", "large"),
        ("beach", "sand", "wood"),
        ("crimson", "red", "green"),
    ],
)
def test_unseen_words_are_near_their_neighbours(table: WordTable, word: str, near: str, far: str) -> None:
    rows = F.normalize(table.dequantise(), dim=-1)
    ids, _ = table.tokenizer.encode([word, near, far])
    unseen, first, second = rows[ids[:, 1]]
    assert unseen @ first > unseen @ second


@needs_table
def test_most_held_out_words_are_nearest_to_their_own_value(table: WordTable) -> None:
    rows = table.dequantise()

    def vectors(words: list[str]) -> torch.Tensor:
        found = [rows[[piece for part in table.tokenizer.words(word) for piece in part.ids]].mean(0) for word in words]
        return F.normalize(torch.stack(found), dim=-1)

    trained: dict[tuple[str, str], list[str]] = {}
    for word in sorted(KNOWN_WORDS):
        if (concept := concept_of(word)) is not None:
            trained.setdefault(concept, []).append(word)
    centres = {concept: F.normalize(vectors(words).mean(0), dim=-1) for concept, words in trained.items()}
    right = 0
    for word in sorted(HELD_OUT_WORDS):
        own = concept_of(word)
        assert own is not None, word
        rivals = [concept for concept in centres if concept[0] == own[0]]
        near = (vectors([word]) @ torch.stack([centres[concept] for concept in rivals]).mT).argmax()
        right += rivals[int(near)] == own
    assert right / len(HELD_OUT_WORDS) >= 0.75


@needs_table
def test_captions_have_no_unknown_piece_and_fit(table: WordTable) -> None:
    source = torch.Generator().manual_seed(0)
    texts = [
        caption(sample_attributes(LEVELS[1], source), length, source, vocabulary)
        for length in ("short", "medium")
        for vocabulary in ("train", "held_out")
        for _ in range(200)
    ]
    ids, mask = table.tokenizer.encode(texts, max_tokens=64)
    assert not (ids == table.tokenizer.unknown_id).any()
    assert mask.sum(1).max() <= 32
