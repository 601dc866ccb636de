"""Measure the badge: can it be read, is it found, what does painting it over leave, and does it keep moving."""

# F frames, H W pixels, h w pixels of a box, C colours

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...provenance.marking.badge import Badge
from ...provenance.marking.badge_config import DEFAULT_TEXT, BadgeConfig
from ...provenance.marking.badge_lettering import check_text
from ...provenance.marking.badge_reader import BadgeReading, read_badge
from ...provenance.marking.badge_spotter import Spotter
from .codecs import H264, recode
from .footage import cartoon, natural
from .scheme import PIECE, mark_id, secret

TEXTS = (
    DEFAULT_TEXT, "AI FILM", "AI VIDEO", "AI \u00b7 STUDIO", "AI \u00b7 SORA MODES", "MADE WITH AI",
    "MADE BY A MACHINE", "GENERATED", "SYNTHETIC", "NOT A REAL PERSON", "AI \u00b7 @ANNA", "AI \u00b7 @HANNA",
    "AI \u00b7 26", "AI \u00b7 28", "RENDERED, NOT FILMED", "THIS IS AN AI CLIP", "AI \u00b7 OPEN VIDEO",
    "COMPUTER GENERATED IMAGE", "AI DRAFT 17", "AI DRAFT 11",
)  # fmt: skip
"""Some of them alike on purpose, and none within another, which would match as well."""

SMALL_SIDE, COARSE_CRF, USUAL_CRF = 360, 30, 23
LOOKS_PER_S = 4
MAP = 12
MEMORY_S = 1.5

VisibleClip = tuple[str, Tensor, float]
"""A name, frames uint8 ``[F, H, W, 3]``, and frames per second."""


