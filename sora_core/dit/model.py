"""The joint audio-video diffusion transformer: one packed stream ``[text | cues | references | video | audio]``."""

# B batch, C channels, T latent frames, H W latent cells, h w tokens, A audio latents, L text tokens, N tokens, D width

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..errors import SoraError
from .attention import AttentionFunction, Options, quickest
from .block import Block
from .config import DiTConfig
from .modulation import AUDIO, TEXT, VIDEO, Modulation, modulate
from .rope import Place, layout_positions, rotary_table

KEPT_LAYOUTS = 16
"""Rotary tables kept per model: one per size and length in use."""

Velocities = tuple[Tensor | None, Tensor | None]
ForwardWrapper = Callable[..., Velocities]
"""``(forward, *args, **kwargs) -> velocities``: sees every call, as a host's diffusion-model wrappers do."""


class Cue(NamedTuple):
    """A further prompt that takes over at a time within the clip, the same for the whole batch.

    start_s: seconds from the first frame. text: states ``[B, L, text_width]``; mask: bool ``[B, L]``, as of the prompt.
    """

    start_s: float
    text: Tensor
    mask: Tensor


@dataclass
class Segment:
    """Tokens of one kind, next to each other in the packed sequence.

    tokens: ``[B, n, D]``. sigma: ``[B, R]``, each level shared by ``n / R`` neighbouring tokens.
    place: where they are. modality: index into the modulation tables.
    """

    tokens: Tensor
    sigma: Tensor
    place: Place
    modality: int


