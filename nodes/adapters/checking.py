"""Files of ComfyUI's folders to verify, and the reports of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...sora_core.atomic import replacing
from ...sora_core.errors import SoraError
from ...sora_core.provenance.home import Home
from ...sora_core.provenance.verdict import Verdict
from ...sora_core.provenance.verify import verify
from ..host import input_files, loaded_file, output_place
from .films import FileVideo

NONE = "none"


def file_choices() -> list[str]:
    """Return the clips and pictures of the input folder."""
    return [NONE, *input_files(("video", "image"))]


def file_of(name: str, video: Any) -> Path:
    """Return the file to check: that of a connected VIDEO, or one of the input folder.

    Raises:
        SoraError: neither is there, or the VIDEO lies in no file.
    """
    if video is None:
        path = loaded_file(name)
        if path is None:
            raise SoraError(f"the file {name!r:.80} is not in the input folder; choose one, or connect a video")
        return path
    if isinstance(video, FileVideo):
        return video.path
    source = video.get_stream_source()
    if not isinstance(source, str) or not Path(source).is_file():
        raise SoraError("the connected video lies in no file; connect the one that Sora Save Video or Load Video gives")
    return Path(source)


def check_file(path: Path, badge_text: str) -> Verdict:
    """Return what `verify` finds with this user's keys."""
    return verify(path, Home.default(), badge_text=badge_text)


def save_report(verdict: Verdict, prefix: str) -> tuple[str, str]:
    """Return a verdict as JSON and in words, and save the JSON where a prefix says so.

    Raises:
        SoraError: the prefix leads out of the output folder.
    """
    report = json.dumps(verdict.to_dict(), indent=2, ensure_ascii=False)
    layers = [f"{name}: {getattr(verdict, name)}" for name in ("manifest", "visible", "invisible", "audio")]
    words = [", ".join(layers), *verdict.reasons]
    if prefix:
        place = output_place(prefix, ".json")
        with replacing(place.path) as hidden:
            hidden.write_text(report + "\n", encoding="utf-8")
        words.append(f"saved as {place.path.name}")
    return report, "\n".join(words)
