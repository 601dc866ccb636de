"""Small pictures drawn large: their box average gives them back, and files that say so are read at their own size."""

from __future__ import annotations

import pytest
import torch

from sora_core.editing.film import FilmStream, Piece
from sora_core.media.film_file import FileFilm
from sora_core.media.film_writer import write_film
from sora_core.media.told_factor import SCALE_TAG, told_factor
from sora_core.media.whole_factor import enlarge, shrink


def small_film() -> torch.Tensor:
    """Return smooth frames with an edge that moves, uint8 ``[5, 32, 48, 3]``."""
    x = torch.linspace(0, 1, 48)
    frames = torch.zeros(5, 32, 48, 3)
    for index in range(5):
        frames[index] = (60 + 120 * x)[None, :, None]
        frames[index, 8:20, 8 + 3 * index : 20 + 3 * index] = torch.tensor([200.0, 40.0, 60.0])
    return frames.to(torch.uint8)


@pytest.mark.parametrize("factor", [1, 2, 6])
def test_the_box_average_gives_the_small_picture_back(factor):
    film = small_film()
    large = enlarge(film, factor)
    assert large.shape == (5, 32 * factor, 48 * factor, 3)
    assert large.dtype == torch.uint8
    error = (shrink(large, factor).int() - film.int()).abs()
    assert error.float().mean() < 0.2
    assert error.max() <= 3


def test_no_frames_are_no_frames():
    assert enlarge(small_film()[:0], 3).shape == (0, 96, 144, 3)


def test_a_file_is_read_at_the_size_that_it_was_made_in(tmp_path):
    film, path = small_film(), tmp_path / "large.mp4"
    large = enlarge(film, 6)
    stream = FilmStream(pieces=iter([Piece(large, None)]), num_frames=5, width=288, height=192, fps=12, channels=0)
    write_film(path, stream, {SCALE_TAG: "6"})
    read = FileFilm(path)
    assert (read.width, read.height, read.num_frames) == (48, 32, 5)
    frames = torch.cat(list(read.frames()))
    assert frames.shape == film.shape
    assert (frames.int() - film.int()).abs().float().mean() < 1.5
    stored = FileFilm(path, as_stored=True)
    assert (stored.width, stored.height) == (288, 192)


@pytest.mark.parametrize(
    ("told", "factor"),
    [("6", 6), ("1", 1), ("0", 1), ("-2", 1), ("7", 1), ("999", 1), ("6.0", 1), ("", 1), ("\u0666", 1), ("96", 1)],
)
def test_a_stranger_cannot_name_a_factor_that_does_not_fit(told, factor):
    assert told_factor({SCALE_TAG: told}, 288, 192) == factor


def test_a_file_that_tells_no_factor_is_read_as_it_is():
    assert told_factor({}, 288, 192) == 1
