"""Attacks do what their names say, measures measure, and the suite counts; nothing here depends on any real mark."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from sora_core.bench.marks import (
    attacks,
    codecs,
    footage,
    forgery,
    geometry,
    looks,
    measures,
    overlays,
    suite,
    table,
    tempo,
    textures,
    trials,
)
from sora_core.bench.marks.false_positives import false_positives, unmarked
from sora_core.bench.marks.peers import PEERS
from sora_core.bench.marks.scenes import SCENES
from sora_core.bench.marks.scheme import Scheme, mark_id, secret
from sora_core.bench.run import AIMS, judged
from sora_core.cli import main
from sora_core.errors import SoraError
from sora_core.evaluation import intervals
from sora_core.provenance.marking.reading import SecondReading

WIDTH, HEIGHT, FRAMES = 96, 64, 12
SAME = {"none"}
"""Attacks that may leave the frames as they are."""


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def clip():
    return footage.natural(3, width=WIDTH, height=HEIGHT, frames=FRAMES)


@pytest.fixture(scope="module")
def frames(clip):
    return clip.frames_FHWC


def keyed_tile(key: bytes) -> torch.Tensor:
    seed = int.from_bytes(hashlib.sha256(key).digest()[:6], "big")
    return torch.randint(0, 2, (64, 16, 16), generator=dice(seed)).float() * 2 - 1


def tiled_scheme(strength: float = 6.0, lowest: float = 1.6) -> Scheme:
    """Return a naive mark of one fixed tile of 32 pixels: what folding attacks are made for."""

    def mark(frames, _fps, key, number):
        signs = torch.tensor(measures.bits_of(number)).float() * 2 - 1
        tile = (keyed_tile(key) * signs[:, None, None]).sum(0) / 8
        field = forgery.laid_out(tile.repeat_interleave(2, 0).repeat_interleave(2, 1), *frames.shape[1:3])
        return (frames.float() + strength * field[None, :, :, None]).round().clamp(0, 255).to(torch.uint8)

    def prepare(frames, fps):
        tile = forgery.tile(forgery.residual(frames).mean(0), 32)
        return tile.view(16, 2, 16, 2).mean((1, 3)), len(frames) / fps

    def read(prepared, key, _thorough):
        tile, seconds = prepared
        sums = (keyed_tile(key) * tile).sum((1, 2))
        score = float(sums.abs().mean() / (tile.std() * 16 + 1e-9))
        bits = tuple(int(value > 0) for value in sums)
        there = score > lowest
        return SimpleNamespace(
            state="present" if there else "absent",
            score=score,
            threshold=lowest,
            bits=bits,
            mark_id=sum(bit << (63 - place) for place, bit in enumerate(bits)) if there else None,
            seconds=(SecondReading(0.0, seconds / 4, score, there),),
        )

    return Scheme(mark=mark, prepare=prepare, read=read)


# footage


@pytest.mark.parametrize("scene", [scene.__name__ for scene in SCENES])
def test_footage_is_textured_moves_and_comes_again(scene):
    clip = footage.natural(5, width=160, height=96, frames=9, scene=scene)
    again = footage.natural(5, width=160, height=96, frames=9, scene=scene)
    other = footage.natural(6, width=160, height=96, frames=9, scene=scene)
    film = clip.frames_FHWC
    assert film.shape == (9, 96, 160, 3)
    assert film.dtype == torch.uint8
    assert torch.equal(film, again.frames_FHWC)
    assert not torch.equal(film, other.frames_FHWC)
    assert film.float().std() > 4
    assert (film[0].float() - film[-1].float()).abs().mean() > 0.5


def test_scenes_take_turns():
    names = {footage.natural(seed, width=64, height=48, frames=1).name.split()[0] for seed in range(len(SCENES))}
    assert names == {scene.__name__ for scene in SCENES}


def test_fractals_fall_with_frequency_as_told():
    field = textures.fractal(128, 128, 1.0, dice())
    power = torch.fft.fft2(field).abs().square()
    frequency = torch.hypot(torch.fft.fftfreq(128)[:, None], torch.fft.fftfreq(128)[None]) * 128
    low, high = (power[(frequency >= at) & (frequency < 1.3 * at)].mean() for at in (5, 40))
    assert torch.log(low / high) / torch.log(torch.tensor(8.0)) == pytest.approx(2.0, abs=0.3)
    assert field.std() == pytest.approx(1.0, abs=1e-3)


def test_cartoons_are_drawn_large():
    clip = footage.cartoon(1, side=16, factor=3, frames=5)
    assert clip.frames_FHWC.shape == (5, 48, 48, 3)
    assert clip.kind == "cartoon"
    assert torch.equal(clip.frames_FHWC, footage.cartoon(1, side=16, factor=3, frames=5).frames_FHWC)


def test_unmarked_clips_are_distinct_and_large_enough():
    clips = [unmarked(place) for place in range(6)]
    assert [clip.kind for clip in clips] == ["natural", "natural", "cartoon"] * 2
    assert all(min(clip.frames_FHWC.shape[1:3]) >= 240 for clip in clips)
    assert len({clip.frames_FHWC.float().mean().item() for clip in clips}) == len(clips)


# attacks


@pytest.mark.slow
@pytest.mark.parametrize("attack", attacks.FULL, ids=lambda attack: attack.name)
def test_attacks_keep_their_contract(attack, frames):
    before = frames.clone()
    done, fps = attacks.run(attack, frames, 24.0, 7)
    assert torch.equal(frames, before), "an attack leaves its input alone"
    assert done.dtype == torch.uint8
    assert done.ndim == 4
    assert done.shape[3] == 3
    assert done.is_contiguous()
    assert fps > 0
    assert len(done) >= 1
    assert done.shape != frames.shape or not torch.equal(done, frames), "an attack changes something"
    again, _ = attacks.run(attack, frames, 24.0, 7)
    # an encoder, on one thread too, may decide otherwise now and then
    coded = attack.family == "compression" or "CRF" in attack.name or "screen" in attack.name
    assert measures.psnr_db(done, again) > (25.0 if coded else measures.CAP_DB - 1)
    assert attack.family in table.FAMILIES


def test_attacks_have_names_of_their_own():
    names = [trials.slug(attack.name) for attack in (attacks.NONE, *attacks.FULL)]
    assert len(set(names)) == len(names)
    assert {attack.name for attack in attacks.QUICK} <= {attack.name for attack in attacks.FULL}
    assert set(PEERS) <= set(names)
    aimed = {aim.key.split(".")[3] for aim in AIMS if aim.key.startswith("marks.picture.attacks")}
    assert aimed <= {trials.slug(attack.name) for attack in attacks.QUICK}
    assert len(aimed) == 7


@pytest.mark.parametrize("codec", [codecs.H264, codecs.H265])
def test_codecs_lose_more_at_higher_crf(codec, frames):
    fine, coarse = (codecs.recode(frames, 24.0, codec, crf) for crf in (20, 45))
    assert fine.shape == frames.shape
    assert measures.psnr_db(frames, fine) > measures.psnr_db(frames, coarse) + 1 > 16


def test_codecs_take_odd_sides_and_refuse_what_is_missing(frames, monkeypatch):
    assert codecs.recode(frames[:3, :63, :95], 24.0, codecs.H264, 20).shape == (3, 63, 95, 3)
    monkeypatch.setitem(codecs.OPTIONS, "no-such-codec", {})
    with pytest.raises(SoraError, match="no encoder 'no-such-codec'"):
        codecs.recode(frames, 24.0, "no-such-codec", 20)


def test_jpeg_loses_more_at_lower_quality(frames):
    fine, coarse = codecs.jpeg(frames, 90), codecs.jpeg(frames, 20)
    assert codecs.jpeg(frames[:, :61, :90], 50).shape == (FRAMES, 61, 90, 3)
    assert measures.psnr_db(frames, fine) > measures.psnr_db(frames, coarse) + 2
    grey = torch.full((1, 20, 30, 3), 128, dtype=torch.uint8)
    assert torch.equal(codecs.jpeg(grey, 50), grey)


def test_sizes_change_as_told(frames):
    assert geometry.scaled(frames, 0.5, 0.5).shape == (FRAMES, 32, 48, 3)
    assert geometry.scaled(frames, 0.75, 1.0).shape == (FRAMES, 64, 72, 3)
    window = geometry.cropped(frames, 0.5, dice(1))
    assert window.shape == (FRAMES, 32, 48, 3)
    places = [(y, x) for y in range(33) for x in range(49) if torch.equal(frames[0, y : y + 32, x : x + 48], window[0])]
    assert len(places) == 1
    assert not torch.equal(window, geometry.cropped(frames, 0.5, dice(2)))


def test_turns_and_mirrors_come_back(frames):
    assert torch.equal(geometry.quarters(geometry.quarters(frames, 1), 3), frames)
    assert torch.equal(geometry.mirrored(geometry.mirrored(frames)), frames)
    assert torch.equal(geometry.mirrored(frames)[:, :, 0], frames[:, :, -1])
    assert torch.equal(geometry.mirrored(frames, upright=True)[:, 0], frames[:, -1])
    dot = torch.zeros(1, 65, 65, 3, dtype=torch.uint8)
    dot[0, 32, 60] = 255
    turned = geometry.rotated(dot, 90.0)
    assert turned[0, 4, 32].min() > 250
    assert geometry.tilted(frames, 0.3, dice())[:, 0, 0].max() == 0


def test_colour_moves_as_told(frames):
    def mean(film):
        return film.float().mean().item()

    assert mean(looks.brighter(frames, 0.5)) == pytest.approx(mean(frames) / 2, abs=0.5)
    assert looks.contrasted(frames, 0.5).float().std().item() == pytest.approx(frames.float().std().item() / 2, rel=0.1)
    grey = looks.saturated(frames, 0.0)
    assert (grey.max(-1).values - grey.min(-1).values).max() == 0
    assert mean(looks.gamma(frames, 1.8)) < mean(frames)
    red = torch.tensor([200, 30, 30], dtype=torch.uint8).expand(1, 8, 8, 3)
    turned = looks.hue_turned(red, 1 / 3)[0, 0, 0].float()
    assert (turned - torch.tensor([30.0, 200.0, 30.0])).abs().max() <= 2


def test_medians_are_medians(frames):
    plane = frames[:1, 10:13, 20:23]
    assert torch.equal(
        looks.median_in_space(frames[:1])[0, 11, 21], plane.reshape(9, 3).float().median(0).values.to(torch.uint8)
    )
    assert torch.equal(looks.median_in_time(frames)[4], frames[3:6].float().median(0).values.to(torch.uint8))
    assert looks.blurred(frames, 2.0).float().std() < frames.float().std()
    noise = looks.noisy(torch.full((2, 64, 64, 3), 128, dtype=torch.uint8), 10.0, dice()).float()
    assert noise.std().item() == pytest.approx(10.0, rel=0.05)


def test_time_is_cut_and_stretched(frames):
    assert torch.equal(tempo.every_second(frames), frames[0::2])
    assert len(tempo.faster(frames, 1.25)) == round(FRAMES / 1.25)
    assert len(tempo.at_rate(frames, 24.0, 60.0)) == 30
    assert torch.equal(tempo.at_rate(tempo.at_rate(frames, 24.0, 48.0), 48.0, 24.0), frames)
    mixed = tempo.mixed(frames, 4, dice())
    assert not torch.equal(mixed, frames)
    assert torch.equal(mixed.flatten(1).long().sum(1).sort().values, frames.flatten(1).long().sum(1).sort().values)
    assert 1 <= len(tempo.thinned(frames, 0.5, dice())) < FRAMES < len(tempo.doubled(frames, 0.5, dice()))
    assert torch.equal(tempo.part(frames, 24.0, 0.25, 0.25), frames[6:12])


def test_overlays_cover_what_they_say(frames):
    boxed = overlays.letterboxed(frames, 0.75)
    assert boxed.shape == frames.shape
    assert boxed[:, 0].max() == 0
    barred = overlays.barred(frames, 0.125)
    assert barred[:, :8].max() == 0
    assert torch.equal(barred[:, 8:56], frames[:, 8:56])
    changed = (overlays.with_inset(frames, 0.4, dice()) != frames).any(-1).float().mean()
    assert 0.1 < changed < 0.2
    assert 0.15 < (overlays.filled(frames, 0.5, dice()) != frames).any(-1).float().mean() <= 0.25
    assert (overlays.captioned(frames, dice()) == 255).all(-1).any()


# estimates of the mark


@pytest.fixture(scope="module")
def smooth():
    """Return a clip with hardly anything that could be taken for a mark."""
    clip = footage.natural(9, width=192, height=128, frames=24, scene="face")
    return looks.blurred(clip.frames_FHWC, 12.0) // 2 + 64


def test_folding_finds_and_removes_a_periodic_pattern(smooth):
    frames = smooth
    tile = torch.randn(16, 16, generator=dice(4)).repeat_interleave(2, 0).repeat_interleave(2, 1) * 3
    pattern = forgery.laid_out(tile, *smooth.shape[1:3])
    marked = (frames.float() + pattern[None, :, :, None]).round().clamp(0, 255).to(torch.uint8)
    assert forgery.best_period(forgery.residual(marked).mean(0), (24, 28, 32)) == 32

    def left(film):
        high = forgery.residual(film).mean(0) - forgery.residual(frames).mean(0)
        true = forgery.residual((128 + pattern[None, :, :, None].expand(1, -1, -1, 3)).to(torch.uint8))[0]
        return float((high * true).sum() / true.square().sum())

    cleaned = forgery.subtracted(marked, forgery.folded(marked, 24.0, period=32))
    assert left(marked) > 0.7
    assert abs(left(cleaned)) < 0.4 * left(marked)


def test_averages_take_what_stays(smooth):
    noise = torch.randn(20, 32, 32, generator=dice())
    assert forgery.in_time(noise, 5).shape == noise.shape
    assert torch.allclose(forgery.in_time(noise, 5)[7], noise[5:10].mean(0))
    assert forgery.fitted(noise, 25).shape[0] == 25
    still = torch.randn(*smooth.shape[1:3], generator=dice(5)).mul(3).round()
    turning = torch.ones(24)
    turning[12:] = -1
    marked = (smooth.float() + (turning[:, None, None] * still)[..., None]).round().clamp(0, 255).to(torch.uint8)
    found = forgery.principal(marked, 24.0)
    true = forgery.residual((128 + still[None, :, :, None].expand(1, -1, -1, 3)).to(torch.uint8))[0]
    for place, sign in ((2, 1), (20, -1)):
        together = torch.corrcoef(torch.stack([found[place].flatten(), true.flatten()]))[0, 1]
        assert float(together) * sign > 0.7


def test_copies_carry_the_residual(smooth):
    frames, target = smooth, smooth.flip(2)
    scheme = tiled_scheme()
    marked = scheme.mark(frames, 24.0, secret("a"), 12345)
    forged = forgery.copied(marked, target, 2.0)
    assert forged.shape == target.shape
    assert scheme.read(scheme.prepare(target, 24.0), secret("a"), True).state == "absent"
    assert scheme.read(scheme.prepare(forged, 24.0), secret("a"), True).state == "present"
    assert torch.equal(forgery.spliced(marked, frames, 4, 8)[4:8], frames[4:8])
    assert torch.equal(forgery.spliced(marked, frames, 4, 8)[8:], marked[8:])


# figures


@pytest.mark.parametrize(
    ("hits", "trials_", "low", "high"),
    [
        (0, 10, 0.0, 0.30850),
        (10, 10, 0.69150, 1.0),
        (5, 10, 0.18709, 0.81291),
        (1, 100, 0.00025, 0.05446),
        (0, 10_000, 0.0, 0.00036882),
    ],
)
def test_exact_intervals_are_those_of_the_tables(hits, trials_, low, high):
    found = intervals.rate(hits, trials_)
    assert found.low == pytest.approx(low, abs=1e-5)
    assert found.high == pytest.approx(high, abs=1e-5)


def test_means_have_students_interval_and_never_no_width():
    assert intervals.student(1) == pytest.approx(12.706, abs=1e-3)
    assert intervals.student(9) == pytest.approx(2.2622, abs=1e-4)
    found = intervals.mean([1.0, 2.0, 3.0])
    assert (found.low, found.high) == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-3)
    sure = intervals.mean([1.0] * 4, outcomes=64, bounds=(0.0, 1.0))
    assert sure.high == 1.0
    assert sure.low == pytest.approx(intervals.rate(256, 256).low)


def test_the_tail_of_an_exponential_is_found():
    scores = (-torch.rand(20_000, generator=dice()).clamp_min(1e-9).log()).tolist()
    assert intervals.tail(scores, 12.0) == pytest.approx(torch.exp(torch.tensor(-12.0)).item(), rel=1.0)
    assert intervals.tail([1.0, 2.0, 3.0], 0.5) == 1.0


def test_measures_measure(frames):
    assert measures.psnr_db(frames, frames) == measures.CAP_DB
    grey = torch.full((3, 16, 16, 3), 100, dtype=torch.uint8)
    assert measures.psnr_db(grey, grey + 2) == pytest.approx(42.11, abs=0.01)
    assert measures.ssim(frames, frames) == pytest.approx(1.0)
    assert measures.ssim(frames, looks.blurred(frames, 4.0)) < 0.95
    blinking = grey.clone()
    blinking[1] += 3
    assert measures.flicker(grey, blinking) == pytest.approx(3.0)
    assert measures.flicker(grey, grey + 5) == 0.0
    sound = torch.randn(1, 48_000, generator=dice())
    noise = torch.randn(1, 48_000, generator=dice(1)) * 0.1
    assert measures.si_snr_db(sound, 0.3 * (sound + noise)) == pytest.approx(20.0, abs=0.2)
    assert measures.bits_of(0b101, 4) == (0, 1, 0, 1)
    assert measures.bit_accuracy((0, 1, 0, 0), 0b101) == 0.75


def test_false_positives_are_counted(monkeypatch):
    small = footage.Clip("natural", "x", torch.zeros(1, 4, 4, 3, dtype=torch.uint8), 24.0)
    monkeypatch.setattr("sora_core.bench.marks.false_positives.unmarked", lambda place: small._replace(name=str(place)))
    order = iter(range(1000))

    def read(_prepared, _key, _thorough):
        place = next(order)
        return SimpleNamespace(
            score=5.0 if place in {3, 4} else place % 5 / 10,
            threshold=4.0,
            state="present" if place in {3, 4} else "absent",
            mark_id=7 if place == 3 else None,
            bits=(),
            seconds=(),
        )

    scheme = Scheme(mark=lambda f, *_: f, prepare=lambda f, _: f, read=read)
    found = false_positives(scheme, clips=10, keys=5, thorough=True, workers=1, tell=lambda _: None)
    assert (found["clips"], found["pairs"], found["found"], found["named"]) == (10, 50, 2, 1)
    assert found["rate"] == pytest.approx(2 / 50)
    assert found["clip_rate"] == pytest.approx(1 / 10)
    assert found["highest"] == 5.0
    assert found["rate_high"] == pytest.approx(intervals.rate(2, 50).high)


@pytest.fixture(scope="module")
def figures():
    extent = replace(suite.quick(), natural=(3,), cartoon=(1,), frames=FRAMES, unmarked=3, keys=2, upright_keys=4)
    pairs = [
        a for a in attacks.QUICK if a.name in {"H.264 CRF 23", "crop .55", "flip, left to right", "fold and subtract"}
    ]
    small = pytest.MonkeyPatch()
    with small.context() as patched:
        natural = footage.natural
        for module in (suite, trials):
            patched.setattr(
                module,
                "natural",
                lambda seed, **given: natural(seed, **given | {"width": 192, "height": 128, "frames": FRAMES}),  # type: ignore[arg-type]
            )
        patched.setattr(suite, "cartoon", lambda seed: footage.cartoon(seed, side=16, factor=4, frames=5))
        marks = suite.bench_marks(
            replace(extent, attacks=(attacks.NONE, *pairs)), scheme=tiled_scheme(24.0, 1.15), parts=("picture",)
        )
    return {"marks": marks, "aims": judged({"marks": marks})}


def test_the_suite_says_what_it_measured(figures):
    marks = figures["marks"]
    assert json.loads(json.dumps(marks)) == marks
    picture = marks["picture"]
    seen = picture["attacks"]["none"]["natural"]
    assert seen["bits"] > 0.95
    assert seen["bits_low"] < 1.0
    assert seen["found"] == 1.0
    assert picture["attacks"]["fold_and_subtract"]["natural"]["damage_db"] > 20
    assert 0.3 < picture["attacks"]["flip_left_to_right"]["natural"]["bits"] < 0.7
    assert {"no_forgery", "residual_copied", "folded_tile"} <= set(picture["forgery"])
    assert picture["forgery"]["no_forgery"]["found"] == 0.0
    assert picture["removed_in_the_middle"]["clips"] == 2
    assert picture["removed_in_the_middle"]["stretches"] >= 1
    assert picture["false_positives"]["pairs"] == 6
    assert picture["false_positives_upright"]["pairs"] == 12
    assert picture["speed"]["embed_fps"] > 0
    assert picture["quality"]["natural"]["psnr_db"] < 40
    assert mark_id("a") != mark_id("b")


def test_the_table_has_every_row(figures):
    rows = list(table.rows(figures["marks"], figures["aims"]))
    text = "\n".join("  ".join(row) for row in rows)
    for attack in figures["marks"]["picture"]["attacks"].values():
        for kind in ("natural", "cartoon"):
            assert kind not in attack or f"{attack['name']}, {kind}" in text
    assert "aim >= 0.99" in text
    assert "VideoSeal 0.0 publishes 71.8 %" in text
    for words in ("PSNR, natural", "found where there is none", "residual copied", "removed in the middle", "frames/s"):
        assert words in text
    page = table.markdown(figures["marks"], figures["aims"])
    assert "not a head-to-head" in page
    assert all(line.count("|") == 4 for line in page.splitlines() if line.startswith("|"))
    assert page.count("\n| ") >= len(rows) - 3


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["bench", "dit", "--full"], "belong to marks"),
        (["bench", "--markdown"], "belongs to marks"),
        (["bench", "marks", "--json", "--markdown"], "choose one"),
    ],
)
def test_options_of_the_marks_are_theirs_alone(line, words, capsys):
    assert main(line) == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_every_change_of_a_signed_file_is_in_the_table():
    from sora_core.bench import tamper

    figures = tamper.bench_tamper(full=False, tell=lambda _: None)
    assert figures["held"] == len(figures["rows"]) >= 25
    lines = list(tamper.rows(figures, {}))
    assert len(lines) == len(figures["rows"]) + 1
    figures["rows"][0]["holds"] = False
    assert any("MUST BE" in line[2] for line in tamper.rows(figures, {}))
