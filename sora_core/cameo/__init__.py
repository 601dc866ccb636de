"""Likenesses that their owners lend: keys, grants, revocations and a log of every use."""
