"""The mark of a sound: the same however the sound is cut, found again after attacks, and never by a wrong key."""

from __future__ import annotations

import pytest
import torch

from sora_core.bench.marks.sound_attacks import SOUND_ATTACKS, sounds
from sora_core.errors import SoraError
from sora_core.provenance.marking.sound import (
    SoundMarkConfig,
    SoundMarker,
    mark_sound,
    prepare_sound,
    read_prepared_sound,
    read_sound_mark,
    sound_capacity,
)
from sora_core.provenance.marking.sound_masking import audibility, ear, frames_of, sound_of
from sora_core.provenance.marking.sound_pattern import decode, first_chip, hadamard, pattern, written

SECRET = bytes(range(32))
SHORT_ID = 0x9A3C5678
MARK_ID = SHORT_ID << 32 | 0xDEF0
RATE = 16_000
ATTACKS = {attack.name: attack for attack in SOUND_ATTACKS}


def _sound(kind: int, seconds: float, rate: int = RATE, seed: int = 1):
    return sounds(kind + 1, seconds, rate, seed)[kind][1]


@pytest.fixture(scope="module")
def marked():
    return mark_sound(_sound(3, 6.0), sample_rate=RATE, secret=SECRET, mark_id=MARK_ID)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
def test_pieces_make_no_difference(rate, channels):
    sound = sounds(4, 3.1, rate, 5, channels=channels)[3][1]
    whole = mark_sound(sound, sample_rate=rate, secret=SECRET, mark_id=MARK_ID)
    marker = SoundMarker(secret=SECRET, mark_id=MARK_ID, sample_rate=rate, channels=channels)
    parts = [marker.mark(piece) for piece in sound.split([0, 1, 4_999, sound.shape[1] - 5_000], 1)]
    cut = torch.cat([*parts, marker.finish()], 1)
    assert whole.shape == sound.shape
    assert torch.equal(whole, cut)
    assert not torch.equal(whole, sound)
    assert marker.carries, marker.reason


def test_silence_stays_silent():
    sound = _sound(3, 6.0)
    sound[:, 20_000:60_000] = 0
    marked = mark_sound(sound, sample_rate=RATE, secret=SECRET, mark_id=MARK_ID)
    assert not marked[:, 20_080:59_984].any()
    assert torch.equal(mark_sound(0 * sound, sample_rate=RATE, secret=SECRET, mark_id=MARK_ID), 0 * sound)


def test_nothing_is_heard_before_an_onset():
    sound = torch.zeros(1, 48_000)
    sound[:, 24_000:] = 0.2 * torch.randn(1, 24_000, generator=torch.Generator().manual_seed(2))
    sound += 1e-4 * torch.randn(1, 48_000, generator=torch.Generator().manual_seed(3))
    change = mark_sound(sound, sample_rate=RATE, secret=SECRET, mark_id=MARK_ID) - sound
    before, after = change[:, 23_600:23_980].square().mean(), change[:, 24_100:30_000].square().mean()
    assert float(after) > 1e-6
    assert float(before) < 3e-9


def test_mark_lies_under_the_mask():
    for _, sound in sounds(5, 4.0, RATE, 2):
        marked = mark_sound(sound, sample_rate=RATE, secret=SECRET, mark_id=MARK_ID)
        heard = audibility(sound, marked, RATE)
        assert heard.noise_to_mask_db < -8.0
        assert heard.over < 0.05
        assert heard.snr_db > 12.0


def test_capacity_knows_short_and_quiet_sounds():
    assert sound_capacity(_sound(3, 4.0), RATE).carries
    short, quiet = sound_capacity(_sound(2, 0.5), RATE), sound_capacity(torch.zeros(1, 40_000), RATE)
    assert not short.carries
    assert "0.50 s" in short.reason
    assert not quiet.carries
    assert sound_capacity(torch.zeros(1, 0), RATE).seconds == 0


def test_short_clip_of_our_own_carries_the_id():
    sound = _sound(2, 2.08)
    marker = SoundMarker(secret=SECRET, mark_id=MARK_ID, sample_rate=RATE, channels=1)
    marked = torch.cat([marker.mark(sound), marker.finish()], 1)
    heard, rate = ATTACKS["AAC 96k"].run(marked, RATE)
    assert marker.carries
    assert read_sound_mark(heard, sample_rate=rate, secret=SECRET).short_id == SHORT_ID


@pytest.mark.slow
@pytest.mark.parametrize("attack", SOUND_ATTACKS, ids=lambda attack: attack.name)
def test_id_is_read_after(attack, marked):
    heard, rate = attack.run(marked, RATE)
    reading = read_sound_mark(heard, sample_rate=rate, secret=SECRET)
    assert reading.state != "absent"
    assert reading.short_id == SHORT_ID
    assert sum(bit << 31 - place for place, bit in enumerate(reading.bits)) == SHORT_ID


