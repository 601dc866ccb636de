"""How often a policy is wrong, on prompts in pairs of the same words and another intent."""

from __future__ import annotations

from .report import table
from .run import Figures, evaluate_moderation

__all__ = ["Figures", "evaluate_moderation", "table"]
