"""What the empty latent's node says of a clip: nothing more where the shipped model knows such clips."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.comfy


@pytest.mark.parametrize(
    ("clip", "worse"),
    [
        ((64, 64, 2, 12), ""),
        ((64, 64, 1.5, 12), ""),
        ((96, 96, 4, 12), "96x96, 4.1 s"),
        ((64, 64, 4, 12), "4.1 s"),
        ((128, 128, 2, 12), "128x128"),
        ((64, 64, 2, 24), "24 fps"),
        ((96, 48, 8, 12), "96x48, 8.1 s"),
    ],
)
def test_a_clip_unlike_trained_ones_is_told_with_its_cost(host, clip, worse):
    width, height, seconds, fps = clip
    describe = host.pack("nodes.adapters.empty").describe
    said = describe(width=width, height=height, seconds=seconds, fps=fps, batch=1)
    assert (f"will draw {worse} worse" in said) if worse else ("worse" not in said), said
    if worse:
        assert "trained on 64x64, 2.1 s at 12 fps" in said
        assert "times the work" in said
