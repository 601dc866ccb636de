"""Whatever is done to a signed file shows: the tamper matrix, and damages at random."""

from __future__ import annotations

import struct

import pytest

pytest.importorskip("c2pa")
pytest.importorskip("cryptography.x509")
pytest.importorskip("av")

from sora_core.provenance.home import Home
from sora_core.provenance.manifest.container import outer_boxes
from sora_core.provenance.manifest.identity import local_identity
from sora_core.provenance.manifest.mutation import fuzz, is_spared, manifest_span, mutate, outside
from sora_core.provenance.manifest.read import read_manifest
from sora_core.provenance.manifest.sign import sign
from sora_core.provenance.manifest.tamper import TamperRow, example_film, example_story, tamper_matrix

BROKEN = {
    "a bit in the middle of the picture and sound": "assertion.bmffHash.mismatch",
    "a bit in their first byte": "assertion.bmffHash.mismatch",
    "a bit in the index": "assertion.bmffHash.mismatch",
    "a bit in a statement": "assertion.hashedURI.mismatch",
    "a bit in the signature": "claimSignature.mismatch",
    "an unknown box appended": "assertion.bmffHash.mismatch",
    "the manifest pasted on another clip": "assertion.bmffHash.mismatch",
    # the library alone says "Trusted" of these two
    "a byte in the box ftyp": "org.soranodes.container.mismatch",
    "a free box with 64 hidden bytes appended": "org.soranodes.container.mismatch",
    "picture: a text changed": "assertion.dataHash.mismatch",
    "Matroska: a bit in the middle": "assertion.dataHash.mismatch",
    "Matroska: a bit in a statement of the manifest": "assertion.hashedURI.mismatch",
}


@pytest.fixture(scope="module")
def matrix(tmp_path_factory) -> dict[str, TamperRow]:
    return {row.change: row for row in tamper_matrix(tmp_path_factory.mktemp("tamper"), mutants=60)}


@pytest.mark.slow
def test_every_row_is_told_as_it_should_be(matrix):
    assert {change: row.state for change, row in matrix.items() if not row.holds} == {}
    assert len(matrix) == 28


@pytest.mark.slow
@pytest.mark.parametrize("change", BROKEN)
def test_broken_rows_say_what_failed(matrix, change):
    assert matrix[change].state == "broken"
    assert BROKEN[change] in matrix[change].codes


@pytest.mark.slow
def test_lineage_rows_tell_the_tree(matrix):
    assert matrix["a remix, extended"].note == "parentOf trusted > parentOf trusted"
    assert matrix["the remix was changed before it was extended"].note == "parentOf broken > parentOf intact"
    assert matrix["signed again by a story without history"].note == "parentOf trusted"


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", ["remuxed without encoding", "the manifest cut out", "Matroska: the manifest taken away"]
)
def test_a_manifest_that_is_gone_is_absent(matrix, change):
    assert matrix[change].state == "absent"


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    identity = local_identity(Home(folder / "home"))
    example_film(folder / "plain.mp4", frames=3)
    sign(folder / "plain.mp4", folder / "film.mp4", example_story("film"), identity)
    return folder / "film.mp4", identity.anchors_pem


@pytest.mark.slow
def test_damage_at_random_is_never_taken_for_whole(film, tmp_path):
    path, anchors = film
    found = fuzz(path, tmp_path, anchors=anchors, count=400, seed=1000)
    assert found.wrong == 0
    assert found.unreadable + found.broken + found.absent + found.spared == 400
    assert found.broken > 50
    assert found.unreadable > 50
    assert not list(tmp_path.iterdir())


def test_mutants_differ_and_come_again(film):
    data = film[0].read_bytes()
    assert all(mutate(data, seed) != data for seed in range(100))
    assert mutate(data, 7) == mutate(data, 7) != mutate(data, 8)


def test_the_judge_of_mutants_sees_what_changed(film):
    path, anchors = film
    data, reference = path.read_bytes(), read_manifest(path, anchors=anchors)
    start, stop = manifest_span(data) or (0, 0)
    assert data[start + 4 : start + 8] == b"uuid"
    assert outside(data) == data[:start] + data[stop:]
    other = data[: stop + 50] + b"\x01" + data[stop + 51 :]
    assert not is_spared(reference, reference, other, data)
    assert is_spared(reference, reference, data, data)


@pytest.mark.slow
def test_every_single_bit_outside_the_manifest_is_covered(film, tmp_path):
    """One bit in each of the boxes' headers and in every 97th byte."""
    path, anchors = film
    data = path.read_bytes()
    start, stop = manifest_span(data) or (0, 0)
    places = {*range(0, len(data), 97), *range(start), *range(stop, stop + 40), *range(len(data) - 8, len(data))}
    copy = tmp_path / "copy.mp4"
    for at in sorted(place for place in places if not start <= place < stop):
        copy.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        assert read_manifest(copy, anchors=anchors).state in ("broken", "unreadable", "absent"), at


def test_outer_boxes_are_those_that_the_hash_leaves_out(tmp_path):
    def box(kind: bytes, content: bytes = b"", wide: bool = False) -> bytes:
        size = 8 + 8 * wide + len(content)
        return struct.pack(">I", 1 if wide else size) + kind + (struct.pack(">Q", size) if wide else b"") + content

    def told(*boxes: bytes) -> str | None:
        (tmp_path / "a.mp4").write_bytes(b"".join(boxes))
        outer = outer_boxes(tmp_path / "a.mp4")
        return outer and outer.sha256

    ftyp, free, data = box(b"ftyp", b"isom"), box(b"free", b"x"), box(b"mdat", b"film")
    assert (
        told(ftyp, free, data) == told(ftyp, free, box(b"mdat", b"other")) == told(ftyp, box(b"mdat", b"y", True), free)
    )
    assert (
        len({told(ftyp, data), told(ftyp, free, data), told(free, ftyp, data), told(ftyp, box(b"skip", b"x"), data)})
        == 4
    )
    assert told(ftyp, box(b"mdat", b"", False)[:4].replace(b"\x08", b"\x00") + b"mdat" + b"to the end") == told(
        ftyp, data
    )
    for bad in (
        data[:-1],
        data + b"abc",
        b"\x00\x00\x00\x04mdat",
        b"\xff\xff\xff\xffmdat",
        box(b"mdat", b"", True)[:12],
    ):
        assert told(ftyp, bad) is None
