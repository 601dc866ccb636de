"""A film that can be read as often as wanted, as one that is read once."""

from __future__ import annotations

from collections.abc import Iterator

from .film import Film, FilmStream, Piece, samples_at


def stream_from(film: Film) -> FilmStream:
    """Return a film's pieces, each frame with the sound of its time."""

    def pieces() -> Iterator[Piece]:
        done = sent = 0
        for frames_FHWC in film.frames():
            done += len(frames_FHWC)
            until = samples_at(done, film.fps, film.sample_rate)
            yield Piece(frames_FHWC, film.sound(sent, until) if film.channels else None)
            sent = until

    return FilmStream(
        pieces=pieces(),
        num_frames=film.num_frames,
        width=film.width,
        height=film.height,
        fps=film.fps,
        sample_rate=film.sample_rate,
        channels=film.channels,
    )
