"""Files of pictures and clips: what is written is read back, and nothing is left half-written."""

from __future__ import annotations

import json
import struct
import zlib
from fractions import Fraction

import av
import numpy as np
import pytest

from sora_core.errors import SoraError
from sora_core.media.chart import line_chart, spectrogram
from sora_core.media.font import ADVANCE, draw_text, fit_text, text_width
from sora_core.media.image import cover, read_image
from sora_core.media.mp4 import frame_rate, limited, read_clip, read_tags, write_mp4, write_webp
from sora_core.media.png import read_png_tags, write_png
from sora_core.media.sheet import evenly_spaced, filmstrips, grid, sprites

RED, BLUE = (219, 26, 31), (31, 64, 235)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def two_colours(frames, height, width):
    film = np.empty((frames, height, width, 3), np.uint8)
    film[:, :, : width // 2], film[:, :, width // 2 :] = RED, BLUE
    return film


def clicks(seconds, times):
    audio = np.zeros(round(seconds * 16000), np.float32)
    burst = np.exp(-np.arange(300) / 40) * np.sin(np.arange(300) * 0.9)
    for time in times:
        audio[round(time * 16000) :][:300] += burst[: len(audio) - round(time * 16000)].astype(np.float32)
    return audio


# png and images


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 7, 3), (64, 48, 3), (3, 9)])
def test_png_is_read_back_exactly(tmp_path, shape):
    path = tmp_path / "a.png"
    image = noise(*shape)
    write_png(path, image)
    expected = image if len(shape) == 3 else np.repeat(image[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_image(path), expected)


def test_png_tags_are_unicode_and_checked(tmp_path):
    path = tmp_path / "a.png"
    tags = {"prompt": "ein gr\u00fcner Ball \u2603", "seed": "7"}
    write_png(path, noise(4, 4, 3), tags)
    assert read_png_tags(path) == tags
    data = path.read_bytes()
    start = data.index(b"iTXt")
    length = int.from_bytes(data[start - 4 : start], "big")
    stored = int.from_bytes(data[start + 4 + length : start + 8 + length], "big")
    assert stored == zlib.crc32(data[start : start + 4 + length])


def test_png_tags_of_another_file(tmp_path):
    (tmp_path / "x.png").write_bytes(b"no picture")
    assert read_png_tags(tmp_path / "x.png") == {}


@pytest.mark.parametrize("content", [None, b"", b"no picture at all", bytes(100)])
def test_unreadable_images_are_refused(tmp_path, content):
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SoraError, match=r"a\.png"):
        read_image(path)


def test_folder_and_cut_off_image_are_refused(tmp_path):
    with pytest.raises(SoraError, match="is a folder"):
        read_image(tmp_path)
    path = tmp_path / "a.png"
    write_png(path, noise(64, 64, 3))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(SoraError, match="cannot be read"):
        read_image(path)


def test_photograph_is_turned_the_way_it_was_taken(tmp_path):
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:16, :32], picture[16:, :32] = RED, BLUE
    path = tmp_path / "a.jpg"
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuvj444p"
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj444p")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    turned_right = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x112, 3, 1, 6, 0)
    exif = b"Exif\0\0" + turned_right
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    image = read_image(path)
    assert image.shape == (64, 32, 3)
    np.testing.assert_allclose(image[8, 8], BLUE, atol=16)
    np.testing.assert_allclose(image[8, 24], RED, atol=16)


def test_webp(tmp_path):
    write_webp(tmp_path / "a.webp", two_colours(1, 64, 64)[0])
    image = read_image(tmp_path / "a.webp")
    assert image.shape == (64, 64, 3)
    np.testing.assert_allclose(image[8, 8], RED, atol=12)


def test_cover_keeps_the_middle():
    image = np.zeros((64, 128, 3), np.uint8)
    image[:, 32:96] = 200
    np.testing.assert_array_equal(cover(image, 32, 32), 200)


def test_cover_averages_when_shrinking():
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    np.testing.assert_allclose(cover(board, 16, 16), 127.5, atol=1)


def test_cover_interpolates_when_enlarging():
    ramp = np.linspace(0, 240, 16).astype(np.uint8)[None, :, None].repeat(16, 0).repeat(3, 2)
    row = cover(ramp, 64, 64)[32, :, 0].astype(int)
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() <= 5


def test_cover_of_the_same_size_is_the_same():
    image = noise(32, 48, 3)
    np.testing.assert_array_equal(cover(image, 32, 48), image)


# clips


