"""The quick model: a low-rank change of the transformer's weights, kept beside them and merged into a copy.

Merged once, it costs nothing at run time.
"""

# O output features, I input features, R rank, S step counts

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ..errors import SoraError
from .model import DiT

DOWN, UP, DIFF = "lora_down", "lora_up", "diff"
"""Last words of a tensor's name: the two factors of a matrix, or the whole change of anything else."""

NAMED = 3
"""How many names a refusal gives."""


class Lora(nn.Module):
    """Changes of every parameter of a `DiT`, for sampling in a few steps without guidance.

    A matrix ``[O, I]`` changes by ``up @ down``, ``[O, R] @ [R, I]`` (Hu et al., "LoRA", 2106.09685, with a scale of
    1), the same for all numbers of steps. Everything else (tables, biases, gains) has a whole change of its own for
    each number of steps, ``[S, ...]``: a step of another length leads elsewhere from the same noise level, and the
    modulation is where a model is told so (as in shortcut models, Frans et al. 2410.12557; without a new input, our
    decision).

    Args:
        shapes: of the transformer's parameters by name. rank: R. steps: numbers of steps, the default first.
        generator: draws the first factors; the second ones are zero, so that a new LoRA changes nothing.
    """

    def __init__(
        self,
        shapes: Mapping[str, Sequence[int]],
        rank: int,
        steps: Sequence[int],
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.rank, self.steps = rank, tuple(steps)
        self.down, self.up, self.diff = nn.ParameterDict(), nn.ParameterDict(), nn.ParameterDict()
        for name, shape in shapes.items():
            if len(shape) == 2:
                first = torch.randn(rank, shape[1], generator=generator) * shape[1] ** -0.5
                self.down[_key(name)] = nn.Parameter(first)
                self.up[_key(name)] = nn.Parameter(torch.zeros(shape[0], rank))
            else:
                self.diff[_key(name)] = nn.Parameter(torch.zeros(len(self.steps), *shape))

    @classmethod
    def for_model(
        cls, model: nn.Module, rank: int, steps: Sequence[int], generator: torch.Generator | None = None
    ) -> Lora:
        """Return a new LoRA for a transformer, on the CPU; it changes nothing yet."""
        shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
        return cls(shapes, rank, steps, generator=generator)

    @classmethod
    def from_tensors(
        cls, shapes: Mapping[str, Sequence[int]], tensors: Mapping[str, Tensor], rank: int, steps: Sequence[int]
    ) -> Lora:
        """Return the LoRA that `tensors` wrote.

        Args:
            shapes: of the transformer's parameters. tensors: by name. rank, steps: what they are said to be.

        Raises:
            SoraError: a half is missing, a name is unknown, or a size is another one than shapes, rank and steps give.
        """
        made = cls(shapes, rank, steps)
        wanted = made._named()
        if missing := [name for name in wanted if name not in tensors]:
            raise SoraError(f"its quick model lacks {_few(missing)}; copy the file again")
        if unknown := [name for name in tensors if name not in wanted]:
            raise SoraError(f"its quick model holds unknown {_few(unknown)}; update the package to load this file")
        for name, parameter in wanted.items():
            if tensors[name].shape != parameter.shape:
                raise SoraError(
                    f"its quick model's {name} is {list(tensors[name].shape)} and should be {list(parameter.shape)} "
                    f"for rank {rank} and {len(made.steps)} numbers of steps; use the file of its own transformer"
                )
            parameter.data.copy_(tensors[name])
        return made.requires_grad_(False)

    def tensors(self) -> dict[str, Tensor]:
        """Return every part by name, for a file: ``blocks.0.attn.q.weight.lora_down`` and so on."""
        return {name: parameter.detach() for name, parameter in self._named().items()}

    def nearest(self, steps: int) -> int:
        """Return the number of steps, of those that it was made for, that lies nearest to ``steps``."""
        return min(self.steps, key=lambda made: abs(made - steps))

    def change(self, name: str, steps: int) -> Tensor:
        """Return what is added to a parameter for a number of steps, in its shape."""
        key = _key(name)
        if key in self.diff:
            return self.diff[key][self.steps.index(steps)]
        return self.up[key] @ self.down[key]

    @torch.no_grad()
    def merge(self, state: Mapping[str, Tensor], steps: int) -> dict[str, Tensor]:
        """Return the weights with the changes for ``steps`` added in float32; devices and types stay."""
        return {
            name: (tensor.float() + self.change(name, steps).to(tensor.device)).to(tensor.dtype)
            for name, tensor in state.items()
        }

    @torch.no_grad()
    def put_into(self, model: nn.Module, base: Mapping[str, Tensor], steps: int) -> None:
        """Set a model's parameters to ``base`` with the changes for ``steps``, in place (see `pull_gradients`)."""
        for name, parameter in model.named_parameters():
            parameter.copy_(base[name] + self.change(name, steps))

    @torch.no_grad()
    def pull_gradients(self, model: nn.Module, steps: int) -> None:
        """Take a merged model's gradients over by the chain rule, add them to our own, and clear them there.

        Whole weights are what the model computes with, so that it may be compiled and knows of no LoRA.
        """
        for name, parameter in model.named_parameters():
            if (gradient := parameter.grad) is None:
                continue
            key = _key(name)
            if key in self.diff:
                _add(self.diff[key])[self.steps.index(steps)] += gradient
            else:
                up, down = self.up[key], self.down[key]
                _add(up).addmm_(gradient, down.T)
                _add(down).addmm_(up.T, gradient)
            parameter.grad = None

    def _named(self) -> dict[str, nn.Parameter]:
        named: dict[str, nn.Parameter] = {}
        for kind, held in ((DOWN, self.down), (UP, self.up), (DIFF, self.diff)):
            for key, parameter in held.items():
                named[f"{_name(key)}.{kind}"] = cast("nn.Parameter", parameter)
        return named


def merged(model: DiT, lora: Lora, steps: int) -> DiT:
    """Return a copy of a transformer with the LoRA's changes for ``steps`` in its weights."""
    quick = copy.deepcopy(model)
    quick.load_state_dict(lora.merge(quick.state_dict(), steps))
    return quick.eval().requires_grad_(False)


def _add(parameter: Tensor) -> Tensor:
    """Return a parameter's gradient to add to."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _key(name: str) -> str:
    # a module's own names hold no dots
    return name.replace(".", "/")


def _name(key: str) -> str:
    return key.replace("/", ".")


def _few(names: Sequence[str]) -> str:
    told = ", ".join(names[:NAMED]) + (" ..." if len(names) > NAMED else "")
    return f"{len(names)} tensor{'s' * (len(names) > 1)} ({told})"
