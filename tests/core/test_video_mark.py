"""The invisible mark of the picture: it is there, it holds, and nobody else's key finds it."""

# F frames, H W pixels

from __future__ import annotations

import io

import av
import numpy as np
import pytest
import torch

from sora_core.errors import SoraError
from sora_core.provenance.marking.field import code
from sora_core.provenance.marking.video import VideoMarker, VideoReading, prepare, read_prepared, read_video_mark

SECRET, OTHER = bytes(range(32)), bytes(range(1, 33))
MARK_ID = 0xC0FFEE0123456789
FPS = 12.0


def footage(frames: int = 24, height: int = 360, width: int = 480, seed: int = 0) -> torch.Tensor:
    """Draw a textured picture that pans, uint8 ``[F, H, W, 3]``."""
    rng = np.random.default_rng(seed)
    size = (height + frames, width + 2 * frames)
    waves = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.fftfreq(size[1])[None])
    waves[0, 0] = 1
    plane = np.fft.ifft2(np.fft.fft2(rng.normal(size=size)) / waves**1.4).real
    plane = 120 + 40 * plane / plane.std()
    cut = [plane[i : i + height, 2 * i : 2 * i + width] for i in range(frames)]
    grey = np.clip(np.stack(cut), 0, 255).astype(np.uint8)
    return torch.from_numpy(grey)[..., None].repeat(1, 1, 1, 3)


def marked(frames: torch.Tensor, mark_id: int = MARK_ID, fps: float = FPS) -> torch.Tensor:
    """Mark a film in one piece."""
    _, height, width, _ = frames.shape
    return VideoMarker(secret=SECRET, mark_id=mark_id, width=width, height=height, fps=fps).mark(frames)


def read(frames: torch.Tensor, secret: bytes = SECRET, *, thorough: bool = False) -> VideoReading:
    """Read a film in one piece."""
    return read_video_mark([frames], fps=FPS, secret=secret, thorough=thorough)


