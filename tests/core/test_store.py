"""Shots on disk: whole or not there, whatever interrupts, damages or shares the folder."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from sora_core.editing.content import content_key
from sora_core.editing.film import MemoryFilm
from sora_core.editing.store import ShotStore
from sora_core.errors import SoraError

MANY = 1 << 40


def key(number: int) -> str:
    return ShotStore.key_of({"shot": number})


def writer(size: int, fill: int = 7):
    return lambda path: path.write_bytes(bytes([fill]) * size)


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(".") and path.name != ".lock")


def test_a_shot_is_kept_and_found(tmp_path):
    with ShotStore(tmp_path / "new" / "folder", MANY) as store:
        assert store.get(key(1)) is None
        path = store.put(key(1), writer(100))
        assert path.read_bytes() == bytes([7]) * 100
        assert path.suffix == ".mov"
        assert store.get(key(1)) == path
        assert store.get(key(2)) is None
        assert store.size() == (1, 100)
        assert store.put(key(1), writer(100)) == path
        assert store.put(key(1), writer(50, 8)).read_bytes() == bytes([8]) * 50
        assert store.size() == (1, 50)
    assert hidden(tmp_path / "new" / "folder") == []
    with ShotStore(tmp_path / "new" / "folder", MANY) as again:
        assert again.get(key(1)) is not None


def test_all_can_be_removed(tmp_path):
    store = ShotStore(tmp_path, MANY)
    (tmp_path / "mine.txt").write_text("not a shot")
    store.put(key(1), writer(100))
    store.put(key(2), writer(20))
    assert store.clear() == (2, 120)
    assert store.size() == store.clear() == (0, 0)
    assert (tmp_path / "mine.txt").exists()


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    store = ShotStore(tmp_path, MANY)

    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.put(key(1), fail)
    assert store.get(key(1)) is None
    assert [name for name in hidden(tmp_path) if "part" in name] == []


@pytest.mark.parametrize("damage", [b"", b"x" * 99, b"x" * 100, b"x" * 200])
def test_a_damaged_shot_is_dropped_and_made_again(tmp_path, damage):
    store = ShotStore(tmp_path, MANY)
    path = store.put(key(1), writer(100))
    path.write_bytes(damage)
    assert store.get(key(1)) is None
    assert not path.exists()
    store.put(key(1), writer(100))
    assert store.get(key(1)) == path


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    for number in range(4):
        with ShotStore(tmp_path, MANY) as store:
            store.put(key(number), writer(100))
    with ShotStore(tmp_path, MANY) as store:
        assert store.get(key(0)) is not None
    with ShotStore(tmp_path, 300) as store:
        assert store.size() == (3, 300)
    with ShotStore(tmp_path, 300) as store:
        store.put(key(9), writer(150))
        assert store.size() == (2, 250)
        assert store.get(key(0)) is not None
        assert [number for number in range(10) if store.get(key(number))] == [0, 9]


def test_shots_in_use_stay_above_the_limit(tmp_path):
    with ShotStore(tmp_path, 250) as store:
        paths = [store.put(key(number), writer(100)) for number in range(5)]
        assert all(path.exists() for path in paths)
    with ShotStore(tmp_path, 250) as store:
        assert store.size() == (2, 200)


def test_a_shot_that_another_store_uses_stays(tmp_path):
    with ShotStore(tmp_path, MANY) as first, ShotStore(tmp_path, 0) as second:
        used = first.put(key(1), writer(100))
        second.put(key(2), writer(100))
        second.put(key(3), writer(100))
        assert used.exists()
        assert second.clear() == (2, 200)
        assert used.exists()
    with ShotStore(tmp_path, 0) as store:
        assert store.size() == (0, 0)


def test_a_living_store_s_unfinished_file_is_not_swept(tmp_path):
    first = ShotStore(tmp_path, MANY)

    def slow(path: Path) -> None:
        path.write_bytes(b"half")
        ShotStore(tmp_path, 0).close()
        assert path.exists()

    first.put(key(1), slow)
    assert first.get(key(1))


CHILD = """
import sys, random
from pathlib import Path
from sora_core.editing.store import ShotStore
folder, seed = Path(sys.argv[1]), int(sys.argv[2])
rng = random.Random(seed)
store = ShotStore(folder, 1 << 22)
print("ready", flush=True)
def write(path):
    number = shot
    with path.open("wb") as file:
        for _ in range(64):
            file.write(bytes([number]) * 4096)
            file.flush()
while True:
    shot = rng.randrange(20)
    key = ShotStore.key_of({"shot": shot})
    path = store.get(key)
    if path is None:
        path = store.put(key, write)
    data = path.read_bytes()
    assert data == bytes([shot]) * (64 * 4096), "a shot is not whole"
    if rng.random() < 0.2:
        store.close()
        store = ShotStore(folder, 1 << 22)
