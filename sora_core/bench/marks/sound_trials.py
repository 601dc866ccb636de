"""Every attack on the mark of the sound, what the mark costs, and how often it is found where there is none."""

# C channels, S samples

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import SoraError
from ...evaluation.intervals import rate, tail
from .measures import Outcome, averages, bit_accuracy, si_snr_db, spread, summary
from .scheme import mark_id, secret
from .sound_attacks import SOUND_ATTACKS
from .sound_clips import sounds
from .trials import OWNER, Tell, single_threads, slug

SAMPLE_RATE, SECONDS = 48_000, 8.0
"""Of a sound that is marked and attacked."""

SHORT_S, SHORT_RATE = 4.0, 16_000
"""Of a sound without a mark."""

BITS = 32
SEED, UNMARKED_SEED = 1, 2


def sound_trials(*, clips: int, unmarked: int, keys: int, workers: int, tell: Tell) -> dict[str, Any]:
    """Mark sounds, attack them, read them; read sounds without a mark with strangers' keys.

    Args:
        clips: sounds that are marked, speech, music, ambience and impacts in turn. unmarked: sounds without a mark.
        keys: with which each of those is read. workers: sounds at once. tell: told what comes next.

    Returns:
        ``attacks`` as for the picture, ``quality`` with ``si_snr_db``, ``false_positives``, ``not_run``.
    """
    from ...provenance.marking.sound import mark_sound, read_sound_mark

    outcomes: dict[str, list[Outcome]] = {}
    families: dict[str, str] = {}
    missing: dict[str, str] = {}
    quality = []
    with single_threads(workers) as pool:
        for place, (name, sound_CS) in enumerate(sounds(clips, SECONDS, SAMPLE_RATE, SEED)):
            tell(f"sound {place + 1} of {clips}, {name}")
            number = mark_id(f"sound {name}")
            marked = mark_sound(sound_CS, sample_rate=SAMPLE_RATE, secret=secret(OWNER), mark_id=number)
            quality.append({"si_snr_db": si_snr_db(sound_CS, marked)})
            short = number >> BITS

            def work(attack: Any) -> Outcome | str:  # noqa: ANN401
                try:
                    heard, rate_hz = attack.run(marked, SAMPLE_RATE)  # noqa: B023
                except SoraError as error:
                    return str(error)
                reading = read_sound_mark(heard, sample_rate=rate_hz, secret=secret(OWNER))
                right = bit_accuracy(reading.bits, short)  # noqa: B023
                return Outcome(right, reading.state != "absent", reading.short_id == short)  # noqa: B023

            for attack, result in zip(SOUND_ATTACKS, pool.map(work, SOUND_ATTACKS), strict=True):
                if isinstance(result, str):
                    missing[attack.name] = result
                else:
                    outcomes.setdefault(attack.name, []).append(result)
                    families[attack.name] = attack.family
    return {
        "attacks": {
            slug(name): {"name": name, "family": families[name], "sound": summary(found, BITS)}
            for name, found in outcomes.items()
        },
        "quality": averages(quality),
        "false_positives": _false_positives(unmarked, keys, workers, tell),
        "not_run": missing,
    }


def _false_positives(clips: int, keys: int, workers: int, tell: Tell) -> dict[str, Any]:
    from ...provenance.marking.sound import read_prepared_sound
    from ...provenance.marking.sound_search import prepare_sound

    tell(f"{clips} sounds without a mark, {keys} keys each")
    made = sounds(clips, SHORT_S, SHORT_RATE, UNMARKED_SEED)

    def work(place: int) -> list[tuple[float, float, bool]]:
        prepared = prepare_sound(made[place][1], sample_rate=SHORT_RATE)
        readings = [read_prepared_sound(prepared, secret(f"stranger to sound {place} {key}")) for key in range(keys)]
        return [(r.score, r.threshold, r.state != "absent") for r in readings]

    with single_threads(workers) as pool:
        found = list(pool.map(work, range(clips)))
    every = [pair for pairs in found for pair in pairs]
    scores = np.array([score for score, _, _ in every])
    return {
        "clips": clips,
        "pairs": len(every),
        "found": sum(hit for _, _, hit in every),
        **spread("rate", rate(sum(hit for _, _, hit in every), len(every))),
        **spread("clip_rate", rate(sum(any(p[2] for p in pairs) for pairs in found), clips)),
        "threshold": every[0][1],
        "highest": float(scores.max()),
        "mean": float(scores.mean()),
        "tail": tail(scores.tolist(), every[0][1]),
    }
