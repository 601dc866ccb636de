"""What people read: what a signature proves, what it does not, and why a use was refused."""

from __future__ import annotations

from .card import Card, Identity

PROVEN = "proven: the holder of key {owner} signed grant {grant} for media with hash {media} before log head {head}"
"""Fill with `proven`."""

NOT_PROVEN = "not proven: that this key belongs to the person shown, or that a changed program obeyed the grant"

CHALLENGE_NOTE = (
    "not proven: that a living person was filmed; a program checked length, sound, motion and that there is no cut, "
    "and a person said that the digits and turns are right"
)

LEVELS = {
    "only_me": "only the key that owns the cameo, on its owner's machine",
    "approved": "the one key that the grant names",
    "mutuals": "the one key that the grant names, as long as it has lent a cameo of its own to the owner in turn",
    "everyone": "whoever has the grant and the owner's fresh revocation list",
}

REASONS = {
    "unknown": "no cameo {name} is known here; enrol it, or import what its owner sent",
    "ambiguous": "several owners lent a cameo {name}; name it by its id, as `sora cameo list` shows it",
    "not_lent": "the cameo {name} was not lent to this key; ask its owner for a grant",
    "revoked": "the owner of the cameo {name} took it back; use another",
    "list_missing": "no revocation list of the owner of the cameo {name} is here; import the owner's newest",
    "stale": "the revocation list of the owner of the cameo {name} is stale since {detail}; import the owner's newest",
    "not_yet": "the grant for the cameo {name} begins at {detail}; wait until then",
    "expired": "the grant for the cameo {name} ended at {detail}; ask its owner for another",
    "used_up": "the grant for the cameo {name} allowed {detail} uses, and all are used; ask its owner for another",
    "scope": "the grant for the cameo {name} does not cover its {detail}; leave that out or ask its owner",
    "denied": "the owner of the cameo {name} does not want to be shown with {detail}; change the prompt",
    "policy": "the grant for the cameo {name} asks for another moderation policy than the one in force; load that one",
    "mutual": "the cameo {name} is lent to mutuals, and this key lent none of its own to the owner; grant one first",
    "clock": "the clock went back by {detail} since the ledger was last used; set it right",
    "gone": "the likeness of the cameo {name} is not here, or was destroyed; ask its owner for it",
}
"""Sentences by reason; the log holds the reason alone."""


def proven(owner: str, grant: str, media: str, head: str) -> tuple[str, str]:
    """Return the two sentences that belong beside a consented clip.

    Args:
        owner: the ``did:key`` that signed the grant.
        grant: its hash.
        media: SHA-256 of the clip.
        head: root of the log's head, hex.
    """
    return PROVEN.format(owner=owner, grant=grant, media=media, head=head), NOT_PROVEN


def standing(card: Card, identity: Identity) -> str:
    """Return what is known of who is behind a cameo, never more than that."""
    backed = {
        "self-declared": "its owner says so, and nobody else does",
        "witnessed": "a second key vouches for it; nothing says whose that key is",
        "external credential": "another key says that it checked papers; believe it if you know that key",
    }[identity]
    shown = "a person" if card.subject == "person" else "a character that is no real person"
    return f"{card.name}: {shown}, {identity} ({backed})"
