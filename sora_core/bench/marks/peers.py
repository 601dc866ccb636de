"""What other marks are published to reach, to stand beside our figures."""

from __future__ import annotations

SOURCE = (
    "VideoSeal 0.0, 96 bits, full videos of SA-V, as Omni Seal Bench publishes it: other clips and another payload, "
    "so not a head-to-head"
)

PEERS: dict[str, dict[str, object]] = {
    "rotate_10": {"bits": 0.938},
    "rotate_90": {"bits": 0.511},
    "resize_5": {"bits": 0.989, "at": "resize .55"},
    "resize_71": {"bits": 0.989},
    "crop_71": {"bits": 0.952},
    "crop_55": {"bits": 0.718},
    "brightness_5": {"bits": 0.988},
    "brightness_1_5": {"bits": 0.978},
    "contrast_5": {"bits": 0.988},
    "contrast_1_5": {"bits": 0.983},
    "saturation_1_5": {"bits": 0.989},
}
"""Bit accuracy by the key of our attack; ``at``: where theirs differs a little from ours."""