"""


def child(folder: Path, seed: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(seed)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def check_all(store: ShotStore) -> None:
    for number in range(20):
        path = store.get(key(number))
        assert path is None or path.read_bytes() == bytes([number]) * (64 * 4096)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a kill that cannot be caught")
def test_a_kill_at_any_moment_leaves_whole_shots(tmp_path):
    rng = random.Random(0)
    for turn in range(20):
        process = child(tmp_path, turn)
        time.sleep(rng.random() * 0.03)
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        assert errors == ""
        with ShotStore(tmp_path, MANY) as store:
            assert [name for name in hidden(tmp_path) if "part" in name] == []
            check_all(store)
        assert hidden(tmp_path) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a kill that cannot be caught")
def test_processes_share_a_folder(tmp_path):
    processes = [child(tmp_path, seed) for seed in range(2)]
    time.sleep(1)
    assert [process.poll() for process in processes] == [None, None]
    processes[0].kill()
    with ShotStore(tmp_path, 1 << 22) as store:
        check_all(store)
    assert processes[1].poll() is None
    processes[1].kill()
    assert [process.communicate()[1] for process in processes] == ["", ""]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SoraError, match="choose another folder"):
        ShotStore(tmp_path / "file", MANY)
    with pytest.raises(SoraError, match="-1 bytes must be 0 or more"):
        ShotStore(tmp_path, -1)


@pytest.mark.parametrize("bad", ["", "x", "../" + "0" * 61, "0" * 63, "0" * 64 + "/", "A" * 64, "*" * 64])
def test_only_keys_are_taken(tmp_path, bad):
    store = ShotStore(tmp_path, MANY)
    with pytest.raises(SoraError, match="no key of a shot"):
        store.get(bad)
    with pytest.raises(SoraError, match="no key of a shot"):
        store.put(bad, writer(1))


def test_a_key_goes_by_content(tmp_path):
    (tmp_path / "a.png").write_bytes(b"picture")
    (tmp_path / "b.png").write_bytes(b"picture")
    picture = torch.arange(24, dtype=torch.uint8).reshape(2, 4, 3)
    same = [
        ({"a": 1, "b": [2.0, "x"]}, {"b": (2, "x"), "a": 1.0}),
        ({"p": tmp_path / "a.png"}, {"p": tmp_path / "b.png"}),
        ({"t": picture}, {"t": picture.clone()}),
        ({"t": picture.transpose(0, 1)}, {"t": picture.transpose(0, 1).contiguous()}),
        ({"n": picture.numpy()[:, ::2]}, {"n": picture.numpy()[:, ::2].copy()}),
        ({"s": np.float32(0.5)}, {"s": 0.5}),
        ({"f": film()}, {"f": film()}),
    ]
    for first, second in same:
        assert content_key(first) == content_key(second)
    different = [
        {"t": picture},
        {"t": picture.reshape(4, 2, 3)},
        {"t": picture.to(torch.int8)},
        {"t": picture.bool()},
        {"t": picture.bfloat16()},
        {"t": picture[:0]},
        {"t": torch.tensor(1.0)},
        {"t": picture.numpy()},
        {"t": b"picture"},
        {"t": tmp_path / "a.png"},
        {"t": "picture"},
        {"t": None},
        {"t": True},
        {"t": 1},
        {"t": "1"},
        {"t": []},
        {"t": {}},
        {"t": ["list"]},
        {"t": film()},
        {"t": film(fps=13)},
        {"t": film(sound=0.5)},
        {"u": None},
    ]
    keys = [content_key(values) for values in different]
    assert len(set(keys)) == len(different)
    assert all(len(found) == 64 for found in keys)


def film(fps: float = 12.0, sound: float = 0.0) -> MemoryFilm:
    return MemoryFilm(picture=torch.zeros(12, 8, 8, 3, dtype=torch.uint8), audio=torch.full((1, 16000), sound), fps=fps)


def test_a_key_is_the_same_in_every_process():
    values = "{'a': [1, 2.5, 'ö', None, b'x'], 'b': {'c': True}}"
    code = f"from sora_core.editing.content import content_key; print(content_key({values}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {content_key({"a": [1, 2.5, "ö", None, b"x"], "b": {"c": True}})}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), "the key.v is a object"),
        ({1, 2}, "the key.v is a set"),
        (lambda: 0, "the key.v is a function"),
        (float("nan"), "the key.v is nan"),
        ([0, float("inf")], r"the key.v\[1\] is inf"),
        ({"deep": {1: 2}}, "the key.v.deep holds the key 1, which is not text"),
        (Path("/nowhere/at/all.png"), "cannot be read"),
        (Path("/"), "cannot be read"),
        (np.array([object()]), "the key.v is a ndarray"),
        (torch.zeros(2, device="meta"), "the key.v is a tensor without plain numbers"),
    ],
)
def test_what_has_no_content_is_refused(value, words):
    with pytest.raises(SoraError, match=words):
        content_key({"v": value})


def test_what_holds_itself_is_refused():
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(SoraError, match="nested"):
        content_key({"v": endless})
