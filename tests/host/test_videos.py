"""Films as the host's videos: saved, taken apart, cut and chained by core's own nodes, and read without all of it."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hosting import PromptError

FPS, RATE, FRAMES = 24.0, 44100, 60
SIZE = (48, 64)
SAVED = {"format": "auto", "format.codec": "auto", "codec": "auto"}


@pytest.fixture(scope="module")
def films(host):
    """The adapter, as the host loaded it."""
    return host.pack("nodes.adapters.films")


@pytest.fixture(scope="module")
def core(host):
    """The module of films that the adapter itself uses: the pack's copy, not the one on the path."""
    return host.pack("sora_core.editing.film")


def picture(frames=FRAMES, height=SIZE[0], width=SIZE[1]):
    y, x = np.mgrid[:height, :width]
    each = [np.stack([x * 3 + i * 5, y * 2 + i * 3, np.full_like(x, i * 4)], -1) % 256 for i in range(frames)]
    return torch.from_numpy(np.stack(each).astype(np.uint8))


def tone(core, frames=FRAMES):
    time = torch.arange(core.samples_at(frames, FPS, RATE), dtype=torch.float64) / RATE
    return torch.stack([(0.4 * torch.sin(hertz * time)).float() for hertz in (2000, 3000)])


def stream_of(core, *, sound=True, size=SIZE, pieces=None):
    made, heard = picture(FRAMES, *size), tone(core)

    def each():
        for start in range(0, FRAMES, 8):
            stop = min(FRAMES, start + 8)
            first, last = (core.samples_at(place, FPS, RATE) for place in (start, stop))
            yield core.Piece(made[start:stop], heard[:, first:last] if sound else None)

    return core.FilmStream(
        pieces=pieces or each(),
        num_frames=FRAMES,
        width=size[1],
        height=size[0],
        fps=FPS,
        sample_rate=RATE,
        channels=2 if sound else 0,
    )


def saved(host, video, **inputs):
    """Save through core's node; return the file."""
    graph = host.graph()
    graph.add("SaveVideo", video=graph.give(video), filename_prefix="films/made", **{**SAVED, **inputs})
    (shown,) = host.run(graph.prompt).values()
    (entry,) = shown["images"]
    return host.base / "output" / entry["subfolder"] / entry["filename"]


def scratch(host):
    return sorted((host.base / "temp").glob("*sora_*"))


def test_a_film_is_kept_as_it_is(host, films, core):
    video = films.video_of(stream_of(core))
    graph = host.graph()
    images, audio, fps, bits, colours = graph.add("GetVideoComponents", video=graph.give(video))
    images, audio, fps, bits, colours = host.values(graph, images, audio, fps, bits, colours)
    assert images.dtype == torch.float32
    assert torch.equal(images.mul(255).round().byte(), picture())
    assert torch.equal(audio["waveform"][0], tone(core))
    assert (audio["sample_rate"], fps, bits, colours) == (RATE, FPS, 8, "sRGB")
    assert (video.get_dimensions(), video.get_frame_count()) == ((64, 48), FRAMES)
    assert (video.get_frame_rate(), video.get_duration()) == (Fraction(24), FRAMES / FPS)
    assert Path(video.get_stream_source()).parent == host.base / "temp"


