"""The workflows that the pack ships, and what is measured on the files that they save."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PACK = Path(__file__).resolve().parents[2]
WORKFLOWS = PACK / "workflows"
SUBGRAPHS = PACK / "subgraphs"
NAMES = tuple(sorted(path.stem for path in WORKFLOWS.glob("*.json")))
FAMILIES = tuple(sorted(path.stem for path in (WORKFLOWS / "api" / "families").glob("*.json")))
"""Workflows of other families' models, which nobody has at hand in a test."""

OURS = tuple(name for name in NAMES if name not in FAMILIES)
"""Workflows that run with what the pack brings."""

BLUEPRINTS = tuple(sorted(path.stem for path in SUBGRAPHS.glob("*.json")))


def read_graph(name: str) -> dict[str, Any]:
    """Return a workflow as the front end saved it."""
    return json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))


def read_prompt(name: str) -> dict[str, Any]:
    """Return a workflow as an API prompt."""
    folder = WORKFLOWS / "api" / "families" if name in FAMILIES else WORKFLOWS / "api"
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def saved_files(base: Path, outputs: Mapping[str, Any], kind: str = "output") -> list[Path]:
    """Return the files that a prompt's nodes wrote, by node number.

    Args:
        kind: output for saved ones, temp for previews.
    """
    nodes = sorted(outputs.items(), key=lambda item: (len(item[0]), item[0]))
    shown = [file for _, node in nodes for file in node.get("images", ())]
    return [base / kind / file["subfolder"] / file["filename"] for file in shown if file["type"] == kind]


@dataclass(frozen=True)
class Probe:
    """A file, decoded: frames ``[F, H, W, 3]`` uint8, samples ``[channels, S]`` or None."""

    frames: np.ndarray
    fps: float
    seconds: float
    samples: np.ndarray | None
    tags: Mapping[str, str]

    @property
    def loudness(self) -> float:
        """Root mean square of the sound."""
        assert self.samples is not None
        return float(np.sqrt(np.mean(np.square(self.samples, dtype=np.float64))))


def probe(path: Path) -> Probe:
    """Decode a video or a picture."""
    import av

    with av.open(path) as container:
        video = container.streams.video[0]
        sound = container.streams.audio
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video)]
        samples = None
        if sound:
            container.seek(0)
            samples = np.concatenate([frame.to_ndarray() for frame in container.decode(sound[0])], axis=1)
        fps = float(video.average_rate or 0)
        seconds = float(video.duration * video.time_base) if video.duration else len(frames) / max(fps, 1)
        return Probe(np.stack(frames), fps, seconds, samples, dict(container.metadata))
