"""What goes wrong while judging: reason codes, their sentences, and calls that cannot hang the judge."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SENTENCES = {
    "unknown-stage": "the stage is none of prompt, input_media, frames, audio and cameo; name one of them",
    "not-text": "what was given as a text is none; give a string",
    "too-long": "the text is longer than the policy allows; shorten it",
    "too-complex": "the text is written in a way that takes too long to judge; write it plainly",
    "engine-error": "the text could not be judged; write it plainly, or report this as an error",
    "classifier-missing": "the policy demands a classifier that was not given; give one, or choose another policy",
    "classifier-error": "a classifier failed; mend it, or leave it out",
    "classifier-timeout": "a classifier took longer than the policy allows; mend it, or raise the policy's timeout_s",
    "bad-score": "a classifier gave a score that is no number from 0 to 1; mend it",
    "label-missing": "a classifier did not give a score for each label of its card; mend it",
    "wrong-count": "a classifier did not give one score for each frame; mend it",
    "blocklist-error": "a block list failed; mend it, or leave it out",
    "no-frames": "there is no frame to judge; give at least one",
    "wrong-frames": "the frames are no uint8 or float tensor [F, H, W, 3] with values from 0 to 255 or 0 to 1",
    "no-sound": "there is no sound to judge; give at least one sample",
    "wrong-sound": "the sound is no float tensor [C, S] with finite values from -1 to 1",
    "log-error": "the decision could not be logged; free space or choose another folder",
}
"""A sentence for each reason code."""

OVERRIDABLE = frozenset(
    {"classifier-missing", "classifier-error", "classifier-timeout", "bad-score", "label-missing", "wrong-count"}
    | {"blocklist-error"}
)
"""What ``degraded`` lets pass: failures of what the user plugged in, never of the text rules or of what is judged."""


class Failure(Exception):  # noqa: N818  never shown: it becomes a reason code
    """Something could not be judged. code: one of `SENTENCES`."""

    def __init__(self, code: str) -> None:
        """Keep the code."""
        super().__init__(code)
        assert code in SENTENCES, "codes of the house"
        self.code = code


def timed(call: Callable[[], T], seconds: float, *, code: str) -> T:
    """Call in a thread and wait at most so long.

    A thread cannot be ended from outside, so one that hangs stays until the process ends; the judge does not.

    Raises:
        Failure: ``code`` on any exception, "classifier-timeout" where it took too long.
    """
    answer: queue.Queue[tuple[bool, T | BaseException]] = queue.Queue(maxsize=1)

    def work() -> None:
        try:
            answer.put((True, call()))
        except BaseException as error:
            answer.put((False, error))

    threading.Thread(target=work, daemon=True, name="moderation").start()
    try:
        well, value = answer.get(timeout=seconds)
    except queue.Empty:
        raise Failure("classifier-timeout") from None
    if not well:
        raise Failure(value.code if isinstance(value, Failure) else code) from None
    return value  # type: ignore[return-value]