def coded(frames: torch.Tensor, crf: int) -> torch.Tensor:
    """Send frames through H.264."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as target:
        stream = target.add_stream("libx264", rate=int(FPS), options={"crf": str(crf), "preset": "fast"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        for frame in frames.numpy():
            target.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        target.mux(stream.encode())
    file.seek(0)
    with av.open(file) as source:
        return torch.stack([torch.from_numpy(f.to_ndarray(format="rgb24")) for f in source.decode(video=0)])


def decibels(left: torch.Tensor, right: torch.Tensor) -> float:
    """Return the peak signal-to-noise ratio."""
    return float(10 * torch.log10(255**2 / (left.double() - right.double()).square().mean()))


@pytest.fixture(scope="module")
def film() -> torch.Tensor:
    return footage()


@pytest.fixture(scope="module")
def marked_film(film: torch.Tensor) -> torch.Tensor:
    return marked(film)


def test_code_corrects_noise() -> None:
    rng = np.random.default_rng(1)
    sent = code.encode(MARK_ID)
    noisy = (sent + rng.normal(size=sent.shape)).astype(np.float32)
    assert int((noisy * sent < 0).sum()) > 25
    assert code.decode(noisy)[0] == MARK_ID


@pytest.mark.parametrize("mark_id", [0, 1, 2**64 - 1, MARK_ID])
def test_code_is_its_own_inverse(mark_id: int) -> None:
    assert code.id_of(code.bits_of(mark_id)) == mark_id
    assert code.decode(code.encode(mark_id))[0] == mark_id


def test_id_is_read_and_hardly_seen(film: torch.Tensor, marked_film: torch.Tensor) -> None:
    assert marked_film.dtype == torch.uint8
    assert decibels(film, marked_film) > 42
    reading = read(marked_film)
    assert (reading.state, reading.mark_id) == ("present", MARK_ID)
    assert reading.bits == tuple(int(bit) for bit in f"{MARK_ID:064b}")
    assert [second.present for second in reading.seconds] == [True, True]


def test_unmarked_and_other_key_are_absent(film: torch.Tensor, marked_film: torch.Tensor) -> None:
    for frames, secret in ((film, SECRET), (marked_film, OTHER)):
        reading = read(frames, secret)
        assert (reading.state, reading.mark_id) == ("absent", None)
        assert reading.score < reading.threshold - 1
        assert len(reading.bits) == 64
        assert not any(second.present for second in reading.seconds)


def test_pieces_do_not_matter(film: torch.Tensor, marked_film: torch.Tensor) -> None:
    marker = VideoMarker(secret=SECRET, mark_id=MARK_ID, width=480, height=360, fps=FPS)
    pieces = [marker.mark(piece) for piece in film.split([1, 0, 7, 16])]
    assert torch.equal(torch.cat(pieces), marked_film)
    cut = read_video_mark(pieces, fps=FPS, secret=SECRET)
    assert cut == read(marked_film)


def test_one_picture_carries_it(film: torch.Tensor) -> None:
    assert read(marked(film[:1])).mark_id == MARK_ID


@pytest.mark.parametrize("value", [0, 40, 128, 235])
def test_flat_picture_carries_it(value: int) -> None:
    frames = torch.full((13, 384, 384, 3), value, dtype=torch.uint8)
    reading = read(marked(frames))
    assert reading.mark_id == MARK_ID


@pytest.mark.slow
@pytest.mark.parametrize("crf", [23, 30])
def test_codec(marked_film: torch.Tensor, crf: int) -> None:
    assert read(coded(marked_film, crf)).mark_id == MARK_ID


def test_mirrored_and_turned(marked_film: torch.Tensor) -> None:
    assert read(marked_film.flip(2)).mark_id == MARK_ID
    assert read(marked_film.flip(1)).mark_id == MARK_ID
    reading = read(marked_film.transpose(1, 2).flip(1))
    assert reading.mark_id == MARK_ID
    assert (reading.geometry.flip, reading.geometry.turned) == (False, 90)


@pytest.mark.slow
def test_cropped(marked_film: torch.Tensor) -> None:
    reading = read(marked_film[:, 40:256, 100:388], thorough=True)
    assert reading.mark_id == MARK_ID
    assert reading.geometry.zoom == pytest.approx(1 / 0.6, rel=0.01)


def test_trimmed_and_thinned(marked_film: torch.Tensor) -> None:
    assert read(marked_film[9:21]).mark_id == MARK_ID
    assert read(marked_film[::2]).mark_id == MARK_ID


def test_replaced_seconds_are_named() -> None:
    film = footage(60, seed=3)
    frames = marked(film)
    frames[24:36] = film[24:36]
    reading = read(frames)
    assert (reading.state, reading.mark_id) == ("partial", MARK_ID)
    assert [second.present for second in reading.seconds] == [True, True, False, True, True]
    assert (reading.seconds[2].start_s, reading.seconds[2].stop_s) == (2.0, 3.0)


def test_black_seconds_are_not_missed() -> None:
    film = footage(36, seed=4)
    film[12:24] = 0
    frames = marked(film)
    frames[12:24] = 0
    reading = read(frames)
    assert (reading.state, reading.mark_id) == ("present", MARK_ID)
    assert [second.present for second in reading.seconds] == [True, False, True]


def test_clips_of_one_secret_share_no_field(film: torch.Tensor, marked_film: torch.Tensor) -> None:
    def left(frames: torch.Tensor) -> torch.Tensor:
        return (frames[..., 1].float() - film[..., 1].float()).mean(0).flatten()

    first = left(marked_film)
    for mark_id in (1, 2, 3):
        second = left(marked(film, mark_id))
        alike = float(first @ second / (first.norm() * second.norm()))
        assert abs(alike) < 0.3


def test_one_film_many_keys(marked_film: torch.Tensor) -> None:
    prepared = prepare([marked_film], fps=FPS)
    assert read_prepared(prepared, OTHER, thorough=False).state == "absent"
    assert read_prepared(prepared, SECRET, thorough=False).mark_id == MARK_ID


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"height": 200}, "240 to 8192 pixels"),
        ({"width": 9000, "height": 8000}, "240 to 8192 pixels"),
        ({"width": 2400}, "4 times"),
        ({"mark_id": 1 << 64}, "2\\^64"),
        ({"mark_id": -1}, "2\\^64"),
        ({"secret": b"short"}, "32 random bytes"),
        ({"fps": 0.0}, "above 0"),
    ],
)
def test_what_does_not_fit_is_refused(changed: dict[str, object], said: str) -> None:
    given: dict[str, object] = {"secret": SECRET, "mark_id": 1, "width": 480, "height": 360, "fps": FPS}
    with pytest.raises(SoraError, match=said):
        VideoMarker(**{**given, **changed})  # pyright: ignore[reportArgumentType]


def test_wrong_frames_are_refused(film: torch.Tensor) -> None:
    marker = VideoMarker(secret=SECRET, mark_id=1, width=480, height=360, fps=FPS)
    with pytest.raises(SoraError, match="frames of"):
        marker.mark(film.float())
    with pytest.raises(SoraError, match="0 frames"):
        read(film[:0])
    with pytest.raises(SoraError, match="32 random bytes"):
        read(film, b"")
