"""Run a function in a process of its own, where memory and start-up can be measured from nothing."""

from __future__ import annotations

import multiprocessing
import platform
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..errors import SoraError


def in_fresh_process(target: Callable[..., Any], *values: object) -> Any:  # noqa: ANN401  whatever the target returns
    """Return ``target(*values)``, run in a new Python process.

    Args:
        target: a function at the top of a module. values: plain numbers, texts and paths.

    Raises:
        SoraError: the process ended without a result; what it said is on stderr.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(sender, target, values))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        raise SoraError("a measuring process ended without a result; it may have run out of memory") from None
    finally:
        process.join()
        receiver.close()


def peak_memory() -> int | None:
    """Return the most bytes of memory that this process has held, or None where the system does not say."""
    if platform.system() == "Linux":
        # getrusage is no use here: a new process inherits the peak of the one that started it
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def _report(sender: Connection, target: Callable[..., Any], values: tuple[object, ...]) -> None:
    sender.send(target(*values))
    sender.close()
