"""What is found when a manifest is read: every string in it is harmless, none of it is believed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .generation import Generation
from .story import MarkClaim

ManifestState = Literal["trusted", "intact", "broken", "absent", "unreadable"]
"""trusted: unchanged, and signed by somebody whom the reader trusts. intact: unchanged, the signer is unknown.
broken: there is a manifest and it does not fit the file, or not itself. absent: there is none.
unreadable: nothing can be said, for the file or its manifest is damaged, too large or of an unknown kind."""


@dataclass(frozen=True, kw_only=True)
class ActionReading:
    """An action that is claimed. name: such as "c2pa.created". source: where pixels come from, the last word of IPTC's
    address, such as "trainedAlgorithmicMedia"; "" without. when: as claimed."""

    name: str
    source: str = ""
    agent: str = ""
    description: str = ""
    when: str = ""


@dataclass(frozen=True, kw_only=True)
class SignerReading:
    """Whose certificate it is. Names are as the certificate says, and anybody can make one that says so."""

    common_name: str = ""
    organisation: str = ""
    serial: str = ""
    algorithm: str = ""


@dataclass(frozen=True, kw_only=True)
class IngredientReading:
    """A file that the clip was made from, as it was when its user signed.

    state: never better than what the manifest that names it allows. codes: C2PA's, of what failed.
    """

    title: str
    relationship: str
    state: ManifestState
    signer: SignerReading = SignerReading()
    actions: tuple[ActionReading, ...] = ()
    marks: tuple[MarkClaim, ...] = ()
    reasons: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    ingredients: tuple[IngredientReading, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ManifestReading:
    """A file's manifest.

    place: "file", "sidecar", or "" where there is none. label: the manifest's own name. generator: the program.
    marks: soft bindings of ours; others: names of the bindings of other programs.
    layers_on, layers_off: marks that are claimed to be there, and those that were turned off by choice.
    reasons: sentences. codes: C2PA's, of what failed.
    """

    state: ManifestState
    place: str = ""
    label: str = ""
    title: str = ""
    generator: str = ""
    signer: SignerReading = SignerReading()
    actions: tuple[ActionReading, ...] = ()
    ingredients: tuple[IngredientReading, ...] = ()
    marks: tuple[MarkClaim, ...] = ()
    others: tuple[str, ...] = ()
    layers_on: tuple[str, ...] = ()
    layers_off: tuple[str, ...] = ()
    disclosure: str = ""
    training: str = ""
    generation: Generation | None = None
    reasons: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()

    @property
    def video_id(self) -> int | None:
        """The 64-bit id that the picture should carry; None where none is claimed."""
        return next((mark.mark_id for mark in self.marks if mark.layer == "invisible"), None)

    @property
    def sound_id(self) -> int | None:
        """The 32-bit id that the sound should carry; None where none is claimed."""
        return next((mark.mark_id for mark in self.marks if mark.layer == "audio"), None)

    @property
    def older_ids(self) -> frozenset[int]:
        """The 64-bit ids of the pictures that it was made from, however deep: what is extended keeps their marks."""
        marks = (mark for one in walk(self.ingredients) for mark in one.marks)
        return frozenset(mark.mark_id for mark in marks if mark.layer == "invisible")

    @property
    def broken_ingredients(self) -> tuple[IngredientReading, ...]:
        """Those that were changed after they had been signed, however deep: the file's own state does not tell."""
        return tuple(one for one in walk(self.ingredients) if one.state in ("broken", "unreadable"))


def walk(ingredients: tuple[IngredientReading, ...]) -> Iterator[IngredientReading]:
    """Yield every ingredient of a tree, those above first."""
    for one in ingredients:
        yield one
        yield from walk(one.ingredients)
