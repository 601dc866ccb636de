"""A storyboard in a real ComfyUI, interrupted and killed at random moments; the same film to the bit in the end.

python tests/host/kill_storyboard.py [TIMES] [SEED]
"""

from __future__ import annotations

import contextlib
import random
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import torch  # noqa: E402
from hosting import find_comfyui  # noqa: E402
from serving import Server, serve  # noqa: E402

from sora_core.media.film_file import FileFilm  # noqa: E402

SCRIPT = (
    "[1.5s]a large red ball bounces on a wooden floor [1.5s, fade]a small blue box falls "
    "[1.5s, continue]a small blue box slides to the left [3s]a green star rises "
    "[1.5s, fade]a large yellow ring rolls to the right [1.5s, continue]a large yellow ring bounces"
)
FRAMES = 126
PATIENCE = 400.0


def prompt_of(steps: int) -> dict[str, Any]:
    """Return the API prompt of six shots, the fourth of which takes two runs."""
    model = {name: ["1", slot] for slot, name in enumerate(("model", "clip", "vae", "audio_vae"))}
    wishes = {"width": 64, "height": 64, "fps": 12.0, "mode": "shots", "fade": 0.5, "context": 0.0, "limit": 1.0}
    sampler = {"seed": 5, "steps": steps, "cfg": 4.0, "solver": "euler"}
    board = {"script": SCRIPT, "negative_text": "", **model, **wishes, **sampler}
    saved = {"video": ["2", 0], "filename_prefix": "film", "format": "auto", "format.codec": "auto", "codec": "auto"}
    return {
        "1": {
            "class_type": "SoraLoader",
            "inputs": {"checkpoint": "shipped/sora_micro.safetensors", "dtype": "default"},
        },
        "2": {"class_type": "SoraStoryboard", "inputs": board},
        "3": {"class_type": "SaveVideo", "inputs": saved},
    }


@dataclass
class Told:
    """What a number of kills came to.

    kills, interrupts: how many. rounds: storyboards that were finished. again: shots that were made although they were
    there. kept: shots that were there when a run was stopped, one number for each. slowest_s: seconds from an interrupt
    to the end of its run, at worst. same: whether every finished film was the undisturbed one.
    """

    kills: int = 0
    interrupts: int = 0
    rounds: int = 0
    again: int = 0
    kept: list[int] = field(default_factory=list)
    slowest_s: float = 0.0
    same: bool = True


def torture(comfyui: Path, folder: Path, times: int, *, steps: int = 4, seed: int = 0) -> Told:
    """Stop a storyboard so many times, by an interrupt or a kill at random, and go on each time."""
    rng, told, prompt = random.Random(seed), Told(), prompt_of(steps)
    undisturbed = folder / "undisturbed"
    with serve(comfyui, undisturbed, alone=False) as server:
        started = time.monotonic()
        _finished(server, _post(server, prompt))
        usual = time.monotonic() - started
        wanted = _film(undisturbed)
        shots = _pictures(undisturbed)
    base, known = folder / "stopped", dict[str, int]()
    # both kinds, in an order that nobody chose
    kinds = [index % 2 == 0 for index in range(times)]
    rng.shuffle(kinds)
    while kinds:
        with serve(comfyui, base, alone=False) as server:
            while kinds:
                number = _post(server, prompt)
                if _ended_within(server, number, rng.uniform(0.05, 0.45) * usual):
                    told.again += _again(base, known)
                    told.rounds += 1
                    told.same &= _equal(_film(base), wanted) and _same_shots(_pictures(base), shots)
                    shutil.rmtree(base / "user" / "sora")
                    known.clear()
                    server.post("/free", {"unload_models": False, "free_memory": True})
                    continue
                if kinds.pop():
                    told.kills += 1
                    told.kept.append(-1)
                    break
                stopped = time.monotonic()
                server.post("/interrupt", {})
                while not server.get(f"/history/{number}").get(number):
                    time.sleep(0.02)
                told.slowest_s = max(told.slowest_s, time.monotonic() - stopped)
                told.interrupts += 1
                told.again += _again(base, known)
                told.kept.append(len(known))
        if told.kept and told.kept[-1] < 0:
            told.again += _again(base, known)
            told.kept[-1] = len(known)
    with serve(comfyui, base, alone=False) as server:
        _finished(server, _post(server, prompt))
        told.again += _again(base, known)
        told.rounds += 1
        told.same &= _equal(_film(base), wanted) and _same_shots(_pictures(base), shots)
    return told


def _post(server: Server, prompt: dict[str, Any]) -> str:
    answer = server.post("/prompt", {"prompt": prompt})
    assert "prompt_id" in answer, answer
    return answer["prompt_id"]


def _ended_within(server: Server, number: str, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if entry := server.get(f"/history/{number}").get(number):
            assert entry["status"]["status_str"] == "success", entry["status"]
            return True
        time.sleep(min(0.1, max(0.0, end - time.monotonic())))
    return False


def _finished(server: Server, number: str) -> None:
    if not _ended_within(server, number, PATIENCE):
        raise TimeoutError(server.log.read_text(errors="replace")[-2000:])


def _again(base: Path, known: dict[str, int]) -> int:
    """Return how many shots that were known are others now or gone, and take down those that are there.

    A file that is written once more is another one on disk, even where it holds the same.
    """
    found = {path.name: path.stat().st_ino for path in _shots(base)}
    lost = sum(found.get(name) != inode for name, inode in known.items())
    known.clear()
    known.update(found)
    return lost


def _shots(base: Path) -> list[Path]:
    return sorted(path for path in (base / "user" / "sora" / "shots").glob("*.mov") if not path.name.startswith("."))


def _read(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    film = FileFilm(path)
    sound = film.sound()
    assert sound is not None
    return torch.cat(list(film.frames())), sound


def _pictures(base: Path) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    return {path.name: _read(path) for path in _shots(base)}


def _film(base: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the newest whole film in a server's folder for temporary files."""
    paths = sorted((base / "temp").glob("sora_*.mov"), key=lambda path: path.stat().st_ctime_ns)
    return next(film for film in map(_read, reversed(paths)) if len(film[0]) == FRAMES)


def _equal(one: tuple[torch.Tensor, torch.Tensor], two: tuple[torch.Tensor, torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def _same_shots(one: dict[str, Any], two: dict[str, Any]) -> bool:
    return len(one) == len(two) == 6 and one.keys() == two.keys() and all(_equal(one[name], two[name]) for name in one)


def main() -> int:
    """Do it, and say what came of it."""
    comfyui, reason = find_comfyui()
    if comfyui is None:
        sys.exit(reason)
    times, seed = (int(word) for word in (*sys.argv[1:3], *("10", "0")[len(sys.argv[1:3]) :]))
    folder = Path(tempfile.mkdtemp(prefix="sora_kill_"))
    try:
        told = torture(comfyui, folder, times, seed=seed)
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
    sys.stdout.write(f"{told}\n")
    return 0 if told.same and not told.again else 1


if __name__ == "__main__":
    sys.exit(main())
