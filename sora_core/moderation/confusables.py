"""Letters that look like other letters, as data: what each reads as.

Source: our own choice from the scripts that Latin words are commonly written with (Cyrillic, Greek, Armenian, Cherokee,
phonetic and upside-down letters, small capitals). Whatever Unicode itself takes apart (accents, letters of full width,
in circles and of mathematics) is not listed, for the normaliser does that first.
"""

from __future__ import annotations

_ROWS = {
    # Cyrillic
    "\u0430\u0432\u0433\u0435\u0437\u0438\u043a\u043c\u043d\u043e\u043f\u0440\u0441\u0442\u0443\u0445\u044c\u044f": (
        "abre3ukmhonpctyxbr"
    ),
    "\u0455\u0456\u0458\u0501\u051b\u051d\u04bb\u04cf\u0461\u0475\u04af\u04b1\u0491\u0454\u044a": "sijdqwhlwvyyreb",
    # Greek
    "\u03b1\u03b2\u03b3\u03b4\u03b5\u03b6\u03b7\u03b8\u03b9\u03ba\u03bb\u03bc\u03bd\u03be\u03bf\u03c0\u03c1": (
        "abydezn0ikluveonp"
    ),
    "\u03c3\u03c2\u03c4\u03c5\u03c6\u03c7\u03c8\u03c9\u03dc\u03f2\u03f3": "ostufxpwfcj",
    # Armenian
    "\u0561\u0563\u0566\u0568\u0570\u0575\u0578\u057a\u057d\u0581\u0585\u057c": "wqqnhjnwugon",
    # Latin letters of their own: strokes, hooks, dotless, phonetic
    "\u0131\u0237\u0142\u00f8\u0111\u0127\u0167\u0180\u0268\u0289\u024d\u0249\u0256\u0257\u0260\u0253": (
        "ijlodhtbiurjddgb"
    ),
    "\u0251\u0252\u0254\u0259\u025b\u025c\u0261\u0262\u0265\u026a\u026f\u0271\u0272\u014b\u0279\u027e\u0283\u0288": (
        "aaoeeeggyimmnnrrst"
    ),
    "\u028a\u028b\u028c\u028d\u028e\u0290\u0299\u029c\u029f\u0280\u028f\u0292\u0269\u026b": "uvvwyzbhlry3il",
    # small capitals, upside down
    "\u1d00\u1d04\u1d05\u1d07\u1d0a\u1d0b\u1d0d\u1d0f\u1d18\u1d1b\u1d1c\u1d20\u1d21\u1d22\ua730\ua731\u0274": (
        "acdejkmoptuvwzfsn"
    ),
    "\u0250\u01dd\u025f\u0183\u0287\u029e\u1d09\u0254\u029d": "aefgtkicj",
    # Cherokee, in their small forms as case folding gives them
    "\u13a0\u13a1\u13a2\u13a9\u13aa\u13ab\u13b3\u13b7\u13bb\u13c0\u13c2\u13c3\u13cf\u13d2\u13d4\u13d9\u13da": (
        "drtygawmhghzbrwvs"
    ),
    "\u13de\u13df\u13e2\u13e6\u13a5\u13e7": "lcpkid",
}

LETTERS: dict[str, str] = {odd: plain for row, plains in _ROWS.items() for odd, plain in zip(row, plains, strict=True)}
"""From one odd letter, case folded, to the plain one that it reads as."""

LETTERS |= {"\u00df": "ss", "\u00e6": "ae", "\u0153": "oe", "\u00fe": "th", "\u00f0": "d", "\u20ac": "e", "\u00a3": "l"}
LETTERS |= {"\u00a2": "c", "\u00a5": "y", "\u00a1": "i", "\u2113": "l", "\u00a7": "s", "\u01c0": "l", "\u2223": "l"}

NOTHING = frozenset("\u115f\u1160\u180e\u034f\u17b4\u17b5")
"""Letters and marks that show nothing at all; dropped like zero-width ones."""

BLANKS = frozenset("\u3164\uffa0\u2800")
"""Letters and signs that look like a space."""

PICTURES = {
    "\U0001f52b": "gun",
    "\U0001f52a": "knife",
    "\U0001f5e1": "dagger",
    "\U0001f4a3": "bomb",
    "\U0001fa78": "blood",
    "\U0001f51e": "nsfw",
    "\U0001f346": "penis",
    "\U0001f4a6": "cum",
    "\U0001f476": "baby",
    "\U0001f9d2": "child",
    "\U0001f467": "girl",
    "\U0001f466": "boy",
    "\U0001f489": "syringe",
}
"""Pictures that stand for a word. The ones with a double meaning are words that no rule takes alone."""


def enclosed(code: int) -> str | None:
    """Return the letter in one of the coloured circles, squares and flags that Unicode does not take apart."""
    for first in (0x1F150, 0x1F170, 0x1F1E6):
        if first <= code < first + 26:
            return chr(ord("a") + code - first)
    return None
