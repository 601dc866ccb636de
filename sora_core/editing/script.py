"""A storyboard as text: shot by shot, or in shorthand; both forms are Sora's.

The long form, with lines of our own in brackets, and the short one:

    current timeline:
    Shot 1:
    duration: 5.0sec
    [transition: fade]
    [seed: 7]
    [image: first.png] or [video: clip.mp4]
    Scene: a red ball rolls to the left

    instructions:
    in the rain

    [5.0s]a red ball rolls to the left [3.0s, fade, seed 7]it bounces
"""

from __future__ import annotations

import difflib
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

from ..errors import SoraError
from ..request import MAX_SECONDS, MAX_SEED
from .card import TOUCHING_S, TRANSITIONS, Card, check_cards

FORMS = ("timeline", "shorthand")

EXAMPLE = '"[5.0s]a red ball rolls [3.0s]it bounces"'
QUOTED = 40
"""Characters of an offending text that a sentence repeats."""

_LONG, _SHORT = "duration: 5.0sec", "[5.0s]a red ball rolls"
_FILES = ("image", "video")
_KEYS = ("duration", "transition", "seed", *_FILES, "scene")
_LINE = re.compile(r"\r\n|\r|\n")
_TITLE = re.compile(r"current\s+timeline\s*:\s*", re.IGNORECASE)
_INSTRUCTIONS = re.compile(r"instructions\s*:", re.IGNORECASE)
_SHOT = re.compile(r"shot(?:\s*(?P<number>[0-9]+)\s*(?::\s*(?P<rest>.*))?|(?:\s+(?P<wrong>\S+?))?\s*:)", re.IGNORECASE)
_KEY = re.compile(r"(?P<key>\w[\w ]*?)\s*:\s*(?P<value>.*)")
_SECONDS = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))\s*(?:s|secs?|seconds?)?\.?", re.IGNORECASE)
_HEAD = re.compile(r"\[([^\[\]\r\n]*)\]")


