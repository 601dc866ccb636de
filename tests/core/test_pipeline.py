"""The pipeline over tiny untrained models: shapes, lengths, conditions, streams and variations."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tokenizers
import torch
from torch import nn

from sora_core.audio_vae import AudioVAE
from sora_core.audio_vae.config import tiny as tiny_audio
from sora_core.checkpoint import World, save_checkpoint
from sora_core.conditioning import Conditions, keep_prefix, keep_whole_audio, keep_whole_video
from sora_core.dit import DiT, DiTConfig
from sora_core.errors import SoraError
from sora_core.pipeline import Pipeline, read_picture
from sora_core.pixels import check_frames, first_frames, size_within, to_bytes, to_signed
from sora_core.request import Defaults, Request, resolve
from sora_core.text import TextConfig, TextEncoder, Tokenizer
from sora_core.types import AVLatent, ClipFormat
from sora_core.video_vae import VideoVAE
from sora_core.video_vae.config import tiny as tiny_video
from sora_core.vocabulary import unknown_words

WORDS = ["a", "red", "crimson", "ball", "orb", "bounces", "zzz"]
DEFAULTS = Defaults(width=32, height=16, frames=9, fps=12.0, steps=2, guidance=3.0)


def tokenizer() -> Tokenizer:
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", *WORDS, "##s"])}
    pieces = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    pieces.normalizer = tokenizers.normalizers.Lowercase()
    pieces.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return Tokenizer(pieces)


def shaken(model: nn.Module) -> nn.Module:
    """Give every parameter a random value, zero-initialised ones too."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.15)
    return model.eval().requires_grad_(False)


def parts() -> dict:
    torch.manual_seed(0)
    words = tokenizer()
    text = TextEncoder(TextConfig(vocab_size=words.vocab_size, table_width=8, width=16, layers=1, heads=2))
    text.table.copy_(torch.randint(-100, 100, text.table.shape))
    text.table_scale.fill_(0.01)
    dit = DiT(DiTConfig(width=32, layers=1, heads=2, hidden=64, text_width=16, modulation_width=16))
    return {
        "text": shaken(text),
        "dit": shaken(dit),
        "video_vae": shaken(VideoVAE(tiny_video())),
        "audio_vae": shaken(AudioVAE(tiny_audio())),
    }


@pytest.fixture(scope="module")
def pipe() -> Pipeline:
    return Pipeline(**parts(), tokenizer=tokenizer(), defaults=DEFAULTS)


def wish(**settings) -> Request:
    return Request(**{"prompt": "a red ball bounces", "seed": 5, **settings})


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8)


# clips


def test_clip_has_the_asked_length_and_range(pipe):
    (clip,) = pipe.generate(wish(seconds=0.5))
    assert clip.frames.shape == (6, 16, 32, 3)
    assert clip.frames.dtype == torch.uint8
    assert clip.audio.shape == (8000,)
    assert clip.audio.dtype == torch.float32
    assert clip.audio.abs().max() <= 1
    assert clip.audio.std() > 0
    assert clip.fps == 12


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"aspect": "9:16"}, (32, 16)),
        ({"width": 48, "height": 16, "fps": 24.0, "seconds": 1.0}, (16, 48)),
        ({"width": 16, "height": 16, "fps": 6.0, "seconds": 0.1}, (16, 16)),
    ],
)
def test_any_size_and_length_on_the_grid(pipe, settings, size):
    request = wish(**settings)
    plan = resolve(request, DEFAULTS)
    (clip,) = pipe.generate(request)
    assert clip.frames.shape == (plan.frames, *size, 3)
    assert clip.audio.shape == (plan.samples,)
    assert clip.fps == plan.format.fps


def test_still_is_one_frame_without_sound(pipe):
    (clip,) = pipe.generate(wish(still=True))
    assert clip.frames.shape == (1, 16, 32, 3)
    assert clip.audio is None


def test_no_audio(pipe):
    (clip,) = pipe.generate(wish(audio=False))
    assert clip.audio is None
    assert clip.frames.shape == (9, 16, 32, 3)


def test_variation_alone_equals_the_one_in_a_batch(pipe):
    together = pipe.generate(wish(variations=3))
    (alone,) = pipe.generate(wish(seed=7))
    assert len(together) == 3
    assert (together[2].frames.int() - alone.frames.int()).abs().max() <= 1
    assert torch.allclose(together[2].audio, alone.audio, atol=1e-3)
    assert not torch.equal(together[0].frames, alone.frames)


