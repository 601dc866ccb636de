"""The visible mark: what is drawn, where it goes, that it is found again, and what is left when it is painted over."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sora_core.bench.marks.codecs import H264, recode
from sora_core.bench.marks.footage import cartoon, natural
from sora_core.bench.marks.visible import by_diffusion, by_median, longest_stay, measure_visible
from sora_core.errors import SoraError
from sora_core.provenance.marking.badge import Badge
from sora_core.provenance.marking.badge_config import DEFAULT_TEXT, BadgeConfig
from sora_core.provenance.marking.badge_draw import Draw
from sora_core.provenance.marking.badge_lettering import check_logo, check_text, lay_out, letter
from sora_core.provenance.marking.badge_path import Path
from sora_core.provenance.marking.badge_reader import read_badge

SECRET, OTHER_SECRET = bytes(range(32)), bytes(range(1, 33))
MARK = 0x0123456789ABCDEF


@pytest.fixture(scope="module")
def hills():
    return natural(0, width=426, height=240, frames=72).frames_FHWC


def disc(side=40):
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    logo = torch.zeros(side, side, 4, dtype=torch.uint8)
    logo[torch.hypot(y - side / 2, x - side / 2) < side * 0.45] = torch.tensor([250, 90, 30, 255], dtype=torch.uint8)
    logo[side // 4 : side // 2, side // 4 : side * 2 // 3] = torch.tensor([255, 255, 255, 255], dtype=torch.uint8)
    return logo


def painted(frames, *, fps=24, cuts=(), text=DEFAULT_TEXT, logo=None, secret=SECRET, mark_id=MARK, config=None):
    height, width = frames.shape[1:3]
    badge = Badge(
        secret=secret,
        mark_id=mark_id,
        text=text,
        logo_HWC4=logo,
        width=width,
        height=height,
        fps=fps,
        config=config,
    )
    done = [badge.paint(piece) for piece in frames.tensor_split(list(cuts))]
    return torch.cat([*done, badge.finish()]), badge.boxes


def read(frames, *, fps=24, mark_id: int | None = MARK, text=DEFAULT_TEXT, **more):
    return read_badge(frames.split(7), fps=fps, secret=SECRET, mark_id=mark_id, text=text, **more)


# letters


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("AI \u2603", "SNOWMAN"),
        ("\u4eba", "logo"),
        ("A\nB", r"'\\n'"),
        ("A\u202eB", "RIGHT-TO-LEFT OVERRIDE"),
        ("x" * 33, "33 characters"),
        ("   ", "neither text nor logo"),
    ],
)
def test_text_that_cannot_be_drawn_is_refused(text, words):
    with pytest.raises(SoraError, match=words):
        check_text(text, logo=False)


def test_text_is_drawn_in_capitals():
    assert check_text(" ai \u00b7 sora ", logo=False) == "AI \u00b7 SORA"
    assert check_text("", logo=True) == ""


@pytest.mark.parametrize(
    ("logo", "words"),
    [
        (torch.zeros(4, 4, 3, dtype=torch.uint8), r"\(4, 4, 3\)"),
        (torch.zeros(4, 4, 4), "float32"),
        (torch.zeros(4, 4, 4, dtype=torch.uint8), "transparent"),
        (torch.zeros(0, 4, 4, dtype=torch.uint8), "RGBA"),
        (torch.full((1, 5000, 4), 255, dtype=torch.uint8), "4096"),
    ],
)
def test_bad_logos_are_refused(logo, words):
    with pytest.raises(SoraError, match=words):
        check_logo(logo)


def test_lettering_scales_with_the_frame():
    large = lay_out("AI \u00b7 TEXT", None, width=854, height=480, letter_height=0.042)
    small = lay_out("AI \u00b7 TEXT", None, width=427, height=240, letter_height=0.042)
    assert large.pitch == pytest.approx(2 * small.pitch)
    assert large.width == pytest.approx(2 * small.width)
    assert 0.04 * 480 < letter(large, None, margin=False).distance_HW.shape[0] < 0.05 * 480


def test_letters_are_drawn_apart_and_different():
    def ink(text):
        return letter(lay_out(text, None, width=640, height=360, letter_height=0.06), None).ink()

    assert ink("O").shape == ink("Q").shape
    assert (ink("O") - ink("Q")).abs().max() > 0.5
    # a column without ink between two letters
    assert (ink("II").amax(dim=0)[15:-15] < 0.05).any()


def test_long_text_is_broken_at_a_blank_and_refused_without():
    layout = lay_out("MADE WITH MACHINES 0123 @USER", None, width=384, height=384, letter_height=0.042)
    assert layout.lines == ("MADE WITH MACHINES", "0123 @USER")
    with pytest.raises(SoraError, match="does not fit"):
        lay_out("W" * 32, None, width=240, height=240, letter_height=0.042)


# the film


@pytest.mark.slow
def test_the_cut_into_pieces_changes_nothing(hills):
    whole, boxes = painted(hills)
    for cuts in ((1, 2, 30), (0, 0, 71)):
        pieces, other_boxes = painted(hills, cuts=cuts)
        assert torch.equal(whole, pieces)
        assert boxes == other_boxes
    assert whole.shape == hills.shape


def test_about_a_second_is_held_back(hills):
    badge = Badge(secret=SECRET, mark_id=MARK, text="AI", width=426, height=240, fps=24)
    given, most = 0, 0
    for number, frame in enumerate(hills):
        given += len(badge.paint(frame[None]))
        most = max(most, number + 1 - given)
    assert most <= 25
    assert given + len(badge.finish()) == len(hills)


def test_the_given_frames_stay_as_they_are(hills):
    frames = hills[:30].clone()
    painted(frames)
    assert torch.equal(frames, hills[:30])


def test_secret_and_id_change_the_look(hills):
    one, boxes = painted(hills[:30])
    assert painted(hills[:30], mark_id=MARK + 1)[1] != boxes
    assert painted(hills[:30], secret=OTHER_SECRET)[1] != boxes
    assert not torch.equal(one[3], one[4])


def test_only_the_box_changes_without_a_texture(hills):
    marked, boxes = painted(hills[:20], config=BadgeConfig(texture=0))
    for before, after, (top, left, bottom, right) in zip(hills, marked, boxes, strict=False):
        changed = (before != after).any(dim=-1)
        assert changed[top:bottom, left:right].sum() > 300
        changed[top:bottom, left:right] = False
        assert not changed.any()


def test_the_texture_is_faint(hills):
    marked, boxes = painted(hills[:10])
    top, left, bottom, right = boxes[0]
    change = (marked[0].float() - hills[0].float()).abs()
    change[top:bottom, left:right] = 0
    assert 0.2 < change.mean() < 2.5
    assert change.max() < 20


@pytest.mark.parametrize(("ground", "dark"), [(20, False), (128, False), (245, True)])
def test_letters_stand_out_from_their_ground(ground, dark):
    frames = torch.full((1, 360, 640, 3), ground, dtype=torch.uint8)
    marked, ((top, left, bottom, right),) = painted(frames, text="HHHH", config=BadgeConfig(texture=0))
    patch = marked[0, top:bottom, left:right].float().mean(dim=-1)
    ink = patch.min() if dark else patch.max()
    assert abs(float(ink) - ground) > 80


@pytest.mark.parametrize("size", [(384, 384, 25, 12.0), (240, 240, 1, 24.0), (240, 426, 3, 1.0), (480, 270, 0, 30.0)])
def test_every_length_and_shape(size):
    height, width, count, fps = size
    frames = torch.full((count, height, width, 3), 100, dtype=torch.uint8)
    marked, boxes = painted(frames, fps=fps, logo=disc())
    assert marked.shape == frames.shape
    assert len(boxes) == count
    assert all(0 <= t < b <= height and 0 <= le < r <= width for t, le, b, r in boxes)


def test_small_pictures_are_refused():
    with pytest.raises(SoraError, match="240 pixels"):
        Badge(secret=SECRET, mark_id=MARK, text="AI", width=320, height=200, fps=24)


@pytest.mark.parametrize("values", [{"opacity": 0.2}, {"dwell_s": 3}, {"texture": 9}, {"letter_height": 0.5}])
def test_bad_configurations_are_refused(values):
    with pytest.raises(SoraError, match=f"{next(iter(values))}"):
        BadgeConfig(**values)


# the path


def walked(seconds, interest, *, fps=24, mark_id=MARK, box=(30, 160), size=(360, 640)):
    draw = Draw(SECRET, mark_id, "path")
    path = Path(draw, width=size[1], height=size[0], box_width=box[1], box_height=box[0], fps=fps, config=BadgeConfig())
    places = []
    for number in range(round(seconds * fps)):
        path.see(interest(number))
        places += path.ready(last=False)
    return places + path.ready(last=True)


def rough(number):
    return np.random.default_rng(number).integers(0, 255, (90, 160), np.uint8)


@pytest.mark.parametrize("fps", [12, 24, 60])
def test_no_pixel_is_covered_for_more_than_two_seconds_and_nothing_jumps(fps):
    for mark_id in range(3):
        places = walked(9, rough, fps=fps, mark_id=mark_id)
        assert len(places) == 9 * fps
        boxes = [(int(p.top), int(p.left), int(p.top) + 30, int(p.left) + 160) for p in places]
        assert longest_stay(boxes, 360, 640) <= 2 * fps
        steps = np.hypot(*np.diff(np.array(places), axis=0).T)
        # the fastest moment of the ease is 1.9 times its mean
        assert steps.max() < 2 * 730 / (0.5 * fps)
        assert steps.min() > 0


def test_the_path_prefers_structure_to_flat_ground():
    def lower_half(number):
        picture = rough(number)
        picture[:55] = 180
        return picture

    places = walked(20, lower_half)
    assert np.mean([place.top > 180 for place in places]) > 0.9


# the reader


@pytest.mark.slow
@pytest.mark.parametrize("crf", [30])
def test_the_badge_is_read_after_compression(hills, crf):
    found = read(recode(painted(hills)[0], 24, H264, crf))
    assert found.state == "present"
    assert [(s.start_s, s.stop_s) for s in found.seconds] == [(0, 1), (1, 2), (2, 3)]
    assert all(trace.present for trace in found.traces)
    assert not found.painted_over


def test_nothing_is_found_where_nothing_is(hills):
    found = read(hills[:30])
    assert found.state == "absent"
    assert found.score < found.threshold / 2


def test_another_text_and_another_id_are_not_found(hills):
    marked = painted(hills[:24])[0]
    found = read(marked, text="MADE BY SOMEBODY", mark_id=MARK + 1)
    assert found.state == "absent"
    assert read(marked, mark_id=None).traces == ()


@pytest.mark.slow
def test_the_badge_is_read_after_a_resize():
    clip = natural(3, width=640, height=360, frames=24).frames_FHWC
    marked = painted(clip)[0].permute(0, 3, 1, 2).float()
    for size in ((270, 480), (432, 768)):
        resized = torch.nn.functional.interpolate(marked, size=size, mode="bilinear", antialias=True)
        found = read(resized.clamp(0, 255).byte().permute(0, 2, 3, 1))
        assert found.state == "present"
        assert found.traces[0].present


def test_a_single_picture_is_read(hills):
    assert read(painted(hills[:1])[0]).state == "present"
    assert read(painted(hills[:1], text="AI")[0], text="AI").state == "present"


def test_a_logo_beside_the_text_or_alone_is_read(hills):
    logo = painted(hills[:1], text="", logo=disc())[0]
    assert read(logo, text="", logo=disc()).state == "present"
    assert read(hills[:1], text="", logo=disc()).state == "absent"
    assert read(logo, text="", logo=disc(), mark_id=None).state == "absent"
    both = painted(hills[:1], logo=disc())[0]
    assert read(both, logo=disc()).state == "present"


@pytest.mark.parametrize("shape", [(0, 240, 240, 3), (3, 40, 40, 3), (2, 130, 3000, 3)])
def test_films_without_room_for_a_badge_are_absent(shape):
    assert read(torch.zeros(shape, dtype=torch.uint8)).state == "absent"


@pytest.mark.slow
def test_a_badge_that_is_painted_over_leaves_its_texture(hills):
    marked, boxes = painted(hills[:48])
    for cleaned in (by_median(marked, boxes, 24), by_diffusion(marked, boxes)):
        found = read(recode(cleaned, 24, H264, 23))
        assert found.state == "partial"
        assert not any(second.present for second in found.seconds)
        assert found.painted_over == found.seconds


@pytest.mark.slow
def test_the_second_that_lacks_it_is_named(hills):
    marked, boxes = painted(hills)
    marked[24:48] = by_diffusion(marked, boxes)[24:48]
    found = read(marked)
    assert found.state == "partial"
    assert [second.present for second in found.seconds] == [True, False, True]
    assert found.painted_over == (found.seconds[1],)
    # a clean stretch put in its place lacks the texture as well
    marked[24:48] = hills[24:48]
    assert [trace.present for trace in read(marked).traces] == [True, False, True]


@pytest.mark.slow
def test_the_measures_measure():
    clip = cartoon(1, factor=4, frames=25)
    figures = measure_visible([(clip.name, clip.frames_FHWC, clip.fps)])
    assert figures.clips == 1
    assert figures.legible_looks == figures.found == 1
    assert figures.false_alarms == 0
    assert figures.longest_s <= 2
    assert 0 < figures.coverage_entropy < 1
    assert figures.texture_psnr_db > 42
    assert figures.figures()["paint_fps"] > 0