@pytest.mark.parametrize(
    ("size", "fps", "frames"),
    [((64, 64), 12.0, 24), ((48, 80), 23.976, 29), ((16, 16), 7.5, 5), ((64, 64), 12.0, 1)],
)
def test_clip_round_trip(tmp_path, size, fps, frames):
    path = tmp_path / "a.mp4"
    film = two_colours(frames, *size)
    audio = clicks(frames / fps, [0.0])
    tags = {"prompt": 'ein "gr\u00fcner" Ball', "settings": json.dumps({"cfg": 4.0}), "seed": "3"}
    write_mp4(path, (film[first : first + 8] for first in range(0, frames, 8)), fps=fps, audio=audio, tags=tags)
    clip = read_clip(path)
    assert clip.frames.shape == film.shape
    assert clip.fps == pytest.approx(fps, abs=1e-3)
    assert clip.tags == tags == read_tags(path)
    assert clip.audio is not None
    assert abs(len(clip.audio) - len(audio)) <= 32
    left = clip.frames[:, 4:-4, 2 : size[1] // 2 - 4]
    np.testing.assert_allclose(left, np.broadcast_to(RED, left.shape), atol=4)


def test_clip_is_what_players_expect(tmp_path):
    path = tmp_path / "a.mp4"
    write_mp4(path, [two_colours(24, 64, 64)], fps=12, audio=clicks(2, [1]))
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert video.codec_context.pix_fmt == "yuv420p"
        assert video.average_rate == 12
        assert (audio.codec_context.sample_rate, audio.codec_context.layout.name) == (16000, "mono")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_sound_stays_in_time(tmp_path):
    path = tmp_path / "a.mp4"
    audio = clicks(2, [0.25, 1.0, 1.5])
    write_mp4(path, [two_colours(24, 64, 64)], fps=12, audio=audio)
    back = read_clip(path).audio
    assert len(back) == len(audio)
    assert np.correlate(back, audio, "full").argmax() == len(audio) - 1
    assert 10 * np.log10((audio**2).sum() / ((audio - back) ** 2).sum()) > 25


def test_without_sound_and_tags(tmp_path):
    path = tmp_path / "a.mp4"
    write_mp4(path, [two_colours(5, 32, 32)], fps=12)
    clip = read_clip(path)
    assert clip.audio is None
    assert clip.tags == {}


def test_sidecar_gives_tags(tmp_path):
    path = tmp_path / "a.mp4"
    write_mp4(path, [two_colours(5, 32, 32)], fps=12, tags={"seed": "3"})
    (tmp_path / "a.json").write_text('{"prompt": "a ball", "seed": 9, "level": 1}', encoding="utf-8")
    assert read_tags(path) == {"prompt": "a ball", "seed": "3", "level": "1"}
    (tmp_path / "a.json").write_text("[", encoding="utf-8")
    with pytest.raises(SoraError, match="not JSON"):
        read_tags(path)


@pytest.mark.parametrize("content", [None, b"", b"hello"])
def test_unreadable_clips_are_refused(tmp_path, content):
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    for read in (read_clip, read_tags):
        with pytest.raises(SoraError, match=r"a\.mp4"):
            read(path)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupt_leaves_nothing(tmp_path, error):
    def frames():
        yield two_colours(8, 64, 64)
        raise error

    with pytest.raises(error):
        write_mp4(tmp_path / "a.mp4", frames(), fps=12, audio=clicks(2, [1]))
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_keeps_the_old_file(tmp_path):
    def frames():
        yield two_colours(8, 64, 64)
        raise KeyboardInterrupt

    (tmp_path / "a.mp4").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_mp4(tmp_path / "a.mp4", frames(), fps=12)
    assert (tmp_path / "a.mp4").read_bytes() == b"old"


def test_broken_sound_is_refused_before_anything_is_written(tmp_path):
    audio = clicks(2, [1])
    audio[100] = np.nan
    with pytest.raises(SoraError, match="1 of 32000 samples"):
        write_mp4(tmp_path / "a.mp4", [two_colours(24, 64, 64)], fps=12, audio=audio)
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_is_a_sentence(tmp_path):
    with pytest.raises(SoraError, match="cannot be written"):
        write_mp4(tmp_path / "no" / "a.mp4", [two_colours(5, 32, 32)], fps=12)


def test_loud_sound_is_turned_down_as_a_whole():
    audio = np.array([0.5, -4.0, 1.0], np.float32)
    np.testing.assert_allclose(limited(audio), audio * (0.98 / 4), rtol=1e-6)
    quiet = np.array([0.5, -0.9], np.float32)
    np.testing.assert_array_equal(limited(quiet), quiet)
    assert limited(np.zeros(0, np.float32)).shape == (0,)


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        (12.0, Fraction(12)),
        (23.976, Fraction(24000, 1001)),
        (29.97, Fraction(30000, 1001)),
        (12.5, Fraction(25, 2)),
        (30.0, Fraction(30)),
        (1.0, Fraction(1)),
    ],
)
def test_frame_rates(fps, rate):
    assert frame_rate(fps) == rate


