"""The power law that is fitted to quality against clips."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sora_core.errors import SoraError
from sora_core.evaluation.scaling import fit, main, read_curves


def test_a_power_law_is_found_again():
    clips = [1e3, 1e4, 1e5]
    found = fit(clips, [2.0 * count**-0.25 for count in clips])
    assert found.scale == pytest.approx(2.0)
    assert found.power == pytest.approx(0.25)
    assert found.clips_for(0.05) == pytest.approx((2.0 / 0.05) ** 4)


def test_one_point_is_refused():
    with pytest.raises(SoraError, match="at least two"):
        fit([10.0], [0.5])


def figures(clips: int, wrong: float) -> dict:
    return {
        "clips": 8,
        "level": 1,
        "format": {},
        "clips_seen": clips,
        "attribute_accuracy": {"object": 1 - wrong},
        "all_correct": 0.3,
        "onset_f1": 0.8,
    }


def written(folder, *budgets: int):
    paths = []
    for clips in budgets:
        paths.append(folder / f"{clips}.json")
        paths[-1].write_text(json.dumps(figures(clips, 20.0 * clips**-0.5)), encoding="utf-8")
    return [str(path) for path in paths]


def test_the_figure_is_written_and_the_compute_told(tmp_path, capsys):
    out = tmp_path / "out.png"
    files = written(tmp_path, 10000, 2500, 40000)
    assert main([str(out), *files, "--clips-per-second", "20"]) == 0
    assert out.stat().st_size > 1000
    told = capsys.readouterr().out
    # 20 / sqrt(n) = 0.03 at n = 444,444, which take 370 minutes
    assert "OBJECT WRONG: error = 20 x clips^-0.50 over 3 points; 0.03 after 4.4e+05 clips, 370 minutes" in told
    assert "SOMETHING WRONG: error = 0.7 x clips^0.00 over 3 points; 0.1 is out of reach" in told


def test_two_budgets_make_no_curve(tmp_path, capsys):
    assert main([str(tmp_path / "out.png"), *written(tmp_path, 1000, 4000)]) == 1
    assert "at least 3" in capsys.readouterr().err


def test_small_runs_of_several_budgets_are_fitted_and_told_what_is_wanted(tmp_path, capsys):
    paths = []
    for clips in (20_000, 5_000, 10_000):
        paths.append(tmp_path / f"{clips}.json")
        unseen = {"video": 10 * clips**-0.5, "audio": 0.3}
        paths[-1].write_text(json.dumps({"clips": clips, "unseen": unseen}))
    files = [str(path) for path in paths]
    assert main([str(tmp_path / "s.png"), *files, "--until", "0.05", "--clips-per-second", "100"]) == 0
    said = capsys.readouterr().out
    assert "UNSEEN PICTURE: error = 10 x clips^-0.50 over 3 points; 0.05 after 4e+04 clips, 6.67 minutes" in said
    assert "0.05 is out of reach of this fit" in said
    assert main([str(tmp_path / "s.png"), *files[:2], files[1]]) == 1
    assert "2 budgets make no curve" in capsys.readouterr().err


def test_a_training_log_is_read_without_its_beginning(tmp_path):
    log = tmp_path / "log.jsonl"
    lines = [{"clips": 1000 * k, "unseen_video": 9.0 if k < 2 else (1000.0 * k) ** -0.3} for k in range(1, 31)]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (curve,) = read_curves([log]).values()
    assert min(curve.clips) == 3000
    assert fit(curve.clips, curve.errors).power == pytest.approx(0.3)
    log.write_text("[]\n", encoding="utf-8")
    with pytest.raises(SoraError, match="no loss on unseen"):
        read_curves([log])


def test_the_band_is_wider_away_from_the_points():
    clips = [1e3, 3e3, 1e4, 3e4]
    found = fit(clips, [0.5, 0.41, 0.29, 0.25])
    low, high = found.band(np.array([5e3, 1e6]))
    assert (low < found.error(np.array([5e3, 1e6]))).all()
    assert high[1] / low[1] > high[0] / low[0] > 1
