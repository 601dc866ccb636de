"""The workflows that the pack ships, and what is measured on the files that they save."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sora_core.media.film_file import FileFilm
from sora_core.provenance.delivery import MARKS_KEY
from sora_core.provenance.home import Home
from sora_core.provenance.manifest.identity import local_anchors
from sora_core.provenance.manifest.read import read_manifest
from sora_core.provenance.manifest.reading import ManifestReading
from sora_core.provenance.marking.video import VideoReading, read_video_mark

PACK = Path(__file__).resolve().parents[2]
WORKFLOWS = PACK / "workflows"
SUBGRAPHS = PACK / "subgraphs"
NAMES = tuple(sorted(path.stem for path in WORKFLOWS.glob("*.json")))
FAMILIES = tuple(sorted(path.stem for path in (WORKFLOWS / "api" / "families").glob("*.json")))
"""Workflows of other families' models, which nobody has at hand in a test."""

OURS = tuple(name for name in NAMES if name not in FAMILIES)
"""Workflows that run with what the pack brings."""

REFUSED = tuple(sorted(path.stem for path in (WORKFLOWS / "api" / "refused").glob("*.json")))
"""Prompts that must not be made: there are no graphs of them."""

BLUEPRINTS = tuple(sorted(path.stem for path in SUBGRAPHS.glob("*.json")))


def read_graph(name: str) -> dict[str, Any]:
    """Return a workflow as the front end saved it."""
    return json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))


def read_prompt(name: str) -> dict[str, Any]:
    """Return a workflow as an API prompt."""
    folder = WORKFLOWS / "api" / "families" if name in FAMILIES else WORKFLOWS / "api"
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def read_refused(name: str) -> dict[str, Any]:
    """Return an API prompt that must be refused."""
    return json.loads((WORKFLOWS / "api" / "refused" / f"{name}.json").read_text(encoding="utf-8"))


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
    """A file, decoded.

    frames: ``[F, H, W, 3]`` uint8, at the size that they were made in, or as stored. width, height: as stored.
    samples: ``[channels, S]`` or None. tags: what the file says of itself.
    """

    frames: np.ndarray
    width: int
    height: int
    fps: float
    seconds: float
    samples: np.ndarray | None
    tags: Mapping[str, str]

    @property
    def loudness(self) -> float:
        """Root mean square of the sound."""
        assert self.samples is not None
        return float(np.sqrt(np.mean(np.square(self.samples, dtype=np.float64))))


def probe(path: Path, *, as_stored: bool = False) -> Probe:
    """Decode a video or a picture; ``as_stored`` leaves its frames as large as the file holds them."""
    import av

    film = FileFilm(path, as_stored=as_stored)
    frames = np.concatenate([piece.numpy() for piece in film.frames()])
    with av.open(path) as container:
        video = container.streams.video[0]
        sound = container.streams.audio
        samples = None
        if sound:
            samples = np.concatenate([frame.to_ndarray() for frame in container.decode(sound[0])], axis=1)
        fps = float(video.average_rate or 0)
        seconds = float(video.duration * video.time_base) if video.duration else len(frames) / max(fps, 1)
        return Probe(frames, video.width, video.height, fps, seconds, samples, _tags(path) or dict(container.metadata))


def _tags(path: Path) -> dict[str, str]:
    """Return what a PNG says of itself, for the container does not tell."""
    from PIL import Image

    if path.suffix != ".png":
        return {}
    with Image.open(path) as picture:
        picture.load()
        return dict(picture.text)


@dataclass(frozen=True)
class Provenance:
    """What proves where a file comes from. manifest: as read. picture: the mark that its frames carry."""

    manifest: ManifestReading
    picture: VideoReading


def provenance(path: Path, home: Path) -> Provenance:
    """Read the manifest and the mark of a file with the keys in a private folder."""
    keys, film = Home(home), FileFilm(path, as_stored=True)
    return Provenance(
        read_manifest(path, anchors=local_anchors(keys)),
        read_video_mark(film.frames(), fps=film.fps, secret=keys.secret(MARKS_KEY)),
    )
