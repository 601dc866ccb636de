"""Names that our manifests use: those of C2PA and CAWG, and our own under a reversed domain of the project."""

from __future__ import annotations

ACTIONS = "c2pa.actions.v2"
SOFT_BINDING = "c2pa.soft-binding"
AI_DISCLOSURE = "c2pa.ai-disclosure"
"""New in C2PA 2.4; programs that know 2.2 alone pass it through."""
TRAINING = "cawg.training-mining"
"""Left C2PA in 2.0 for the Creator Assertions Working Group."""

GENERATION = "org.soranodes.generation"
"""What made the clip: see `Generation`."""
LAYERS = "org.soranodes.layers"
"""``{"present": [...], "off": [...]}``: which marks are in the clip, and which somebody turned off by an own choice."""
CONTAINER = "org.soranodes.container"
"""``{"outer_sha256": hex}``: what lies in MP4 and MOV outside the signature's reach, see `outer_sha256`."""

VIDEO_MARK, SOUND_MARK = "org.soranodes.video-mark.1", "org.soranodes.sound-mark.1"
"""Soft-binding algorithms: 64 bits in the picture, and the upper 32 of them in the sound; the values are hex.

They are not in the public list of algorithms; a strict conformance check may refuse them.
"""

CREATED, OPENED, PLACED, WATERMARKED = "c2pa.created", "c2pa.opened", "c2pa.placed", "c2pa.watermarked"
EDITED, TRANSCODED = "c2pa.edited", "c2pa.transcoded"

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
EDITED_BY_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""Where the pixels come from, in the words of IPTC."""

PARENT, COMPONENT, INPUT = "parentOf", "componentOf", "inputTo"
"""What the clip was before, what was put into it, and what a model looked at."""

PRODUCT = "Sora Nodes"

CREATED_LABELS = (
    "c2pa.actions",
    "c2pa.ingredient",
    SOFT_BINDING,
    AI_DISCLOSURE,
    TRAINING,
    GENERATION,
    LAYERS,
    CONTAINER,
)
"""What we say ourselves, as against what we were told.

Trap: with the version in the label, ``c2pa.actions.v2``, the library files the actions under what we were told.
"""
