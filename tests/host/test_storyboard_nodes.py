"""Storyboards in a real ComfyUI: expanded to shots, each made once, kept over changes, and refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kill_storyboard
import pytest
import torch
from hosting import PromptError
from prompts import Clip, picture

from sora_core.media.png import write_png

SETTINGS = {"width": 32, "height": 16, "steps": 2, "cfg": 1.5, "fps": 12.0, "seed": 3, "mode": "shots", "fade": 0.25}


@pytest.fixture
def made(host, monkeypatch):
    """What became of each shot that ran, in order: its node's id and what is told of it."""
    shots = host.pack("nodes.shots")
    ran: list[tuple[str, str]] = []
    find = shots.kept_shot

    def watched(make: Any, prompt: Any, own: str, **rest: Any) -> Any:
        kept = find(make, prompt, own, **rest)
        ran.append((own.rpartition(".")[2], kept.told))
        return kept

    monkeypatch.setattr(shots, "kept_shot", watched)
    host.pack("nodes.adapters.shots").clear_shots()
    forget(host)
    return ran


def forget(host: Any) -> None:
    """Run another prompt, after which the host knows nothing of those before."""
    clip = Clip(host)
    clip.values(clip.model)


def write_picture(image: torch.Tensor, path: Path) -> None:
    write_png(path, (image[0] * 255).round().byte().numpy())


class Cards:
    """A chain of cards in a prompt."""

    def __init__(self, clip: Clip) -> None:
        self.clip, self.last = clip, None

    def add(self, text: str, seconds: float = 0.5, **inputs: Any) -> Cards:
        before = {} if self.last is None else {"cards": self.last}
        self.last = self.clip.add("SoraCard", text=text, seconds=seconds, **before, **inputs)
        return self


def storyboard(clip: Clip, **inputs: Any) -> list[Any]:
    given = {"model": clip.model, "clip": clip.clip, "vae": clip.vae, "audio_vae": clip.audio_vae}
    return clip.add("SoraStoryboard", **given, **{**SETTINGS, **inputs})


def run(host, cards, **inputs):
    """Run four cards, each ``(text, transition)``, in a prompt of their own; return the film."""
    clip = Clip(host)
    chain = Cards(clip)
    for text, transition in cards:
        chain.add(text, transition=transition)
    return host.pack("nodes.adapters.films").film_of(clip.values(storyboard(clip, cards=chain.last, **inputs)))


FOUR = [("a red ball", "cut"), ("a ball bounces", "fade"), ("a red", "cut"), ("bounces", "continue")]


def pictures(film):
    return torch.cat(list(film.frames()))


def test_each_card_is_a_shot_that_is_made_once(host, made):
    film = run(host, FOUR)
    assert sorted(made) == [(f"shot_{number}", "made and kept") for number in (1, 2, 3, 4)]
    assert (film.num_frames, film.width, film.height, film.fps) == (24, 32, 16, 12.0)
    assert film.sound().shape == (1, 32000)
    again = run(host, FOUR)
    assert len(made) == 4, "the host knows that nothing has changed"
    assert torch.equal(pictures(film), pictures(again))
    forget(host)
    third = run(host, FOUR)
    assert sorted(made[4:]) == [(f"shot_{number}", "found") for number in (1, 2, 3, 4)]
    assert torch.equal(pictures(film), pictures(third))
    assert torch.equal(film.sound(), third.sound())


@pytest.mark.parametrize(("last", "anew"), [("continue", ["shot_3", "shot_4"]), ("cut", ["shot_3"])])
def test_a_changed_card_makes_its_shot_and_what_goes_on_from_it(host, made, last, anew):
    cards = [*FOUR[:3], (FOUR[3][0], last)]
    before = run(host, cards)
    made.clear()
    after = run(host, [*cards[:2], ("crimson orb", "cut"), cards[3]])
    assert sorted(name for name, _ in made) == anew
    assert {told for _, told in made} == {"made and kept"}
    assert torch.equal(pictures(before)[:12], pictures(after)[:12])
    assert not torch.equal(pictures(before)[12:], pictures(after)[12:])