@dataclass(frozen=True, kw_only=True)
class VisibleFigures:
    """What was measured of the badge; shares from 0 to 1.

    clips, looks: how many clips, and how many frames were read one by one.
    legible_looks, legible_clips: the right one of `TEXTS` matched best, after 360p and H.264 at CRF 30.
    found: the reader says present, at CRF 30. false_alarms: it finds a badge or a texture in a clip without.
    weakest_badge, strongest_null, threshold: the reader's scores. weakest_texture, strongest_texture_null: the same.
    median_*: the badge was replaced by what the same pixels show at other times, diffusion_*: by its surroundings;
    letters: share of the seconds in which letters are still found; noticed: of the clips that are said to lack it.
    middle_noticed: of the clips whose badge is painted over from a third to two thirds of its length.
    coverage_entropy: how evenly all clips together are covered, 1 is evenly. longest_s: on any one pixel.
    texture_psnr_db: of the texture alone. paint_fps: by the clock on one thread, at the first clip's size.
    """

    clips: int
    looks: int
    legible_looks: float
    legible_clips: float
    found: float
    false_alarms: float
    weakest_badge: float
    strongest_null: float
    threshold: float
    weakest_texture: float
    strongest_texture_null: float
    median_letters: float
    median_noticed: float
    diffusion_letters: float
    diffusion_noticed: float
    middle_noticed: float
    coverage_entropy: float
    longest_s: float
    texture_psnr_db: float
    paint_fps: float

    def figures(self) -> dict[str, float]:
        """Return them by name, for a report."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class _One:
    """The same of one clip. covered: float64 ``[MAP, MAP]``, how often each part was covered."""

    looks: int
    right: int
    found: bool
    alarm: bool
    badge: float
    null: float
    texture: float
    texture_null: float
    median_letters: float
    median_noticed: bool
    diffusion_letters: float
    diffusion_noticed: bool
    middle_noticed: bool
    longest_s: float
    texture_psnr_db: float
    paint_fps: float
    covered: np.ndarray


def usual_clips() -> list[VisibleClip]:
    """Return a clip of six natural scenes and two cartoons, three seconds each."""
    made = [*(natural(seed, frames=72) for seed in range(6)), *(cartoon(seed, frames=37) for seed in range(2))]
    return [(clip.name, clip.frames_FHWC, clip.fps) for clip in made]


def measure_visible(clips: Sequence[VisibleClip] | None = None, *, config: BadgeConfig | None = None) -> VisibleFigures:
    """Paint a badge into every clip, each with another text, and measure it.

    Args:
        clips: of a short side of 240 pixels or more, or None for `usual_clips`.
        config: the badge's.
    """
    clips = usual_clips() if clips is None else clips
    assert clips, "there is something to measure"
    config = config or BadgeConfig()
    ones = [_measure(clip, TEXTS[number % len(TEXTS)], config) for number, clip in enumerate(clips)]
    covered = sum(one.covered for one in ones)
    shares = (covered / np.sum(covered)).ravel()
    shares = shares[shares > 0]

    def mean(name: str) -> float:
        return float(np.mean([getattr(one, name) for one in ones]))

    looks = sum(one.looks for one in ones)
    named = {name: mean(name) for name in (it.name for it in fields(VisibleFigures)) if hasattr(ones[0], name)}
    return VisibleFigures(**{
        **named,
        "clips": len(ones),
        "looks": looks,
        "legible_looks": sum(one.right for one in ones) / looks,
        "legible_clips": float(np.mean([one.right > one.looks / 2 for one in ones])),
        "false_alarms": mean("alarm"),
        "weakest_badge": min(one.badge for one in ones),
        "strongest_null": max(one.null for one in ones),
        "threshold": read_badge([], fps=1, secret=secret("badge"), mark_id=None, text=DEFAULT_TEXT).threshold,
        "weakest_texture": min(one.texture for one in ones),
        "strongest_texture_null": max(one.texture_null for one in ones),
        "coverage_entropy": float(-(shares * np.log(shares)).sum() / math.log(MAP * MAP)),
        "longest_s": max(one.longest_s for one in ones),
        "paint_fps": ones[0].paint_fps,
    })  # fmt: skip


def _measure(clip: VisibleClip, text: str, config: BadgeConfig) -> _One:
    name, frames_FHWC, fps = clip
    marked_FHWC, boxes, paint_fps = _painted(clip, text, config)

    def read(film_FHWC: Tensor) -> BadgeReading:
        pieces = film_FHWC.split(PIECE)
        return read_badge(pieces, fps=fps, secret=secret("badge"), mark_id=mark_id(name), text=text, config=config)

    small_FHWC = recode(_at_360p(marked_FHWC), fps, H264, COARSE_CRF)
    right, looks = _legible(small_FHWC, text, fps, config)
    found, clean = read(recode(marked_FHWC, fps, H264, COARSE_CRF)), read(frames_FHWC)
    median = read(recode(by_median(marked_FHWC, boxes, fps), fps, H264, USUAL_CRF))
    diffused_FHWC = by_diffusion(marked_FHWC, boxes)
    diffusion = read(recode(diffused_FHWC, fps, H264, USUAL_CRF))
    third = len(frames_FHWC) // 3
    mixed_FHWC = torch.cat([marked_FHWC[:third], diffused_FHWC[third : 2 * third], marked_FHWC[2 * third :]])
    middle = read(recode(mixed_FHWC, fps, H264, USUAL_CRF))
    return _One(
        looks=looks,
        right=right,
        found=found.state == "present",
        alarm=clean.state != "absent",
        badge=min(second.score for second in found.seconds),
        null=clean.score,
        texture=min(trace.score for trace in found.traces),
        texture_null=max(trace.score for trace in clean.traces),
        median_letters=float(np.mean([second.present for second in median.seconds])),
        median_noticed=median.state == "partial",
        diffusion_letters=float(np.mean([second.present for second in diffusion.seconds])),
        diffusion_noticed=diffusion.state == "partial",
        middle_noticed=middle.state == "partial",
        longest_s=longest_stay(boxes, frames_FHWC.shape[1], frames_FHWC.shape[2]) / fps,
        texture_psnr_db=_texture_psnr(frames_FHWC, marked_FHWC, boxes),
        paint_fps=paint_fps,
        covered=_covered(boxes, frames_FHWC.shape[1], frames_FHWC.shape[2]),
    )


Boxes = Sequence[tuple[int, int, int, int]]
"""Per frame: top, left, bottom, right."""


def _painted(clip: VisibleClip, text: str, config: BadgeConfig) -> tuple[Tensor, Boxes, float]:
    name, frames_FHWC, fps = clip
    height, width = frames_FHWC.shape[1:3]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        badge = Badge(
            secret=secret("badge"), mark_id=mark_id(name), text=text, width=width, height=height, fps=fps, config=config
        )
        began = time.perf_counter()
        done = [badge.paint(piece) for piece in frames_FHWC.split(PIECE)] + [badge.finish()]
        spent_s = time.perf_counter() - began
    finally:
        torch.set_num_threads(threads)
    return torch.cat(done), badge.boxes, len(frames_FHWC) / spent_s


def _legible(frames_FHWC: Tensor, text: str, fps: float, config: BadgeConfig) -> tuple[int, int]:
    """Return in how many frames the right text matches best, and how many were looked at."""
    height, width = frames_FHWC.shape[1:3]
    texts = [check_text(each, logo=False) for each in TEXTS]
    spotter = Spotter(texts, None, width=width, height=height, letter_height=config.letter_height)
    picked = frames_FHWC[:: max(round(fps / LOOKS_PER_S), 1)]
    wanted = texts.index(check_text(text, logo=False))
    return sum(int(spotter.peaks(spotter.reduce(frame)).argmax()) == wanted for frame in picked), len(picked)


def by_median(frames_FHWC: Tensor, boxes: Boxes, fps: float) -> Tensor:
    """Return the film with the badge's box filled by the median of what its pixels show when they are not covered.

    Up to 1.5 seconds each way are used; a pixel that is never free keeps the badge.
    """
    result_FHWC = frames_FHWC.clone()
    reach = round(MEMORY_S * fps)
    for number, (top, left, bottom, right) in enumerate(boxes):
        others = range(max(number - reach, 0), min(number + reach + 1, len(boxes)), max(reach // 12, 1))
        stack_FhwC = frames_FHWC[list(others), top:bottom, left:right].float()
        for place, other in enumerate(others):
            up, west, down, east = boxes[other]
            rows = slice(max(up - top, 0), max(down - top, 0))
            stack_FhwC[place, rows, max(west - left, 0) : max(east - left, 0)] = math.nan
        middle_hwC = stack_FhwC.nanmedian(dim=0).values
        room_hwC = result_FHWC[number, top:bottom, left:right]
        room_hwC.copy_(torch.where(middle_hwC.isnan(), room_hwC.float(), middle_hwC))
    return result_FHWC


def by_diffusion(frames_FHWC: Tensor, boxes: Boxes, rounds: int = 80) -> Tensor:
    """Return the film with the badge's box filled smoothly from its edge, as heat spreads."""
    result_FHWC = frames_FHWC.clone()
    for frame_HWC, (top, left, bottom, right) in zip(result_FHWC, boxes, strict=True):
        up, west = max(top - 1, 0), max(left - 1, 0)
        room_hwC = frame_HWC[up : bottom + 1, west : right + 1]
        rows = torch.linspace(0, 1, len(room_hwC))[:, None, None]
        filled_hwC = room_hwC[:1].float() * (1 - rows) + room_hwC[-1:].float() * rows
        inside = (slice(top - up, bottom - up), slice(left - west, right - west))
        known_hwC = room_hwC.float()
        known_hwC[inside] = filled_hwC[inside]
        picture = known_hwC.permute(2, 0, 1)[None]
        edge = picture.clone()
        for _ in range(rounds):
            spread = F.avg_pool2d(F.pad(picture, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
            picture = edge.clone()
            picture[:, :, inside[0], inside[1]] = spread[:, :, inside[0], inside[1]]
        room_hwC.copy_(picture[0].permute(1, 2, 0).round())
    return result_FHWC


def longest_stay(boxes: Boxes, height: int, width: int) -> int:
    """Return for how many frames in a row any one pixel was covered."""
    run_HW, longest = np.zeros((height, width), np.int32), 0
    for top, left, bottom, right in boxes:
        before_hw = run_HW[top:bottom, left:right].copy()
        run_HW[:] = 0
        run_HW[top:bottom, left:right] = before_hw + 1
        longest = max(longest, int(before_hw.max()) + 1)
    return longest


def _covered(boxes: Boxes, height: int, width: int) -> np.ndarray:
    """Return how much of each of `MAP` by `MAP` parts of the frame was covered, over all frames."""
    count_HW = np.zeros((height, width))
    for top, left, bottom, right in boxes:
        count_HW[top:bottom, left:right] += 1
    return F.adaptive_avg_pool2d(torch.from_numpy(count_HW)[None], (MAP, MAP))[0].numpy()


def _texture_psnr(frames_FHWC: Tensor, marked_FHWC: Tensor, boxes: Boxes) -> float:
    """Return the PSNR of what lies outside the badge, in dB; infinite where nothing was changed."""
    squares, count = 0.0, 0
    for clean_HWC, marked_HWC, (top, left, bottom, right) in zip(frames_FHWC, marked_FHWC, boxes, strict=True):
        square_HWC = (clean_HWC.float() - marked_HWC.float()) ** 2
        square_HWC[top:bottom, left:right] = 0
        squares += float(square_HWC.sum())
        count += square_HWC.numel() - (bottom - top) * (right - left) * 3
    return 10 * math.log10(255**2 * count / squares) if squares else math.inf


def _at_360p(frames_FHWC: Tensor) -> Tensor:
    """Return the film with a short side of 360 pixels, if it is larger; even sides."""
    height, width = frames_FHWC.shape[1:3]
    factor = min(SMALL_SIDE / min(height, width), 1.0)
    size = [round(side * factor / 2) * 2 for side in (height, width)]
    small = [
        F.interpolate(piece.permute(0, 3, 1, 2).float(), size=size, mode="bilinear", antialias=True)
        for piece in frames_FHWC.split(PIECE)
    ]
    return torch.cat(small).clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
