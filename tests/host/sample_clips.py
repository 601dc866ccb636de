"""Make the clips of an evaluation inside ComfyUI: ``python tests/host/sample_clips.py FOLDER [--clips N] [--sora]``.

Draws the prompts and seeds of ``sora evaluate``, samples them with core's KSampler (or with Sora Sampler) on Sora
Loader's MODEL, and saves each clip through core's Save Video, with a sidecar that names prompt, seed and level. Then
``sora evaluate --from FOLDER`` measures what users of the graph get. ComfyUI is found as the tests find it;
its environment needs this project installed (``pip install -e .``).
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))
sys.path.insert(1, str(Path(__file__).resolve().parent))

from hosting import Graph, boot, find_comfyui
from prompts import SHIPPED
from workflow_support import saved_files

from sora_core.evaluation.prompts import Case, draw_cases
from sora_core.request import Defaults
from sora_core.world.spec import LEVELS

SAID_ONLY = ("plain", "held_out_pairs", "held_out_words")
"""Groups of cases that need a prompt and nothing else."""

FORMAT = {"format": "auto", "format.codec": "auto", "codec": "auto"}


def graph_of(graph: Graph, case: Case, *, sora: bool) -> Graph:
    """Fill a prompt that makes one case and saves it."""
    defaults = Defaults()
    model, clip, vae, audio_vae = graph.add("SoraLoader", checkpoint=SHIPPED)
    texts = {
        name: graph.add("CLIPTextEncode", text=text, clip=clip)[0]
        for name, text in (("positive", case.prompt), ("negative", ""))
    }
    latent = graph.add("SoraEmptyLatent", seconds=defaults.frames / defaults.fps)[0]
    if sora:
        made = graph.add("SoraSampler", model=model, latent=latent, seed=case.seed, **texts)[0]
    else:
        core = {"steps": defaults.steps, "cfg": defaults.guidance, "sampler_name": "euler", "scheduler": "simple"}
        made = graph.add("KSampler", model=model, latent_image=latent, seed=case.seed, **core, **texts)[0]
    video = graph.add("SoraDecode", latent=made, vae=vae, audio_vae=audio_vae)[0]
    graph.add("SaveVideo", video=video, filename_prefix="case", **FORMAT)
    return graph


def main() -> int:
    """Make the clips; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the clips go; made if it is not there")
    parser.add_argument("--clips", type=int, default=64, help="how many (default 64)")
    parser.add_argument("--sora", action="store_true", help="sample with Sora Sampler instead of core's KSampler")
    asked = parser.parse_args()
    comfyui, reason = find_comfyui()
    if comfyui is None:
        sys.stderr.write(f"{reason}\n")
        return 1
    cases = [case for case in draw_cases(LEVELS[1], asked.clips) if case.group in SAID_ONLY]
    asked.folder.mkdir(parents=True, exist_ok=True)
    host = boot(comfyui)
    # Save Video would write the graph under the name "prompt", and a file's own tags count before its sidecar's.
    importlib.import_module("comfy.cli_args").args.disable_metadata = True
    try:
        for case in cases:
            made = saved_files(host.base, host.run(graph_of(host.graph(), case, sora=asked.sora).prompt))[0]
            clip = asked.folder / f"{case.seed:04d}.mp4"
            shutil.move(made, clip)
            sidecar = {"prompt": case.prompt, "seed": case.seed, "level": 1}
            clip.with_suffix(".json").write_text(json.dumps(sidecar), encoding="utf-8")
    finally:
        shutil.rmtree(host.base, ignore_errors=True)
    sys.stdout.write(f"{len(cases)} clips in {asked.folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
