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

from ..text import TextEncoder
from ..world.spec import COLOURS, DIRECTIONS, MOTIONS, OBJECTS, SCENES, SIZES, Attributes
from .optim import MuonAdamW, split_parameters

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
        self, states_BLD: Tensor, mask_BL: Tensor, attributes: Sequence[Attributes], named: Sequence[bool]
    ) -> Tensor:
        """Return the mean cross-entropy over concepts, 0 where no caption names any.

        Args:
            states_BLD: of the text encoder. mask_BL: bool, its tokens.
            attributes: what each caption is about. named: whether it names all of it.
        """
        weight = mask_BL[..., None].float()
        mean_BD = (states_BLD.float() * weight).sum(1) / weight.sum(1)
        losses = []
        for name, values in CONCEPTS.items():
            labels = [
                values.index(getattr(shown, name)) if said and getattr(shown, name) else UNNAMED
                for shown, said in zip(attributes, named, strict=True)
            ]
            target = torch.tensor(labels, device=mean_BD.device)
            if (target != UNNAMED).any():
                losses.append(F.cross_entropy(self.heads[name](mean_BD), target, ignore_index=UNNAMED))
        return torch.stack(losses).mean() if losses else mean_BD.sum() * 0.0


TEACH_LR = 3e-3
TEACH_WARMUP = 20
"""Learning rate of both kinds, and the steps over which it rises; it falls over the second half of the time."""


def teach_words(
    text: TextEncoder,
    heads: ConceptHeads,
    draw: Callable[[], tuple[Tensor, Tensor, Sequence[Attributes]]],
    *,
    seconds: float,
) -> float:
    """Train a text encoder alone to tell what captions name, before a transformer learns from it.

    A minute of it reads every training caption without error; from the flow loss alone, that had not come after hours.

    Args:
        text, heads: trained in place.
        draw: returns ids and mask ``[B, L]`` of captions that name everything, and what they name.
        seconds: wall time.

    Returns:
        The last step's loss.
    """
    both = nn.ModuleDict({"text": text, "concepts": heads}).train()
    optimizer = MuonAdamW(
        split_parameters(both, plain=("text.project", "concepts")), lr=TEACH_LR, weight_decay=0.01, betas=(0.9, 0.95)
    )
    began, step, last = time.monotonic(), 0, float("nan")
    while (share := (time.monotonic() - began) / seconds) < 1:
        optimizer.set_scale(min((step + 1) / TEACH_WARMUP, 1.0, 2 * (1 - share)))
        ids, mask, attributes = draw()
        with torch.autocast(ids.device.type, torch.bfloat16):
            states = text(ids, mask)
        loss = heads(states, mask, attributes, [True] * len(attributes))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step, last = step + 1, float(loss.detach())
    return last
