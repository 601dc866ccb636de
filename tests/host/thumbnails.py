"""Rewrite the workflows' pictures from real runs: ``python tests/host/thumbnails.py``, after the shipped model changed.

Runs every prompt in ``workflows/api`` inside ComfyUI, on the CPU, and puts four moments of the clip (or one of each of
four clips, or the image) into ``workflows/*.jpg``. ComfyUI is found as the tests find it: through ``COMFYUI_PATH``, or
where comfy-cli puts it. Takes about a minute.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

from hosting import boot, find_comfyui
from workflow_support import NAMES, WORKFLOWS, probe, read_prompt, saved_files

SCALE = 4
GAP = 8
QUALITY = 88
MOMENTS = (0.0, 0.3, 0.6, 1.0)
"""Of a clip, where the four frames come from."""


def moments(clips: list[np.ndarray]) -> list[np.ndarray]:
    """Return one to four frames ``[H, W, 3]`` that show what was made of clips ``[F, H, W, 3]``."""
    if len(clips) > 1:
        return [clip[len(clip) // 3] for clip in clips]
    last = len(clips[0]) - 1
    return [clips[0][round(part * last)] for part in (MOMENTS if last else MOMENTS[:1])]


def sheet(frames: list[np.ndarray], path: Path) -> None:
    """Save the frames in two columns, enlarged."""
    from PIL import Image

    columns = min(2, len(frames))
    height, width = (side * SCALE * 2 // columns for side in frames[0].shape[:2])
    rows = -(-len(frames) // columns)
    page = Image.new("RGB", (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP), "white")
    for index, frame in enumerate(frames):
        place = (index % columns * (width + GAP), index // columns * (height + GAP))
        page.paste(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC), place)
    page.save(path, quality=QUALITY, optimize=True)


def main() -> int:
    """Run all prompts; return the exit status."""
    comfyui, reason = find_comfyui()
    if comfyui is None:
        sys.stderr.write(f"{reason}\n")
        return 1
    host = boot(comfyui)
    try:
        for name in NAMES:
            files = saved_files(host.base, host.run(read_prompt(name)))
            path = WORKFLOWS / f"{name}.jpg"
            sheet(moments([probe(file).frames for file in files]), path)
            sys.stdout.write(f"{path.relative_to(WORKFLOWS.parent)}: {path.stat().st_size} bytes\n")
    finally:
        shutil.rmtree(host.base, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