def test_prompts_of_their_own_in_one_batch(pipe):
    plan = resolve(wish(), DEFAULTS)
    together = pipe.sample(pipe.encode_prompt(["a red ball", "orb bounces"]), plan, seed=5, variations=2)
    alone = pipe.sample(pipe.encode_prompt(["orb bounces"]), plan, seed=6)
    assert torch.allclose(together.video[1:], alone.video, atol=1e-4)
    assert torch.allclose(together.audio[1:], alone.audio, atol=1e-4)


def test_a_seed_means_the_same_clip(pipe):
    first, second = (pipe.generate(wish())[0] for _ in range(2))
    assert torch.equal(first.frames, second.frames)
    assert torch.equal(first.audio, second.audio)


@pytest.mark.parametrize("solver", ["heun", "dpmpp_2m"])
def test_solvers_and_knobs_change_the_clip(pipe, solver):
    plain = pipe.generate(wish(steps=4))[0].frames
    for settings in ({"solver": solver}, {"negative": "orb"}, {"guidance": 1.0}, {"shift": 5.0}):
        assert not torch.equal(pipe.generate(wish(steps=4, **settings))[0].frames, plain), settings


def test_audio_guidance_leaves_the_first_step_of_the_picture(pipe):
    previews = []
    for audio_guidance in (1.0, 6.0):
        request = wish(steps=1, audio_guidance=audio_guidance)
        pipe.generate(request, lambda _step, _total, latent: previews.append(latent))
    assert torch.equal(previews[0].video, previews[1].video)
    assert not torch.equal(previews[0].audio, previews[1].audio)


def test_stream_equals_the_whole_clip(pipe):
    pipe = replace(pipe, defaults=replace(DEFAULTS, frames=81))
    request = wish(seconds=6.5, audio=False, width=16, height=16, steps=1)
    (stream,) = pipe.generate_stream(request)
    assert (stream.num_frames, stream.width, stream.height, stream.seed) == (78, 16, 16, 5)
    chunks = list(stream.frames)
    assert len(chunks) > 1
    assert all(chunk.dtype == torch.uint8 for chunk in chunks)
    assert torch.equal(torch.cat(chunks), pipe.generate(request)[0].frames)
    latent = pipe.sample(pipe.encode_prompt([request.prompt]), resolve(request, pipe.defaults), seed=5)
    whole = to_bytes(pipe.video_vae.decode(latent.video)[0])[:78]
    assert (torch.cat(chunks).int() - whole.int()).abs().max() <= 1


