"""``python -m sora_core`` is the command ``sora``."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
