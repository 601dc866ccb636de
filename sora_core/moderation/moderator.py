"""The judge: one policy, the user's names, grants and classifiers, and a decision for each thing that it is shown."""
# F frames, H W pixels, C channels, S samples

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import SoraError
from .absolute import absolute_lexicon, absolute_rules
from .blocklist import BlockList
from .classifier import Classifier
from .decision import STAGES, Decision
from .failure import Failure, timed
from .lexicon import TooCostly
from .log import DecisionLog
from .matching import hits_of
from .media import checked_sound, sampled_frames
from .names import NameList
from .normalise import read
from .policy import Policy
from .rule import TEXT_STAGES, Rule
from .scoring import frame_scores, label_scores
from .verdict import Verdict

if TYPE_CHECKING:
    from torch import Tensor

    from ..editing.film import Film

FRAME_STAGES, SOUND_STAGES = frozenset({"frames", "input_media", "cameo"}), frozenset({"audio", "input_media", "cameo"})


class Moderator:
    """Judges texts, frames and sounds by a policy. Whatever goes wrong blocks, with a reason code.

    Args:
        policy: from `load_policy`.
        names: people who must not be shown, beside those of the policy.
        granted: handles (with or without the ``@``) whose owners gave a grant.
        classifiers: the user's own.
        block_lists: the user's own.
        log: where every decision is added.
        degraded: let pass what classifiers and block lists fail at; the decision says so.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        names: Iterable[str] = (),
        granted: Iterable[str] = (),
        classifiers: Sequence[Classifier] = (),
        block_lists: Sequence[BlockList] = (),
        log: DecisionLog | None = None,
        degraded: bool = False,
    ) -> None:
        """Prepare the names."""
        self.policy, self.classifiers, self.block_lists = policy, tuple(classifiers), tuple(block_lists)
        self.granted = frozenset(handle.lower().lstrip("@") for handle in granted)
        self.degraded = degraded
        self._names = NameList(dict.fromkeys((*policy.names, *names)))
        self._log = log

    def text(self, text: str, *, stage: str = "prompt") -> Decision:
        """Judge a text.

        Args:
            text: a prompt, a transcript or what is asked of a cameo; "" is allowed.
            stage: "prompt", "audio" or "cameo".
        """
        return self._judge(stage, TEXT_STAGES, lambda verdict: self._text(text, verdict))

    def frames(self, frames_FHWC: Tensor | Iterable[Tensor], *, fps: float = 24.0, stage: str = "frames") -> Decision:
        """Judge a film's picture.

        Args:
            frames_FHWC: RGB, uint8 from 0 to 255 or float from 0 to 1; whole, or in pieces.
            fps: frames in a second, from which those that are judged are taken evenly.
            stage: "frames", "input_media" or "cameo".
        """
        return self._judge(stage, FRAME_STAGES, lambda verdict: self._frames(frames_FHWC, fps, verdict))

    def sound(
        self, sound_CS: Tensor, *, sample_rate: int, transcript: str | None = None, stage: str = "audio"
    ) -> Decision:
        """Judge a sound.

        Args:
            sound_CS: float from -1 to 1.
            sample_rate: samples in a second.
            transcript: what is said in it, where that is known; judged like a text.
            stage: "audio", "input_media" or "cameo".
        """
        return self._judge(stage, SOUND_STAGES, lambda verdict: self._sound(sound_CS, sample_rate, transcript, verdict))

    def film(self, film: Film) -> list[Decision]:
        """Judge a film's picture, and its sound where it has any."""
        decisions = [self.frames(film.frames(), fps=film.fps)]
        sound_CS = film.sound()
        if sound_CS is not None:
            decisions.append(self.sound(sound_CS, sample_rate=film.sample_rate))
        return decisions

    def _judge(self, stage: str, allowed: frozenset[str], work: Callable[[Verdict], None]) -> Decision:
        known = isinstance(stage, str) and stage in STAGES and stage in allowed
        verdict = Verdict(stage if known else "unknown", self.policy.sha256, degraded=self.degraded)
        if not known:
            verdict.fail("unknown-stage")
        else:
            try:
                work(verdict)
            except Failure as failure:
                verdict.fail(failure.code)
            except TooCostly:
                verdict.fail("too-complex")
            except Exception:
                # whatever it is, it must not let anything pass
                verdict.fail("engine-error")
        decision = verdict.decision()
        if self._log is not None:
            try:
                self._log.append(decision)
            except (SoraError, OSError):
                verdict.fail("log-error")
                return verdict.decision()
        return decision

    def _text(self, text: str, verdict: Verdict) -> None:
        if not isinstance(text, str):
            raise Failure("not-text")
        if len(text) > self.policy.longest_prompt:
            verdict.fail(
                "too-long",
                f"the text has {len(text)} characters and at most {self.policy.longest_prompt} are allowed; shorten it",
            )
            return
        self._words(text, verdict)
        self._of_kind("text", verdict)
        self._read_by_classifiers(text, verdict)

    def _read_by_classifiers(self, text: str, verdict: Verdict) -> None:
        for classifier in (one for one in self.classifiers if one.card.kind == "text"):
            with verdict.plugged():
                given = timed(lambda c=classifier: c.call(text), self.policy.timeout_s, code="classifier-error")
                self._scores(classifier, label_scores(classifier.card, given), verdict)

    def _words(self, text: str, verdict: Verdict) -> None:
        """Apply the absolute rules, then those of the policy."""
        reading = read(text)
        stage = verdict.stage if verdict.stage in TEXT_STAGES else "audio"
        for hit in hits_of(
            (rule for rule in absolute_rules() if stage in rule.stages), absolute_lexicon().scan(reading)
        ):
            verdict.meet(hit.rule, hit.spelled, hit.places)
        rules = [rule for rule in self.policy.rules if stage in rule.stages]
        words = [rule for rule in rules if rule.matcher == "words"]
        if words:
            for hit in hits_of(words, self.policy.lexicon.scan(reading)):
                verdict.meet(hit.rule, hit.spelled, hit.places)
        for rule in rules:
            if rule.matcher == "names":
                for name, place in self._names.find(text, reading):
                    verdict.meet(rule, name, (place,))
            elif rule.matcher == "handles":
                for handle in reading.handles:
                    if handle.text not in self.granted:
                        verdict.meet(rule, f"@{handle.text[:40]}", ((handle.start, handle.stop),))

    def _frames(self, frames_FHWC: Tensor | Iterable[Tensor], fps: float, verdict: Verdict) -> None:
        seen_FHWC = sampled_frames(frames_FHWC, fps, self.policy.frames_per_second)
        judges = self._of_kind("image", verdict)
        for classifier in judges:
            with verdict.plugged():
                given = timed(
                    lambda c=classifier: c.call(seen_FHWC.clone()), self.policy.timeout_s, code="classifier-error"
                )
                self._scores(classifier, frame_scores(classifier.card, given, len(seen_FHWC)), verdict)
        lists = [(one.name, one.frames) for one in self.block_lists if one.frames is not None]
        self._listed([(name, partial(call, seen_FHWC.clone())) for name, call in lists], verdict)
        if not judges:
            verdict.unjudged("frames")

    def _sound(self, sound_CS: Tensor, sample_rate: int, transcript: str | None, verdict: Verdict) -> None:
        sound_CS = checked_sound(sound_CS, sample_rate)
        judges, writers = self._of_kind("sound", verdict), self._of_kind("transcript", verdict, given=transcript)
        for classifier in judges:
            with verdict.plugged():
                given = timed(
                    lambda c=classifier: c.call(sound_CS.clone(), sample_rate),
                    self.policy.timeout_s,
                    code="classifier-error",
                )
                self._scores(classifier, label_scores(classifier.card, given), verdict)
        texts = [] if transcript is None else [transcript]
        for writer in writers:
            with verdict.plugged():
                said = timed(
                    lambda c=writer: c.call(sound_CS.clone(), sample_rate),
                    self.policy.timeout_s,
                    code="classifier-error",
                )
                if not isinstance(said, str):
                    raise Failure("classifier-error")
                texts.append(said)
        for text in texts:
            self._transcript(text, verdict)
        lists = [(one.name, one.sound) for one in self.block_lists if one.sound is not None]
        self._listed([(name, partial(call, sound_CS.clone(), sample_rate)) for name, call in lists], verdict)
        if not judges and not texts:
            verdict.unjudged("sound")

    def _transcript(self, text: str, verdict: Verdict) -> None:
        """Judge speech of any length in pieces that overlap by half."""
        longest = self.policy.longest_prompt
        for start in range(0, max(1, len(text) - longest // 2), max(1, longest // 2)):
            self._words(text[start : start + longest], verdict)
            self._read_by_classifiers(text[start : start + longest], verdict)

    def _of_kind(self, kind: str, verdict: Verdict, *, given: str | None = None) -> list[Classifier]:
        found = [classifier for classifier in self.classifiers if classifier.card.kind == kind]
        if kind in self.policy.requires.get(verdict.stage, ()) and not found and given is None:
            verdict.fail(
                "classifier-missing", f"the policy demands a classifier of the kind {kind!r} and none was given"
            )
        return found

    def _scores(self, classifier: Classifier, scores: dict[str, float], verdict: Verdict) -> None:
        rules: list[Rule] = [
            rule for rule in self.policy.rules if rule.matcher == "classifier" and verdict.stage in rule.stages
        ]
        for name, value in scores.items():
            verdict.score(classifier.card, name, value)
            for rule in rules:
                if rule.label == name and value >= rule.at_least:
                    verdict.meet(rule, f"{classifier.card.name}: {name} {value:.2f}", ())

    def _listed(self, lists: list[tuple[str, Callable[[], Any]]], verdict: Verdict) -> None:
        rules = [r for r in self.policy.rules if r.matcher == "blocklist" and verdict.stage in r.stages]
        for name, call in lists:
            with verdict.plugged():
                found = timed(call, self.policy.timeout_s, code="blocklist-error")
                if not isinstance(found, bool):
                    raise Failure("blocklist-error")
                if found:
                    verdict.on_list(name, rules[0] if rules else None)