@pytest.mark.slow
def test_wrong_secrets_find_nothing(marked):
    prepared = prepare_sound(marked, sample_rate=RATE)
    scores = []
    for number in range(12):
        reading = read_prepared_sound(prepared, number.to_bytes(32, "big"))
        scores.append(reading.score)
        assert reading.state == "absent"
        assert reading.short_id is None
        assert not any(second.present for second in reading.seconds)
    assert max(scores) < 9.0
    assert read_prepared_sound(prepared, SECRET).score > 12.0


@pytest.mark.slow
def test_seconds_tell_where_the_mark_was_taken_out():
    sound = _sound(2, 12.0)
    marked = mark_sound(sound, sample_rate=RATE, secret=SECRET, mark_id=MARK_ID)
    assert read_sound_mark(marked, sample_rate=RATE, secret=SECRET).state == "present"
    marked[:, 5 * RATE : 9 * RATE] = sound[:, 5 * RATE : 9 * RATE]
    reading = read_sound_mark(marked, sample_rate=RATE, secret=SECRET)
    assert reading.state == "partial"
    assert reading.short_id == SHORT_ID
    assert [second.present for second in reading.seconds][6:8] == [False, False]
    assert all(second.present for second in reading.seconds[:4] + reading.seconds[10:])


def test_speed_is_told(marked):
    heard, rate = ATTACKS["speed 1.05"].run(marked, RATE)
    reading = read_sound_mark(heard, sample_rate=rate, secret=SECRET)
    assert reading.speed == pytest.approx(1.05, abs=0.005)
    assert reading.pitch == pytest.approx(1.05, abs=0.005)


def test_clips_begin_at_different_places_of_the_pattern():
    assert len({first_chip(SECRET, number) for number in range(20)}) > 15
    assert not torch.equal(pattern(SECRET).sign, pattern(bytes(32)).sign)


@pytest.mark.parametrize("short_id", [0, 1, 0x80000000, 0xFFFFFFFF, SHORT_ID])
def test_code_round_trip(short_id):
    keyed = pattern(SECRET)
    noise = torch.randn(keyed.sign.shape, generator=torch.Generator().manual_seed(0))
    ids, _, lead = decode(keyed, (written(keyed, short_id) + 4 * noise)[None])
    assert int(ids[0]) == short_id
    assert float(lead.min()) > 0


def test_transform_is_that_of_hadamard():
    x = torch.zeros(1, 1 << 15)
    x[0, 5] = 1.0
    parity = torch.tensor([bin(5 & n).count("1") % 2 for n in range(1 << 15)])
    assert torch.equal(hadamard(x)[0], 1.0 - 2.0 * parity)


@pytest.mark.parametrize("rate", [8_000, 11_025, 48_000])
def test_frames_give_the_sound_back(rate):
    model = ear(rate)
    sound = torch.randn(2, 40 * model.hop, generator=torch.Generator().manual_seed(1))
    again = sound_of(model, frames_of(model, sound))
    inner = slice(model.window, again.shape[1] - model.window)
    torch.testing.assert_close(again[:, inner], sound[:, inner], atol=1e-5, rtol=0)


def test_what_cannot_be_marked_is_refused():
    with pytest.raises(SoraError, match="192000"):
        SoundMarker(secret=SECRET, mark_id=1, sample_rate=192_000, channels=1)
    with pytest.raises(SoraError, match="6 channels"):
        SoundMarker(secret=SECRET, mark_id=1, sample_rate=RATE, channels=6)
    with pytest.raises(SoraError, match="64 bits"):
        SoundMarker(secret=SECRET, mark_id=1 << 64, sample_rate=RATE, channels=1)
    marker = SoundMarker(secret=SECRET, mark_id=1, sample_rate=RATE, channels=1)
    with pytest.raises(SoraError, match="2 channels"):
        marker.mark(torch.zeros(2, 10))
    with pytest.raises(SoraError, match="shape"):
        marker.mark(torch.zeros(10))
    with pytest.raises(SoraError, match="type"):
        marker.mark(torch.zeros(1, 10, dtype=torch.int16))
    with pytest.raises(SoraError, match="7000"):
        read_sound_mark(torch.zeros(1, 10), sample_rate=7_000, secret=SECRET)
    with pytest.raises(SoraError, match="margin_db"):
        SoundMarkConfig(margin_db=40.0)


@pytest.mark.parametrize("samples", [0, 1, 100, 4_000])
def test_sounds_too_short_are_read_as_absent(samples):
    sound = 0.1 * torch.ones(1, samples)
    assert mark_sound(sound, sample_rate=RATE, secret=SECRET, mark_id=1).shape == sound.shape
    reading = read_sound_mark(sound, sample_rate=RATE, secret=SECRET)
    assert reading.state == "absent"
    assert reading.short_id is None
    assert len(reading.bits) == 32
