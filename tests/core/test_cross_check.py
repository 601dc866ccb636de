"""What the layers of a file say of one another: each rule alone, on readings put together by hand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from sora_core.provenance.cross_check import Evidence, Found, judge, of_its_own
from sora_core.provenance.manifest.reading import IngredientReading, ManifestReading, SignerReading
from sora_core.provenance.manifest.story import MarkClaim
from sora_core.provenance.marking.reading import SecondReading

ID = 0x0123456789ABCDEF
OTHER = 0xFEDCBA9876543210
SAME, ALIKE, DIFFERENT, UNCLEAR = (
    SimpleNamespace(verdict=verdict) for verdict in ("same", "alike", "different", "unclear")
)


def claims(mark_id: int = ID, *, state: str = "trusted", **more) -> ManifestReading:
    marks = (
        MarkClaim(layer="invisible", mark_id=mark_id, start_s=0, stop_s=2),
        MarkClaim(layer="audio", mark_id=mark_id >> 32, start_s=0, stop_s=2),
    )
    named = {"signer": SignerReading(common_name="Somebody"), "layers_on": ("invisible", "audio")}
    return ManifestReading(state=state, marks=marks, **{**named, **more})


def entry(**layers: bool) -> SimpleNamespace:
    on = {"visible": False, "invisible": True, "audio": True, "manifest": True}
    return SimpleNamespace(title="ball", created_s=1.7e9, layers={**on, **layers})


WHOLE = Evidence(
    manifest=claims(),
    picture=Found(state="present", mark_id=ID),
    sound=Found(state="present", mark_id=ID >> 32),
    badge=Found(),
    has_sound=True,
    entry=entry(),
    picture_match=SAME,
    sound_match=SAME,
)
GAP = (SecondReading(0, 1, 9, True), SecondReading(1, 2, 0, False), SecondReading(2, 3, 9, True))
NONE = ManifestReading(state="absent")


def broken(**changes) -> str:
    return " | ".join(judge(replace(WHOLE, **changes)).broken)


def notes(**changes) -> str:
    return " | ".join(judge(replace(WHOLE, **changes)).notes)


def test_what_agrees_is_not_broken():
    judged = judge(WHOLE)
    assert judged.broken == []
    assert any("ball" in note for note in judged.notes)


def test_nothing_is_ever_called_authentic():
    for evidence in (WHOLE, replace(WHOLE, manifest=NONE), replace(WHOLE, entry=None)):
        judged = judge(evidence)
        said = " ".join((*judged.broken, *judged.notes)).lower()
        assert "authentic" not in said
        assert "genuine" not in said
        assert "a pointer and no proof" in said


@pytest.mark.parametrize("state", ["broken", "unreadable"])
def test_a_manifest_that_does_not_hold(state):
    assert f"the manifest is {state}: somebody changed it" in broken(
        manifest=ManifestReading(state=state, reasons=("somebody changed it",))
    )


def test_an_ingredient_that_was_changed_is_told_though_the_file_is_trusted():
    deep = IngredientReading(title="deep", relationship="parentOf", state="broken", reasons=("changed",))
    middle = IngredientReading(title="middle", relationship="parentOf", state="trusted", ingredients=(deep,))
    assert '"deep", which it was made from, is broken' in broken(manifest=claims(ingredients=(middle,)))


def test_a_stranger_can_take_any_name():
    said = notes(manifest=claims(state="intact"))
    assert "who is not known here" in said
    assert not broken(manifest=claims(state="intact"))


@pytest.mark.parametrize("layer", ["picture", "sound", "badge"])
def test_a_gap_in_a_mark_names_its_seconds(layer):
    said = broken(**{layer: replace(getattr(WHOLE, layer), state="partial", seconds=GAP)})
    assert "from 1.0 to 2.0 s" in said
    assert said.count("from") == 1


def test_a_mark_that_the_own_manifest_names_and_that_is_gone():
    assert "names a mark in the picture, and there is none" in broken(picture=Found(), entry=None)


def test_a_strangers_mark_needs_the_strangers_key():
    changes = {"manifest": claims(state="intact"), "picture": Found(), "sound": Found(), "entry": None}
    assert not broken(**changes)
    assert "only its owner's key can read" in notes(**changes)


def test_another_clips_id_under_a_signed_manifest():
    assert "carries the id" in broken(manifest=claims(OTHER))


def test_a_copied_mark_is_told_by_what_the_clip_shows():
    assert "it was copied" in broken(picture_match=DIFFERENT, manifest=NONE)


def test_an_unclear_picture_is_not_called_copied():
    assert not broken(picture_match=UNCLEAR, manifest=NONE)
    assert "nothing says whether" in notes(picture_match=UNCLEAR, manifest=NONE)


def test_a_part_of_a_picture_is_not_called_copied():
    assert not broken(picture_match=ALIKE, manifest=NONE)
    assert "cut out of or changed" in notes(picture_match=ALIKE, manifest=NONE)


def test_a_crop_is_not_called_copied():
    cropped = Found(state="present", mark_id=ID, bent=True)
    assert not broken(picture=cropped, picture_match=DIFFERENT, manifest=NONE)
    assert "nothing says whether it looks like" in notes(picture=cropped, picture_match=DIFFERENT, manifest=NONE)
    assert "its looks are those of" in notes(picture=cropped, picture_match=SAME, manifest=NONE)


def test_the_sound_of_another_clip():
    said = broken(sound=Found(state="present", mark_id=OTHER >> 32), manifest=NONE)
    assert "of another clip than the picture" in said


def test_a_sound_that_was_put_in_place_of_the_marked_one():
    assert "not the one that the clip was saved with" in broken(sound=Found(), sound_match=DIFFERENT, manifest=NONE)


def test_a_sound_that_was_taken_away_breaks_nothing():
    changes = {"sound": Found(), "sound_match": None, "has_sound": False, "manifest": NONE}
    assert not broken(**changes)
    assert "taken away" in notes(**changes)


def test_a_badge_that_is_gone():
    assert "saved with a badge, and it is gone" in broken(entry=entry(visible=True), manifest=NONE)
    assert "saved with a badge, and it is gone" in broken(manifest=claims(layers_on=("visible", "invisible", "audio")))


def test_a_manifest_that_was_stripped_breaks_nothing_and_is_told():
    assert not broken(manifest=NONE)
    assert "saved with a manifest, which is gone" in notes(manifest=NONE)


def test_a_clip_without_any_layer_is_found_by_its_looks():
    bare = {"manifest": NONE, "picture": Found(), "sound": Found(), "by_looks": True}
    assert not broken(**bare)
    assert 'it looks like "ball"' in notes(**bare)


def test_an_id_that_the_index_does_not_know():
    assert "not in this machine's index" in notes(entry=None, manifest=NONE)


def test_without_the_extra_it_is_said():
    assert "without the extra" in notes(manifest=None)
    assert not broken(manifest=None)


def made_from(*ids: int, state: str = "trusted") -> ManifestReading:
    ingredients: tuple[IngredientReading, ...] = ()
    for one in ids:
        marks = (MarkClaim(layer="invisible", mark_id=one, start_s=0, stop_s=2),)
        older = IngredientReading(
            title="older", relationship="parentOf", state="trusted", marks=marks, ingredients=ingredients
        )
        ingredients = (older,)
    return claims(state=state, ingredients=ingredients)


@pytest.mark.parametrize("ids", [(OTHER,), (OTHER, 5)])
def test_the_mark_of_what_it_was_made_from_is_no_other_clips(ids):
    manifest = made_from(*ids)
    picture = of_its_own(Found(state="partial", mark_id=OTHER, seconds=GAP), manifest)
    assert (picture.state, picture.missing, picture.older) == ("present", [], True)
    assert broken(manifest=manifest, picture=picture) == ""
    assert f"made from, {OTHER:016x}" in notes(manifest=manifest, picture=picture)
    sound = of_its_own(Found(state="present", mark_id=OTHER >> 32), manifest)
    assert broken(manifest=manifest, picture=picture, sound=sound) == ""
    assert broken(manifest=manifest, sound=sound) == ""


def test_only_the_own_signer_may_say_what_a_mark_was_made_from():
    for manifest in (made_from(OTHER, state="intact"), claims(), NONE, None):
        found = of_its_own(Found(state="present", mark_id=OTHER), manifest)
        assert not found.older
    assert "its manifest names" in broken(manifest=made_from(OTHER, state="intact"), picture=found)


def test_its_own_mark_is_taken_as_it_is():
    found = Found(state="partial", mark_id=ID, seconds=GAP)
    assert of_its_own(found, made_from(OTHER, ID)) == found
