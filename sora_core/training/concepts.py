"""A hint for the text encoder: its states must tell what the caption names.

The flow loss teaches a word only through the few pixels it changes, so objects and directions are learned late: after
105,000 clips a linear reading of the states still missed the object of every fourth training caption. The renderer
knows what each caption says; asking the states for it is our decision. The heads are thrown away after training.
"""

# B captions, L tokens, D width

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..processor import low_precision
from ..text import TextEncoder
from ..world.spec import COLOURS, DIRECTIONS, MOTIONS, OBJECTS, SCENES, SIZES, Attributes
from .optim import MuonAdamW, split_parameters
from .parallel import ALONE, Processes

CONCEPTS: dict[str, tuple[str, ...]] = {
    "colour": tuple(COLOURS),
    "object": OBJECTS,
    "size": tuple(SIZES),
    "motion": MOTIONS,
    "direction": DIRECTIONS,
    "scene": SCENES,
}
"""What every medium and dense caption names, with its values."""

UNNAMED = -100
"""Class that the cross-entropy leaves out."""


class ConceptHeads(nn.Module):
    """One linear reading of the mean state per concept."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({name: nn.Linear(width, len(values)) for name, values in CONCEPTS.items()})

    def forward(
        self,
        states_BLD: Tensor,
        mask_BL: Tensor,
        attributes: Sequence[Attributes],
        named: Sequence[bool],
        processes: Processes = ALONE,
    ) -> Tensor:
        """Return the mean cross-entropy over concepts that some caption of the whole batch names, 0 where none does.

        What is named is known on the CPU, so that no GPU is waited for.

        Args:
            states_BLD: of the text encoder. mask_BL: bool, its tokens.
            attributes: what each caption is about. named: whether it names all of it.
            processes: that have the other parts of the batch.
        """
        weight = mask_BL[..., None].float()
        mean_BD = (states_BLD.float() * weight).sum(1) / weight.sum(1)
        labels = torch.tensor(
            [
                [
                    values.index(value) if said and (value := getattr(shown, name)) else UNNAMED
                    for shown, said in zip(attributes, named, strict=True)
                ]
                for name, values in CONCEPTS.items()
            ]
        )
        counts = processes.mean((labels != UNNAMED).sum(1).float())
        targets = labels.to(mean_BD.device)
        sums = torch.stack(
            [
                F.cross_entropy(self.heads[name](mean_BD), target, ignore_index=UNNAMED, reduction="sum")
                for name, target in zip(CONCEPTS, targets, strict=True)
            ]
        )
        shares = torch.where(counts > 0, 1 / counts, 0.0) / max(1, int((counts > 0).sum()))
        return (sums * shares.to(sums.device)).sum()


TEACH_LR = 3e-3
TEACH_WARMUP = 20
"""Learning rate of both kinds, and the steps over which it rises; it falls over the second half of the time."""


def teach_words(
    text: TextEncoder,
    heads: ConceptHeads,
    draw: Callable[[], tuple[Tensor, Tensor, Sequence[Attributes]]],
    *,
    seconds: float,
    heads_alone: bool = False,
) -> float:
    """Train a text encoder alone to tell what captions name, before a transformer learns from it.

    A minute of it reads every training caption without error; from the flow loss alone, that had not come after hours.

    Args:
        text, heads: trained in place.
        draw: returns ids and mask ``[B, L]`` of captions that name everything, and what they name.
        seconds: wall time.
        heads_alone: leave the text encoder as it is, because it knows its words: heads that know nothing yet would
            shake it.

    Returns:
        The last step's loss.
    """
    both = nn.ModuleDict({"concepts": heads} if heads_alone else {"text": text, "concepts": heads}).train()
    optimizer = MuonAdamW(
        split_parameters(both, plain=("text.project", "concepts")), lr=TEACH_LR, weight_decay=0.01, betas=(0.9, 0.95)
    )
    began, step, last = time.monotonic(), 0, float("nan")
    while (share := (time.monotonic() - began) / seconds) < 1:
        optimizer.set_scale(min((step + 1) / TEACH_WARMUP, 1.0, 2 * (1 - share)))
        ids, mask, attributes = draw()
        with low_precision(ids.device), torch.set_grad_enabled(not heads_alone):
            states = text(ids, mask)
        loss = heads(states, mask, attributes, [True] * len(attributes))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step, last = step + 1, float(loss.detach())
    return last
