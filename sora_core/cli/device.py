"""Choose where to compute. Loads torch."""

from __future__ import annotations

import os

from ..errors import SoraError

SPINS = "2000"
"""Turns of GNU OpenMP's waiting loop before a thread sleeps (its default is 300,000)."""


def choose_device(name: str) -> str:
    """Return the device to use for what ``--device`` says.

    Raises:
        SoraError: CUDA is asked for and torch finds none, or not that many.
    """
    import torch

    # Where a process may use fewer cores than there are, torch counts them all, and its threads wait for each other.
    if hasattr(os, "sched_getaffinity"):
        torch.set_num_threads(min(torch.get_num_threads(), len(os.sched_getaffinity(0))))
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda"):
        there = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(name.partition(":")[2] or 0) >= there:
            found = f"finds {there} CUDA device(s)" if there else "finds no CUDA device"
            raise SoraError(f"--device {name} was asked for and torch {found} here; use --device cpu")
    return name


def share_cores() -> None:
    """Let torch's threads sleep soon when they wait; call before torch is loaded, which reads it once.

    By default they spin, and where another program has some of the cores, each wait then costs a time slice: a clip
    that takes 3 s took 35 s beside one busy pair of cores. On idle cores it costs about a tenth. Who has set OpenMP's
    own variables keeps them.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = SPINS


def set_threads(threads: int | None) -> None:
    """Limit torch to so many CPU threads."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