# sheets and charts


def test_grid_shows_every_pixel():
    frames = [noise(8, 8, 3, seed=seed) for seed in range(5)]
    sheet = grid(frames, columns=3, scale=2)
    assert sheet.shape == (4 + 2 * 20, 4 + 3 * 20, 3)
    np.testing.assert_array_equal(sheet[4 + 20 : 40 : 2, 4 + 20 : 40 : 2], frames[4])


def test_labels_are_drawn_below():
    bare, labelled = (grid([noise(16, 64, 3)], labels, scale=1) for labels in ((), ("red",)))
    assert len(labelled) > len(bare)
    assert (labelled[21:] < 100).any()


def test_filmstrips_take_frames_evenly():
    clips = [np.arange(25, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2).repeat(3, 3)] * 2
    sheet = filmstrips(clips, ["one", "two"], frames=4, scale=1)
    for index, value in enumerate((0, 8, 16, 24)):
        assert (sheet[10 + 4 : 10 + 12, 4 + 12 * index : 12 + 12 * index] == value).all()


def test_sprites_touch():
    frames = [noise(4, 6, 3, seed=seed) for seed in range(5)]
    sheet = sprites(frames, columns=3)
    assert sheet.shape == (8, 18, 3)
    np.testing.assert_array_equal(sheet[4:, 6:12], frames[4])
    assert (sheet[4:, 12:] == 0).all()


def test_evenly_spaced():
    assert evenly_spaced(25, 4).tolist() == [0, 8, 16, 24]
    assert evenly_spaced(3, 8).tolist() == [0, 1, 2]
    assert evenly_spaced(1, 8).tolist() == [0]


def test_text():
    canvas = np.full((10, 30, 3), 255, np.uint8)
    draw_text(canvas, "1-", 0, 0, (0, 0, 0))
    assert (canvas[:7, :5] == 0).any()
    assert (canvas[3, 6:11] == 0).all()
    draw_text(canvas, "WWWWWWWW \u2603", -3, 8)
    assert text_width("abc") == 3 * ADVANCE
    assert fit_text("abcdef", 4 * ADVANCE) == "ab.."


def test_line_chart_draws_each_curve_where_it_is():
    chart = line_chart(
        {"up": ([0, 1, 2], [0, 1, 2]), "down": ([0, 1, 2], [2, 1, 0])}, title="two", width=300, height=200
    )
    assert chart.shape == (200, 300, 3)
    pens = [np.argwhere((chart == pen).all(-1)) for pen in ((31, 98, 181), (204, 78, 24))]
    for points, sign in zip(pens, (-1, 1), strict=True):
        inside = points[points[:, 0] > 40]
        assert np.sign(np.polyfit(inside[:, 1], inside[:, 0], 1)[0]) == sign


@pytest.mark.parametrize(
    "series",
    [
        {},
        {"one point": ([3], [4])},
        {"flat": ([1, 2], [5, 5])},
        {"broken": ([1, 2, 3], [np.nan, np.inf, 1])},
        {"empty": ([], [])},
        {"negative": ([1, 2, 3], [-1, 0, 10])},
        {"tiny": ([1e-9, 2e-9], [1e-12, 1e9])},
    ],
)
@pytest.mark.parametrize("log", [False, True])
def test_charts_take_anything(series, log):
    assert line_chart(series, log_x=log, log_y=log).dtype == np.uint8


def test_spectrogram_marks_and_pitch():
    tone = np.sin(2 * np.pi * 4000 * np.arange(16000) / 16000).astype(np.float32)
    picture = spectrogram(tone, 16000, marks=[0.5], width=400, height=300)
    plot = picture[34:-34, 58:-14].astype(int)
    assert abs(plot[:, 50].sum(-1).argmax() / len(plot) - 0.5) < 0.03
    assert (plot[:, plot.shape[1] // 2 - 2 : plot.shape[1] // 2 + 2] == 255).all(-1).any()


@pytest.mark.parametrize("length", [0, 1, 100, 16000])
def test_spectrogram_of_silence(length):
    assert spectrogram(np.zeros(length, np.float32), 16000).dtype == np.uint8
