"""The editor's nodes in a real ComfyUI: every family at tiny size, and what they refuse."""

from __future__ import annotations

from typing import Any

import makers
import pytest
import torch
from hosting import PromptError

FPS = 12.0


class Room:
    """A family's parts in a graph of the editor."""

    def __init__(self, host: Any, family: str, *, sound: bool = True) -> None:
        self.host, self.graph = host, host.graph()
        self.maker = makers.maker_of(host, family, sound=sound)
        self.sampling: dict[str, Any] = {
            "model": self.graph.give(self.maker.model),
            "positive": self.graph.give(self.maker.positive),
            "negative": self.graph.give(self.maker.negative),
            "vae": self.graph.give(self.maker.vae),
            "seed": 5,
            "steps": 2,
            "cfg": 1.5,
        }
        if self.maker.sound:
            self.sampling["audio_vae"] = self.graph.give(self.maker.audio_vae)

    def clip(self, frames: int, seed: int = 0, *, sound: bool = True, size: int = 0, fps: float = FPS) -> Any:
        """Return a VIDEO of noise that changes slowly, and its frames uint8."""
        from comfy_api.latest import InputImpl, Types

        side = size or self.maker.profile.multiple * 2
        generator = torch.Generator().manual_seed(seed)
        first, last = torch.rand(2, side, side, 3, generator=generator)
        share = torch.linspace(0, 1, frames)[:, None, None, None]
        images = ((first * (1 - share) + last * share) * 255).round() / 255
        audio = None
        if sound:
            wave = torch.rand(1, 1, round(frames / fps * 16000), generator=generator) * 0.2 - 0.1
            audio = {"waveform": wave, "sample_rate": 16000}
        from fractions import Fraction

        parts = Types.VideoComponents(images=images, audio=audio, frame_rate=Fraction(fps).limit_denominator(1001))
        return InputImpl.VideoFromComponents(parts), (images * 255).round().byte()

    def run(self, node: str, **inputs: Any) -> Any:
        """Run a node; return its VIDEO."""
        made = self.graph.add(node, **self.sampling, **inputs)[0]
        return self.host.values(self.graph, made)

    def refused(self, node: str, **inputs: Any) -> PromptError:
        """Run a node that must refuse."""
        return self.host.error(self.graph, self.graph.add(node, **{**self.sampling, **inputs})[0])


def frames_of(video: Any) -> torch.Tensor:
    return (video.get_components().images * 255).round().byte()


@pytest.mark.parametrize("family", makers.FAMILIES)
def test_a_clip_goes_on_forwards_and_backwards(host, family):
    room = Room(host, family)
    video, frames = room.clip(40)
    for direction, kept in (("forward", slice(0, 38)), ("backward", slice(-38, None))):
        made = room.run("SoraExtend", video=room.graph.give(video), seconds=1.0, direction=direction)
        shown = frames_of(made)
        assert len(shown) == 40 + 12
        assert torch.equal(shown[kept], frames[slice(0, 38) if direction == "forward" else slice(2, None)])
        audio = made.get_components().audio
        assert audio["waveform"].shape[-1] == round(52 / FPS * 16000)
        assert bool(torch.isfinite(audio["waveform"]).all())


@pytest.mark.parametrize("family", makers.FAMILIES)
def test_a_clip_loops_connects_and_blends(host, family):
    room = Room(host, family)
    video, frames = room.clip(30)
    other, others = room.clip(30, seed=1)
    one, two = room.graph.give(video), room.graph.give(other)
    looped = frames_of(room.run("SoraLoop", video=one, seconds=0.5))
    assert len(looped) == 36
    assert torch.equal(looped[2:28], frames[2:28])
    joined = frames_of(room.run("SoraConnect", video=one, video_2=two, seconds=0.5))
    assert len(joined) == 66
    assert torch.equal(joined[:28], frames[:28])
    assert torch.equal(joined[-28:], others[-28:])
    mixed = frames_of(room.run("SoraBlend", video=one, video_2=two))
    assert len(mixed) == 30
    assert torch.equal(mixed[0], frames[0])
    assert torch.equal(mixed[-1], others[-1])


@pytest.mark.parametrize("family", makers.FAMILIES)
def test_a_clip_is_remixed_recut_and_varied(host, family):
    room = Room(host, family)
    video, frames = room.clip(30)
    one = room.graph.give(video)
    remixed = room.run("SoraRemix", video=one, strength="mild", keep_sound=True)
    assert len(frames_of(remixed)) == 30
    assert not torch.equal(frames_of(remixed), frames)
    heard = remixed.get_components().audio["waveform"]
    assert torch.allclose(heard, video.get_components().audio["waveform"][..., : heard.shape[-1]], atol=1e-6)
    cut = frames_of(room.run("SoraRecut", video=one, start=0.25, redo="1:1.5"))
    assert len(cut) == 27
    assert torch.equal(cut[:7], frames[3:10])
    assert torch.equal(cut[-10:], frames[-10:])


