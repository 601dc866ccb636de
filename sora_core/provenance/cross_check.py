"""The layers of a file held against one another: what each says of the others, and which of it cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from .marking.mark_id import short_id
from .marking.reading import SecondReading, State

if TYPE_CHECKING:
    from .fingerprint.index import Entry
    from .fingerprint.match import Match
    from .manifest.reading import ManifestReading

HOLDING = ("trusted", "intact")
BROKEN_MANIFEST = ("broken", "unreadable")

POINTER = "a mark is a pointer and no proof: whoever has a marked clip can copy its mark onto another"

HOW = {
    "same": "its mark and its looks are those of",
    "alike": "its mark is that of, and it looks as if it were cut out of or changed from,",
    "unclear": "its mark is that of, and nothing says whether it looks like,",
    "bent": "it is cropped, rotated or stretched, so that nothing says whether it looks like what its mark is of,",
}
"""Words by what the comparison of looks gave; "different" is a copied mark."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """One mark.

    state: of it. mark_id: what it says, None where it says nothing sure. seconds: stretch by stretch.
    bent: whether it lies cropped, rotated or stretched, so that looks as a whole cannot be compared.
    older: whether the id is that of a clip which this one was made from, as its own manifest says: see `of_its_own`.
    """

    state: State = "absent"
    mark_id: int | None = None
    seconds: Sequence[SecondReading] = ()
    bent: bool = False
    older: bool = False

    @property
    def missing(self) -> list[SecondReading]:
        """Stretches that lack it while others have it."""
        return [one for one in self.seconds if not one.present] if self.state == "partial" else []


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that was read of one file.

    manifest: None where it cannot be read here. picture, sound, badge: the marks; a sound's id has 32 bits.
    has_sound: whether there is any. entry: what the index knows under the id, or by what the clip looks like.
    by_looks: whether it was found by looks alone. picture_match, sound_match: of this file with that entry.
    """

    manifest: ManifestReading | None
    picture: Found
    sound: Found
    badge: Found
    has_sound: bool = False
    entry: Entry | None = None
    by_looks: bool = False
    picture_match: Match | None = None
    sound_match: Match | None = None


@dataclass(frozen=True)
class Judgement:
    """What follows. broken: sentences on what does not hold. notes: sentences on what does, and on what is unknown."""

    broken: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def of_its_own(found: Found, manifest: ManifestReading | None) -> Found:
    """Return a mark with a clip's own two marks told apart.

    What extends a marked clip keeps its frames and its sound, which then carry both marks, and the reader tells the
    clearer one: no hole where it ends. A stranger's word is not enough for that: whoever copies a mark could name its
    clip as what theirs was made from.
    """
    if manifest is None or manifest.state != "trusted":
        return found
    older = {*manifest.older_ids, *map(short_id, manifest.older_ids)}
    if found.mark_id in (None, manifest.video_id, manifest.sound_id) or found.mark_id not in older:
        return found
    return replace(found, state="present", seconds=(), older=True)


def judge(evidence: Evidence) -> Judgement:
    """Return what the layers of a file say of one another."""
    judged = Judgement()
    _manifest(evidence, judged)
    _picture(evidence, judged)
    _sound(evidence, judged)
    _badge(evidence, judged)
    _index(evidence, judged)
    if evidence.picture.state != "absent" or evidence.sound.state != "absent":
        judged.notes.append(POINTER)
    return judged


def _manifest(evidence: Evidence, judged: Judgement) -> None:
    manifest = evidence.manifest
    if manifest is None:
        judged.notes.append(
            'the manifest cannot be checked without the extra; pip install "sora-nodes[provenance]" brings it'
        )
        return
    if manifest.state in BROKEN_MANIFEST:
        judged.broken.append(f"the manifest is {manifest.state}: {'; '.join(manifest.reasons) or 'it does not hold'}")
    elif manifest.state == "intact":
        name = manifest.signer.common_name or "an unnamed signer"
        judged.notes.append(f'unchanged since "{name}" signed it, who is not known here: anybody can use any name')
    elif manifest.state == "trusted":
        judged.notes.append(f'unchanged since "{manifest.signer.common_name}" signed it')
    else:
        judged.notes.append("there is no manifest: it was never signed, or whatever saved it last left it out")
    for one in manifest.broken_ingredients:
        judged.broken.append(
            f'"{one.title}", which it was made from, is {one.state}: {"; ".join(one.reasons) or "it was changed"}'
        )
    if manifest.layers_off:
        judged.notes.append(f"turned off by choice when it was saved: {', '.join(manifest.layers_off)}")


