"""Cameos between ComfyUI's sockets and the ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...sora_core.atomic import replacing
from ...sora_core.cameo.card import Card
from ...sora_core.cameo.ledger import Ledger
from ...sora_core.cameo.likeness import Likeness, make_likeness
from ...sora_core.cameo.use import Ask, Use
from ...sora_core.cameo.words import LEVELS, NOT_PROVEN, standing
from ...sora_core.errors import SoraError
from ...sora_core.provenance.home import Home
from ..host import output_place
from .films import film_of

SCOPES = {"face": ("face",), "voice": ("voice",), "face and voice": ("face", "voice")}


class CameoInUse:
    """What goes over the wire from Sora Cameo Use to Sora Save Video: a use that was allowed, and where it is kept.

    Each file is a use of its own: for a second one, as of variations, the owner's leave is asked again.
    """

    def __init__(self, ledger: Ledger, begin: Callable[[], Use]) -> None:
        """Begin the first use; a refusal is logged, and raised as a sentence."""
        self.ledger, self._begin = ledger, begin
        self.use, self.ended = begin(), False

    def live(self) -> Use:
        """Return a use that has no end yet."""
        if self.ended:
            self.use, self.ended = self._begin(), False
        return self.use


def open_ledger() -> Ledger:
    """Return the ledger of this machine's user."""
    return Ledger(Home.default())