@pytest.mark.parametrize("family", makers.FAMILIES)
def test_pictures_are_pinned(host, family):
    room = Room(host, family)
    side = room.maker.profile.multiple * 2
    first, last = (torch.rand(1, side, side, 3, generator=torch.Generator().manual_seed(i)) for i in range(2))
    images = {"images.image_0": room.graph.give(first), "images.image_1": room.graph.give(last)}
    made = frames_of(
        room.run("SoraKeyframes", **images, image_times="0, end", seconds=1.0, width=side, height=side, fps=12.0)
    )
    assert len(made) == 12
    assert torch.equal(made[0], (first[0] * 255).round().byte())
    assert torch.equal(made[-1], (last[0] * 255).round().byte())


@pytest.mark.parametrize("family", makers.WITH_SOUND)
def test_sound_and_picture_are_made_for_each_other(host, family):
    room = Room(host, family)
    video, frames = room.clip(30, sound=False)
    made = room.run("SoraFoley", video=room.graph.give(video))
    assert torch.equal(frames_of(made), frames)
    assert made.get_components().audio["waveform"].abs().max() > 0
    side = room.maker.profile.multiple * 2
    tone = torch.sin(torch.arange(24000) / 20)[None, None] * 0.3
    audio = room.graph.give({"waveform": tone, "sample_rate": 16000})
    made = room.run("SoraSoundToVideo", audio=audio, width=side, height=side, fps=12.0)
    assert len(frames_of(made)) == 18
    assert made.get_components().audio["waveform"].shape[-1] > 0


@pytest.mark.parametrize("family", ["wan21", "ltxv"])
def test_a_model_without_sound_says_so(host, family):
    room = Room(host, family)
    video, _ = room.clip(20, sound=False)
    assert "makes no sound here" in str(room.refused("SoraFoley", video=room.graph.give(video)))


BAD = [
    ("SoraExtend", {"context": 9.0}, "fewer than the context"),
    ("SoraRecut", {"start": 5.0}, "must lie in the clip"),
    ("SoraRecut", {"redo": "abc"}, "is not start:end in seconds"),
    ("SoraRecut", {"redo": "0:1, 0.5:1.2"}, "overlaps the one before it"),
    ("SoraBlend", {"curve": "custom", "points": "0:0, 2:1"}, "must rise from 0 to 1"),
    ("SoraBlend", {"seconds": 9.0}, "longer than the shorter section"),
    ("SoraBlend", {"section_start": 0.7, "section_end": 0.2}, "its start before its end"),
    ("SoraKeyframes", {"image_times": "0"}, "no picture and no clip is connected"),
]


@pytest.mark.parametrize(("node", "inputs", "sentence"), BAD)
def test_what_cannot_be_is_refused_with_one_sentence(host, node, inputs, sentence):
    room = Room(host, "ours")
    video, _ = room.clip(20)
    clips = {} if node == "SoraKeyframes" else {"video": room.graph.give(video)}
    if node == "SoraBlend":
        clips["video_2"] = room.graph.give(video)
    error = room.refused(node, **clips, **inputs)
    assert sentence in str(error)
    assert "Traceback" not in str(error)


@pytest.mark.parametrize(
    ("unlike", "sentence"), [({"size": 48}, "are 32x32 and 48x48"), ({"fps": 24.0}, "12 and 24 frames per second")]
)
def test_clips_unlike_each_other_are_resized_or_refused(host, unlike, sentence):
    inputs = {"seconds": 0.5}
    room = Room(host, "ours")
    clips = [room.clip(20)[0], room.clip(20, **unlike)[0]]
    video, video_2 = (room.graph.give(clip) for clip in clips)
    assert sentence in str(room.refused("SoraConnect", video=video, video_2=video_2, **inputs, unlike="refuse"))
    room = Room(host, "ours")
    video, video_2 = (room.graph.give(clip) for clip in clips)
    joined = room.run("SoraConnect", video=video, video_2=video_2, **inputs)
    assert frames_of(joined).shape[:3] == (20 + 6 + (10 if "fps" in unlike else 20), 32, 32)


def test_a_silent_sound_is_refused(host):
    room = Room(host, "ours")
    audio = room.graph.give({"waveform": torch.zeros(1, 1, 0), "sample_rate": 16000})
    assert "give one with sound" in str(room.refused("SoraSoundToVideo", audio=audio))


def test_a_prompt_is_written_out(host):
    graph = host.graph()
    short = graph.add("SoraPromptExpand", prompt="a red ball", length="medium", seed=3)[0]
    text, again = (host.values(graph, short) for _ in range(2))
    assert "red" in text
    assert len(text.split()) > 6
    assert text == again
    assert "the prompt is empty" in str(host.error(graph, graph.add("SoraPromptExpand", prompt=" ")[0]))


def test_a_text_model_writes_where_it_can(host):
    graph = host.graph()

    class Writer:
        def tokenize(self, text, **_):
            assert "a cat" in text
            return {"words": text}

        def generate(self, tokens, **settings):
            assert tokens == {"words": tokens["words"]}
            assert settings["seed"] == 4
            return [1, 2]

        def decode(self, ids):
            return f" A cat sleeps {len(ids)}. "

    made = graph.add("SoraPromptExpand", prompt="a cat", seed=4, text_model=graph.give(Writer()))[0]
    assert host.values(graph, made) == "A cat sleeps 2."
    clip = graph.add("SoraLoader")
    error = host.error(graph, graph.add("SoraPromptExpand", prompt="a cat", text_model=clip[1])[0])
    assert "cannot write it" in str(error)
