"""The video VAE: shapes, causality, streaming, injected operations; its optimizer, average and training stage."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from sora_core.errors import SoraError
from sora_core.training.ema import EMA
from sora_core.training.optim import MuonAdamW, decay_schedule, orthogonalise, split_parameters
from sora_core.training.state import read_progress
from sora_core.training.video_vae import VideoStageConfig, VideoVAETrainer, train_video_vae
from sora_core.training.video_windows import Window
from sora_core.video_vae import VideoVAE, VideoVAEConfig
from sora_core.video_vae.config import tiny
from sora_core.video_vae.layers import fold, unfold


@pytest.fixture
def vae() -> VideoVAE:
    """A tiny model in which no branch is the identity."""
    torch.manual_seed(0)
    model = VideoVAE(tiny()).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * 0.2)
    model.set_latent_statistics(torch.randn(16), torch.rand(16) + 0.5)
    return model


def clip(frames: int, height: int = 16, width: int = 24) -> Tensor:
    return torch.rand(2, 3, frames, height, width, generator=torch.Generator().manual_seed(frames)) * 2 - 1


@pytest.mark.parametrize("frames", [1, 5, 25])
def test_shapes_follow_the_grid(vae, frames):
    with torch.no_grad():
        latent = vae.encode(clip(frames))
        assert latent.shape == (2, 16, 1 + (frames - 1) // 4, 2, 3)
        assert vae.decode(latent).shape == (2, 3, frames, 16, 24)


@pytest.mark.parametrize("sizes", [(1, 4, 4, 4), (5, 8), (9, 4), (13,)])
def test_a_stream_equals_the_whole_clip(vae, sizes):
    frames = clip(13)
    with torch.no_grad():
        whole = vae.encode(frames)
        streamed = torch.cat(list(vae.encode_stream(frames.split(sizes, dim=2))), dim=2)
        torch.testing.assert_close(streamed, whole, atol=1e-5, rtol=1e-5)
        cells = [1 + (sizes[0] - 1) // 4, *(size // 4 for size in sizes[1:])]
        pieces = list(vae.decode_stream(whole.split(cells, dim=2)))
        assert [piece.shape[2] for piece in pieces] == list(sizes)
        torch.testing.assert_close(torch.cat(pieces, dim=2), vae.decode(whole), atol=1e-5, rtol=1e-5)


def test_long_clips_go_through_in_chunks_unchanged(vae):
    frames = clip(69)
    with torch.no_grad():
        mean, _ = vae.moments(frames)
        shape = (1, -1, 1, 1, 1)
        latent = vae.encode(frames)
        torch.testing.assert_close(
            latent, (mean - vae.latent_mean.view(shape)) / vae.latent_std.view(shape), atol=1e-5, rtol=1e-5
        )
        torch.testing.assert_close(vae.decode(latent), vae.reconstruct(mean), atol=1e-5, rtol=1e-5)


def test_the_cache_does_not_grow(vae):
    cache: dict[int, Tensor] = {}
    sizes = []
    with torch.no_grad():
        for i in range(4):
            vae.reconstruct(torch.randn(1, 16, 2, 2, 2), cache, first=i == 0)
            sizes.append(sum(t.untyped_storage().nbytes() for t in cache.values()))
    assert len(set(sizes)) == 1


def test_no_frame_depends_on_a_later_one(vae):
    frames = clip(13)
    changed = frames.clone()
    changed[:, :, 9:] = 0
    with torch.no_grad():
        a, b = vae.encode(frames), vae.encode(changed)
        torch.testing.assert_close(a[:, :, :3], b[:, :, :3], atol=1e-5, rtol=1e-5)
        assert not torch.allclose(a[:, :, 3], b[:, :, 3])
        torch.testing.assert_close(vae.decode(a)[:, :, :9], vae.decode(a[:, :, :3]), atol=1e-5, rtol=1e-5)


def test_a_batch_equals_its_clips(vae):
    frames = clip(5)
    with torch.no_grad():
        singles = torch.cat([vae.encode(frames[:1]), vae.encode(frames[1:])])
        torch.testing.assert_close(vae.encode(frames), singles, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "name"), [((4, 16, 16), "frames 4"), ((1, 12, 16), "height 12"), ((1, 16, 4), "width")]
)
def test_sizes_off_the_grid_are_refused(vae, shape, name):
    with pytest.raises(SoraError, match=name):
        vae.encode(torch.zeros(1, 3, *shape))


def test_fold_and_unfold_are_inverse():
    x = torch.randn(8, 3, 4, 6)
    folded = fold(x, 2, 4)
    assert folded.shape == (2, 48, 2, 3)
    assert torch.equal(unfold(folded, 2, 4), x)


def test_bfloat16_weights_and_autocast_stay_near_float32(vae):
    frames = clip(5)
    with torch.no_grad():
        exact = vae.decode(vae.encode(frames))
        with torch.autocast("cpu", torch.bfloat16):
            mixed = vae.decode(vae.encode(frames))
        low = vae.bfloat16()
        pure = low.decode(low.encode(frames))
    assert pure.dtype == torch.bfloat16
    for other in (mixed, pure):
        assert (other.float() - exact).norm() < 0.1 * exact.norm()


def test_operations_are_injected():
    made = []

    class Conv2d(nn.Conv2d):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.append(self)

    model = VideoVAE(tiny(), operations=SimpleNamespace(Conv2d=Conv2d))
    assert {id(m) for m in made} == {id(m) for m in model.modules() if isinstance(m, nn.Conv2d)}


def test_config_round_trip_and_size():
    config = VideoVAEConfig()
    assert VideoVAEConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with torch.device("meta"):
        assert sum(p.numel() for p in VideoVAE(config).parameters()) <= 7_500_000
    with pytest.raises(SoraError, match="pixel_width 0"):
        VideoVAEConfig(pixel_width=0)


def test_orthogonalised_singular_values_are_near_one():
    for shape in ((2, 16, 48), (1, 48, 16)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)).float())
        assert values.min() > 0.4
        assert values.max() < 1.4


@pytest.mark.parametrize("plain", [(), ("",)])
def test_the_optimizer_learns_and_resumes(plain):
    torch.manual_seed(0)
    target = nn.Conv2d(4, 8, 3)
    x = torch.randn(4, 4, 6, 6)
    goal = target(x).detach()

    def start() -> tuple[nn.Module, MuonAdamW]:
        torch.manual_seed(1)
        model = nn.Conv2d(4, 8, 3)
        return model, MuonAdamW(split_parameters(model, plain=plain), lr=0.02)

    def steps(model: nn.Module, optimizer: MuonAdamW, count: int) -> float:
        loss = torch.zeros(())
        for _ in range(count):
            loss = (model(x) - goal).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        return float(loss.detach())

    model, optimizer = start()
    first = steps(model, optimizer, 1)
    assert steps(model, optimizer, 29) < 0.3 * first

    half, optimizer = start()
    steps(half, optimizer, 15)
    again, resumed = start()
    again.load_state_dict(half.state_dict())
    resumed.load_state_dict(optimizer.state_dict())
    steps(again, resumed, 15)
    torch.testing.assert_close(again.weight, model.weight, atol=1e-5, rtol=1e-4)


def test_the_schedule_rises_holds_and_falls():
    values = [decay_schedule(step, 100, warmup=0.1, decay=0.5) for step in (0, 5, 30, 75, 100)]
    assert 0 < values[0] < values[1] < values[2] == 1.0
    assert values[3] == pytest.approx(0.5)
    assert values[4] == 0.0


def test_the_average_swaps_in_and_out():
    model = nn.Linear(2, 2)
    ema = EMA(model)
    before = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.add_(1)
    ema.update()
    with ema.swapped():
        torch.testing.assert_close(model.weight.detach(), before + 0.9)
    torch.testing.assert_close(model.weight.detach(), before + 1)


def flat_clips(first_seed: int, count: int, held_out: bool) -> Window:  # noqa: ARG001
    frames = torch.randint(256, (count, 1, 1, 1, 3), generator=torch.Generator().manual_seed(first_seed))
    return Window(frames.expand(count, 9, 16, 16, 3).to(torch.uint8), torch.zeros(count, 9, 16, 16))


@pytest.mark.slow
def test_training_stops_resumes_and_writes_the_result(tmp_path: Path):
    settings = {"batch": 4, "frames": 5, "threads": 1, "measure_every": 0.5, "save_every": 0.5}
    threads = torch.get_num_threads()
    try:
        train_video_vae(VideoStageConfig(minutes=0.02, **settings), tmp_path, model_config=tiny(), source=flat_clips)
        progress = read_progress(tmp_path / "state.safetensors")
        trainer = VideoVAETrainer(
            VideoStageConfig(minutes=0.04, **settings), tmp_path, model_config=tiny(), source=flat_clips
        )
        assert trainer.step == progress["step"] > 0
        assert trainer.run()["psnr"] > 0
        assert trainer.step > progress["step"]
    finally:
        torch.set_num_threads(threads)
    with safe_open(tmp_path / "video_vae.safetensors", "pt") as file:
        assert VideoVAEConfig.from_dict(json.loads(file.metadata()["config"])) == tiny()
        assert not torch.equal(file.get_tensor("latent_std"), torch.ones(16))
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["event"] == "finished"
