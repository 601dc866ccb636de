"""Two processes that train together learn what one does with the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sora_core.audio_vae import AudioVAE
from sora_core.audio_vae.config import tiny as tiny_audio
from sora_core.cli import main
from sora_core.dit import DiTConfig
from sora_core.errors import SoraError
from sora_core.training import building, run
from sora_core.training.flow import DiTStageConfig
from sora_core.training.formats import FormatShare
from sora_core.training.parallel import ALONE, Processes
from sora_core.training.state import read_progress
from sora_core.types import ClipFormat
from sora_core.video_vae import VideoVAE
from sora_core.video_vae.config import tiny as tiny_video

STEPS = 4

FORMATS = tuple(
    FormatShare(fmt=ClipFormat(width=width, height=32, frames=frames)) for width, frames in ((32, 9), (48, 17))
)
CONFIG = DiTStageConfig(minutes=10.0, batch=6, pool=60, start=32, autocast=False, table_noise=0.0, formats=FORMATS)


def learn(folder: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Train a few steps and return the losses, and the weights before and after the average."""
    torch.manual_seed(0)
    vaes = VideoVAE(tiny_video()).eval().requires_grad_(False), AudioVAE(tiny_audio()).eval().requires_grad_(False)
    sizes = DiTConfig(width=32, layers=2, heads=2, hidden=64, modulation_width=16)
    monkeypatch.setattr(building, "load_vaes", lambda *_: vaes)
    monkeypatch.setitem(building.PRESETS, "micro", lambda _: sizes)
    trainer = building.dit_trainer(CONFIG, folder, preset="micro", level=3, device="cpu", processes=processes)
    for pool in trainer.pools.values():
        pool.refresh(12, processes)
    if not processes.first:
        # what the first process has counts
        with torch.no_grad():
            trainer.models.dit.video_in.weight.add_(1.0)
    processes.same_weights(trainer.models)
    trainer.minutes = 0.1
    with monkeypatch.context() as exact:
        # Muon rounds to bfloat16, which makes much of a difference in the last bit
        exact.setattr(torch.Tensor, "bfloat16", torch.Tensor.float)
        losses = [trainer.train_step()[1]["loss"] for _ in range(STEPS)]
    trainer.save()
    weights = {name: value.detach().contiguous() for name, value in trainer.models.named_parameters()}
    weights |= {f"ema.{name}": value.contiguous() for name, value in trainer.ema.average.items()}
    return weights | {"losses": torch.stack(losses), "clips": torch.tensor(trainer.clips)}


def learn_beside(rank: int, size: int, folder: Path) -> None:
    """Be one of the processes, and leave what it learned as a file."""
    processes = Processes.join(rank, size, device="cpu", meet=f"file://{folder}/meet")
    assert processes.same_number(float(rank + 7)) == 7.0
    assert processes.gather(f"from {rank}") == [f"from {other}" for other in range(size)]
    with pytest.MonkeyPatch.context() as patch:
        save_file(learn(folder, processes, patch), folder / f"rank{rank}.safetensors")
    processes.leave()


def learn_together(folder: Path, size: int) -> list[dict[str, torch.Tensor]]:
    here = Path(__file__).parent
    paths = os.pathsep.join((str(here.parents[1]), str(here)))
    code = "import sys; from pathlib import Path; import test_distributed as test\n"
    code += "test.learn_beside(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(rank), str(size), str(folder)],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    try:
        for worker in workers:
            _, said = worker.communicate(timeout=60)
            assert worker.returncode == 0, said
    finally:
        for worker in workers:
            worker.kill()
    return [load_file(folder / f"rank{rank}.safetensors") for rank in range(size)]


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path, monkeypatch):
    one = learn(tmp_path / "one", ALONE, monkeypatch)
    (tmp_path / "two").mkdir()
    pair = learn_together(tmp_path / "two", 2)
    assert one["losses"].unique().numel() == STEPS
    for ours in pair:
        for name, expected in one.items():
            torch.testing.assert_close(ours[name], expected, atol=1e-5, rtol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
    # the first one alone writes
    assert read_progress(tmp_path / "two" / "dit" / "state.safetensors")["step"] == STEPS


def test_a_process_alone_needs_no_others(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert Processes.from_environment("cpu") is ALONE
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SoraError, match="names several processes, but not which"):
        Processes.from_environment("cpu")


def test_parts_of_a_batch_meet():
    parts = [Processes(rank, 3).part(8) for rank in range(3)]
    assert [place for part in parts for place in range(8)[part]] == list(range(8))


def test_several_processes_train_no_vae(tmp_path):
    with pytest.raises(SoraError, match="stage all trains in one process and 2 were started"):
        run.train(stage="all", preset="micro", minutes=1, out=tmp_path / "out", processes=Processes(0, 2))


def test_the_command_refuses_in_a_sentence(tmp_path, capsys):
    assert main(["train", "--minutes", "1", "--out", str(tmp_path), "--clips", "8"]) != 0
    assert "name the folder too" in capsys.readouterr().err
    assert main(["train", "--minutes", "1", "--out", str(tmp_path), "--formats", "64x64x24"]) != 0
    assert "frames 24 must be 1 + a multiple of 4" in capsys.readouterr().err
