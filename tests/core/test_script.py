"""Storyboards as text: both of Sora's forms, every mistake with its line and its sentence, and back again."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sora_core.editing.card import Card, check_cards
from sora_core.editing.script import format_script, parse_script
from sora_core.errors import SoraError

LONG = """current timeline:
Shot 1:
duration: 5.0sec
Scene: a red ball rolls to the left

Shot 2:
duration: 3.5sec
transition: fade
seed: 7
Scene: it bounces
Dialogue:
- Ball: "boing [softly]"
"""
SHORT = "[5.0s]a red ball rolls to the left [3.5s, fade, seed 7]it bounces"


def shots(text: str, total_s: float | None = None) -> list[tuple[float, float, str, str]]:
    return [(card.start_s, card.duration_s, card.transition, card.text) for card in parse_script(text, total_s)]


def test_both_forms_are_read():
    assert parse_script(LONG)[1] == Card(
        start_s=5.0,
        duration_s=3.5,
        text='it bounces\nDialogue:\n- Ball: "boing [softly]"',
        transition="fade",
        seed=7,
    )
    assert shots(SHORT) == [
        (0.0, 5.0, "cut", "a red ball rolls to the left"),
        (5.0, 3.5, "fade", "it bounces"),
    ]
    assert parse_script(SHORT)[1].seed == 7


@pytest.mark.parametrize("duration", ["5", "5s", "5.0 sec", "5.0SEC", "5.secs", "5 seconds", "+5.00s", "05 s."])
def test_durations_are_read_as_people_write_them(duration):
    assert shots(f"Shot 1:\nduration: {duration}\nscene: a ball") == [(0.0, 5.0, "cut", "a ball")]
    assert shots(f"[ {duration} ] a ball") == [(0.0, 5.0, "cut", "a ball")]


@pytest.mark.parametrize(
    "text",
    [
        "Shot 1:\nduration: 5s\nScene: a ball\nShot 2:\nduration: 2s\nTransition: Continue\nScene: a box",
        "SHOT 1\r\nDURATION:5s\r\nSCENE:a ball\r\n\r\nshot2 :\r\nscene :\r\na box\r\nduration: 2s\r\n"
        "transition:continue",
        "\ufeff\n  Current  Timeline:\n\n  Shot 01:\n  duration: 5s\n  Scene:\n\n  a ball\nShot 2:\rduration: 2s\r"
        "transition: continue\rScene: a box",
        "[5s]a ball[2s,continue]a box",
        "current timeline: [5s]\n a ball \n\n[CONTINUE , 2s]\na box\n",
    ],
)
def test_case_blanks_and_line_ends_do_not_matter(text):
    assert shots(text) == [(0.0, 5.0, "cut", "a ball"), (5.0, 2.0, "continue", "a box")]


@pytest.mark.parametrize(
    "text",
    [
        "current timeline:\nShot 1:\nduration: 1s\nScene: a ball rolls.\nShot 2:\nduration: 1s\nScene: a box\n\n"
        "instructions:\nin the rain,\nat night",
        "[1s]a ball rolls. [1s]a box\nInstructions: in the rain,\nat night",
    ],
)
def test_instructions_are_added_to_every_shot(text):
    assert [card.text for card in parse_script(text)] == [
        "a ball rolls. in the rain,\nat night",
        "a box. in the rain,\nat night",
    ]


def test_a_length_is_shared_by_the_shots_that_have_none():
    text = "Shot 1:\nScene: a\nShot 2:\nduration: 4s\nScene: b\nShot 3:\nScene: c"
    assert shots(text, 10) == [(0.0, 3.0, "cut", "a"), (3.0, 4.0, "cut", "b"), (7.0, 3.0, "cut", "c")]
    assert shots("[]a [fade]b", 5) == [(0.0, 2.5, "cut", "a"), (2.5, 2.5, "fade", "b")]
    assert shots("[1s]a [1s]b", 5) == [(0.0, 1.0, "cut", "a"), (1.0, 4.0, "cut", "b")]


HEAD = "current timeline:\nShot 1:\n"
GOOD = HEAD + "duration: 5s\nScene: a ball\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", 'the script is empty; write for example "[5.0s]a red ball rolls [3.0s]it bounces"'),
        (" \r\n\t\n", 'the script is empty; write for example "[5.0s]a red ball rolls [3.0s]it bounces"'),
        ("a red ball", 'the script holds no shot; write for example "[5.0s]a red ball rolls [3.0s]it bounces"'),
        ("current timeline:", 'the script holds no shot; write for example "[5.0s]a red ball rolls [3.0s]it bounces"'),
        (
            "instructions: at night",
            'the script holds no shot; write for example "[5.0s]a red ball rolls [3.0s]it bounces"',
        ),
        (
            HEAD + "\nduration: abc\nScene: a",
            'line 4: duration "abc" is not a number of seconds; write for example "duration: 5.0sec"',
        ),
        (
            HEAD + "duration: 5min\nScene: a",
            'line 3: duration "5min" is not a number of seconds; write for example "duration: 5.0sec"',
        ),
        (
            HEAD + "duration:\nScene: a",
            'line 3: duration "" is not a number of seconds; write for example "duration: 5.0sec"',
        ),
        (
            HEAD + "duration: nan\nScene: a",
            'line 3: duration "nan" is not a number of seconds; write for example "duration: 5.0sec"',
        ),
        (
            HEAD + "duration: 0s\nScene: a",
            'line 3: duration "0s" must be more than 0; write for example "duration: 5.0sec"',
        ),
        (
            HEAD + "duration: -2s\nScene: a",
            'line 3: duration "-2s" must be more than 0; write for example "duration: 5.0sec"',
        ),
        (
            HEAD + "duration: 601s\nScene: a",
            'line 3: duration "601s" is more than 600 s; write for example "duration: 5.0sec"',
        ),
        (
            HEAD + f"duration: {'9' * 400}\nScene: a",
            f'line 3: duration "{"9" * 40}..." is more than 600 s; write for example "duration: 5.0sec"',
        ),
        (
            HEAD + "Scene: a",
            'line 2: the shot has no duration; write for example "duration: 5.0sec"',
        ),
        (HEAD + "duration: 5s", 'line 2: the shot has no text; write for example "Scene: a red ball rolls"'),
        (
            GOOD + "Shot 2:\nduration: 5s\nScene:\n \n",
            'line 7: the shot has no text; write for example "Scene: a red ball rolls"',
        ),
        (GOOD + "Shot 3:\nScene: b", 'line 5: shot 3 stands where shot 2 should be; write "Shot 2:"'),
        (GOOD + "Shot 1:\nScene: b", 'line 5: shot 1 stands where shot 2 should be; write "Shot 2:"'),
        ("Shot 0:\nScene: b", 'line 1: shot 0 stands where shot 1 should be; write "Shot 1:"'),
        (GOOD + "Shot two:\nScene: b", 'line 5: shot number "two" is not a whole number; write "Shot 2:"'),
        (GOOD + "Shot:\nScene: b", 'line 5: shot number "" is not a whole number; write "Shot 2:"'),
        (
            "Shot 1: a ball\nduration: 5s",
            'line 1: "a ball" stands beside the shot\'s number; write it below, after "Scene:"',
        ),
        (
            "A film\n" + GOOD.removeprefix("current timeline:\n"),
            'line 1: "A film" stands before the first shot; begin with "Shot 1:"',
        ),
        ("Scene: a ball\nduration: 5s", 'line 1: "Scene: a ball" stands before the first shot; begin with "Shot 1:"'),
        (
            HEAD + "lens: 35 mm\nScene: a",
            'line 3: "lens" is no line of a shot; it may hold duration, transition, seed, image, video, scene',
        ),
        (HEAD + "a ball", 'line 3: "a ball" stands outside of the scene; write "Scene:" before it'),
        (
            GOOD + "trnsition: fade",
            'line 5: "trnsition: fade" is no line of a shot; did you mean "transition:"?',
        ),
        (GOOD + "duration: 6s", "line 5: duration is given twice, first on line 3; take one away"),
        (GOOD + "transition: wipe", 'line 5: transition "wipe" is not known; choose one of cut, fade, continue'),
        (
            GOOD + "seed: -1",
            'line 5: seed "-1" is not a whole number from 0 to 9223372036854775807; write for example 7',
        ),
        (
            GOOD + f"seed: {2**63}",
            f'line 5: seed "{2**63}" is not a whole number from 0 to 9223372036854775807; write for example 7',
        ),
        (
            GOOD + "transition: fade",
            'line 5: the first shot begins with "fade" and no shot is before it; leave the transition away',
        ),
        (
            "\n[abc]a ball",
            'line 2: duration "abc" is not a number of seconds; write for example "[5.0s]a red ball rolls"',
        ),
        ("[0s]a ball", 'line 1: duration "0s" must be more than 0; write for example "[5.0s]a red ball rolls"'),
        ("[]a ball", 'line 1: the shot has no duration; write for example "[5.0s]a red ball rolls"'),
        ("[5s][5s]a ball", 'line 1: the shot has no text; write for example "[5.0s]a red ball rolls"'),
        ("[5s]a\n\n[5s]", 'line 3: the shot has no text; write for example "[5.0s]a red ball rolls"'),
        (
            "[5s]a ball\n[5s a box",
            'line 2: the bracket in "[5s a box" is not closed; write for example "[5.0s]a red ball rolls"',
        ),
        (
            "[5s a ball [5s]a box",
            'line 1: the bracket in "[5s a ball [5s]a box" is not closed; write for example "[5.0s]a red ball rolls"',
        ),
        ("\nhello [5s]a", 'line 2: "hello" stands before the first shot; begin with "[5.0s]a red ball rolls"'),
        ("[5s]a [5s, wipe]b", 'line 1: transition "wipe" is not known; choose one of cut, fade, continue'),
        ("[5s]a [5s, 6s]b", 'line 1: transition "6s" is not known; choose one of cut, fade, continue'),
        ("[5s]a [fade, 5s, cut]b", "line 1: transition is given twice, first on line 1; take one away"),
        (
            "[5s, continue]a",
            'line 1: the first shot begins with "continue" and no shot is before it; leave the transition away',
        ),
        (
            "[400s]a [400s]b",
            "the shots last 800 s together, more than 600 s; shorten or remove some",
        ),
        ("[5s]a \udcff", "the script holds bytes that are no text; write it in UTF-8"),
    ],
)
def test_mistakes_have_their_line_and_sentence(text, sentence):
    with pytest.raises(SoraError) as caught:
        parse_script(text)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("text", "total_s", "sentence"),
    [
        ("[5s]a", 0, "the storyboard's length 0 s must be more than 0 and at most 600"),
        ("[5s]a", float("nan"), "the storyboard's length nan s must be more than 0 and at most 600"),
        ("[5s]a", 4, "the shots last 5 s together, more than 4 s; shorten or remove some"),
        ("[5s]a\n[]b", 5, "line 2: no time of the 5 s is left for this shot; shorten the others"),
    ],
)
def test_a_length_that_does_not_fit_is_refused(text, total_s, sentence):
    with pytest.raises(SoraError) as caught:
        parse_script(text, total_s)
    assert str(caught.value) == sentence


def test_a_broken_script_of_any_kind_ends_in_a_sentence():
    """Every cut of good scripts, and every single character of them replaced, is read or refused."""
    sentences = set()
    for text in (LONG, SHORT):
        for place in range(len(text)):
            for broken in (text[:place], text[place:], *(text[:place] + c + text[place + 1 :] for c in "[]:\n0 ,")):
                try:
                    assert parse_script(broken)
                except SoraError as error:
                    sentences.add(str(error))
    assert len(sentences) > 20
    assert all("; " in sentence for sentence in sentences)


def card(start: float, duration: float, **more: object) -> Card:
    return Card(**{"start_s": start, "duration_s": duration, "text": "a ball", **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["timeline", "shorthand"])
def test_a_script_is_read_as_it_was_written(form):
    cards = [
        card(0.0, 0.1),
        card(0.1, 1 / 3, transition="fade", text="two lines:\nof text (here)"),
        card(0.1 + 1 / 3, 1e-5, transition="continue", seed=2**63 - 1),
        card(0.1 + 1 / 3 + 1e-5, 120),
    ]
    assert parse_script(format_script(cards, form)) == cards
    assert format_script(parse_script(format_script(cards, form)), form) == format_script(cards, form)


def test_the_forms_are_sora_s():
    cards = parse_script("[5s]a ball [2.5s, fade, seed 3]a box")
    assert format_script(cards, "shorthand") == "[5.0s]a ball [2.5s, fade, seed 3]a box\n"
    assert format_script(cards) == (
        "current timeline:\nShot 1:\nduration: 5.0sec\nScene: a ball\n\n"
        "Shot 2:\nduration: 2.5sec\ntransition: fade\nseed: 3\nScene: a box\n"
    )


def test_files_are_named_from_the_script_s_folder():
    text = "Shot 1:\nduration: 1s\nIMAGE: a b.png\nScene: a ball\n\nShot 2:\nduration: 2s\nvideo: clips/x.mp4\n"
    cards = parse_script(text, folder=Path("board"))
    assert [card.image for card in cards] == [Path("board/a b.png"), None]
    assert [card.video for card in cards] == [None, Path("board/clips/x.mp4")]
    assert [card.text for card in cards] == ["a ball", ""]
    assert [(c.image, c.video) for c in parse_script(format_script(cards))] == [(c.image, c.video) for c in cards]
    assert parse_script(text + "instructions: in the rain")[1].text == "in the rain"
    assert parse_script(text.replace("clips/x.mp4", str(Path("/x.mp4"))), folder=Path("b"))[1].video == Path("/x.mp4")


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("image:", 'image names no file; write for example "image: first.png" or take the line away'),
        ("image: a\nimage: b", "image is given twice, first on line 3; take one away"),
    ],
)
def test_bad_files_are_refused(lines, sentence):
    with pytest.raises(SoraError, match=re.escape(sentence)):
        parse_script(f"Shot 1:\nduration: 1s\n{lines}\nScene: a ball")
    with pytest.raises(SoraError, match="holds a picture and a video"):
        parse_script("Shot 1:\nduration: 1s\nimage: a\nvideo: b\n")


@pytest.mark.parametrize(
    ("form", "cards", "words"),
    [
        ("timeline", [card(0, 1, text="a\nShot 2:\nb")], "use the shorthand form"),
        ("timeline", [card(0, 1, text="a\nduration: 3s")], "use the shorthand form"),
        ("shorthand", [card(0, 1, text="a [big] ball")], "use the timeline form"),
        ("shorthand", [card(0, 1, text="a\ninstructions: b")], "use the timeline form"),
        ("shorthand", [card(0, 1, image=object())], "shot 1 holds a picture or a video"),
        ("prose", [card(0, 1)], "script form 'prose' is not known; choose one of timeline, shorthand"),
    ],
)
def test_what_a_form_cannot_say_is_refused(form, cards, words):
    with pytest.raises(SoraError, match=words.replace("(", r"\(")):
        format_script(cards, form)


def test_gaps_are_closed_by_the_card_before():
    late, early = card(6, 1, text="late"), card(1, 2, text="early")
    settled = check_cards([late, early])
    assert [(c.start_s, c.duration_s, c.text) for c in settled] == [(0.0, 6.0, "early"), (6.0, 1.0, "late")]
    assert check_cards(settled) == settled


def test_cards_that_almost_touch_are_made_to():
    settled = check_cards([card(0, 1.0004), card(1, 1)])
    assert settled[0].end_s == settled[1].start_s == 1


@pytest.mark.parametrize(
    ("cards", "sentence"),
    [
        ([], "the storyboard holds no card; add one with a duration and a text"),
        (
            [card(3, 2), card(0, 3.5)],
            "card 2 ends at 3.5 s and card 1 starts at 3 s, so they overlap by 0.5 s; shorten card 2 or start card 1 "
            "later",
        ),
        ([card(0, 0)], "card 1 lasts 0 s; write more than 0, for example 5"),
        ([card(0, 1), card(1, -1)], "card 2 lasts -1 s; write more than 0, for example 5"),
        ([card(0, float("nan"))], "card 1 lasts nan s; write more than 0, for example 5"),
        ([card(0, float("inf"))], "card 1 lasts inf s, more than 600 s; shorten it"),
        ([card(-1, 2)], "card 1 starts at -1 s; write a time from 0 on, for example 5"),
        ([card(float("inf"), 2)], "card 1 starts at inf s; write a time from 0 on, for example 5"),
        ([card(0, 300), card(400, 300)], "the storyboard lasts 700 s, more than 600 s; shorten or remove cards"),
        ([card(0, 1, text=" ")], "card 1 shows nothing; give it a text, a picture or a video"),
        (
            [card(0, 1, image=1, video=2)],
            "card 1 holds a picture and a video, and begins with one; take either away",
        ),
        (
            [card(0, 1), card(1, 1, video=2, transition="continue")],
            "card 2 goes on from the one before and begins with its own picture; choose one",
        ),
        (
            [card(0, 1, transition="wipe")],
            "card 1 has transition 'wipe', which is not known; choose one of cut, fade, continue",
        ),
        (
            [card(1, 1), card(0, 1, transition="fade")],
            'card 2 begins with "fade" and no card is before it; write "cut" or leave the transition away',
        ),
        ([card(0, 1, seed=-1)], "card 1 has seed -1; write one between 0 and 9223372036854775807"),
    ],
)
def test_cards_that_make_no_film_are_refused(cards, sentence):
    with pytest.raises(SoraError) as caught:
        check_cards(cards)
    assert str(caught.value) == sentence


def test_a_picture_needs_no_text():
    assert check_cards([card(0, 1, text="", image=object())])


def test_reading_and_refusing_load_no_torch():
    code = (
        "import sys\n"
        "from sora_core.editing.script import parse_script\n"
        "from sora_core.errors import SoraError\n"
        "parse_script('[5s]a ball')\n"
        "try:\n    parse_script('[x]a')\nexcept SoraError:\n    pass\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
