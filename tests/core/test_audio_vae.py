"""The audio autoencoder: shapes, streaming, precision, training that can be interrupted, its sounds and figures."""

from __future__ import annotations

import pytest
import torch

from sora_core.audio_vae import AudioVAE, AudioVAEConfig, StreamCache
from sora_core.audio_vae.config import base, tiny
from sora_core.audio_vae.layers import OverlapAdd, Spectrum
from sora_core.errors import SoraError
from sora_core.training.audio_loss import AudioLoss, onset_errors_ms, onsets, snr_db
from sora_core.training.audio_sounds import draw_sounds, free_impacts, textures, world_impacts, world_sounds
from sora_core.training.audio_vae import AudioTrainer, AudioTraining, initialise, load_audio_vae, measure


@pytest.fixture
def vae() -> AudioVAE:
    torch.manual_seed(0)
    model = AudioVAE(tiny()).eval()
    initialise(model)
    model.latent_mean.normal_()
    model.latent_std.uniform_(0.5, 2.0)
    return model


@pytest.fixture
def audio() -> torch.Tensor:
    return world_impacts(2, 8960, torch.Generator().manual_seed(1)).audio


@pytest.mark.parametrize(("samples", "latents"), [(1, 1), (640, 1), (641, 2), (16000, 25), (32000, 50)])
@torch.no_grad()
def test_one_latent_stands_for_640_samples(vae: AudioVAE, samples: int, latents: int):
    latent = vae.encode(torch.zeros(2, samples))
    assert latent.shape == (2, 32, latents, 1)
    assert latent.dtype == torch.float32
    sound = vae.decode(latent)
    assert sound.shape == (2, latents * 640)
    assert sound.dtype == torch.float32


def test_base_is_within_its_budget():
    with torch.device("meta"):
        model = AudioVAE(base())
    assert sum(p.numel() for p in model.parameters()) <= 2_200_000


def test_spectra_invert_exactly():
    sound = torch.randn(2, 3200, generator=torch.Generator().manual_seed(0))
    forward, back = (layer(n_fft=640, hop=160, device=None) for layer in (Spectrum, OverlapAdd))
    whole = StreamCache(final=True)
    assert torch.allclose(back(forward(sound, whole), whole), sound, atol=1e-5)


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 14, 20])
@torch.no_grad()
def test_stream_equals_whole(vae: AudioVAE, audio: torch.Tensor, piece: int):
    latent = vae.encode(audio)
    sound = vae.decode(latent)
    streamed_latent = torch.cat(list(vae.encode_stream(audio.split(640 * piece, dim=1))), dim=2)
    streamed_sound = torch.cat(list(vae.decode_stream(latent.split(piece, dim=2))), dim=1)
    assert torch.allclose(streamed_latent, latent, atol=1e-5)
    assert torch.allclose(streamed_sound, sound, atol=1e-5)


@torch.no_grad()
def test_stream_keeps_a_bounded_cache(vae: AudioVAE):
    cache, sizes = StreamCache(), []
    for _ in range(12):
        vae.decode_chunk(torch.randn(1, 32, 5, 1), cache, final=False)
        sizes.append(sum(tail.numel() for tail in cache.tails.values()))
    assert len(set(sizes[4:])) == 1


@torch.no_grad()
def test_a_sound_changes_no_latent_long_before_it(vae: AudioVAE):
    quiet, loud = torch.zeros(1, 6400), torch.zeros(1, 6400)
    loud[:, 3840:] = 0.5
    changed = (vae.encode(loud) - vae.encode(quiet)).abs().amax(dim=(0, 1, 3)) > 1e-6
    assert not changed[:5].any()
    assert changed[6:].all()


@torch.no_grad()
def test_clip_alone_equals_clip_in_batch(vae: AudioVAE, audio: torch.Tensor):
    assert torch.allclose(vae.encode(audio)[1:], vae.encode(audio[1:]), atol=1e-5)


@torch.no_grad()
def test_half_precision_weights_keep_the_transforms_exact(vae: AudioVAE, audio: torch.Tensor):
    latent = vae.encode(audio)
    half = AudioVAE(tiny()).eval()
    half.load_state_dict(vae.state_dict())
    half.bfloat16()
    assert half.encode(audio).dtype == torch.float32
    assert half.decode(latent).dtype == torch.float32
    assert (half.encode(audio) - latent).abs().mean() < 0.05 * latent.std()