def test_a_film_is_saved_for_players(host, films, core):
    path = saved(host, films.video_of(stream_of(core)))
    with av.open(str(path)) as container:
        shown, heard = container.streams.video[0], container.streams.audio[0]
        assert (shown.codec_context.name, shown.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (shown.codec_context.colorspace, shown.average_rate, shown.frames) == (1, 24, FRAMES)
        assert (heard.codec_context.name, heard.codec_context.sample_rate) == ("aac", RATE)
        assert heard.codec_context.layout.name == "stereo"
        assert container.duration / 1e6 == pytest.approx(FRAMES / FPS, abs=0.05)
        assert "SaveVideo" in {node["class_type"] for node in json.loads(container.metadata["prompt"]).values()}
    back = films.film_of(host.pack("nodes.host").InputImpl.VideoFromFile(str(path)))
    error = torch.cat(list(back.frames())).float() - picture().float()
    assert error.abs().mean() < 12
    assert (back.sound()[:, 8000:40000] - tone(core)[:, 8000:40000]).abs().max() < 0.1


@pytest.mark.parametrize(("container", "codec"), [("mp4", "h264"), ("mkv", "h264"), ("mkv", "av1"), ("webm", "av1")])
def test_the_container_and_the_codec_are_the_users(host, films, core, container, codec):
    video = films.video_of(stream_of(core, size=(64, 64)))
    path = saved(host, video, **{"format": container, "format.codec": codec})
    assert path.suffix == f".{container}"
    with av.open(str(path)) as opened:
        assert {"mp4": "mp4", "mkv": "matroska", "webm": "webm"}[container] in opened.format.name
        assert codec in opened.streams.video[0].codec.canonical_name
        assert opened.streams.audio[0].codec.canonical_name == ("opus" if container == "webm" else "aac")
        assert sum(1 for _ in opened.decode(video=0)) == FRAMES


def test_the_quality_is_the_users(host, films, core):
    video = films.video_of(stream_of(core, sound=False))
    encoded = {"format": "mp4", "format.codec": "h264", "format.codec.encoding": "re-encode"}
    quality, colours = (f"format.codec.encoding.{name}" for name in ("crf", "color_space"))
    sizes = [saved(host, video, **encoded, **{quality: crf, colours: "sRGB"}).stat().st_size for crf in (10.0, 45.0)]
    assert sizes[0] > 1.5 * sizes[1]
    with pytest.raises(PromptError, match="cannot be saved as HDR") as refused:
        saved(host, video, **encoded, **{quality: 20.0, colours: "HDR"})
    assert "SoraError" in refused.value.kind


def test_a_film_without_sound(host, films, core):
    video = films.video_of(stream_of(core, sound=False))
    assert video.get_components().audio is None
    with av.open(str(saved(host, video))) as container:
        assert not container.streams.audio


def test_core_trims_a_film(host, films, core):
    graph = host.graph()
    video = graph.give(films.video_of(stream_of(core)))
    first = graph.add("Video Slice", video=video, start_time=0.5, duration=1.5, strict_duration=True)[0]
    second = graph.add("Video Slice", video=first, start_time=0.25, duration=100.0)[0]
    last = graph.add("Video Slice", video=video, start_time=-0.5)[0]
    first, second, last = host.values(graph, first, second, last)
    assert torch.equal(first.get_components().images.mul(255).round().byte(), picture()[12:48])
    assert torch.equal(second.get_components().images.mul(255).round().byte(), picture()[18:48])
    assert torch.equal(last.get_components().images.mul(255).round().byte(), picture()[48:])
    assert (first.get_frame_count(), first.get_duration()) == (36, 1.5)
    start, stop = (core.samples_at(place, FPS, RATE) for place in (12, 48))
    assert torch.equal(films.film_of(first).sound(), tone(core)[:, start:stop])
    with av.open(str(saved(host, first))) as container:
        assert container.streams.video[0].frames == 36
        assert container.duration / 1e6 == pytest.approx(1.5, abs=0.05)
    graph = host.graph()
    late = graph.add("Video Slice", video=graph.give(first), start_time=1.0, duration=1.0, strict_duration=True)[0]
    assert "Failed to slice" in host.error(graph, late).message
    assert first.as_trimmed(2.0) is None


def test_core_makes_a_video_of_its_parts_again(host, films, core):
    graph = host.graph()
    images, audio, fps = graph.add("GetVideoComponents", video=graph.give(films.video_of(stream_of(core))))[:3]
    again = host.values(graph, graph.add("CreateVideo", images=images, audio=audio, fps=fps)[0])
    film = films.film_of(again)
    assert isinstance(film, core.MemoryFilm)
    assert torch.equal(film.picture, picture())
    assert torch.equal(film.sound(), tone(core))
    assert (film.fps, film.sample_rate, film.channels) == (FPS, RATE, 2)


def test_a_film_is_saved_to_memory(films, core):
    video = films.video_of(stream_of(core))
    target = io.BytesIO()
    video.save_to(target, metadata={"seed": 3, "name": "a ball"})
    with av.open(io.BytesIO(target.getvalue())) as container:
        assert container.metadata["seed"] == "3"
        assert container.metadata["name"] == "a ball"
        assert sum(1 for _ in container.decode(video=0)) == FRAMES


def test_a_loaded_video_is_read_where_it_lies(host, films, core, monkeypatch):
    path = saved(host, films.video_of(stream_of(core)))
    (host.base / "input" / "loaded.mp4").write_bytes(path.read_bytes())
    graph = host.graph()
    video = graph.add("LoadVideo", file="loaded.mp4")[0]
    sliced = graph.add("Video Slice", video=video, start_time=0.5, duration=1.0)[0]
    video, sliced = host.values(graph, video, sliced)
    wanted, cut = (given.get_components() for given in (video, sliced))
    monkeypatch.setattr(type(video), "get_components", None)
    for given, parts, first in ((video, wanted, 0), (sliced, cut, 12)):
        film = films.film_of(given)
        assert (film.num_frames, film.fps) == (len(parts.images), FPS)
        read = torch.cat(list(film.frames())).float() / 255
        # the host blends neighbouring colours where H.264 has one for four pixels
        assert (read - parts.images.clamp(0, 1)).abs().mean() < 4 / 255
        assert (read - parts.images.clamp(0, 1)).mean().abs() < 1 / 255
        start = core.samples_at(first, FPS, RATE)
        stop = start + core.samples_at(film.num_frames, FPS, RATE)
        assert (film.sound()[:, 4000:-4000] - tone(core)[:, start:stop][:, 4000:-4000]).abs().max() < 0.1


def test_parts_in_memory_become_a_film(host, films):
    api = host.pack("nodes.host")
    images = torch.rand(5, 32, 32, 4)
    audio = {"waveform": torch.rand(1, 6, 9000), "sample_rate": 22050}
    parts = api.Types.VideoComponents(images=images, audio=audio, frame_rate=Fraction(25, 2))
    film = films.film_of(api.InputImpl.VideoFromComponents(parts))
    assert (film.num_frames, film.fps, film.sample_rate, film.channels) == (5, 12.5, 22050, 2)
    assert (film.picture.float() / 255 - images[..., :3]).abs().max() <= 0.5 / 255 + 1e-6
    assert film.sound().abs().max() <= 1
    core_error = host.pack("sora_core.errors").SoraError
    with pytest.raises(core_error, match="no frame"):
        films.film_from_images(images[:0], None, 12.5)
    with pytest.raises(core_error, match="fps 0"):
        films.film_from_images(images, None, 0)


def test_an_interrupt_leaves_no_file(host, films, core):
    before, made = scratch(host), []
    each = stream_of(core).pieces

    def pieces():
        for piece in each:
            made.append(piece)
            if len(made) == 3:
                host.nodes.interrupt_processing(True)
            yield piece

    stopped = host.pack("nodes.host").comfy.model_management.InterruptProcessingException
    try:
        with pytest.raises(stopped):
            films.video_of(stream_of(core, pieces=pieces()))
    finally:
        host.nodes.interrupt_processing(False)
    assert len(made) == 3
    assert scratch(host) == before
    whole = films.video_of(stream_of(core))
    host.nodes.interrupt_processing(True)
    target = host.base / "output" / "stopped.mp4"
    try:
        with pytest.raises(stopped):
            whole.save_to(str(target))
    finally:
        host.nodes.interrupt_processing(False)
    assert not list(target.parent.glob("*stopped*"))


def test_broken_sound_is_a_sentence(host, films, core):
    before = scratch(host)
    broken = (piece._replace(sound=piece.sound / 0) for piece in stream_of(core).pieces)
    with pytest.raises(host.pack("sora_core.errors").SoraError, match="not numbers"):
        films.video_of(replace(stream_of(core), pieces=broken))
    assert scratch(host) == before
    odd = films.video_of(stream_of(core, size=(33, 51)))
    assert odd.get_dimensions() == (51, 33)
    with pytest.raises(PromptError, match="even sides") as refused:
        saved(host, odd)
    assert "SoraError" in refused.value.kind
