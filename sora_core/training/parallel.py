"""The processes that train one model together, as ``torchrun`` starts them, or one process alone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed
from torch import Tensor, nn

from ..errors import SoraError

T = TypeVar("T")

BUCKET = 1 << 25
"""Numbers in one message of the gradients' exchange (128 MiB)."""

PATIENCE = timedelta(minutes=30)
"""The others wait so long while the first measures, or teaches the text encoder its words."""


@dataclass(frozen=True)
class Processes:
    """The place of this process among those of a run.

    Every process draws the same steps and the same global batch, and computes its own part of it; gradients are
    averaged, so the weights stay the same everywhere and those of one process with the whole batch. Our own few lines
    in place of DistributedDataParallel: that wraps the model, needs to know which parameters a task leaves unused, and
    hooks into compiled blocks, all to hide an exchange which takes a millisecond for models of our size. Muon and the
    average see ordinary parameters.

    Args:
        rank: of this process, from 0. size: how many there are. local: which GPU of its machine it uses.
    """

    rank: int = 0
    size: int = 1
    local: int = 0

    @classmethod
    def from_environment(cls, device: torch.device | str) -> Processes:
        """Join the others where ``torchrun`` started this process; otherwise it is alone.

        Raises:
            SoraError: what torchrun sets is not complete.
        """
        said = {name: os.environ.get(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
        if said["WORLD_SIZE"] is None:
            return ALONE
        try:
            rank, size, local = (int(value or "") for value in said.values())
        except ValueError:
            given = ", ".join(f"{name}={value}" for name, value in said.items())
            raise SoraError(f"the environment names several processes, but not which ({given}); use torchrun") from None
        return cls.join(rank, size, local=local, device=device, meet="env://") if size > 1 else ALONE

    @classmethod
    def join(cls, rank: int, size: int, *, device: torch.device | str, meet: str, local: int = 0) -> Processes:
        """Wait for the other processes.

        Args:
            rank, size, local: as of the class. device: of the run; GPUs talk through NCCL, all else through Gloo.
            meet: where they find each other: ``env://``, or ``file://`` and the path of a file that all can write.
        """
        cuda = torch.device(device).type == "cuda"
        # what lies on the CPU is exchanged there also in a run on GPUs: no step then waits for one
        backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
        if cuda:
            torch.cuda.set_device(local)
        torch.distributed.init_process_group(backend, init_method=meet, rank=rank, world_size=size, timeout=PATIENCE)
        return cls(rank, size, local)

    @property
    def first(self) -> bool:
        """Whether this is the process that measures, logs and saves."""
        return self.rank == 0

    def device(self, device: torch.device | str) -> torch.device:
        """Return the device of this process in a run on ``device``."""
        kind = torch.device(device)
        return torch.device("cuda", self.local) if kind.type == "cuda" and self.size > 1 else kind

    def part(self, count: int) -> slice:
        """Return which of ``count`` neighbouring rows are this process's."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of a tensor over all processes, without gradient."""
        if self.size == 1:
            return value.detach()
        total = value.detach().clone()
        torch.distributed.all_reduce(total)
        return total / self.size

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Put the mean over all processes in place of each gradient; all must have the same ones."""
        if self.size == 1:
            return
        waiting: list[Tensor] = []
        for parameter in parameters:
            if parameter.grad is not None:
                waiting.append(parameter.grad)
                if sum(gradient.numel() for gradient in waiting) >= BUCKET:
                    self._average(waiting)
                    waiting = []
        self._average(waiting)

    def _average(self, tensors: list[Tensor]) -> None:
        if not tensors:
            return
        means = self.mean(torch.cat([tensor.reshape(-1) for tensor in tensors]))
        for tensor, mean in zip(tensors, means.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view(tensor.shape))

    @torch.no_grad()
    def same_weights(self, model: nn.Module) -> None:
        """Give every process the first one's parameters."""
        if self.size > 1:
            for parameter in model.parameters():
                # what lies in another order than its shape says is sent as a copy
                sent = parameter.detach().contiguous()
                torch.distributed.broadcast(sent, 0)
                parameter.copy_(sent)

    def same_number(self, value: float) -> float:
        """Return the first process's number: clocks differ, and all must stop at the same step."""
        if self.size == 1:
            return value
        sent = torch.tensor([value], dtype=torch.float64)
        torch.distributed.broadcast(sent, 0)
        return float(sent)

    def gather(self, value: T) -> list[T]:
        """Return every process's value, in order; tensors in it must lie on the CPU."""
        if self.size == 1:
            return [value]
        values: list[T | None] = [None] * self.size
        torch.distributed.all_gather_object(values, value)
        return [found for found in values if found is not None]

    def leave(self) -> None:
        """Wait for the others and part from them."""
        if self.size > 1:
            torch.distributed.barrier()
            torch.distributed.destroy_process_group()


ALONE = Processes()
"""One process."""