def test_bad_shapes_are_refused(vae: AudioVAE):
    with pytest.raises(SoraError, match="clips, samples"):
        vae.encode(torch.zeros(640))
    with pytest.raises(SoraError, match="multiple of 640"):
        vae.encode_chunk(torch.zeros(1, 700), StreamCache(), final=False)
    with pytest.raises(SoraError, match="clips, 32, latents, 1"):
        vae.decode(torch.zeros(1, 16, 4, 1))
    with pytest.raises(SoraError, match="empty"):
        vae.decode(torch.zeros(1, 32, 0, 1))
    with pytest.raises(SoraError, match="hop 150"):
        AudioVAEConfig(hop=150)


def test_state_dict_keys_are_a_contract(vae: AudioVAE):
    keys = set(vae.state_dict())
    assert {"latent_mean", "latent_std", "encoder.embed.weight", "decoder.head.weight"} <= keys
    assert "decoder.frame_blocks.0.mix.conv.weight" in keys
    assert not any("window" in key for key in keys)


def test_sounds_repeat_by_seed_and_stay_in_range():
    first, second = (draw_sounds(12, torch.Generator().manual_seed(4), 4800) for _ in range(2))
    assert torch.equal(first, second)
    for sound in (first, free_impacts(4, 4800, torch.Generator()), textures(4, 4800, torch.Generator())):
        assert torch.isfinite(sound).all()
        assert sound.abs().max() <= 1.0


def test_the_whole_world_is_heard_by_more_than_its_impacts():
    drawn = [world_sounds(24, 6400, torch.Generator().manual_seed(5), level) for level in (1, 3)]
    # at level 1 an actor that strikes nothing is silent; engines and weather seldom are
    silent = [int((sounds.square().mean(1) < 1e-9).sum()) for sounds in drawn]
    assert silent[0] > silent[1] + 4
    assert all(sounds.shape == (24, 6400) for sounds in drawn)


def test_onsets_are_found_and_a_shift_is_measured():
    time = torch.arange(16000) / 16000
    sound = torch.where(time >= 0.5, torch.sin(2 * torch.pi * 400 * (time - 0.5)) * torch.exp(-(time - 0.5) / 0.1), 0.0)
    assert onsets(sound).tolist() == pytest.approx([0.5], abs=0.002)
    shifted = torch.roll(sound, 320)
    assert onset_errors_ms(shifted[None], [torch.tensor([0.5])]).item() == pytest.approx(20, abs=2)
    assert onset_errors_ms(torch.zeros(1, 16000), [torch.tensor([0.5])]).item() == 250


def test_loss_is_least_on_the_truth_and_snr_is_exact(audio: torch.Tensor):
    loss = AudioLoss()
    assert loss(audio, audio)[0] < loss(0.9 * audio, audio)[0] < loss(torch.zeros_like(audio), audio)[0]
    assert snr_db(0.9 * audio[:1], audio[:1]).item() == pytest.approx(20, abs=0.1)


def test_training_goes_on_where_it_stopped(tmp_path):
    training = AudioTraining(minutes=1 / 60, batch=2, save_every=1e9, measure_every=1e9, autocast=False)
    trainer = AudioTrainer(tiny(), training, tmp_path, lambda n, g: draw_sounds(n, g, 3200))
    before = trainer.model.decoder.head.weight.detach().clone()
    figures = trainer.run()
    assert not torch.equal(before, trainer.model.decoder.head.weight)
    assert figures.keys() >= {"snr_db", "onset_ms", "convergence"}
    resumed = AudioTrainer(tiny(), training, tmp_path)
    assert (resumed.step, resumed.elapsed) == (trainer.step, trainer.elapsed)
    assert resumed.run(minutes=1)["snr_db"] == pytest.approx(
        measure(load_audio_vae(tmp_path / "audio_vae.safetensors"))["snr_db"], abs=1e-3
    )
    assert resumed.step == trainer.step
    frozen = AudioTraining(minutes=1 / 60, batch=2, decoder_only=True, autocast=False)
    saved = load_audio_vae(tmp_path / "audio_vae.safetensors")
    assert saved.latent_std.ne(1).all()
    with pytest.raises(SoraError, match="decoder_only"):
        AudioTrainer(tiny(), frozen, tmp_path / "decoder")
    sharper = AudioTrainer(tiny(), frozen, tmp_path / "decoder", lambda n, g: draw_sounds(n, g, 3200), start=saved)
    sharper.run()
    after = load_audio_vae(tmp_path / "decoder" / "audio_vae.safetensors").state_dict()
    changed = {name for name, value in saved.state_dict().items() if not torch.equal(value, after[name])}
    assert changed
    assert all(name.startswith("decoder.") for name in changed)
