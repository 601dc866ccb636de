"""Cameos by the names that prompts call them: ``@name``."""

from __future__ import annotations

import re

from ..provenance.home import Home

HANDLE = re.compile(r"@([a-z0-9_]{2,30})(?![a-z0-9_])")


def granted_in(prompt: str, home: Home) -> frozenset[str]:
    """Return those of the handles in a prompt that the ledger lends now; nothing is logged or counted.

    Raises:
        SoraError: the ledger cannot be opened.
    """
    named = set(HANDLE.findall(prompt.lower()))
    if not named:
        return frozenset()
    from .ledger import Ledger
    from .use import Ask

    ledger = Ledger(home)
    return frozenset(name for name in named if ledger.may_use([Ask(cameo=name)]) is None)