def _picture(evidence: Evidence, judged: Judgement) -> None:
    found, manifest = evidence.picture, evidence.manifest
    for one in found.missing:
        judged.broken.append(f"the picture lacks its mark from {one.start_s:.1f} to {one.stop_s:.1f} s")
    own = manifest is not None and manifest.state == "trusted"
    claimed = manifest.video_id if manifest is not None and manifest.state in HOLDING else None
    if claimed is None:
        return
    if found.state == "absent" and own:
        judged.broken.append("the manifest names a mark in the picture, and there is none")
    elif found.older:
        judged.notes.append(f"the picture shows the mark of a clip that it was made from, {found.mark_id:016x}")
    elif found.mark_id is not None and found.mark_id != claimed:
        judged.broken.append(f"the picture carries the id {found.mark_id:016x} and its manifest names {claimed:016x}")
    elif found.state == "absent":
        judged.notes.append("the manifest names a mark in the picture that only its owner's key can read")


def _sound(evidence: Evidence, judged: Judgement) -> None:
    found, manifest, entry = evidence.sound, evidence.manifest, evidence.entry
    for one in found.missing:
        judged.broken.append(f"the sound lacks its mark from {one.start_s:.1f} to {one.stop_s:.1f} s")
    picture_id = evidence.picture.mark_id
    of_one = evidence.picture.older == found.older
    if of_one and found.mark_id is not None and picture_id is not None and short_id(picture_id) != found.mark_id:
        judged.broken.append(
            f"the sound carries the id {found.mark_id:08x} of another clip than the picture, {picture_id:016x}"
        )
    claimed = manifest.sound_id if manifest is not None and manifest.state == "trusted" else None
    if found.older:
        judged.notes.append(f"the sound holds the mark of a clip that it was made from, {found.mark_id:08x}")
    elif claimed is not None and found.mark_id is not None and found.mark_id != claimed:
        judged.broken.append(f"the sound carries the id {found.mark_id:08x} and its manifest names {claimed:08x}")
    if found.state != "absent" or entry is None or not entry.layers.get("audio"):
        return
    if not evidence.has_sound:
        judged.notes.append("the clip was saved with a sound, which was taken away")
    elif evidence.sound_match is not None and evidence.sound_match.verdict == "different":
        judged.broken.append("the sound is not the one that the clip was saved with")
    else:
        judged.notes.append("the sound was saved with a mark that can no longer be read")


def _badge(evidence: Evidence, judged: Judgement) -> None:
    found, manifest, entry = evidence.badge, evidence.manifest, evidence.entry
    for one in found.missing:
        judged.broken.append(f"the badge is gone from {one.start_s:.1f} to {one.stop_s:.1f} s")
    told = manifest is not None and manifest.state == "trusted" and "visible" in manifest.layers_on
    known = entry is not None and bool(entry.layers.get("visible")) and not _other(evidence)
    if found.state != "absent" or not (told or known):
        return
    if evidence.picture.bent:
        judged.notes.append("the clip was saved with a badge, which is not looked for in a cropped or stretched one")
    else:
        judged.broken.append("the clip was saved with a badge, and it is gone")


def _index(evidence: Evidence, judged: Judgement) -> None:
    entry, found = evidence.entry, evidence.picture
    if entry is None:
        if found.mark_id is not None:
            judged.notes.append(
                f"the id {found.mark_id:016x} is not in this machine's index: nothing says which clip it was for"
            )
        return
    day = datetime.fromtimestamp(entry.created_s, timezone.utc).strftime("%Y-%m-%d")
    if _other(evidence):
        judged.broken.append(
            f'the mark is that of "{entry.title}", saved on {day}, which shows something else: it was copied'
        )
        return
    looks = "unclear" if evidence.picture_match is None else evidence.picture_match.verdict
    looks = "bent" if found.bent and looks != "same" else looks
    how = "it looks like" if evidence.by_looks else HOW[looks]
    judged.notes.append(f'{how} "{entry.title}", saved here on {day}')
    absent = evidence.manifest is not None and evidence.manifest.state == "absent"
    if absent and entry.layers.get("manifest"):
        judged.notes.append("that was saved with a manifest, which is gone; a site that encodes clips anew does that")
    if evidence.by_looks and entry.layers.get("invisible") and found.state == "absent":
        judged.notes.append("that was saved with a mark in the picture, which can no longer be read")


def _other(evidence: Evidence) -> bool:
    """Say whether the picture is surely another than the one that the id was given to."""
    match = evidence.picture_match
    comparable = not evidence.by_looks and not evidence.picture.bent
    return comparable and match is not None and match.verdict == "different"