def test_a_shot_is_found_where_its_place_has_changed(host, made):
    run(host, FOUR)
    made.clear()
    run(host, [("a ball", "cut"), FOUR[0], ("a", "cut"), *FOUR[2:]])
    assert dict(made) == {
        "shot_1": "made and kept",
        "shot_2": "found",
        "shot_3": "made and kept",
        "shot_4": "found",
        "shot_5": "found",
    }


def test_other_settings_make_other_shots(host, made):
    run(host, FOUR[:2])
    for change in ({"steps": 3}, {"cfg": 2.0}, {"width": 16}, {"negative_text": "red"}, {"seed": 4}):
        made.clear()
        run(host, FOUR[:2], **change)
        assert [told for _, told in made] == ["made and kept"] * 2, change
    made.clear()
    run(host, FOUR[:2], limit=5.0)
    assert [told for _, told in made] == ["found"] * 2


def test_pictures_and_clips_on_cards(host, made):
    clip = Clip(host)
    films = host.pack("nodes.adapters.films")
    folder = host.base / "input"
    shown = picture(16, 32)
    write_picture(shown, folder / "board.png")
    image = clip.add("LoadImage", image="board.png")
    given = clip.decode(clip.sora(clip.empty(size=32, seconds=0.75)))[0]
    cards = Cards(clip).add("a ball", image=image).add("", seconds=0.5, video=given).add("a red", 1.0, video=given)
    film = films.film_of(clip.values(storyboard(clip, cards=cards.last, height=32)))
    assert film.num_frames == 24
    assert [told for _, told in made] == ["made and kept"] * 3
    taken = pictures(film)[6:12]
    assert torch.equal(taken[:-2], pictures(film)[12:16]), "both begin with the clip"


def test_one_clip_with_prompts_in_it(host, made):
    clip = Clip(host)
    script = "[0.4s]a red ball [0.35s]bounces"
    film = host.pack("nodes.adapters.films").film_of(clip.values(storyboard(clip, script=script, mode="auto")))
    assert film.num_frames == 9
    assert made == [("shot_1", "made and kept")]
    other = Clip(host)
    told = other.values(storyboard(other, script="[0.4s]a red ball [0.35s]a ball", mode="single"))
    assert not torch.equal(pictures(film), pictures(host.pack("nodes.adapters.films").film_of(told)))
    refused = Clip(host)
    with pytest.raises(PromptError, match='shot 2 begins with "fade", which a single clip cannot have'):
        refused.values(storyboard(refused, script="[0.4s]a red ball [0.35s, fade]bounces", mode="single"))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("", "the script is empty"),
        ("a red ball", "the script holds no shot"),
        ("[2s]a ball [x]b", "line 1: duration"),
        ("[2s, fade]a ball", "no shot is before it"),
        ("Shot 1:\nduration: 1s\nimage: ball.png\nScene: a ball", "connect the picture or clip to a Sora Card"),
    ],
)
def test_a_bad_script_is_refused_before_anything_runs(host, made, script, words):
    clip = Clip(host)
    with pytest.raises(PromptError, match=words):
        clip.values(storyboard(clip, script=script))
    assert not made


def test_bad_cards_are_refused(host, made):
    for cards, words in (
        ([("a ball", "fade")], "no card is before it"),
        ([("", "cut")], "card 1 shows nothing"),
    ):
        with pytest.raises(PromptError, match=words) as refused:
            run(host, cards)
        assert "SoraError" in refused.value.kind
    with pytest.raises(PromptError, match="a context of 360 frames must be between 1 and"):
        run(host, FOUR, context=30.0)
    assert not made


def test_a_shot_that_cannot_be_named_is_made_and_not_kept(host, made):
    clip = Clip(host)
    inputs = {"model": clip.model, "positive": clip.positive, "negative": clip.negative, "vae": clip.vae}
    shot = clip.add("SoraShot", **inputs, width=32, height=16, seconds=0.5, steps=1, image=_each_time(host, clip))
    clip.values(shot)
    assert made[0][1] == "made, not kept: TestEachTime asks to be run each time"
    assert host.pack("nodes.adapters.shots").shots_kept()[0] == 0


