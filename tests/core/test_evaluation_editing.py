"""The measures of edits on made-up clips and sounds with known answers, and on rendered ones."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from sora_core.cli import main
from sora_core.editing.film import MemoryFilm
from sora_core.editing.profile import our_profile
from sora_core.evaluation.detector import Detection
from sora_core.evaluation.editing import counting, run, seams
from sora_core.evaluation.editing.cases import CHANGES, STAYING, draw_changes, draw_sources
from sora_core.evaluation.editing.counting import count_parts, count_things, is_stable
from sora_core.evaluation.editing.ends import End, find_frames, kept_end
from sora_core.evaluation.editing.loops import MOST, picture_ratio, sound_ratio, there_and_back
from sora_core.evaluation.editing.measured import Measured, rms, share_of
from sora_core.evaluation.editing.recording import Run
from sora_core.evaluation.editing.remix import Shares
from sora_core.evaluation.editing.seams import LOST, Path, follow, in_units, velocity_jump
from sora_core.evaluation.editing.sounds import listen, onset_f1
from sora_core.evaluation.editing.studio import Studio, frozen
from sora_core.evaluation.editing.table import ROWS, editing_table
from sora_core.evaluation.prompts import expected
from sora_core.pipeline import Pipeline
from sora_core.request import Defaults, Request, resolve
from sora_core.types import SAMPLE_RATE, ClipFormat
from sora_core.world.render import render
from sora_core.world.spec import LEVELS, Attributes, held_out

FPS = 12.0
LEVEL = LEVELS[1]
SCENES = LEVEL.scenes
SECOND = np.arange(SAMPLE_RATE) / SAMPLE_RATE


def actor(motion: str, direction: str = "", **words) -> Attributes:
    return Attributes(
        **{"colour": "red", "object": "ball", "size": "large", **words}, motion=motion, direction=direction
    )


def rendered(shown: Attributes, frames: int, seed: int = 1) -> MemoryFilm:
    batch = render([shown], [seed], ClipFormat(frames=frames))
    return MemoryFilm(picture=batch.frames[0], audio=batch.audio[:1], fps=FPS)


def path(x: np.ndarray) -> Path:
    return Path(np.stack([x, np.zeros_like(x)], 1), np.ones(len(x), dtype=bool))


# the seam of an extension


def test_even_motion_has_no_jump_and_a_stop_is_its_speed():
    even = np.arange(37) * 0.3 / FPS
    assert velocity_jump(path(even), 25, FPS) == pytest.approx(0, abs=1e-9)
    assert velocity_jump(path(np.minimum(even, even[24])), 25, FPS) == pytest.approx(0.3)
    # elsewhere is not at the seam
    assert velocity_jump(path(np.minimum(even, even[30])), 25, FPS) == pytest.approx(0, abs=1e-9)


def test_a_leap_is_a_jump_though_the_speed_is_the_same():
    leap = np.arange(37) * 0.3 / FPS + 0.2 * (np.arange(37) >= 25)
    assert velocity_jump(path(leap), 25, FPS) == pytest.approx(0.2 * FPS)


def test_who_is_lost_at_the_seam_counts_the_most():
    moving = path(np.arange(37) * 0.3 / FPS)
    moving.seen[26] = False
    assert velocity_jump(moving, 25, FPS) is None
    assert in_units(None, 0.1) == LOST == in_units(5.0, 0.1)
    assert in_units(0.1, 0.1) == 1


def test_a_true_clip_goes_on_and_a_frozen_one_does_not():
    true = rendered(actor("roll", "right"), 37)
    jumps = [
        velocity_jump(follow(film.picture, SCENES), 25, FPS)
        for film in (true, frozen(replace(true, picture=true.picture[:25]), 37))
    ]
    assert jumps[0] is not None
    assert jumps[1] is not None
    assert jumps[0] < seams.LEAST_USUAL
    assert jumps[1] > 3 * jumps[0]


# the joins of a loop


def turning(frames: int = 24) -> torch.Tensor:
    """A bright square that goes round once."""
    picture = torch.zeros(frames, 32, 32, 3, dtype=torch.uint8)
    for index, angle in enumerate(np.arange(frames) * 2 * np.pi / frames):
        y, x = round(12 + 10 * np.sin(angle)), round(12 + 10 * np.cos(angle))
        picture[index, y : y + 8, x : x + 8] = 200
    return picture


def test_a_true_loop_has_no_join():
    assert picture_ratio(turning(), 0) == pytest.approx(1, abs=0.3)
    assert picture_ratio(torch.full((8, 4, 4, 3), 9, dtype=torch.uint8), 0) == 0


def test_a_cut_is_seen_at_its_place_only():
    cut = turning()[:12]
    assert picture_ratio(cut, 0, fade=0) > 2
    assert picture_ratio(cut, 6) < 1.3
    assert picture_ratio(there_and_back(cut), 0) < 1.3


def test_the_fade_belongs_to_its_side_of_the_join():
    stepped = turning().clone()
    stepped[:2] = 90
    assert picture_ratio(stepped, 0) > 3
    assert picture_ratio(stepped, 0, fade=0, before=True) == picture_ratio(stepped, 0, fade=0)
    assert picture_ratio(stepped, 23, before=True) < 1.5
    assert picture_ratio(stepped, 2, before=True) > 3


def humming(seconds: float = 1.0) -> torch.Tensor:
    """A tone of 400 Hz under a slow swell, the same at both ends."""
    swell = 0.3 + 0.1 * np.sin(2 * np.pi * 3 * SECOND)
    return torch.from_numpy(swell * np.sin(2 * np.pi * 400 * SECOND))[: round(seconds * SAMPLE_RATE)].float()


def test_a_sound_that_goes_on_has_no_join():
    # the swell is at its steepest there, which is pi / 2 of its mean
    assert sound_ratio(humming(), 0, SAMPLE_RATE) == pytest.approx(np.pi / 2, rel=0.05)
    assert sound_ratio(humming(), SAMPLE_RATE // 4, SAMPLE_RATE) < 0.5


@pytest.mark.parametrize("loud", [1.0, 0.2])
def test_a_click_is_heard_however_loud_the_whole_is(loud):
    clicked = loud * humming()
    clicked[0] += 0.3 * loud
    assert sound_ratio(clicked, 0, SAMPLE_RATE) == MOST
    assert sound_ratio(clicked, SAMPLE_RATE // 2, SAMPLE_RATE) < np.pi / 2


def test_a_sound_that_breaks_off_is_heard():
    assert sound_ratio(torch.cat([torch.zeros(8000), humming()]), 0, SAMPLE_RATE) == MOST
    assert sound_ratio(torch.cat([torch.zeros(8000), humming()]), 8000, SAMPLE_RATE) == MOST


def test_silence_on_both_sides_is_no_join():
    struck = torch.cat([torch.zeros(8000), humming(0.2), torch.zeros(8000)])
    assert sound_ratio(struck, 0, SAMPLE_RATE) is None
    assert sound_ratio(torch.zeros(16000), 0, SAMPLE_RATE) is None
    generator = torch.Generator().manual_seed(0)
    assert sound_ratio(0.001 * torch.randn(16000, generator=generator), 0, SAMPLE_RATE) is None
    clicked = struck.clone()
    clicked[2] = 0.2
    assert sound_ratio(clicked, 0, SAMPLE_RATE) is not None


# the ends of a connection


def test_the_kept_frames_next_to_the_made_ones_are_found():
    made = Run(given=torch.zeros(25, 1, 1, 3), mask=torch.tensor([0, 0, 1, 1, 0.5, 0, 0]))
    profile = our_profile()
    assert kept_end(made, profile) == slice(1, 5)
    assert kept_end(made, profile, after=True) == slice(17, 21)


def test_the_gap_is_that_to_the_copy():
    source = (torch.arange(9 * 12).reshape(9, 2, 2, 3) % 200).byte()
    given = source[4:6]
    assert find_frames(given, source) == 4
    end = End(given=given, made=given + 4)
    assert end.gap_db(end.made, source, source + 4) == pytest.approx(0)
    assert end.gap_db(end.made, source, source + 2) == pytest.approx(20 * np.log10(2))
    assert end.gap_db(given, source, source + 2) < -20


# remix


def test_changes_are_of_one_attribute_and_held_in():
    changes = draw_changes(LEVEL, 20, 3)
    assert [change.attribute for change in changes[:5]] == list(CHANGES)
    for change in changes:
        source, target = change.source.attributes, change.target.attributes
        differ = {name for name in LEVEL.attributes if getattr(source, name) != getattr(target, name)}
        assert change.attribute in differ
        assert differ <= change.changed
        assert not held_out(source)
        assert not held_out(target)
    assert changes == draw_changes(LEVEL, 20, 3)


def test_what_is_left_and_what_is_changed_are_told_apart():
    (change,) = draw_changes(LEVEL, 1, 0)
    source, target = (expected(case.attributes, LEVEL) for case in (change.source, change.target))
    nothing, everything = Shares(), Shares()
    nothing.see(change, Detection(**source), target)
    everything.see(change, Detection(**target), target)
    assert (nothing.share(nothing.kept), nothing.share(nothing.changed)) == (1, 0)
    assert (everything.share(everything.kept), everything.share(everything.changed)) == (1, 1)
    gone = Shares()
    gone.see(change, Detection(), target)
    assert (gone.share(gone.kept), gone.share(gone.changed)) == (0, 0)


def test_shares_of_nothing_are_nothing():
    assert share_of(0.9, 0.9) == 1
    assert share_of(None, 1.0) is None
    assert share_of(0.5, 0.0) is None
    assert rms([3.0, -4.0]) == pytest.approx(12.5**0.5)
    assert rms([]) is None


# counting


def test_one_actor_is_one_thing_whatever_it_is():
    cases = [
        actor("bounce", object="ring", colour="white", size="small", scene="sand"),
        actor("stay", object="star", colour="blue", scene="dark floor"),
        actor("rise", object="box", colour="orange", scene="wooden floor"),
    ]
    for shown in cases:
        counts = count_things(rendered(shown, 61).picture, SCENES)
        assert is_stable(counts), (shown, counts)


def test_two_actors_are_two_things():
    batch = render([actor("collide", size="small", other=("blue", "box"))], [1], ClipFormat(frames=25))
    apart = (batch.centre[0, :, 0] - batch.other_centre[0, :, 0]).abs() > 0.4
    assert apart.sum() > 5
    counts = count_things(batch.frames[0], SCENES)
    assert (counts[apart] == 2).all(), counts
    assert not is_stable(counts)


def test_a_blur_over_the_whole_picture_is_no_thing():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (25, 64, 64, 3), generator=generator, dtype=torch.uint8)
    assert not is_stable(count_things(noise, SCENES))
    assert count_parts(torch.ones(1, 64, 64, dtype=torch.bool)).tolist() == [0]


def test_parts_are_joined_over_small_gaps_and_specks_do_not_count():
    shown = torch.zeros(4, 40, 40, dtype=torch.bool)
    shown[1:, 5:15, 5:15] = True
    shown[2, 5:15, 17:27] = True
    shown[3, 5:15, 20:30] = True
    shown[:, 30:33, 30:33] = True
    assert count_parts(shown).tolist() == [0, 1, 1, 2]


def test_one_in_twenty_frames_may_be_otherwise():
    counts = torch.ones(100, dtype=torch.int64)
    counts[:5] = 0
    assert is_stable(counts)
    counts[5] = 2
    assert not is_stable(counts)


def test_an_actor_that_goes_is_not_stable():
    film = rendered(actor("stay"), 25).picture
    gone = film[:, :, :1].expand(-1, -1, 64, -1)
    assert not is_stable(count_things(torch.cat([film, film, gone]), SCENES))


# all of it


@pytest.fixture(scope="module")
def pipeline(tiny_models, tiny_tokenizer) -> Pipeline:
    defaults = Defaults(width=32, height=32, frames=25, fps=FPS, steps=1, guidance=1.0)
    return Pipeline(**tiny_models, tokenizer=tiny_tokenizer, defaults=defaults)


def test_sound_of_a_true_clip_fits_and_another_does_not(pipeline):
    defaults = replace(pipeline.defaults, width=64, height=64)
    studio = Studio(
        pipeline=pipeline, plan=resolve(Request(prompt="x"), defaults), level=LEVEL, tick=lambda _note: None
    )
    cases = draw_sources(LEVEL, 2, 0, ("bounce", "fall"))
    films = studio.sources(cases)
    seen = [studio.detect(film) for film in films]
    assert all((listen(film).onsets == one.onsets).all() for film, one in zip(films, seen, strict=True))
    assert onset_f1(studio, cases, seen, seen) == 1
    assert onset_f1(studio, cases, seen, seen[::-1]) < 0.7
    silent = [listen(replace(film, audio=torch.zeros(1, 16000))) for film in films]
    assert onset_f1(studio, cases, seen, silent) == 0


@pytest.fixture(scope="module")
def tiny_figures(pipeline) -> tuple[dict, list]:
    told: list[tuple[float, float, str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "ADDED_S", 3.0)
        patch.setattr(seams, "CALIBRATION", 2)
        patch.setattr(run, "LEAST_LONG", 1)
        figures = run.measure_editing(pipeline, 2, progress=lambda *what: told.append(what))
    return {**figures, "seconds": 1.0}, told


def test_a_pipeline_is_measured_from_end_to_end(tiny_figures):
    figures, told = tiny_figures
    assert json.loads(json.dumps(figures)) == figures
    assert list(figures["editing"]) == [row.key for row in ROWS]
    for cell in figures["editing"].values():
        assert cell.keys() == {"value", "bar", "ground_truth", "baseline"}
    assert [done for done, _, _ in told] == list(range(1, len(told) + 1))
    assert told[-1][0] == told[-1][1]
    assert {note for _, _, note in told} >= {"extend", "loop", "connect", "blend", "remix", "foley", "60 seconds"}
    assert figures["editing"]["count_stable_60s"]["ground_truth"] == 1
    assert figures["editing"]["count_stable_60s"]["baseline"] == 1
    assert figures["editing"]["connect_db"]["ground_truth"] == pytest.approx(0, abs=0.01)


def test_table_shows_every_row(tiny_figures):
    figures, _ = tiny_figures
    figures = {**figures, "editing": {**figures["editing"]}}
    figures["editing"]["blend_db"] = Measured(value=0.5, bar=1.0, ground_truth=None, baseline=20.0).as_json()
    lines = editing_table(figures).splitlines()
    for row in ROWS:
        assert any(line.startswith(row.name) for line in lines)
    (blend,) = (line.split("  ") for line in lines if line.startswith("blend"))
    assert [cell.strip() for cell in blend if cell][1:] == ["0.50 dB", "<= 1.00 dB", "yes", "-", "20.00 dB"]


def test_editing_goes_with_no_folder_of_clips(tmp_path, capsys):
    assert main(["evaluate", "--editing", "--from", str(tmp_path)]) != 0
    assert "leave away either" in capsys.readouterr().err


def test_sources_are_what_was_asked_for():
    cases = draw_sources(LEVEL, 8, 5, STAYING)
    assert [case.attributes.motion for case in cases] == [*STAYING, *STAYING]
    assert [case.seed for case in cases] == list(range(5, 13))
    assert not any(held_out(case.attributes) for case in cases)
    assert {case.attributes.motion for case in draw_sources(LEVEL, 4, 0, ("swing", "rise"))} == {"rise"}