def parse_script(text: str, total_s: float | None = None, folder: Path | None = None) -> list[Card]:
    """Read a storyboard in either form.

    Case, blanks and line ends do not matter; ``5s``, ``5.0 sec`` and ``5`` are durations. What stands under
    ``instructions:`` at the end is added to every shot's text. A scene goes on over further lines, even such as
    ``Dialogue:``, until a line that this form knows.

    Args:
        text: the script.
        total_s: length of the film in seconds: shots without a duration share what the others leave of it, and where
            all have one, the last is lengthened to it. None refuses shots without a duration.
        folder: that names of pictures and clips count from; None is the current one.

    Returns:
        Cards end to end from 0 on, checked by `check_cards`; their pictures and clips are paths.

    Raises:
        SoraError: what is wrong, and on which line (counted from 1).
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SoraError("the script holds bytes that are no text; write it in UTF-8") from None
    if total_s is not None and not 0 < total_s <= MAX_SECONDS:
        raise SoraError(f"the storyboard's length {total_s:g} s must be more than 0 and at most {MAX_SECONDS:g}")
    lines = [line.strip() for line in _LINE.split(text.removeprefix("\ufeff"))]
    if not any(lines):
        raise SoraError(f"the script is empty; write for example {EXAMPLE}")
    body, instructions = _frame(lines)
    shots = _timeline(body) if _is_timeline(body) else _shorthand(body)
    if not shots:
        raise SoraError(f"the script holds no shot; write for example {EXAMPLE}")
    for shot in shots:
        shot.finish(instructions)
    return _cards(shots, total_s, folder or Path())


def format_script(cards: Sequence[Card], form: str = "timeline") -> str:
    """Write a storyboard as text that `parse_script` reads back.

    Args:
        cards: any that `check_cards` accepts; a picture or a clip as a path, in the timeline form alone.
        form: one of `FORMS`.

    Raises:
        SoraError: a card holds what this form cannot say.
    """
    if form not in FORMS:
        raise SoraError(f"script form {form!r} is not known; choose one of {', '.join(FORMS)}")
    settled = check_cards(cards)
    for number, card in enumerate(settled, 1):
        given = [value for value in (card.image, card.video) if value is not None]
        if given and (form != FORMS[0] or not isinstance(given[0], Path)):
            raise SoraError(
                f"shot {number} holds a picture or a video, which a script can say only as a file, in the {FORMS[0]} "
                "form; take it away"
            )
    written = (_long_form if form == "timeline" else _short_form)(settled)
    try:
        faithful = [card.text for card in parse_script(written)] == [
            _joined(_LINE.split(card.text)) for card in settled
        ]
    except SoraError:
        faithful = False
    if not faithful:
        other = FORMS[1 - FORMS.index(form)]
        raise SoraError(
            f"a shot's text holds words or brackets that mean something in the {form} form; "
            f"write them another way or use the {other} form"
        )
    return written


@dataclass
class _Shot:
    """A shot while it is read. line: where it begins; example: of a good one; found: the line of each key."""

    line: int
    example: str = _LONG
    duration_s: float | None = None
    transition: str = "cut"
    seed: int | None = None
    files: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    text: str = ""
    found: dict[str, int] = field(default_factory=dict)

    def put(self, line: int, key: str, value: str) -> None:
        """Take one value, once."""
        if key in self.found:
            _refuse(line, f"{key} is given twice, first on line {self.found[key]}; take one away")
        self.found[key] = line
        if key == "duration":
            self.duration_s = _seconds(line, value, self.example)
        elif key == "transition":
            self.transition = value.lower()
            if self.transition not in TRANSITIONS:
                _refuse(line, f"transition {_quote(value)} is not known; choose one of {', '.join(TRANSITIONS)}")
        elif key == "seed":
            if not (value.isdecimal() and len(value) <= len(str(MAX_SEED)) and int(value) <= MAX_SEED):
                _refuse(line, f"seed {_quote(value)} is not a whole number from 0 to {MAX_SEED}; write for example 7")
            self.seed = int(value)
        elif key in _FILES:
            if not value:
                _refuse(line, f'{key} names no file; write for example "{key}: first.png" or take the line away')
            self.files[key] = value
        else:
            self.lines.append(value)

    def finish(self, instructions: str) -> None:
        """Put the text together; refuse a shot without one."""
        self.text = _joined(self.lines)
        if not self.text and not self.files:
            example = "Scene: a red ball rolls" if self.example == _LONG else _SHORT
            _refuse(self.found.get("scene", self.line), f'the shot has no text; write for example "{example}"')
        if instructions:
            self.text += "" if not self.text else " " if self.text[-1] in ".!?,;:" else ". "
            self.text += instructions


def _frame(lines: list[str]) -> tuple[list[str], str]:
    """Take off the title and the instructions; the lines before them keep their numbers."""
    first = next(index for index, line in enumerate(lines) if line)
    body = [*lines[:first], _TITLE.sub("", lines[first], count=1), *lines[first + 1 :]]
    for index, line in enumerate(body):
        if found := _INSTRUCTIONS.match(line):
            return body[:index], _joined([line[found.end() :], *body[index + 1 :]])
    return body, ""


def _is_timeline(body: list[str]) -> bool:
    first = next((line for line in body if line), "")
    return not first.startswith("[") and (
        any(_SHOT.fullmatch(line) for line in body)
        or any((found := _KEY.match(line)) and found["key"].lower() in _KEYS for line in body)
    )


def _timeline(body: list[str]) -> list[_Shot]:
    shots: list[_Shot] = []
    for number, line in enumerate(body, 1):
        if not line:
            continue
        if header := _SHOT.fullmatch(line):
            _check_header(number, header, len(shots) + 1)
            shots.append(_Shot(line=number))
            continue
        if not shots:
            _refuse(number, f'{_quote(line)} stands before the first shot; begin with "Shot 1:"')
        shot, key = shots[-1], _KEY.fullmatch(line)
        name = key["key"].lower() if key else ""
        if key and name in _KEYS:
            shot.put(number, name, key["value"])
        elif "scene" in shot.found:
            if near := difflib.get_close_matches(name, [key for key in _KEYS if len(key) > 5], 1, 0.85):
                _refuse(number, f'{_quote(line)} is no line of a shot; did you mean "{near[0]}:"?')
            shot.lines.append(line)
        elif key:
            _refuse(number, f"{_quote(key['key'])} is no line of a shot; it may hold {', '.join(_KEYS)}")
        else:
            _refuse(number, f'{_quote(line)} stands outside of the scene; write "Scene:" before it')
    return shots


def _check_header(line: int, header: re.Match[str], expected: int) -> None:
    number = header["number"]
    if number is None:
        _refuse(line, f'shot number {_quote(header["wrong"] or "")} is not a whole number; write "Shot {expected}:"')
    if number.lstrip("0") != str(expected):
        _refuse(line, f'shot {number[:QUOTED]} stands where shot {expected} should be; write "Shot {expected}:"')
    if header["rest"]:
        _refuse(line, f'{_quote(header["rest"])} stands beside the shot\'s number; write it below, after "Scene:"')


def _shorthand(body: list[str]) -> list[_Shot]:
    shots: list[_Shot] = []
    if not any("[" in line for line in body):
        return shots
    for number, line in enumerate(body, 1):
        place = 0
        while True:
            opened = line.find("[", place)
            before = line[place : opened if opened >= 0 else None]
            if shots:
                shots[-1].lines.append(before)
            elif before.strip():
                _refuse(number, f'{_quote(before)} stands before the first shot; begin with "{_SHORT}"')
            if opened < 0:
                break
            head = _HEAD.match(line, opened)
            if head is None:
                _refuse(number, f'the bracket in {_quote(line[opened:])} is not closed; write for example "{_SHORT}"')
            shots.append(_read_head(number, head[1]))
            place = head.end()
    return shots


def _read_head(line: int, head: str) -> _Shot:
    """Read ``5.0s, fade, seed 7``, in any order."""
    shot = _Shot(line=line, example=_SHORT)
    for item in (part.strip() for part in head.split(",")):
        name, _, value = item.partition(" ")
        if item.lower() in TRANSITIONS or (item and "duration" in shot.found and name.lower() != "seed"):
            shot.put(line, "transition", item)
        elif name.lower() == "seed":
            shot.put(line, "seed", value.strip())
        elif item:
            shot.put(line, "duration", item)
    return shot


def _cards(shots: list[_Shot], total_s: float | None, folder: Path) -> list[Card]:
    """Settle the durations, check the transitions' place and lay the shots end to end."""
    known = math.fsum(shot.duration_s or 0 for shot in shots)
    longest = MAX_SECONDS if total_s is None else total_s
    if known > longest + TOUCHING_S:
        raise SoraError(f"the shots last {known:g} s together, more than {longest:g} s; shorten or remove some")
    unset = [shot for shot in shots if shot.duration_s is None]
    if unset:
        left = 0 if total_s is None else total_s - known
        if total_s is None:
            _refuse(unset[0].line, f'the shot has no duration; write for example "{unset[0].example}"')
        if left <= TOUCHING_S:
            _refuse(unset[0].line, f"no time of the {total_s:g} s is left for this shot; shorten the others")
        for shot in unset:
            shot.duration_s = left / len(unset)
    elif total_s is not None:
        last = shots[-1]
        last.duration_s = max(total_s - math.fsum(shot.duration_s or 0 for shot in shots[:-1]), TOUCHING_S)
    if (begins := shots[0].transition) != "cut":
        line = shots[0].found["transition"]
        _refuse(line, f'the first shot begins with "{begins}" and no shot is before it; leave the transition away')
    lengths = [shot.duration_s or 0.0 for shot in shots]
    starts = itertools.accumulate(lengths[:-1], initial=0.0)
    return check_cards(
        [
            Card(
                start_s=start,
                duration_s=length,
                text=shot.text,
                transition=shot.transition,
                seed=shot.seed,
                **{key: folder / name for key, name in shot.files.items()},
            )
            for shot, start, length in zip(shots, starts, lengths, strict=True)
        ],
        longest + TOUCHING_S,
    )