def _each_time(host: Any, clip: Clip) -> list[Any]:
    class TestEachTime:
        RETURN_TYPES, FUNCTION, CATEGORY = ("IMAGE",), "give", "test"

        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {}}

        @classmethod
        def IS_CHANGED(cls):
            return float("nan")

        def give(self):
            return (picture(16, 32),)

    host.nodes.NODE_CLASS_MAPPINGS["TestEachTime"] = TestEachTime
    return clip.add("TestEachTime")


def test_a_changed_file_is_another_shot(host, made):
    def shot(seed):
        write_picture(picture(16, 32, seed), host.base / "input" / "changing.png")
        clip = Clip(host)
        image = clip.add("LoadImage", image="changing.png")
        inputs = {"model": clip.model, "positive": clip.positive, "negative": clip.negative, "vae": clip.vae}
        clip.values(clip.add("SoraShot", **inputs, width=32, height=16, seconds=0.5, steps=1, image=image))

    shot(0)
    shot(1)
    assert [told for _, told in made] == ["made and kept"] * 2


def test_shots_are_counted_and_cleared(host, made):
    film = run(host, FOUR[:2])
    assert len(made) == 2
    kept = host.pack("nodes.adapters.shots").shots_folder()
    assert kept == host.base / "user" / "sora" / "shots"
    told = {}
    for clear in (False, True):
        graph = host.graph()
        graph.add("SoraClearShots", clear=clear)
        (told[clear],) = host.run(graph.prompt).values()
    assert "2 shots kept" in json.dumps(told[False])
    assert "2 shots removed" in json.dumps(told[True])
    assert not list(kept.glob("*.mov"))
    assert len(pictures(film)) == film.num_frames, "what is made already stays"


def test_an_interrupt_stops_a_shot_and_keeps_those_before(host, made):
    steps = []

    def stop(done: int) -> None:
        steps.append(done)
        if len(steps) == 5:
            host.nodes.interrupt_processing(True)

    host.on_progress = stop
    try:
        with pytest.raises(PromptError, match="interrupted"):
            run(host, FOUR, seed=77)
    finally:
        host.on_progress = None
        host.nodes.interrupt_processing(False)
    assert 0 < len(made) < 4
    done = len(made)
    folder = host.pack("nodes.adapters.shots").shots_folder()
    assert len([path for path in folder.iterdir() if path.suffix == ".mov"]) == done
    run(host, FOUR, seed=77)
    assert len(made) == 4
    assert {told for _, told in made} == {"made and kept"}


def test_clips_are_joined_by_hand(host):
    clip = Clip(host)
    one, two = (clip.decode(clip.sora(clip.empty(), seed=seed))[0] for seed in (1, 2))
    videos = {"videos.video_0": one, "videos.video_1": two}
    links = [
        clip.add("SoraStitch", **videos, transition="cut"),
        clip.add("SoraStitch", **videos, transition="fade", fade=0.25),
        clip.add("SoraStitch", **videos, borders="continue 2"),
    ]
    films = [host.pack("nodes.adapters.films").film_of(made) for made in clip.values(*links)]
    assert [film.num_frames for film in films] == [18, 15, 16]
    with pytest.raises(PromptError, match="2 clips have 1 borders and 2 are written"):
        clip.values(clip.add("SoraStitch", **videos, borders="cut, cut"))


@pytest.mark.slow
@pytest.mark.weights
def test_what_is_finished_survives_interrupts_and_kills(comfyui, tmp_path, tell):
    """Two stops in servers of their own; ``kill_storyboard.py`` makes as many as wanted."""
    told = kill_storyboard.torture(comfyui, tmp_path, 2)
    tell(f"{told}")
    assert (told.kills, told.interrupts) == (1, 1)
    assert told.same
    assert told.again == 0
    assert told.slowest_s < 20