class DiT(nn.Module):
    """Velocity of noisy audio and video latents, with a noise level for every token.

    A token with level 0 is a condition: image-to-video, extension, video-to-audio and the rest are masks over this one
    model. Flow matching: ``x_sigma = (1 - sigma) x + sigma noise``, velocity ``noise - x`` (Lipman et al. 2210.02747).

    Args:
        config: sizes.
        operations: namespace that the layers come from (``Linear``, ``RMSNorm``), as ``torch.nn``.
        attention: kernel, see `attention.AttentionFunction`.
        wrapper: optional wrapper around every forward call.
        device, dtype: of the parameters; ``meta`` counts a large preset without memory.
    """

    def __init__(
        self,
        config: DiTConfig,
        *,
        operations: Any = nn,  # noqa: ANN401  (a namespace such as torch.nn)
        attention: AttentionFunction = quickest,
        wrapper: ForwardWrapper | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        made: dict[str, Any] = {"operations": operations, **factory}
        width = config.width
        patch = config.video_channels * config.patch**2
        self.config = config
        self.wrapper = wrapper
        self.text_in = operations.Linear(config.text_width, width, **factory)
        self.video_in = operations.Linear(patch, width, **factory)
        self.audio_in = operations.Linear(config.audio_channels, width, **factory)
        self.text_pad = nn.Parameter(torch.zeros(width, **factory))
        self.reference_mark = nn.Parameter(torch.zeros(width, **factory))
        self.modulation = Modulation(width, config.modulation_width, **made)
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.hidden, attention=attention, **made) for _ in range(config.layers)
        )
        self.final_table = nn.Parameter(torch.zeros(3, 2, width, **factory))
        self.video_out = operations.Linear(width, patch, **factory)
        self.audio_out = operations.Linear(width, config.audio_channels, **factory)
        self._rotations: dict[tuple[Any, ...], Tensor] = {}

    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights of a new model: Xavier for matrices, zero for modulation branches and heads."""
        for name, weight in self.named_parameters():
            if "norm" in name:
                nn.init.ones_(weight)
            elif weight.ndim < 2 or "table" in name or "branch" in name or name.startswith(("video_out", "audio_out")):
                nn.init.zeros_(weight)
            else:
                nn.init.xavier_uniform_(weight, generator=generator)
        nn.init.normal_(self.text_pad, std=0.02, generator=generator)
        nn.init.normal_(self.reference_mark, std=0.02, generator=generator)

    def forward(
        self,
        video: Tensor | None,
        audio: Tensor | None,
        text: Tensor,
        text_mask: Tensor,
        *,
        sigma_video: Tensor | None = None,
        sigma_audio: Tensor | None = None,
        fps: float = 12.0,
        references: Sequence[Tensor] = (),
        cues: Sequence[Cue] = (),
        options: Options | None = None,
    ) -> Velocities:
        """Predict the velocity of the video, the audio, or both.

        Args:
            video: noisy latents ``[B, 16, T, H, W]`` (H, W even) or None for sound alone.
            audio: noisy latents ``[B, 32, A, 1]`` or None for a silent clip.
            text: states of the text encoder ``[B, L, text_width]``.
            text_mask: bool ``[B, L]``, False where the text is padding (a learned vector takes its place).
            sigma_video: noise levels in [0, 1], ``[B, 1]``, ``[B, T]`` or per latent cell ``[B, T, H, W]`` (a token
                takes the largest of its cells).
            sigma_audio: ``[B, 1]`` or ``[B, A]``.
            fps: pixel frames per second of the video.
            references: up to two clean image latents ``[B, 16, 1, H, W]`` of any even size.
            cues: prompts that take over later, each at its own time.
            options: handed to the attention function and to `run_block` unread.

        Returns:
            Velocities of the shapes of ``video`` and ``audio``, float32.

        Raises:
            SoraError: neither video nor audio was given, or latents are off the patch grid.
        """
        call = self._forward if self.wrapper is None else lambda *a, **k: self.wrapper(self._forward, *a, **k)  # type: ignore[misc]
        return call(
            video,
            audio,
            text,
            text_mask,
            sigma_video=sigma_video,
            sigma_audio=sigma_audio,
            fps=fps,
            references=references,
            cues=cues,
            options=options,
        )

    def run_block(self, index: int, x_BND: Tensor, *layout: Any, options: Options | None) -> Tensor:  # noqa: ANN401
        """Run block ``index``; a host overrides it where blocks can be replaced (``layout`` as in `Block.forward`)."""
        return self.blocks[index](x_BND, *layout, options=options)

    def _forward(
        self,
        video: Tensor | None,
        audio: Tensor | None,
        text: Tensor,
        text_mask: Tensor,
        *,
        sigma_video: Tensor | None,
        sigma_audio: Tensor | None,
        fps: float,
        references: Sequence[Tensor],
        cues: Sequence[Cue],
        options: Options | None,
    ) -> Velocities:
        if video is None and audio is None:
            raise SoraError("neither video nor audio latents were given; pass at least one of them")
        parts = [self._text(text, text_mask)]
        parts += [self._text(cue.text, cue.mask, start_s=cue.start_s) for cue in cues]
        parts += [self._reference(i, latent) for i, latent in enumerate(references)]
        if video is not None:
            parts.append(self._video(video, sigma_video, fps))
        if audio is not None:
            parts.append(self._audio(audio, sigma_audio))

        dtype = parts[-1].tokens.dtype
        x_BND = torch.cat([p.tokens.to(dtype) for p in parts], 1)
        sizes, modalities = [p.tokens.shape[1] for p in parts], [p.modality for p in parts]
        levels = [self.modulation(p.sigma, p.modality, dtype).to(dtype) for p in parts]
        table_2NP = self._table(parts, x_BND.device)
        for index in range(len(self.blocks)):
            x_BND = self.run_block(index, x_BND, table_2NP, sizes, modalities, levels, options=options)
        return self._heads(x_BND, parts, levels, video, audio)

    def _text(self, text: Tensor, mask: Tensor, start_s: float | None = None) -> Segment:
        tokens = self.text_in(text)
        tokens = torch.where(mask[..., None], tokens, self.text_pad.to(tokens.dtype))
        clean = torch.zeros(tokens.shape[0], 1, device=tokens.device)
        count = tokens.shape[1]
        place = Place("text", count) if start_s is None else Place("cue", count, start_s=start_s)
        return Segment(tokens, clean, place, TEXT)

    def _reference(self, index: int, latent: Tensor) -> Segment:
        tokens = self.video_in(self._patchify(latent)[0])
        height, width = (side // self.config.patch for side in latent.shape[-2:])
        clean = torch.zeros(tokens.shape[0], 1, device=tokens.device)
        place = Place("reference", 1, height, width, order=index)
        return Segment(tokens + self.reference_mark.to(tokens.dtype), clean, place, VIDEO)

    def _video(self, video: Tensor, sigma: Tensor | None, fps: float) -> Segment:
        if sigma is None:
            raise SoraError("video latents were given without sigma_video, their noise levels")
        tokens, (frames, height, width) = self._patchify(video)
        if sigma.ndim == 4:
            sigma = F.max_pool2d(sigma.float(), self.config.patch).flatten(1)
        return Segment(self.video_in(tokens), sigma, Place("video", frames, height, width, fps), VIDEO)

    def _audio(self, audio: Tensor, sigma: Tensor | None) -> Segment:
        if sigma is None:
            raise SoraError("audio latents were given without sigma_audio, their noise levels")
        tokens = self.audio_in(audio.squeeze(-1).transpose(1, 2))
        return Segment(tokens, sigma, Place("audio", tokens.shape[1]), AUDIO)

    def _patchify(self, latent: Tensor) -> tuple[Tensor, tuple[int, int, int]]:
        """Return tokens ``[B, T h w, C p p]`` and their grid."""
        p = self.config.patch
        frames, height, width = latent.shape[2:]
        if height % p or width % p:
            raise SoraError(f"latents of {width} x {height} cells cannot be cut into patches of {p}; use even sizes")
        grid = (frames, height // p, width // p)
        return rearrange(latent, "b c t (h p) (w q) -> b (t h w) (c p q)", p=p, q=p), grid

    def _unpatchify(self, tokens: Tensor, like: Tensor) -> Tensor:
        p = self.config.patch
        frames, height, width = like.shape[2:]
        grid = {"t": frames, "h": height // p, "w": width // p}
        return rearrange(tokens, "b (t h w) (c p q) -> b c t (h p) (w q)", p=p, q=p, **grid)

    def _table(self, parts: Sequence[Segment], device: torch.device) -> Tensor:
        """Return the rotations of this layout, float32; the last few layouts are kept."""
        key = (*(p.place for p in parts), device)
        if key not in self._rotations:
            if len(self._rotations) >= KEPT_LAYOUTS:
                self._rotations.clear()
            # A table made under inference mode could not serve a later training step.
            with torch.inference_mode(False), torch.no_grad():
                positions = layout_positions([p.place for p in parts], device)
                self._rotations[key] = rotary_table(positions, self.config.head_size, self.config.rope_base)
        return self._rotations[key]

    def _heads(
        self,
        x_BND: Tensor,
        parts: Sequence[Segment],
        levels: Sequence[Tensor],
        video: Tensor | None,
        audio: Tensor | None,
    ) -> Velocities:
        outputs = x_BND.split([p.tokens.shape[1] for p in parts], 1)[-(1 + (video is not None and audio is not None)) :]
        wanted = [p for p in parts if p.modality != TEXT][-len(outputs) :]
        velocity: dict[int, Tensor] = {}
        for tokens, part, level in zip(outputs, wanted, levels[-len(outputs) :], strict=True):
            own = self.final_table[part.modality].to(tokens.dtype)
            normed = F.rms_norm(tokens, (self.config.width,), eps=1e-6)
            shift, scale = level[:, :, 0] + own[0], level[:, :, 1] + own[1]
            head = self.video_out if part.modality == VIDEO else self.audio_out
            velocity[part.modality] = head(modulate(normed, [normed.shape[1]], [shift], [scale])).float()
        return (
            self._unpatchify(velocity[VIDEO], video) if video is not None else None,
            velocity[AUDIO].transpose(1, 2).unsqueeze(-1) if audio is not None else None,
        )
