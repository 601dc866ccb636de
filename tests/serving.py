"""A real ComfyUI in a process of its own, spoken to over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hosting import ARGUMENTS, private_base

PATIENCE = 180.0
"""Seconds that a server may take to be ready."""

PRIVATE = "private"
"""Folder below a server's base directory that holds its keys and its ledger."""


@dataclass(frozen=True)
class Server:
    """A running server: where it answers, its base directory and the file that its output goes to."""

    url: str
    base: Path
    log: Path

    @property
    def private(self) -> Path:
        """The folder of its keys and its ledger."""
        return self.base / PRIVATE

    def get(self, path: str) -> Any:
        """Return a JSON answer, or the text of any other."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as answer:
            body = answer.read().decode()
            return json.loads(body) if "json" in answer.headers.get("Content-Type", "") else body

    def post(self, path: str, value: Any) -> Any:
        """Send JSON; return the JSON answer, of a refusal too (it then has a key ``error``)."""
        request = urllib.request.Request(
            f"{self.url}{path}", json.dumps(value).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                body = answer.read()
        except urllib.error.HTTPError as refusal:
            body = refusal.read()
        return json.loads(body) if body else None

    def finish(self, prompt: dict[str, Any], patience: float = 120.0) -> dict[str, Any]:
        """Queue an API prompt, wait for its end and return its history entry."""
        number = self.post("/prompt", {"prompt": prompt})["prompt_id"]
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if entry := self.get(f"/history/{number}").get(number):
                return entry
            time.sleep(0.1)
        raise TimeoutError(f"prompt {number} did not end within {patience:g} s")


@contextlib.contextmanager
def serve(comfyui: Path, base: Path, *, alone: bool = "PYTEST_XDIST_WORKER" not in os.environ) -> Iterator[Server]:
    """Start ComfyUI on a free port of this machine with this pack alone, wait until it answers, kill it at the end.

    Its keys and its ledger lie in ``base / "private"``, and never in the user's own folder. Where it is not ``alone``
    on the cores it computes in one thread.
    """
    private_base(base)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = base / "server.log"
    command = [sys.executable, "-u", "main.py", *ARGUMENTS, "--listen", "127.0.0.1", "--port", str(port)]
    private = {**os.environ, "SORA_HOME": str(base / PRIVATE)}
    if not alone:
        # each of its threads would wait for a core while the rest wait for it
        private.setdefault("OMP_NUM_THREADS", "1")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--base-directory", str(base)],
            cwd=comfyui,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=private,
        )
        try:
            server = Server(f"http://127.0.0.1:{port}", base, log)
            _wait(server, process)
            yield server
        finally:
            process.kill()
            process.wait()


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            server.get("/queue")
            return
        time.sleep(0.2)
    tail = server.log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise RuntimeError(f"ComfyUI did not start (exit status {process.poll()}):\n{tail}")
