"""Attacks by compression: a clip is written by an encoder and read back, in memory."""

# F frames, H W height and width in pixels, 3 RGB

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import SoraError

H264, H265, AV1, VP9 = "libx264", "libx265", "libsvtav1", "libvpx-vp9"

OPTIONS: dict[str, dict[str, str]] = {
    H264: {"preset": "medium"},
    H265: {"preset": "medium", "x265-params": "log-level=error:pools=none:frame-threads=1"},
    AV1: {"preset": "8", "svtav1-params": "lp=1"},
    VP9: {"deadline": "good", "cpu-used": "4", "b": "0"},
}
"""The encoders' own middle ways, on one thread: with more the bytes depend on the machine."""


def recode(frames_FHWC: Tensor, fps: float, codec: str, crf: int) -> Tensor:
    """Return the clip as it is after an encoder, 4:2:0 with 8 bits; same frames and size.

    Args:
        frames_FHWC: uint8 ``[F, H, W, 3]``; an odd side is filled up by its last line and cut again.
        fps: frames per second. codec: one of `OPTIONS`. crf: the encoder's own measure of loss.

    Raises:
        SoraError: this PyAV has no such encoder.
    """
    height, width = frames_FHWC.shape[1:3]
    odd = (height % 2, width % 2)
    if any(odd):
        planes = frames_FHWC.movedim(-1, 1).float()
        frames_FHWC = F.pad(planes, (0, odd[1], 0, odd[0]), mode="replicate").to(torch.uint8).movedim(1, -1)
    options = {**OPTIONS[codec], "crf": str(crf)}
    written = _encoded(frames_FHWC, fps, codec, options)
    read_FHWC = _decoded(written, len(frames_FHWC))
    return read_FHWC[:, :height, :width].contiguous()


def _encoded(frames_FHWC: Tensor, fps: float, codec: str, options: Mapping[str, str]) -> io.BytesIO:
    import av

    # this encoder greets on the error stream unless told before it starts
    os.environ.setdefault("SVT_LOG", "1")
    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as container:
        try:
            stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=dict(options))
        except ValueError as error:
            raise SoraError(
                f"this PyAV has no encoder {codec!r}; install one that has it, or leave the row out"
            ) from error
        stream.height, stream.width = frames_FHWC.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for frame_HW3 in frames_FHWC:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame_HW3.numpy()), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    target.seek(0)
    return target


def _decoded(source: io.BytesIO, frames: int) -> Tensor:
    import av

    with av.open(source) as container:
        container.streams.video[0].codec_context.thread_count = 1
        found = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(found) == frames, "an encoder keeps every frame"
    return torch.from_numpy(np.stack(found))


def jpeg(frames_FHWC: Tensor, quality: int) -> Tensor:
    """Return every frame after JPEG with 4:2:0 colours, baseline tables of Annex K scaled by the usual quality.

    The lossless part of the format changes nothing and is left out.
    """
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    tables = [((torch.tensor(table) * scale + 50) / 100).floor().clamp(1, 255).view(8, 8) for table in (LUMA, CHROMA)]
    return torch.cat([_jpeg_piece(piece, tables) for piece in frames_FHWC.split(8)])


def _jpeg_piece(frames_FHWC: Tensor, tables: list[Tensor]) -> Tensor:
    height, width = frames_FHWC.shape[1:3]
    rgb = F.pad(frames_FHWC.movedim(-1, 1).float(), (0, -width % 16, 0, -height % 16), mode="replicate")
    ycc = torch.einsum("ij,fjhw->fihw", torch.tensor(TO_YCC), rgb)
    luma = _blocks(ycc[:, :1] - 128, tables[0]) + 128
    chroma = F.interpolate(_blocks(F.avg_pool2d(ycc[:, 1:], 2), tables[1]), scale_factor=2, mode="bilinear")
    back = torch.einsum("ij,fjhw->fihw", torch.tensor(TO_YCC).inverse(), torch.cat([luma, chroma], 1))
    return back[:, :, :height, :width].round_().clamp_(0, 255).to(torch.uint8).movedim(1, -1)


def _blocks(planes_FCHW: Tensor, table: Tensor) -> Tensor:
    """Return planes after the quantised cosine transform of their 8 x 8 blocks."""
    frames, planes, height, width = planes_FCHW.shape
    place = torch.arange(8)
    turn = torch.cos((2 * place[None] + 1) * place[:, None] * torch.pi / 16) / 2
    turn[0] /= 2**0.5
    blocks = planes_FCHW.reshape(frames, planes, height // 8, 8, width // 8, 8).transpose(3, 4)
    kept = (turn @ blocks @ turn.T / table).round_() * table
    return (turn.T @ kept @ turn).transpose(3, 4).reshape(planes_FCHW.shape)


TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""RGB to luma and two colour differences (JFIF 1.02)."""

# fmt: off
LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)
CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *(99,) * 32,
)
# fmt: on
"""Tables K.1 and K.2 of ITU-T T.81, row by row."""
