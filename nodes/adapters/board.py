"""A storyboard as nodes: what is expanded for its shots, and what lies on its cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfy_execution.graph_utils import GraphBuilder

from ...sora_core.editing.card import Card
from ...sora_core.editing.one_clip import OneClip, one_clip
from ...sora_core.editing.profile import Profile
from ...sora_core.editing.script import parse_script
from ...sora_core.editing.stitch import Border
from ...sora_core.editing.storyboard import borders_of
from ...sora_core.editing.storyboard_plan import ShotPlan, context_of, frames_of, plan_storyboard
from ...sora_core.errors import SoraError
from ...sora_core.request import MAX_SEED

MOST = 100
"""Shots of one storyboard: the host joins no more sockets in one node."""

SHARED = (
    "model",
    "vae",
    "audio_vae",
    "model_low",
    "switch_step",
    "sampler",
    "sigmas",
    "steps",
    "cfg",
    "solver",
    "limit",
)
"""Inputs that a storyboard hands on to its shots as they are: a link stays a link, so that the host caches by it."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a card begins with: an input of the node that it was written in."""

    node_id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Board:
    """A storyboard that is settled.

    plans: its shots. single: where it is one clip. seen: frames that a run sees of what is there, where nothing else
    is said. fps: frames per second. width, height: pixels.
    """

    plans: Sequence[ShotPlan]
    single: OneClip | None
    seen: int
    fps: float
    width: int
    height: int


def card_after(cards: Sequence[Card] | None, **card: Any) -> tuple[Card, ...]:
    """Return cards with one more that begins at their end."""
    before = tuple(cards or ())
    return (*before, Card(start_s=before[-1].end_s if before else 0.0, **card))


def settle(
    cards: Sequence[Card],
    profile: Profile,
    *,
    fps: float,
    width: int,
    height: int,
    seed: int,
    mode: str,
    fade: float,
    context: float,
) -> Board:
    """Return a storyboard on whole frames; fps and context 0 take the model's rate and 1.1 s.

    Raises:
        SoraError: cards or settings that cannot be, or too many shots.
    """
    rate = fps or profile.fps
    if len(cards) > MOST:
        raise SoraError(f"the storyboard has {len(cards)} shots and {MOST} are the most; make several and join them")
    over, seen = frames_of(fade, context or None, rate)
    single = one_clip(cards, profile, rate, mode)
    plans = plan_storyboard(cards, profile, rate, seed=seed % (MAX_SEED + 1), fade_frames=over, context_frames=seen)
    return Board(
        plans=plans, single=single, seen=seen or context_of(rate, profile), fps=rate, width=width, height=height
    )


def expand(board: Board, dynprompt: Any, node_id: str, negative_text: str) -> tuple[list[Any], dict[str, Any]]:
    """Return the link to a storyboard's VIDEO and the nodes that make it.

    Args:
        board: the storyboard. dynprompt, node_id: its node, and the prompt that it stands in.
        negative_text: for the negative, where none is connected.
    """
    own: Mapping[str, Any] = dynprompt.get_node(node_id)["inputs"]
    graph = GraphBuilder(prefix=f"{node_id}.")
    texts: dict[str, list[Any]] = {}

    def encoded(text: str) -> list[Any]:
        if text not in texts:
            texts[text] = graph.node("CLIPTextEncode", f"prompt_{len(texts) + 1}", text=text, clip=own["clip"]).out(0)
        return texts[text]

    negative = own.get("negative")
    shared = {name: own[name] for name in SHARED if name in own}
    shared |= {"negative": encoded(negative_text) if negative is None else negative}
    shared |= {"width": board.width, "height": board.height, "fps": board.fps}
    if board.single is not None:
        single = board.single
        cues = {f"cues.cue_{index}": encoded(text) for index, (_, text) in enumerate(single.cues)}
        times = ", ".join(repr(at) for at, _ in single.cues)
        made = graph.node(
            "SoraShot",
            "shot_1",
            positive=encoded(single.text),
            seed=board.plans[0].seed,
            seconds=single.frames / board.fps,
            context=board.seen / board.fps,
            cue_times=times,
            **cues,
            **shared,
        )
        return made.out(0), graph.finalize()
    shots: list[Any] = []
    for plan in board.plans:
        begins = {name: _link(dynprompt, given) for name in ("image", "video") if (given := getattr(plan, name))}
        if plan.context:
            begins["previous"] = shots[-1].out(0)
        shot = graph.node(
            "SoraShot",
            f"shot_{plan.index + 1}",
            positive=encoded(plan.text),
            seed=plan.seed,
            seconds=plan.count / board.fps,
            context=(plan.context or board.seen) / board.fps,
            cue_times="",
            **begins,
            **shared,
        )
        shots.append(shot)
    if len(shots) == 1:
        return shots[0].out(0), graph.finalize()
    videos = {f"videos.video_{index}": shot.out(0) for index, shot in enumerate(shots)}
    borders = ", ".join(f"{border.kind} {border.frames}" for border in borders_of(board.plans))
    joined = graph.node("SoraStitch", "stitch", transition="cut", fade=0.5, borders=borders, **videos)
    return joined.out(0), graph.finalize()


def script_cards(script: str) -> list[Card]:
    """Return a script's cards.

    Raises:
        SoraError: what is wrong with it, or a file in it, which a workflow has as a card instead.
    """
    cards = parse_script(script)
    for number, card in enumerate(cards, 1):
        if card.image is not None or card.video is not None:
            raise SoraError(
                f"shot {number} of the script names a file; connect the picture or clip to a Sora Card and that to cards"
            )
    return cards


def read_borders(text: str, count: int, transition: str, fade_frames: int, lead: int) -> list[Border]:
    """Return how each of ``count`` films after the first begins.

    Args:
        text: ``"cut, fade 6, continue"``, with frames or without; empty takes ``transition`` for all.
        fade_frames, lead: frames of a fade, and of a shot that goes on, where the text has none.

    Raises:
        SoraError: another word, or not as many as there are borders.
    """
    words = [word.split() for word in text.split(",")] if text.strip() else [[transition]] * count
    usual = {"fade": fade_frames, "continue": lead}
    if len(words) != count:
        raise SoraError(f"{count + 1} clips have {count} borders and {len(words)} are written; write one for each")
    borders: list[Border] = []
    for word in words:
        if not word or len(word) > 2 or (len(word) == 2 and not word[1].isdecimal()):
            raise SoraError(f'border {" ".join(word)!r} is not one; write for example "cut, fade 6, continue"')
        frames = int(word[1]) if len(word) == 2 else usual.get(word[0], 0)
        borders.append(Border(kind=word[0], frames=frames))
    return borders


def label_of(node_id: str) -> str:
    """Return ``"shot 2"`` for a node that a storyboard made, and nothing for one of the user's."""
    name = node_id.rpartition(".")[2]
    return name.replace("_", " ") + " " if name.startswith("shot_") else ""


def _link(dynprompt: Any, source: Any) -> Any:
    assert isinstance(source, Source)
    return dynprompt.get_node(source.node_id)["inputs"][source.name]
