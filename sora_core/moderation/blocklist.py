"""The user's own lists of films and sounds that must not come back, behind two callables."""
# F frames, H W pixels, C channels, S samples

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class BlockList:
    """A list that says whether something is on it.

    This package keeps no list of its own: a perceptual hash and an index of the user's choice stand behind it.

    name: for the message. frames: from uint8 RGB [F, H, W, 3] to whether it is on the list. sound: from float32 [C, S]
    and its samples per second. None where it holds none of that kind.
    """

    name: str
    frames: Callable[[Tensor], bool] | None = None
    sound: Callable[[Tensor, int], bool] | None = None