def likeness_of(images: Sequence[Tensor | None], voice: Mapping[str, Any] | None) -> Likeness:
    """Return IMAGEs ``[1, H, W, 3]`` in [0, 1] and AUDIO as what a cameo looks and sounds like."""
    pictures = [
        (image[0, ..., :3].float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
        for image in images
        if image is not None
    ]
    if voice is None:
        return make_likeness(pictures)
    sound_CS = np.ascontiguousarray(voice["waveform"][0].float().cpu().numpy())
    return make_likeness(pictures, sound_CS, int(voice["sample_rate"]))


def enrol(
    name: str, *, subject: str, attested: bool, likeness: Likeness, recording: Any, confirmed: bool, keep: bool
) -> Card:
    """Return a cameo's card, enrolled if it is not there.

    Args:
        name, subject, attested, likeness, confirmed: as `Ledger.enroll`. recording: VIDEO of a person, or None.
        keep: take the one that is enrolled here under that name already.

    Raises:
        SoraError: what `Ledger.enroll` refuses; or a person without a recording, with what is to be recorded.
    """
    ledger = open_ledger()
    if keep and (known := _mine(ledger, name)):
        return known[0]
    if subject == "person" and recording is None and attested:
        raise SoraError(f"to enrol {name}, {ledger.challenge(name).text}; connect that as recording, and run again")
    film = None if recording is None else film_of(recording)
    return ledger.enroll(
        name, subject=subject, attested=attested, likeness=likeness, recording=film, confirmed=confirmed
    )


def begin(names: Sequence[str], scopes: str, prompt: str, policy: str | None, tags: Sequence[str]) -> CameoInUse:
    """Begin a use; a refusal is logged, and raised as a sentence."""
    ledger = open_ledger()
    asks = [Ask(cameo=name, scopes=SCOPES[scopes]) for name in names]
    return CameoInUse(ledger, partial(ledger.begin_use, asks, prompt=prompt, policy=policy, tags=tags))


def shown(lent: CameoInUse) -> tuple[list[Tensor], list[dict[str, Any]]]:
    """Return the pictures IMAGE ``[1, H, W, 3]`` and the voices AUDIO that a use may see and hear, in order."""
    found = lent.ledger.likeness(lent.use)
    images, voices = [], []
    for each in found.values():
        # one picture of each of two, or all of one
        pictures = each.pictures[:1] if len(found) > 1 else each.pictures
        images += [torch.tensor(picture)[None].float() / 255 for picture in pictures]
        if each.sound is not None:
            voices.append({"waveform": torch.tensor(each.sound)[None], "sample_rate": each.sample_rate})
    return images, voices


def known_as(name: object) -> str:
    """Return the ids under which a name is enrolled here and not taken back."""
    if not isinstance(name, str):
        return ""
    return " ".join(card.cameo for card in _mine(open_ledger(), name))


def _mine(ledger: Ledger, name: str) -> list[Card]:
    """Return the cards of a name that are enrolled here and not taken back."""
    known = ledger.standings()
    return [one.card for one in known if one.mine and not one.revoked and one.card.name == name]


def standing_of(card: Card) -> str:
    """Return what is known of who is behind a cameo, and what is not."""
    known = next(one for one in open_ledger().standings() if one.card.cameo == card.cameo)
    return f"{standing(card, known.identity)}\n{NOT_PROVEN}"


@dataclass(frozen=True)
class Granted:
    """A grant that was signed and saved. sha256: by which it is taken back. words: for the node."""

    sha256: str
    words: str


def grant(
    name: str,
    *,
    level: str,
    grantee: str | None,
    scopes: str,
    deny: Sequence[str],
    max_uses: int | None,
    days: int,
    prefix: str,
) -> Granted:
    """Lend a cameo, as `Ledger.grant`, and save the file for its grantee.

    Raises:
        SoraError: what `Ledger.grant` refuses, or a prefix that leads out of the output folder.
    """
    place = output_place(prefix, ".json")
    ledger = open_ledger()
    signed = ledger.grant(
        name,
        level=level,
        grantee=grantee,
        scopes=SCOPES[scopes],
        deny=[line.strip() for line in deny if line.strip()],
        max_uses=max_uses,
        days=days,
    )
    with replacing(place.path) as hidden:
        hidden.write_bytes(ledger.export_grant(signed.hash))
    return Granted(signed.hash, f"{level}: {LEVELS[level]}\nsaved as {place.path.name}, for the one it is meant for")


def revoke(name: str, grant_hash: str | None, *, sure: bool, prefix: str) -> str:
    """Take back a grant or a cameo, save the signed list, and say what was done.

    Raises:
        SoraError: it was not meant, or `Ledger.revoke` refuses it.
    """
    if not sure:
        what = "the grant" if grant_hash else "the whole cameo, whose likeness is destroyed for good"
        raise SoraError(f"this takes back {what}; switch sure on if you mean it")
    place = output_place(prefix, ".json")
    ledger = open_ledger()
    ledger.revoke(name, grant_hash)
    with replacing(place.path) as hidden:
        hidden.write_bytes(ledger.export_revocations())
    done = "the grant was taken back" if grant_hash else f"{name} was taken back, and its likeness destroyed here"
    return f"{done}; {place.path.name} tells those to whom it was lent. Clips that were made stay where they are."


def words_of(lent: CameoInUse) -> str:
    """Return what was allowed, in words."""
    names = " and ".join(f"@{each.name} ({', '.join(each.scopes)}, {each.level})" for each in lent.use.lent)
    return f"allowed: {names}; entry {lent.use.index} of the log\n{NOT_PROVEN}"


def log_of(name: str | None, newest: int, prefix: str) -> tuple[str, str]:
    """Return the newest entries as JSON lines and in words, and save proofs where a prefix says so.

    Raises:
        SoraError: there is no such cameo, the log was changed, or the prefix leads out of the output folder.
    """
    ledger = open_ledger()
    head = ledger.audit()
    entries = ledger.entries(name, newest)
    lines = "\n".join(json.dumps({"place": one.place, **one.value}, sort_keys=True) for one in entries)
    words = [f"{head.size} entries, all signed and whole; the newest:"]
    for one in entries[-10:]:
        told = one.value
        about = " ".join(str(told[key]) for key in ("decision", "reason") if told.get(key))
        words.append(f"{one.place}: {told.get('type', told.get('kind', ''))} {about}".rstrip())
    if orphans := ledger.orphans():
        words.append(f"{len(orphans)} uses were begun and have no end")
    if prefix:
        place = output_place(prefix, ".json")
        with replacing(place.path) as hidden:
            hidden.write_bytes(ledger.export_proof(name))
        words.append(f"proofs saved as {place.path.name}; whoever has {ledger.did} can check them")
    return lines, "\n".join(words)


@contextmanager
def using(lent: CameoInUse | None) -> Iterator[Callable[[str], None] | None]:
    """Yield what is to be told the hash of a finished file before it gets its name; end the use where that fails."""
    if lent is None:
        yield None
        return
    use = lent.live()

    def finish(sha256: str) -> None:
        lent.ended = True
        lent.ledger.finish_use(use, output_sha256=sha256)

    try:
        lent.ledger.check_again(use)
    except SoraError:
        # the ledger has ended it
        lent.ended = True
        raise
    try:
        yield finish
    except BaseException:
        if not lent.ended:
            lent.ended = True
            lent.ledger.finish_use(use, failed="failed")
        raise
