"""The one exception that is meant to be read by a user."""

from __future__ import annotations


class SoraError(ValueError):
    """A sentence for the user: what is wrong, the value, what is allowed, how to mend it.

    The command line prints it without a traceback and exits with code 2. Our own invariants use ``assert`` instead.
    """
