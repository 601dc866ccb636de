"""Films in files: any frame and any sample is found, what is written without loss comes back, memory stays small."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from sora_core.editing.film import FilmStream, Piece, samples_at
from sora_core.errors import SoraError
from sora_core.media.colours import Colours
from sora_core.media.encoder import Encoding
from sora_core.media.film_file import FileFilm
from sora_core.media.film_writer import write_film, write_lossless

FRAMES = 100


def pictures(start, stop, height, width):
    y, x = np.mgrid[:height, :width]
    each = [np.stack([x * 3 + i * 5, y * 2 + i * 3, np.full_like(x, i * 7)], -1) % 256 for i in range(start, stop)]
    return torch.from_numpy(np.stack(each).astype(np.uint8))


def tones(start, stop, rate, channels):
    time = torch.arange(start, stop, dtype=torch.float64) / rate
    return torch.stack(
        [(0.4 * torch.sin(2000 * (c + 1) * time + 60 * torch.sin(time))).float() for c in range(channels)]
    )


def film(*, frames=FRAMES, height=48, width=64, fps=24.0, rate=44100, channels=2, piece=7):
    def pieces():
        for start in range(0, frames, piece):
            stop = min(frames, start + piece)
            first, last = samples_at(start, fps, rate), samples_at(stop, fps, rate)
            sound = tones(first, last, rate, channels) if channels else None
            yield Piece(pictures(start, stop, height, width), sound)

    return FilmStream(
        pieces=pieces(), num_frames=frames, width=width, height=height, fps=fps, sample_rate=rate, channels=channels
    )


def encode(path, *, codec="libx264", kind=None, pixels="yuv420p", options=None, times=None, sound=None):
    """Write the usual frames by hand; ``times`` are in 1/24 s, ``sound`` is a codec and a rate."""
    with av.open(str(path), "w", format=kind) as container:
        video = container.add_stream(codec, rate=24)
        video.width, video.height, video.pix_fmt, video.options = 64, 48, pixels, options or {}
        voice = container.add_stream(sound[0], rate=sound[1], layout="stereo") if sound else None
        for index, image in enumerate(pictures(0, FRAMES, 48, 64).numpy()):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = index if times is None else times[index], Fraction(1, 24)
            container.mux(video.encode(frame))
            if voice is not None:
                rate = sound[1]
                start, stop = samples_at(index, 24, rate), samples_at(index + 1, 24, rate)
                heard = av.AudioFrame.from_ndarray(tones(start, stop, rate, 2).numpy(), "fltp", "stereo")
                heard.sample_rate, heard.pts, heard.time_base = rate, start, Fraction(1, rate)
                container.mux(voice.encode(heard))
        for stream in (video, voice):
            if stream is not None:
                container.mux(stream.encode(None))
    return path


def decoded(path):
    colours = Colours()
    with av.open(str(path)) as container:
        return np.stack([colours.to_rgb(frame, frame.width, frame.height) for frame in container.decode(video=0)])


def frames_of(film, start=0, stop=None):
    return torch.cat(list(film.frames(start, stop))).numpy()


def lag(heard, wanted):
    """Return how many samples late the first is."""
    size = 2 * max(len(heard), len(wanted))
    match = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size)))
    return (int(match.argmax()) + size // 2) % size - size // 2


# frames

KINDS = {
    "b-frames.mp4": {"options": {"bf": "3", "g": "30", "x264-params": "open-gop=1:b-pyramid=normal"}},
    "one-key.mp4": {"options": {"bf": "2", "g": "1000", "sc_threshold": "0"}},
    "keys-alone.mp4": {"options": {"g": "1"}},
    "matroska.mkv": {"options": {"bf": "2", "g": "20"}},
    "transport.ts": {"options": {"bf": "2", "g": "20"}},
    "old.avi": {"codec": "mpeg4", "options": {"bf": "2", "g": "20"}},
    "no-times.h264": {"options": {"bf": "2", "g": "20"}},
    "hidden.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16", "b": "100k"}},
    "ten-bits.mov": {"codec": "prores_ks", "pixels": "yuv422p10le"},
    "moving.gif": {"codec": "gif", "pixels": "rgb8"},
}


@pytest.mark.parametrize("name", KINDS)
def test_any_stretch_is_what_a_full_read_gives(tmp_path, name):
    kind = KINDS[name]
    if kind.get("codec", "libx264") not in av.codecs_available:
        pytest.skip(f"this PyAV has no encoder {kind['codec']}")
    path = encode(tmp_path / name, **kind)
    whole, film = decoded(path), FileFilm(path)
    assert (film.num_frames, film.width, film.height) == (len(whole), 64, 48)
    assert (film.channels, film.sample_rate, film.sound()) == (0, 16000, None)
    np.testing.assert_array_equal(frames_of(film), whole)
    for start in np.random.default_rng(0).integers(0, FRAMES - 1, 8):
        stop = min(FRAMES, start + 11)
        np.testing.assert_array_equal(frames_of(film, start, stop), whole[start:stop])
    np.testing.assert_array_equal(frames_of(film, FRAMES - 1), whole[-1:])
    assert list(film.frames(5, 5)) == []


def test_pieces_are_small(tmp_path, monkeypatch):
    monkeypatch.setattr("sora_core.media.film_file.CHUNK_BYTES", 9 * 64 * 48 * 3)
    path = encode(tmp_path / "a.mp4")
    pieces = list(FileFilm(path).frames(3, 40))
    assert [len(piece) for piece in pieces] == [9, 9, 9, 9, 1]
    np.testing.assert_array_equal(torch.cat(pieces).numpy(), decoded(path)[3:40])


def test_uneven_times_are_kept_in_order(tmp_path):
    times = np.cumsum(np.random.default_rng(0).integers(1, 5, FRAMES))
    path = encode(tmp_path / "a.mp4", times=[int(time) for time in times], options={"bf": "2", "g": "20"})
    film = FileFilm(path)
    assert film.fps == pytest.approx(24 * FRAMES / (times[-1] - times[0] + 1), rel=0.02)
    np.testing.assert_array_equal(frames_of(film, 31, 77), decoded(path)[31:77])


def test_colours_are_right(tmp_path):
    patches = np.random.default_rng(0).integers(16, 240, (6, 8, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    picture = torch.from_numpy(patches).expand(5, -1, -1, -1)
    for matrix, kind in (("ITU709", "a.mp4"), ("ITU601", "b.mp4"), ("ITU601", "c.avi")):
        with av.open(str(tmp_path / kind), "w") as container:
            video = container.add_stream("mjpeg" if kind == "c.avi" else "libx264", rate=24)
            video.width, video.height, video.options = 64, 48, {"qp": "4", "qmin": "1", "qscale": "1"}
            video.pix_fmt = "yuvj420p" if kind == "c.avi" else "yuv420p"
            video.codec_context.colorspace = 1 if matrix == "ITU709" else 6
            for image in picture.numpy():
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                container.mux(video.encode(frame.reformat(format=video.pix_fmt, dst_colorspace=matrix)))
            container.mux(video.encode(None))
        middles = frames_of(FileFilm(tmp_path / kind))[:, 3::8, 3::8].astype(int)
        error = middles - picture.numpy()[:, 3::8, 3::8]
        assert np.abs(error).mean() < 4, kind
        assert np.abs(error.mean()) < 1, kind


def test_a_film_may_go_there_and_back_often(tmp_path):
    patches = np.random.default_rng(0).integers(16, 240, (6, 8, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    picture = torch.from_numpy(patches).expand(4, -1, -1, -1)
    shown = picture
    for _ in range(8):
        pieces = iter([Piece(shown, None)])
        made = FilmStream(pieces=pieces, num_frames=4, width=64, height=48, fps=24, channels=0)
        write_film(tmp_path / "a.mp4", made, encoding=Encoding(crf=4))
        shown = torch.cat(list(FileFilm(tmp_path / "a.mp4").frames()))
    error = shown.float() - picture.float()
    assert error.mean().abs() < 0.3
    assert error.abs().mean() < 3


def test_a_file_in_memory_is_read_by_two_at_once(tmp_path):
    path = encode(tmp_path / "a.mp4", sound=("aac", 44100))
    film, same = FileFilm(io.BytesIO(path.read_bytes())), FileFilm(path)
    first, second = film.frames(10, 20), film.frames(60, 70)
    left, right = next(first), next(second)
    assert torch.equal(film.sound(5000, 9000), same.sound(5000, 9000))
    np.testing.assert_array_equal(left.numpy(), frames_of(same, 10, 20))
    np.testing.assert_array_equal(right.numpy(), frames_of(same, 60, 70))


# sound

SOUNDS = {
    "a.mp4": ("aac", 44100),
    "b.mp4": ("aac", 48000),
    "c.mkv": ("aac", 44100),
    "d.webm": ("libopus", 48000),
    "e.mov": ("pcm_s16le", 22050),
    "f.ts": ("mp2", 44100),
    "g.mp4": ("libmp3lame", 44100),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_any_stretch_of_sound_is_in_its_place(tmp_path, name):
    codec, rate = SOUNDS[name]
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no encoder {codec}")
    picture = "libvpx" if name.endswith("webm") else "libx264"
    film = FileFilm(encode(tmp_path / name, codec=picture, options={"g": "20"}, sound=(codec, rate)))
    length = samples_at(FRAMES, 24, rate)
    assert (film.channels, film.sample_rate) == (2, rate)
    whole = film.sound()
    assert whole.shape == (2, length)
    assert abs(lag(whole[0].numpy(), tones(0, length, rate, 2)[0].numpy())) <= 1
    random = np.random.default_rng(0)
    for start in [0, 1, *random.integers(0, length - 2000, 6), length - 2000]:
        # AAC fills in noise of its own, never the same
        torch.testing.assert_close(film.sound(start, start + 2000), whole[:, start : start + 2000], atol=0.05, rtol=0)
    assert film.sound(length - 10, length + 90)[:, 10:].abs().max() == 0
    assert film.sound(100, 100).shape == (2, 0)


def test_sound_that_ends_early_is_followed_by_silence(tmp_path):
    made = film().collect()
    short = FilmStream(
        pieces=iter([Piece(made.picture, made.audio[:, :44100])]), num_frames=FRAMES, width=64, height=48, fps=24.0,
        sample_rate=44100, channels=2,
    )  # fmt: skip
    write_lossless(tmp_path / "a.mov", short)
    sound = FileFilm(tmp_path / "a.mov").sound()
    assert torch.equal(sound[:, :44100], made.audio[:, :44100])
    assert sound.shape == made.audio.shape
    assert not sound[:, 44100:].any()


def test_surround_is_mixed_to_two(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=24)
        video.width = video.height = 64
        voice = container.add_stream("pcm_s16le", rate=48000, layout="5.1")
        for _ in range(24):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        centre = np.zeros((6, 48000), np.float32)
        centre[2] = tones(0, 48000, 48000, 1)[0]
        frame = av.AudioFrame.from_ndarray(centre, "fltp", "5.1")
        frame.sample_rate, frame.pts = 48000, 0
        for stream, last in ((voice, frame), (voice, None), (video, None)):
            container.mux(stream.encode(last))
    sound = FileFilm(path).sound()
    assert sound.shape == (2, 48000)
    assert (sound.abs().amax(1) > 0.1).all()


# stretches


@pytest.mark.parametrize(
    ("time", "places"),
    [
        ((0, 0), (0, 100)),
        ((1.0, 0), (24, 100)),
        ((1.0, 2.0), (24, 72)),
        ((7 / 24, 3 / 24), (7, 10)),
        ((3.0, 60), (72, 100)),
    ],
)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_stretch_is_a_film_of_its_own(tmp_path, name, time, places):
    (start, seconds), (first, last) = time, places
    path = encode(tmp_path / name, options={"bf": "2", "g": "20"}, sound=("aac", 48000))
    whole, part = FileFilm(path), FileFilm(path, start, seconds)
    assert part.num_frames == last - first
    np.testing.assert_array_equal(frames_of(part), frames_of(whole, first, last))
    np.testing.assert_array_equal(frames_of(part, 1, 3), frames_of(whole, first + 1, first + 3))
    sound = part.sound()
    assert sound.shape[1] == samples_at(part.num_frames, 24, 48000)
    expected = whole.sound(first * 2000, last * 2000)
    torch.testing.assert_close(sound, expected, atol=0.05, rtol=0)
    assert not part.sound(sound.shape[1], sound.shape[1] + 50).any()


def test_a_stretch_without_frames_is_refused(tmp_path):
    path = encode(tmp_path / "a.mp4")
    with pytest.raises(SoraError, match=r"no frame in the .* from 5 s on, for it is 4.17 s long"):
        FileFilm(path, 5)


# writing


@pytest.mark.parametrize(
    ("size", "fps", "rate", "channels"),
    [((48, 64), 24.0, 44100, 2), ((33, 51), 23.976, 16000, 1), ((16, 16), 12.5, 12345, 2), ((2, 3), 30, 8000, 0)],
)
def test_without_loss_everything_comes_back(tmp_path, size, fps, rate, channels):
    given = {"frames": 40, "height": size[0], "width": size[1], "fps": fps, "rate": rate, "channels": channels}
    path = tmp_path / "a.mov"
    write_lossless(path, film(**given))
    read, made = FileFilm(path), film(**given).collect()
    assert read.fps == pytest.approx(fps, abs=1e-3)
    assert (read.num_frames, read.channels) == (40, channels)
    assert torch.equal(torch.cat(list(read.frames())), made.picture)
    assert torch.equal(torch.cat(list(read.frames(17, 23))), made.picture[17:23])
    if channels:
        assert read.sample_rate == rate
        length = read.sound().shape[1]
        assert abs(length - made.audio.shape[1]) <= 2
        assert torch.equal(read.sound()[:, : length - 2], made.audio[:, : length - 2])
        assert torch.equal(read.sound(3000, 5000), made.audio[:, 3000:5000])


def test_noise_comes_back_without_loss(tmp_path):
    picture = torch.randint(0, 256, (30, 48, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    sound = torch.randn(1, samples_at(30, 24, 16000), generator=torch.Generator().manual_seed(0))
    pieces = iter([Piece(picture, sound)])
    write_lossless(tmp_path / "a.mov", FilmStream(pieces=pieces, num_frames=30, width=64, height=48, fps=24))
    read = FileFilm(tmp_path / "a.mov")
    assert torch.equal(torch.cat(list(read.frames())), picture)
    assert torch.equal(read.sound(), sound), "samples beyond 1 too"


@pytest.mark.parametrize(
    ("rate", "kept", "channels"), [(16000, 16000, 1), (48000, 48000, 2), (23000, 24000, 2), (192000, 48000, 1)]
)
def test_a_film_is_what_players_expect(tmp_path, rate, kept, channels):
    path = tmp_path / "a.mp4"
    write_film(path, film(rate=rate, channels=channels), {"prompt": "a ball"})
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (video.frames, video.average_rate) == (FRAMES, 24)
        assert (audio.codec_context.name, audio.codec_context.sample_rate) == ("aac", kept)
        assert audio.codec_context.layout.nb_channels == channels
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    back = FileFilm(path)
    assert back.tags == {"prompt": "a ball"}
    length = samples_at(FRAMES, 24, kept)
    assert abs(lag(back.sound()[0].numpy(), tones(0, length, kept, channels)[0].numpy())) <= 1


@pytest.mark.parametrize("container", ["mp4", "mkv", "webm"])
def test_containers_and_codecs(container):
    encoding = Encoding(container=container, codec="av1" if container == "webm" else "h264", crf=30, ten_bits=True)
    target = io.BytesIO()
    if "libsvtav1" not in av.codecs_available and container == "webm":
        pytest.skip("this PyAV has no encoder libsvtav1")
    write_film(target, film(height=64), {"prompt": "a ball"}, encoding=encoding)
    read = FileFilm(target)
    assert {key.lower(): value for key, value in read.tags.items()}["prompt"] == "a ball"
    assert (read.num_frames, read.fps, read.channels) == (FRAMES, 24, 2)
    picture = film(height=64).collect().picture.numpy().astype(int)
    assert np.abs(frames_of(read) - picture).mean() < 16


def test_levels_are_kept_and_peaks_cut(tmp_path):
    made = film(rate=48000, channels=1).collect()
    for scale, wanted in ((1.0, 0.4), (5.0, 1.0)):
        pieces = iter([Piece(made.picture, made.audio * scale)])
        write_film(tmp_path / "a.mp4", replace(film(rate=48000, channels=1), pieces=pieces))
        loud = FileFilm(tmp_path / "a.mp4").sound(48000, 96000).abs()
        assert float(loud.quantile(0.99)) == pytest.approx(wanted, rel=0.1)


def broken_sound():
    for piece in film().pieces:
        yield piece._replace(sound=piece.sound.clone().index_fill_(1, torch.tensor([5]), torch.nan))


def other_size():
    yield from film(frames=7).pieces
    yield Piece(torch.zeros(1, 32, 32, 3, dtype=torch.uint8), None)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"pieces": broken_sound()}, "2 of .* samples that are not numbers"),
        ({"pieces": other_size()}, "a frame is 32 x 32 pixels and the film 64 x 48"),
        ({"pieces": iter(())}, "holds no frame"),
        ({"width": 63}, "63 x 48 pixels .* even sides"),
        ({"fps": float("nan")}, "fps nan"),
        ({"fps": 0.0}, "fps 0.0"),
        ({"channels": 6}, "6 channels"),
        ({"sample_rate": 0}, "sample rate 0"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(tmp_path, changes, told):
    with pytest.raises(SoraError, match=told):
        write_film(tmp_path / "a.mp4", replace(film(), **changes))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [write_film, write_lossless])
def test_an_interrupt_leaves_nothing(tmp_path, write):
    def pieces():
        yield from film(frames=30).pieces
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.mov", replace(film(), pieces=pieces()))
    assert list(tmp_path.iterdir()) == []


def test_unknown_encodings_are_refused():
    for given, told in (
        ({"container": "avi"}, "none of mp4"),
        ({"codec": "vp9"}, "none of h264"),
        ({"container": "webm"}, "cannot hold h264"),
        ({"codec": "lossless"}, "kept in mov"),
    ):
        with pytest.raises(SoraError, match=told):
            Encoding(**given)


# refusals


def test_files_that_are_no_films_are_refused(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no film\n" * 100)
    voice = tmp_path / "voice.wav"
    with av.open(str(voice), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.int16), "s16", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://localhost:9/a.ts\n#EXT-X-ENDLIST\n")
    (tmp_path / "empty.mp4").write_bytes(b"")
    for path, told in (
        (tmp_path / "none.mp4", "does not exist"),
        (tmp_path, "is a folder"),
        (tmp_path / "empty.mp4", "cannot be read"),
        (text, "is a text"),
        (voice, "no moving picture"),
        (playlist, "list.m3u8"),
    ):
        with pytest.raises(SoraError, match=told):
            FileFilm(path)
    with pytest.raises(SoraError, match="the clip cannot be read"):
        FileFilm(io.BytesIO(b"no film"))


@pytest.mark.parametrize("name", ["index-first.mp4", "index-last.mov"])
def test_files_that_are_cut_short_are_refused(tmp_path, name):
    path = tmp_path / name
    (write_film if name.endswith("mp4") else write_lossless)(path, film())
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(SoraError, match="cut short"):
        FileFilm(path)


def test_a_broken_frame_shows_the_one_before(tmp_path):
    path = encode(tmp_path / "a.avi", codec="mjpeg", pixels="yuvj420p")
    whole, data = decoded(path), bytearray(path.read_bytes())
    at = -1
    for _ in range(50):
        at = data.index(b"\xff\xd8\xff", at + 1)
    end = data.index(b"\xff\xd8\xff", at + 1)
    data[at : end - 8] = bytes(end - 8 - at)
    path.write_bytes(data)
    film = FileFilm(path)
    assert film.num_frames == FRAMES
    read = frames_of(film)
    np.testing.assert_array_equal(read[49], whole[48])
    np.testing.assert_array_equal(read[50:], whole[50:])


# memory

GROWTH = """
import resource, sys
sys.path[:0] = [{tests!r}, {root!r}]
from pathlib import Path
from test_films import film
from sora_core.media.film_file import FileFilm
from sora_core.media.film_writer import write_film, write_lossless

def run(frames):
    for write, path in ((write_film, Path("a.mp4")), (write_lossless, Path("a.mov"))):
        write(path, film(frames=frames, height=256, width=256))
        read = FileFilm(path)
        for _ in read.frames():
            pass
        read.frames(frames // 2)
        read.sound(0, 1000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

before = run(250)
print(run(750) - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_film(tmp_path):
    pytest.importorskip("resource")
    script = GROWTH.format(tests=str(Path(__file__).parent), root=str(Path(__file__).parents[2]))
    told = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert float(told.stdout) < 30, "MiB; the longer film has 94 MiB more of pixels"
