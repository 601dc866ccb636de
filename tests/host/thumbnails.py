"""Rewrite the workflows' pictures from real runs, after the shipped model changed:
``python tests/host/thumbnails.py [NAME ...]``.

Runs every prompt in ``workflows/api`` inside ComfyUI, on the CPU, and puts four moments of the clip (two of each of two
clips, one of each of four, or the image) into ``workflows/*.jpg``. Workflows of other families' models get a drawn
card: their models are not at hand. ComfyUI is found as the tests find it: through ``COMFYUI_PATH``, or where comfy-cli
puts it. Takes a few minutes.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))
# last, for ComfyUI has a module `nodes` too
sys.path.append(str(Path(__file__).resolve().parents[2]))

from hosting import boot, find_comfyui
from workflow_support import FAMILIES, NAMES, WORKFLOWS, probe, read_graph, read_prompt, saved_files

WIDTH = 512
"""Pixels of a page without the gaps."""

GAP = 8
QUALITY = 88
MOMENTS = (0.0, 0.3, 0.6, 1.0)
"""Of a clip, where the four frames come from."""

BEFORE_AND_AFTER = (0.3, 0.8)
"""The same of two clips that are shown one below the other."""

BADGED = ("consented", "mark")
"""Workflows that are shown as large as they were saved, so that the badge is seen."""

CARD = (520, 520)
GIVEN, MADE, INK, PAPER = "#8a8f98", "#d9822b", "#22262b", "#f4f1ea"
STRIPS = {"extend": "ggggmmmm", "loop": "mmggggmm", "storyboard": "mm mmm mm"}
"""What a card draws for a kind of edit: frames that are given, frames that are made, and cuts."""


def moments(clips: list[np.ndarray]) -> list[np.ndarray]:
    """Return one to four frames ``[H, W, 3]`` that show what was made of clips ``[F, H, W, 3]``."""
    if len(clips) == 2:
        return [clip[round(part * (len(clip) - 1))] for clip in clips for part in BEFORE_AND_AFTER]
    if len(clips) > 1:
        return [clip[len(clip) // 3] for clip in clips]
    last = len(clips[0]) - 1
    return [clips[0][round(part * last)] for part in (MOMENTS if last else MOMENTS[:1])]


def sheet(frames: list[np.ndarray], path: Path) -> None:
    """Save the frames in two columns, enlarged."""
    from PIL import Image

    columns = min(2, len(frames))
    width = WIDTH // columns
    height = width * frames[0].shape[0] // frames[0].shape[1]
    rows = -(-len(frames) // columns)
    page = Image.new("RGB", (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP), "white")
    for index, frame in enumerate(frames):
        place = (index % columns * (width + GAP), index // columns * (height + GAP))
        page.paste(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC), place)
    page.save(path, quality=QUALITY, optimize=True)


def card(name: str, path: Path) -> None:
    """Save a drawn picture that names a family and shows what is given and what is made."""
    from PIL import Image, ImageDraw, ImageFont

    note = next(node for node in read_graph(name)["nodes"] if node["type"] == "MarkdownNote")
    family, kind = note["widgets_values"][0].splitlines()[0].removeprefix("# ").split(": ")
    page = Image.new("RGB", CARD, PAPER)
    draw = ImageDraw.Draw(page)
    width, height = CARD
    draw.text((width / 2, height * 0.28), family, INK, ImageFont.load_default(64), anchor="mm")
    draw.text((width / 2, height * 0.42), kind, INK, ImageFont.load_default(40), anchor="mm")
    strip = STRIPS[kind]
    step = (width - 80) / len(strip)
    for index, frame in enumerate(strip):
        if frame != " ":
            left, top = 40 + index * step, height * 0.6
            colour = GIVEN if frame == "g" else MADE
            draw.rounded_rectangle((left + 3, top, left + step - 3, top + step * 1.2), 6, colour)
    page.save(path, quality=QUALITY, optimize=True)


def main(asked: list[str]) -> int:
    """Run all prompts, or those asked for; return the exit status."""
    if unknown := set(asked) - set(NAMES):
        sys.stderr.write(f"no workflow {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}\n")
        return 2
    comfyui, reason = find_comfyui()
    if comfyui is None:
        sys.stderr.write(f"{reason}\n")
        return 1
    host = boot(comfyui)
    try:
        for name in asked or NAMES:
            path = WORKFLOWS / f"{name}.jpg"
            if name in FAMILIES:
                card(name, path)
            else:
                files = saved_files(host.base, host.run(read_prompt(name)))
                sheet(moments([probe(file, as_stored=name in BADGED).frames for file in files]), path)
            sys.stdout.write(f"{path.relative_to(WORKFLOWS.parent)}: {path.stat().st_size} bytes\n")
    finally:
        shutil.rmtree(host.base, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