def _long_form(cards: Sequence[Card]) -> str:
    shots = []
    for number, card in enumerate(cards, 1):
        lines = [f"Shot {number}:", f"duration: {_written(card.duration_s)}sec"]
        lines += [f"transition: {card.transition}"] if card.transition != "cut" else []
        lines += [f"seed: {card.seed}"] if card.seed is not None else []
        lines += [f"image: {card.image}"] if card.image is not None else []
        lines += [f"video: {card.video}"] if card.video is not None else []
        lines += [f"Scene: {card.text}"] if card.text.strip() else []
        shots.append("\n".join(lines))
    return "current timeline:\n" + "\n\n".join(shots) + "\n"


def _short_form(cards: Sequence[Card]) -> str:
    shots = []
    for card in cards:
        head = [f"{_written(card.duration_s)}s"]
        head += [card.transition] if card.transition != "cut" else []
        head += [f"seed {card.seed}"] if card.seed is not None else []
        shots.append(f"[{', '.join(head)}]{card.text}")
    return " ".join(shots) + "\n"


def _seconds(line: int, text: str, example: str) -> float:
    found = _SECONDS.fullmatch(text)
    if found is None:
        _refuse(line, f'duration {_quote(text)} is not a number of seconds; write for example "{example}"')
    value = float(found[1])
    if not value > 0:
        _refuse(line, f'duration {_quote(text)} must be more than 0; write for example "{example}"')
    if value > MAX_SECONDS:
        _refuse(line, f'duration {_quote(text)} is more than {MAX_SECONDS:g} s; write for example "{example}"')
    return value


def _written(seconds: float) -> str:
    """Return the shortest decimal that reads back as the same number, without an exponent."""
    return f"{Decimal(repr(float(seconds))):f}"


def _joined(lines: Sequence[str]) -> str:
    """Return the lines that hold something, without the blanks around them."""
    return "\n".join(stripped for line in lines if (stripped := line.strip()))


def _quote(text: str) -> str:
    text = text.strip()
    return f'"{text if len(text) <= QUOTED else text[:QUOTED] + "..."}"'


def _refuse(line: int, reason: str) -> NoReturn:
    raise SoraError(f"line {line}: {reason}")
