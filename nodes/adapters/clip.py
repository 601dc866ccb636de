"""Our text encoder as ComfyUI's CLIP."""

# B prompts, L tokens, D width

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import comfy.ops
import comfy.sd
import comfy.supported_models_base
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...sora_core.checkpoint import World, read_metadata, read_part, read_tokenizer
from ...sora_core.text import TextConfig, TextEncoder, Tokenizer
from ...sora_core.vocabulary import unknown_words

KEY = "sora"
"""Name of our tokens in the host's dictionaries."""


class HostTokenizer:
    """`Tokenizer` with the host's way of being called. Brackets and weights in a prompt are plain text here."""

    def __init__(self, embedding_directory: str | None = None, tokenizer_data: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        assert tokenizer_data is not None
        self.tokenizer: Tokenizer = tokenizer_data[KEY]
        self.max_tokens: int = tokenizer_data["max_tokens"]

    def tokenize_with_weights(
        self,
        text: str,
        return_word_ids: bool = False,
        **_: object,
    ) -> dict[str, list[list[tuple[Any, ...]]]]:
        """Return the prompt's ids, each with weight 1, as one row."""
        ids, _mask = self.tokenizer.encode([text], self.max_tokens)
        row = [(index, 1.0, place) if return_word_ids else (index, 1.0) for place, index in enumerate(ids[0].tolist())]
        return {KEY: [row]}

    def untokenize(self, row: Sequence[tuple[Any, ...]]) -> list[tuple[Any, Any]]:
        """Return each token with the text that it stands for."""
        return [(token, self.decode([token[0]])) for token in row]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids."""
        return self.tokenizer.decode(ids)

    def state_dict(self) -> dict[str, Tensor]:
        """Return what a saved checkpoint needs: nothing, our own files carry the tokenizer."""
        return {}


class HostTextEncoder(nn.Module):
    """`TextEncoder` with the host's way of being built and called."""

    disable_offload = True
    """A million weights: loading them piece by piece would cost more than it saves."""

    def __init__(
        self,
        sora: TextConfig,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        model_options: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> None:
        super().__init__()
        self.dtypes = {dtype}
        self.sora = TextEncoder(sora, operations=comfy.ops.manual_cast, device=device, dtype=dtype)
        self.execution_device: torch.device | None = None
        self.can_assign_sd = True

    def set_clip_options(self, options: dict[str, Any]) -> None:
        """Take the device to run on."""
        self.execution_device = options.get("execution_device", self.execution_device)

    def reset_clip_options(self) -> None:
        """Forget it."""
        self.execution_device = None

    def encode_token_weights(
        self, tokens: dict[str, list[list[tuple[Any, ...]]]]
    ) -> tuple[Tensor, None, dict[str, Tensor]]:
        """Return states ``[B, 32, D]``, no pooled vector, and the mask of the tokens that are text.

        Padded to the encoder's full length, as in training: the transformer sees its padding.
        """
        device = self.execution_device or self.sora.table.device
        longest = self.sora.config.max_tokens
        ids = torch.tensor([[token[0] for token in row] for row in tokens[KEY]], device=device)
        mask = torch.ones_like(ids, dtype=torch.bool)
        missing = longest - ids.shape[1]
        states = F.pad(self.sora(ids, mask), (0, 0, 0, missing))
        return states, None, {"attention_mask": F.pad(mask, (0, missing))}

    def load_sd(self, state: dict[str, Tensor]) -> tuple[list[str], list[str]]:
        """Load our tensors; return names that are missing and that are not ours (none of either, see `load_clip`)."""
        result = self.sora.load_state_dict(state, strict=False, assign=self.can_assign_sd)
        return list(result.missing_keys), list(result.unexpected_keys)


def load_clip(path: Path, *, disable_dynamic: bool = False) -> comfy.sd.CLIP:
    """Build the CLIP of one of our files.

    In float32 whatever the host prefers: its default on a CPU is half precision, and this encoder is small.

    Raises:
        SoraError: the file is refused, weights that are missing included.
    """
    config, state = read_part(path, "text")
    target = comfy.supported_models_base.ClipTarget(HostTokenizer, HostTextEncoder)
    target.params = {"sora": config}
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    clip = comfy.sd.CLIP(
        target,
        tokenizer_data={KEY: read_tokenizer(path), "max_tokens": config.max_tokens},
        parameters=sum(tensor.numel() for tensor in state.values()),
        state_dict=[state],
        model_options={"dtype": torch.float32},
        disable_dynamic=disable_dynamic,
    )
    clip.patcher.cached_patcher_init = (_clip_patcher, (path,))
    # The nodes that tell which words a model knows find it here.
    clip.tokenizer.world = read_metadata(path).world
    return clip


def words_unknown_to(clip: Any, prompt: str) -> list[tuple[str, str | None]] | None:
    """Return the prompt's words that a CLIP's model was never trained on, each with the nearest that it was.

    None where the CLIP is not ours and cannot tell.
    """
    tokenizer = clip.tokenizer
    world: World | None = getattr(tokenizer, "world", None)
    if not isinstance(tokenizer, HostTokenizer) or world is None:
        return None
    return unknown_words(prompt, world.words, clip.cond_stage_model.sora, tokenizer.tokenizer)


def _clip_patcher(path: Path, *, disable_dynamic: bool = False) -> Any:
    return load_clip(path, disable_dynamic=disable_dynamic).patcher
