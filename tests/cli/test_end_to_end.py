"""The shipped weights, from the command to a file that shows and sounds like what was asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sora_core.checkpoint import find_checkpoint, read_metadata
from sora_core.cli import main
from sora_core.errors import SoraError
from sora_core.media.mp4 import read_clip
from sora_core.request import Defaults


def shipped() -> bool:
    try:
        find_checkpoint()
    except SoraError:
        return False
    return True


def share(frames: np.ndarray, channel: int) -> float:
    """Return how much of the film is plainly of one primary colour: twice as bright in it as in either other."""
    film = frames.astype(int)
    others = [film[..., other] for other in range(3) if other != channel]
    return float((film[..., channel] > np.maximum(100, 2 * np.maximum(*others))).mean())


def envelope(audio: np.ndarray) -> np.ndarray:
    """Return the peak of every 20 ms."""
    whole = len(audio) // 320 * 320
    return np.abs(audio[:whole]).reshape(-1, 320).max(axis=1)


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.skipif(not shipped(), reason="no trained model is installed")
def test_one_sentence_to_a_clip_with_sound(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    films = {}
    for colour in ("red", "blue"):
        name = f"{colour}.mp4"
        assert (
            main(["generate", f"a large {colour} ball bounces on a wooden floor", "-o", name, "--device", "cpu"]) == 0
        )
        films[colour] = read_clip(Path(name))
    assert "hint" not in capsys.readouterr().err
    for channel, colour in ((0, "red"), (2, "blue")):
        shown = {name: share(clip.frames, channel) for name, clip in films.items()}
        assert shown[colour] > 0.02, shown
        assert shown[colour] > 4 * min(shown.values()), shown
    for clip in films.values():
        assert clip.audio is not None
        assert abs(len(clip.audio) / 16000 - len(clip.frames) / clip.fps) < 0.01
        loudness = envelope(clip.audio)
        assert loudness.max() > 0.02
        assert loudness.max() > 5 * np.median(loudness), "impacts stand out of the quiet between them"


@pytest.mark.weights
@pytest.mark.skipif(not shipped(), reason="no trained model is installed")
def test_what_nodes_say_of_the_shipped_model_is_what_its_file_says():
    """A graph is drawn before any file is read, so that the nodes know the shipped model's clip by heart."""
    assert read_metadata(find_checkpoint()).defaults.format == Defaults().format
