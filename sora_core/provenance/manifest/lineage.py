"""The files that a clip was made from, as far back as manifests tell.

Trap: a file stays "trusted" when one that it was made from had been changed; that shows in the tree alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .codes import failures, sentences, state_of, successes
from .plain import plain
from .reading import IngredientReading, ManifestState
from .statements import actions_of, mapping, marks_of, sequence, signer_of

MOST_DEPTH = 32
MOST_INGREDIENTS = 500
"""In all of a tree: manifests can name one another in ways that grow without end."""

CUT = "the history goes on; no more of it is read"
NO_RECORD = "the one who signed left no record of having checked it"
HOLDER_UNKNOWN = "it was checked by a signer who is not known here"


class _Tree:
    """A walk through the manifests of one file."""

    def __init__(self, manifests: Mapping[str, Any], deltas: dict[str, list[str]]) -> None:
        self.manifests, self.deltas = manifests, deltas
        self.left = MOST_INGREDIENTS

    def below(self, label: str, holder: ManifestState, path: tuple[str, ...]) -> tuple[IngredientReading, ...]:
        """Return what a manifest was made from. path: the manifests above it, for those that name one another."""
        found: list[IngredientReading] = []
        manifest = mapping(self.manifests.get(label))
        for one in sequence(manifest.get("ingredients"), MOST_INGREDIENTS):
            if self.left <= 0:
                break
            self.left -= 1
            found.append(self._one(mapping(one), label, holder, path))
        return tuple(found)

    def _one(
        self, entry: Mapping[str, Any], holder_label: str, holder: ManifestState, path: tuple[str, ...]
    ) -> IngredientReading:
        title, relationship = plain(entry.get("title")), plain(entry.get("relationship"), 40)
        label = entry.get("active_manifest")
        if not isinstance(label, str):
            old = [plain(mapping(one).get("code"), 100) for one in sequence(entry.get("validation_status"), 20)]
            state: ManifestState = "unreadable" if old else "absent"
            return IngredientReading(
                title=title, relationship=relationship, state=state, codes=tuple(old), reasons=sentences(old)
            )
        state, reasons, codes = self._judged(entry, holder_label, holder)
        manifest = mapping(self.manifests.get(label))
        cut = len(path) >= MOST_DEPTH or label in path or self.left <= 0
        if not manifest:
            state, reasons = "unreadable", (*reasons, "its manifest is not in the file")
        return IngredientReading(
            title=title,
            relationship=relationship,
            state=state,
            signer=signer_of(manifest),
            actions=actions_of(manifest),
            marks=marks_of(manifest)[0],
            reasons=(*reasons, CUT) if cut and manifest.get("ingredients") else reasons,
            codes=codes,
            ingredients=() if cut else self.below(label, state, (*path, label)),
        )

    def _judged(
        self, entry: Mapping[str, Any], holder_label: str, holder: ManifestState
    ) -> tuple[ManifestState, tuple[str, ...], tuple[str, ...]]:
        results = mapping(mapping(entry.get("validation_results")).get("activeManifest"))
        old = [plain(mapping(one).get("code"), 100) for one in sequence(entry.get("validation_status"), 50)]
        # what was found when it was added, and what is found now that other signers may be trusted
        later = self.deltas.get(_uri(holder_label, entry.get("label")), [])
        failed = list(dict.fromkeys([*failures(results), *old, *later]))
        held = successes(results)
        if not failed and not held:
            return "unreadable", (NO_RECORD,), ()
        state, reasons = state_of(failed, held), sentences(failed)
        if state == "trusted" and holder != "trusted":
            # the record of the check is no better than the one who wrote it
            return "intact", (*reasons, HOLDER_UNKNOWN), tuple(failed)
        return state, reasons, tuple(failed)


def ingredients_of(data: Mapping[str, Any], active: str, state: ManifestState) -> tuple[IngredientReading, ...]:
    """Return the tree of a file's ingredients from the library's report.

    Args:
        data: the report. active: label of the file's own manifest. state: of that one.
    """
    manifests = mapping(data.get("manifests"))
    deltas: dict[str, list[str]] = {}
    _collect(data.get("validation_results"), deltas)
    for manifest in list(manifests.values())[:MOST_INGREDIENTS]:
        for one in sequence(mapping(manifest).get("ingredients"), MOST_INGREDIENTS):
            _collect(mapping(one).get("validation_results"), deltas)
    return _Tree(manifests, deltas).below(active, state, (active,))


def _collect(results: object, deltas: dict[str, list[str]]) -> None:
    for one in sequence(mapping(results).get("ingredientDeltas"), MOST_INGREDIENTS):
        delta = mapping(one)
        uri = delta.get("ingredientAssertionURI")
        if isinstance(uri, str):
            deltas.setdefault(uri, []).extend(failures(delta.get("validationDeltas")))


def _uri(manifest: str, assertion: object) -> str:
    return f"self#jumbf=/c2pa/{manifest}/c2pa.assertions/{assertion}"
