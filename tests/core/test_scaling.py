"""The power law that is fitted to quality against clips."""

from __future__ import annotations

import json

import pytest

from sora_core.errors import SoraError
from sora_core.evaluation.scaling import fit, main


def test_a_power_law_is_found_again():
    clips = [1e3, 1e4, 1e5]
    found = fit(clips, [2.0 * count**-0.25 for count in clips])
    assert found.scale == pytest.approx(2.0)
    assert found.power == pytest.approx(0.25)
    assert found.clips_for(0.05) == pytest.approx((2.0 / 0.05) ** 4)


def test_one_point_is_refused():
    with pytest.raises(SoraError, match="at least two"):
        fit([10.0], [0.5])


def test_the_figure_is_written(tmp_path, capsys):
    for index, clips in enumerate((1000, 4000)):
        wrong = 0.5 / (index + 1)
        figures = {
            "clips_seen": clips,
            "attribute_accuracy": {"object": 1 - wrong},
            "all_correct": 0.3,
            "onset_f1": 0.8,
        }
        (tmp_path / f"{index}.json").write_text(json.dumps(figures), encoding="utf-8")
    assert main([str(tmp_path / "out.png"), str(tmp_path / "0.json"), str(tmp_path / "1.json")]) == 0
    assert (tmp_path / "out.png").stat().st_size > 1000
    assert "error = " in capsys.readouterr().out