def test_callback_counts_and_cancels(pipe):
    seen = []
    pipe.generate(wish(variations=2), lambda step, total, latent: seen.append((step, total, latent.video.shape)))
    assert seen == [(1, 2, (2, 16, 3, 2, 4)), (2, 2, (2, 16, 3, 2, 4))]

    def cancel(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipe.generate(wish(), cancel)


def test_bfloat16_runs_and_agrees_roughly(pipe):
    halves = {name: part.to(torch.bfloat16) for name, part in parts().items()}
    half = Pipeline(**halves, tokenizer=tokenizer(), defaults=DEFAULTS, dtype=torch.bfloat16)
    (clip,) = half.generate(wish())
    (full,) = pipe.generate(wish())
    assert clip.audio.dtype == torch.float32
    assert (clip.frames.float() - full.frames.float()).abs().mean() < 12


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_seed_means_the_same_clip_on_a_gpu(pipe):
    place = torch.device("cuda")
    moved = {name: part.to(place) for name, part in parts().items()}
    gpu = Pipeline(**moved, tokenizer=tokenizer(), defaults=DEFAULTS, device=place)
    (there,), (here,) = gpu.generate(wish()), pipe.generate(wish())
    assert (there.frames.int() - here.frames.int()).abs().float().mean() < 1
    assert torch.allclose(there.audio, here.audio, atol=1e-2)


# conditions


def test_first_and_last_picture_are_kept(pipe):
    fmt = resolve(wish(), DEFAULTS).format
    request = wish(image=picture(40, 70).numpy(), last_image=picture(16, 32, 1))
    conditions = pipe.request_conditions(request, fmt)
    assert conditions.video_mask.flatten().tolist() == [0, 1, 0]
    latent = pipe.sample(pipe.encode_prompt(["a"]), resolve(request, DEFAULTS), conditions=conditions)
    assert torch.equal(latent.video[:, :, 0], conditions.video[:, :, 0])
    assert torch.equal(latent.video[:, :, 2], conditions.video[:, :, 2])
    shown = to_bytes(pipe.video_vae.decode(conditions.video[:, :, :1])[0])
    (clip,) = pipe.generate(request)
    assert (clip.frames[:1].int() - shown.int()).abs().max() <= 1


def test_a_later_picture_is_encoded_as_still_film(pipe):
    fmt = resolve(wish(), DEFAULTS).format
    still = pipe.encode_image(picture(16, 32), fmt)
    film = pipe.encode_video(picture(16, 32).expand(5, -1, -1, -1))
    assert torch.equal(still.first, film[:, :, :1])
    assert torch.equal(still.later, film[:, :, 1:])
    assert torch.allclose(still.first, pipe.encode_video(picture(16, 32)), atol=1e-5)


def test_references_keep_their_shape_and_change_the_clip(pipe):
    request = wish(references=(picture(64, 64), picture(30, 90, 1)))
    conditions = pipe.request_conditions(request, resolve(request, DEFAULTS).format)
    assert [tuple(latent.shape[2:]) for latent in conditions.references] == [(1, 2, 2), (1, 2, 4)]
    assert not torch.equal(pipe.generate(request)[0].frames, pipe.generate(wish())[0].frames)


def test_a_cue_changes_the_clip_by_its_words_and_its_time(pipe):
    plain, ball, later, orb = (
        pipe.generate(wish(cues=cues))[0].frames
        for cues in ((), ((0.25, "a red ball"),), ((0.5, "a red ball"),), ((0.25, "crimson orb"),))
    )
    assert all(not torch.equal(plain, other) for other in (ball, later, orb))
    assert not torch.equal(ball, later)
    assert not torch.equal(ball, orb)


def test_kept_film_is_extended(pipe):
    before = pipe.sample(pipe.encode_prompt(["a ball"]), resolve(wish(), DEFAULTS))
    longer = wish(seconds=1.3)
    plan = resolve(longer, DEFAULTS)
    conditions = keep_prefix(AVLatent(before.video[:, :, :2], before.audio[:, :, :10]), plan.format.latent)
    latent = pipe.sample(pipe.encode_prompt(["a ball"]), plan, conditions=conditions, variations=2)
    assert torch.equal(latent.video[:, :, :2], before.video[:, :, :2].expand(2, -1, -1, -1, -1))
    assert torch.equal(latent.audio[:, :, :10], before.audio[:, :, :10].expand(2, -1, -1, -1))
    assert pipe.generate(longer, conditions=conditions)[0].frames.shape[0] == plan.frames


def test_sound_for_a_picture_and_a_picture_for_a_sound(pipe):
    plan = resolve(wish(), DEFAULTS)
    film = picture(9 * 16, 32).reshape(9, 16, 32, 3)
    video = pipe.encode_video(film)
    prompt = pipe.encode_prompt(["a ball"])
    assert torch.equal(pipe.sample(prompt, plan, conditions=keep_whole_video(video)).video, video)
    audio = pipe.encode_audio(torch.sin(torch.arange(9000) / 5), plan.format.latent.audio)
    assert audio.shape == (1, 32, plan.format.latent.audio, 1)
    assert torch.equal(pipe.sample(prompt, plan, conditions=keep_whole_audio(audio)).audio, audio)


def test_a_film_is_encoded_in_chunks_as_in_one_piece(pipe):
    film = picture(77 * 16, 16).reshape(77, 16, 16, 3)
    assert torch.allclose(pipe.encode_video(film), pipe.video_vae.encode(to_signed(film)), atol=1e-4)


def test_what_does_not_fit_is_refused(pipe):
    with pytest.raises(SoraError, match="size"):
        pipe.generate(wish(), conditions=keep_whole_video(torch.zeros(1, 16, 3, 4, 4)))
    with pytest.raises(SoraError, match="the next is 5"):
        pipe.encode_video(picture(4 * 16, 16).reshape(4, 16, 16, 3))
    with pytest.raises(SoraError, match="uint8"):
        pipe.encode_image(torch.rand(16, 16, 3), ClipFormat())
    with pytest.raises(SoraError, match="does not exist"):
        pipe.generate(wish(image="no such file.png"))
    with pytest.raises(SoraError, match="no picture"):
        pipe.decode(AVLatent(None, torch.zeros(1, 32, 5, 1)), resolve(wish(), DEFAULTS))
    with pytest.raises(SoraError, match="not finite"):
        pipe.decode_audio(torch.full((1, 32, 5, 1), torch.nan))


# text


def test_every_prompt_has_the_full_length(pipe):
    states, mask = pipe.encode_prompt(["a red ball", ""])
    assert states.shape == (2, 32, 16)
    assert mask.sum(1).tolist() == [4, 1]
    assert torch.equal(states[1, 1:], torch.zeros(31, 16))


def test_unknown_words_have_their_nearest():
    words = tokenizer()
    text = TextEncoder(TextConfig(vocab_size=words.vocab_size, table_width=4, width=16, layers=1, heads=2))
    text.table_scale.fill_(0.01)
    for word, row in {
        "red": (90, 10, 0, 0),
        "crimson": (80, 20, 0, 0),
        "ball": (0, 0, 70, 0),
        "orb": (5, 0, 60, 0),
    }.items():
        text.table[words.words(word)[0].ids[0]] = torch.tensor(row, dtype=torch.int8)
    text.table[words.words("zzz")[0].ids[0]] = torch.tensor([0, 0, 0, 99], dtype=torch.int8)
    known = {"a", "red", "ball", "bounces"}
    found = unknown_words("A Crimson orb, bounces; zzz crimson qqq!", known, text, words)
    assert found == [("crimson", "red"), ("orb", "ball"), ("zzz", None), ("qqq", None)]
    assert unknown_words("a red ball", known, text, words) == []


# checkpoint


def test_load_gives_the_clip_that_was_saved(pipe, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(
        path,
        parts(),
        defaults=DEFAULTS,
        training={},
        tokenizer=tokenizer().to_bytes(),
        world=World(level=1, words=frozenset({"a", "red", "ball", "bounces"})),
        dtype=torch.float32,
    )
    loaded = Pipeline.load(path, dtype="float32")
    assert torch.equal(loaded.generate(wish())[0].frames, pipe.generate(wish())[0].frames)
    assert [word for word, _ in loaded.unknown_words("a crimson ball")] == ["crimson"]
    assert Pipeline.load(str(path), dtype="bfloat16").generate(wish())[0].frames.shape == (9, 16, 32, 3)
    assert pipe.unknown_words("a crimson ball") == []


def test_load_refuses_what_is_not_there(tmp_path):
    with pytest.raises(SoraError, match="device"):
        Pipeline.load(device="abacus")
    with pytest.raises(SoraError, match="float32"):
        Pipeline.load(dtype="float8")
    with pytest.raises(SoraError, match="does not exist"):
        Pipeline.load(tmp_path / "none.safetensors")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_load_refuses_cuda_where_there_is_none():
    with pytest.raises(SoraError, match="CUDA"):
        Pipeline.load(device="cuda")


# pixels


def test_bytes_make_the_round_trip():
    film = picture(2 * 4, 5).reshape(2, 4, 5, 3)
    assert torch.equal(to_bytes(to_signed(film)[0]), film)
    assert to_bytes(torch.full((3, 1, 1, 1), 7.0)).max() == 255
    assert check_frames(film[0]).shape == (1, 4, 5, 3)


def test_first_frames_cut_the_stream():
    chunks = [torch.zeros(1, 3, count, 2, 2) for count in (5, 8, 8)]
    assert [len(chunk) for chunk in first_frames(iter(chunks), 13)] == [5, 8]
    assert [len(chunk) for chunk in first_frames(iter(chunks), 15)] == [5, 8, 2]


@pytest.mark.parametrize(
    ("source", "target"), [((100, 100), (64, 64)), ((300, 100), (96, 32)), ((10, 90), (16, 64)), ((96, 64), (96, 64))]
)
def test_reference_size_lies_within(source, target):
    assert size_within(*source, 96, 64) == target


def test_read_picture_takes_arrays_and_files(tmp_path):
    image = picture(6, 4)
    assert torch.equal(read_picture(image.numpy()), image)
    assert torch.equal(read_picture(image), image)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(SoraError, match="cannot be read"):
        read_picture(tmp_path / "text.png")


def test_plain_conditions_hold_nothing():
    assert Conditions().hold_video(torch.zeros(1, 16, 3, 4, 4)) is None
