"""The transformer: its layout, positions, noise levels, injectables, keys and sizes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sora_core.dit import PRESETS, Cue, DiT, DiTConfig, attention, compile_blocks, explicit, pieces, quickest, sdpa
from sora_core.dit.flops import TokenCount, count_flops, count_parameters, count_tokens
from sora_core.dit.rope import (
    REFERENCE_STEP_S,
    SQUARE_SIDE,
    TIME_UNIT,
    Place,
    audio_positions,
    layout_positions,
    rotary_table,
    rotate,
    text_positions,
    video_positions,
)
from sora_core.errors import SoraError
from sora_core.processor import Processor
from sora_core.types import ClipFormat

CONFIG = DiTConfig(width=32, layers=2, heads=2, hidden=48, text_width=16, modulation_width=16)

BLOCK_KEYS = {
    "table",
    *(f"attn.{name}.weight" for name in ("q", "k", "v", "out", "q_norm", "k_norm")),
    *(f"mlp.{name}.weight" for name in ("gate", "up", "down")),
}
"""What LoRA files name: q, k and v stand apart."""

OUTER_KEYS = {
    "text_pad",
    "reference_mark",
    "final_table",
    *(f"{name}.{kind}" for name in ("text_in", "video_in", "audio_in") for kind in ("weight", "bias")),
    *(f"{name}.{kind}" for name in ("video_out", "audio_out") for kind in ("weight", "bias")),
    *(f"modulation.{name}.{kind}" for name in ("embed", "squeeze") for kind in ("weight", "bias")),
    *(f"modulation.branch.{i}.{kind}" for i in range(3) for kind in ("weight", "bias")),
}


def build(**more) -> DiT:
    torch.manual_seed(0)
    model = DiT(CONFIG, **more)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def model() -> DiT:
    return build()


@pytest.fixture
def given() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)

    def drawn(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator)

    return {
        "video": drawn(2, 16, 3, 4, 6),
        "audio": drawn(2, 32, 7, 1),
        "text": drawn(2, 5, 16),
        "text_mask": torch.tensor([[True] * 5, [True] * 3 + [False] * 2]),
        "sigma_video": torch.full((2, 1), 0.7),
        "sigma_audio": torch.full((2, 1), 0.4),
    }


def same(got: tuple[Tensor | None, Tensor | None], wanted: tuple[Tensor | None, Tensor | None]) -> None:
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


# tokens and positions


def test_patchify_round_trip(model):
    latent = torch.randn(2, 16, 3, 4, 6)
    tokens, grid = model._patchify(latent)
    assert grid == (3, 2, 3)
    assert tokens.shape == (2, 18, 64)
    assert torch.equal(model._unpatchify(tokens, latent), latent)
    # token 4 is frame 0, row 1, column 1: cells 2 and 3 each way
    assert torch.equal(tokens[0, 4], latent[0, :, 0, 2:4, 2:4].flatten())


def test_positions_are_seconds_and_areas():
    video = video_positions(3, 2, 2, 12.0, "cpu")
    # the first latent frame is frame 0; the next hold frames 1 to 4 and 5 to 8, whose middles are 2.5 and 6.5
    assert (video[::4, 0] * TIME_UNIT).tolist() == pytest.approx([0, 2.5 / 12, 6.5 / 12])
    assert (audio_positions(2, "cpu")[:, 0] * TIME_UNIT).tolist() == pytest.approx([0.02, 0.06])
    assert (text_positions(32, "cpu")[:, 0] < 0).all()
    for height, width in ((2, 2), (4, 4), (2, 8)):
        place = video_positions(1, height, width, 12.0, "cpu")
        spans = place[:, 1:].amax(0) - place[:, 1:].amin(0)
        spacing = SQUARE_SIDE / (height * width) ** 0.5
        assert spans.tolist() == pytest.approx([spacing * (height - 1), spacing * (width - 1)])
        assert place[:, 1:].mean(0).abs().max() < 1e-5
    second = Place("reference", 1, 2, 2, order=1).positions("cpu")
    assert (second[:, 0] * TIME_UNIT).tolist() == pytest.approx([2 * REFERENCE_STEP_S] * 4)
    layout = [Place("text", 4), Place("video", 3, 2, 2, 12.0), Place("audio", 2)]
    assert layout_positions(layout, "cpu").shape == (4 + 12 + 2, 3)


def logits(q_NK: Tensor, k_NK: Tensor, positions_N3: Tensor) -> Tensor:
    table = rotary_table(positions_N3, q_NK.shape[-1], 50.0)
    q, k = (rotate(x[None, :, None], table)[0, :, 0] for x in (q_NK, k_NK))
    return q @ k.T


@pytest.mark.parametrize("shift", [(40.0, 0.0, 0.0), (0.0, 2.5, -1.0), (-7.0, 3.0, 1.5)])
def test_attention_sees_differences_of_positions_only(shift):
    q, k = torch.randn(12, 16, dtype=torch.float64), torch.randn(12, 16, dtype=torch.float64)
    positions = video_positions(3, 2, 2, 12.0, "cpu").double()
    moved = positions + torch.tensor(shift, dtype=torch.float64)
    torch.testing.assert_close(logits(q, k, moved), logits(q, k, positions), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(logits(q, k, positions * 1.5), logits(q, k, positions), atol=1e-2)


def test_a_clip_moved_in_time_is_the_same_clip(model, given):
    layout = [Place("text", 5), Place("video", 3, 2, 3, 12.0), Place("audio", 7)]
    positions = layout_positions(layout, "cpu")
    plain = model(**given, fps=12.0)
    with_table = {}
    for seconds in (0.0, 3.0):
        moved = positions.clone()
        moved[:, 0] += seconds / TIME_UNIT
        other = build()
        other._table = lambda *_, moved=moved: rotary_table(moved, CONFIG.head_size, CONFIG.rope_base)
        with_table[seconds] = other(**given, fps=12.0)
    same(with_table[0.0], plain)
    for a, b in zip(with_table[3.0], plain, strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


def test_fps_and_size_change_the_positions_not_the_shapes(model, given):
    slow = model(**given, fps=6.0)
    fast = model(**given, fps=24.0)
    assert slow[0].shape == fast[0].shape
    assert not torch.allclose(slow[0], fast[0], atol=1e-3)


# noise levels


def test_equal_levels_may_be_given_at_any_detail(model, given):
    wanted = model(**given)
    for shape in ((2, 3), (2, 3, 4, 6)):
        same(model(**given | {"sigma_video": torch.full(shape, 0.7)}), wanted)
    same(model(**given | {"sigma_audio": torch.full((2, 7), 0.4)}), wanted)


def test_levels_of_frames_and_of_their_cells_agree(model, given):
    levels = torch.tensor([[0.0, 0.5, 0.9], [0.2, 0.2, 1.0]])
    wanted = model(**given | {"sigma_video": levels})
    cells = levels[:, :, None, None].expand(-1, -1, 4, 6)
    same(model(**given | {"sigma_video": cells}), wanted)
    assert not torch.allclose(wanted[0], model(**given)[0], atol=1e-3)


def test_a_token_takes_the_largest_level_of_its_cells(model, given):
    cells = torch.full((2, 3, 4, 6), 0.7)
    cells[:, :, ::2] = 0.1
    same(model(**given | {"sigma_video": cells}), model(**given))


# what may be left away or added


def test_video_alone_audio_alone_and_both(model, given):
    video, audio = model(**given)
    assert video.shape == given["video"].shape
    assert audio.shape == given["audio"].shape
    assert video.dtype == audio.dtype == torch.float32
    silent = model(**given | {"audio": None, "sigma_audio": None})
    assert silent[0].shape == video.shape
    assert silent[1] is None
    assert not torch.allclose(silent[0], video, atol=1e-3)
    blind = model(**given | {"video": None, "sigma_video": None})
    assert blind[0] is None
    assert blind[1].shape == audio.shape


def test_one_frame_and_one_sound_are_enough(model, given):
    small = {"video": given["video"][:, :, :1], "audio": given["audio"][:, :, :1]}
    video, audio = model(**given | small)
    assert video.shape[2] == audio.shape[2] == 1


def test_a_clip_alone_is_the_clip_in_its_batch(model, given):
    video, audio = model(**given)
    for i in range(2):
        same(model(**{name: tensor[i : i + 1] for name, tensor in given.items()}), (video[i : i + 1], audio[i : i + 1]))


def test_padding_says_nothing(model, given):
    changed = given["text"].clone()
    changed[1, 3:] = 9.0
    same(model(**given | {"text": changed}), model(**given))


def test_references_of_any_size_and_order_count(model, given):
    first, second = torch.randn(2, 16, 1, 4, 4), torch.randn(2, 16, 1, 2, 6)
    plain = model(**given)
    one = model(**given, references=[first])
    two = model(**given, references=[first, second])
    swapped = model(**given, references=[second, first])
    assert one[0].shape == two[0].shape == plain[0].shape
    for a, b in ((plain, one), (one, two), (two, swapped)):
        assert not torch.allclose(a[0], b[0], atol=1e-3)
    alone = {"video": None, "sigma_video": None}
    assert model(**given | alone, references=[first])[1].shape == given["audio"].shape


def test_a_cue_is_text_at_its_own_time(model, given):
    text, mask = torch.randn(2, 4, CONFIG.text_width), torch.ones(2, 4, dtype=torch.bool)
    plain = model(**given)
    same(model(**given, cues=[]), plain)
    early, late = (model(**given, cues=[Cue(start, text, mask)]) for start in (0.25, 0.5))
    both = model(**given, cues=[Cue(0.25, text, mask), Cue(0.5, text, mask)])
    for a, b in ((plain, early), (early, late), (both, early)):
        assert a[0].shape == b[0].shape
        assert not torch.allclose(a[0], b[0], atol=1e-3)
        assert not torch.allclose(a[1], b[1], atol=1e-3)
    for i in range(2):
        row = slice(i, i + 1)
        alone = {name: tensor[row] for name, tensor in given.items()}
        made = model(**alone, cues=[Cue(0.25, text[row], mask[row])])
        same(made, (early[0][row], early[1][row]))
    silent = {"audio": None, "sigma_audio": None}
    assert model(**given | silent, cues=[Cue(0.25, text, mask)])[1] is None


def test_a_cue_stands_beside_the_frame_from_its_time_backwards():
    place_N3 = Place("cue", 3, start_s=0.75).positions("cpu")
    assert place_N3[:, 0].tolist() == [18.75, 18.75 - 25 / 32, 18.75 - 50 / 32]
    assert (place_N3[:, 1:] > SQUARE_SIDE).all()


def test_bad_calls_are_refused(model, given):
    nothing = {"video": None, "audio": None}
    with pytest.raises(SoraError, match="neither video nor audio"):
        model(**given | nothing)
    with pytest.raises(SoraError, match="patches of 2"):
        model(**given | {"video": torch.randn(2, 16, 1, 3, 4)})
    for name in ("sigma_video", "sigma_audio"):
        with pytest.raises(SoraError, match=name):
            model(**given | {name: None})
    with pytest.raises(SoraError, match="multiple of 8"):
        DiTConfig(width=36, layers=1, heads=2, hidden=8)


# what is injected


def test_both_attention_kernels_agree(model, given):
    same(build(attention=explicit)(**given), model(**given))
    q, k, v = torch.randn(3, 2, 9, 2, 16).unbind(0)
    torch.testing.assert_close(sdpa(q, k, v), explicit(q, k, v), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("limit", [1, 600, 1 << 20])
def test_attention_in_pieces_is_attention(limit, monkeypatch):
    monkeypatch.setattr(attention, "PIECE_BYTES", limit)  # a query at a time, a few, all
    q, k, v = torch.randn(3, 2, 9, 2, 16).unbind(0)
    torch.testing.assert_close(pieces(q, k, v), explicit(q, k, v), atol=1e-5, rtol=1e-5)


def test_pieces_serve_inference_in_bfloat16_where_they_pay(monkeypatch):
    used = []
    monkeypatch.setattr(attention, "pieces", lambda q, *_: used.append(q.dtype) or q)
    q = torch.randn(1, 4, 2, 8)
    for pay in (True, False):
        monkeypatch.setattr(attention, "PROCESSOR", Processor(bfloat16=True, amx=not pay))
        for dtype in (torch.float32, torch.bfloat16):
            quickest(*[q.to(dtype)] * 3)
            with torch.inference_mode():
                quickest(*[q.to(dtype)] * 3)
    assert used == [torch.bfloat16]


def test_every_block_is_given_to_the_compiler(monkeypatch):
    asked = []
    monkeypatch.setattr(nn.Module, "compile", lambda self, **how: asked.append((self, how)))
    model = build()
    compile_blocks(model)
    assert asked == [(block, {"dynamic": False, "backend": "inductor"}) for block in model.blocks]
    with pytest.raises(SoraError, match="'magic'"):
        compile_blocks(model, backend="magic")


def test_operations_attention_and_wrapper_are_used(given):
    made, attended, wrapped = [], [], []

    class Linear(nn.Linear):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.append(self)

    class RMSNorm(nn.RMSNorm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.append(self)

    def attention(q: Tensor, k: Tensor, v: Tensor, options: dict | None) -> Tensor:
        attended.append((q.shape, options))
        return sdpa(q, k, v)

    def wrapper(forward, *args, **kwargs):
        wrapped.append(kwargs["fps"])
        video, audio = forward(*args, **kwargs)
        return 2 * video, audio

    operations = SimpleNamespace(Linear=Linear, RMSNorm=RMSNorm)
    model = build(operations=operations, attention=attention, wrapper=wrapper)
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.RMSNorm)]
    assert {id(layer) for layer in made} == {id(layer) for layer in layers}
    options = {"kernel": "ours"}
    video, audio = model(**given, fps=8.0, options=options)
    assert wrapped == [8.0]
    assert attended == [((2, 5 + 18 + 7, 2, 16), options)] * CONFIG.layers
    plain = build()(**given, fps=8.0)
    same((video / 2, audio), plain)


# keys, sizes and counts


def test_state_dict_keys_are_a_contract(model):
    blocks = {f"blocks.{i}.{key}" for i in range(CONFIG.layers) for key in BLOCK_KEYS}
    assert set(model.state_dict()) == blocks | OUTER_KEYS


def test_a_new_model_predicts_nothing_and_its_blocks_change_nothing(given):
    model = DiT(CONFIG)
    model.initialise(torch.Generator().manual_seed(0))
    video, audio = model(**given)
    assert not video.any()
    assert not audio.any()
    x = torch.randn(2, 5, 32)
    table = rotary_table(text_positions(5, "cpu"), CONFIG.head_size, 50.0)
    assert torch.equal(model.blocks[0](x, table, [5], [0], [torch.zeros(2, 1, 6, 32)]), x)
    again = DiT(CONFIG)
    again.initialise(torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize(
    ("preset", "low", "high"),
    [
        ("micro", 7.5e6, 9.5e6),
        ("nano", 20e6, 24e6),
        ("small", 105e6, 125e6),
        ("base", 650e6, 720e6),
        ("2b", 2.4e9, 2.7e9),
    ],
)
def test_presets_have_the_sizes_they_claim(preset, low, high):
    config = PRESETS[preset]()
    assert low <= count_parameters(config) <= high
    assert DiTConfig.from_dict(config.to_dict()) == config


def test_tokens_are_counted():
    assert count_tokens(ClipFormat()) == TokenCount(text=32, reference=0, video=7 * 16, audio=53)
    large = ClipFormat(width=128, height=96, frames=49, fps=12.0)
    assert count_tokens(large, references=2, audio=False) == TokenCount(32, 2 * 48, 13 * 48, 0)


def test_flops_are_those_of_the_products_run(given):
    model = build(attention=explicit)  # the counter does not know the fused kernel of the CPU
    references = [torch.randn(2, 16, 1, 4, 6)] * 2
    with FlopCounterMode(display=False) as counter:
        model(**given | {"sigma_video": torch.rand(2, 3)}, references=references)
    # levels: text, two references, three frames, one for all of the sound
    wanted = count_flops(CONFIG, TokenCount(5, 12, 18, 7), batch=2, levels=1 + 2 + 3 + 1)
    assert counter.get_total_flops() == wanted


def test_half_precision_stays_near(model, given):
    half = build().bfloat16()
    low = {name: given[name].bfloat16() for name in ("video", "audio", "text")}
    for a, b in zip(half(**given | low), model(**given), strict=True):
        assert (a - b).norm() < 0.1 * b.norm()
