from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.figures import BenchmarkFailed, Figure, finish, report


def last_line(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize(
    ("figure", "ok"),
    [
        (Figure(0.94, 0.95, at_least=True), False),
        (Figure(0.95, 0.95, at_least=True), True),
        (Figure(20, 15, at_least=True), True),
        (Figure(1.06, 1.05), False),
        (Figure(1.05, 1.05), True),
        (Figure(0.2, 0.35), True),
        (Figure(10**9), True),
        (Figure(float("nan"), 1.05), False),
    ],
)
def test_a_bar_has_a_direction(figure: Figure, ok: bool) -> None:
    assert figure.ok is ok


def test_a_figure_is_told_with_its_bar() -> None:
    assert str(Figure(3.4, 3.5, at_least=True)).split(maxsplit=1) == [
        "3.400",
        "at least 3.500  MISSED",
    ]
    assert str(Figure(0.3, 0.35)).split(maxsplit=1) == ["0.300", "at most 0.350"]
    assert str(Figure(165_600)).split() == ["165,600"]


def test_the_last_line_has_the_figures_that_have_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"speed": Figure(40, 35, at_least=True), "cost": Figure(12.5)}
    assert finish(figures) == 0
    output = capsys.readouterr().out
    assert "12.500" in output
    assert json.loads(output.splitlines()[-1]) == {
        "ok": True,
        "figures": {"speed": {"value": 40, "bar": 35, "ok": True}},
    }


def test_one_bar_that_is_missed_fails_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert finish({"speed": Figure(40, 35, at_least=True), "cores": Figure(0.4, 0.35)}) == 1
    found = last_line(capsys)
    assert found["ok"] is False
    assert [one["ok"] for one in found["figures"].values()] == [True, False]


def test_what_is_measured_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(lambda: {"cores": Figure(0.3, 0.35)}) == 0
    assert last_line(capsys)["ok"] is True


@pytest.mark.parametrize("error", [BenchmarkFailed("2 of 3 rows"), ZeroDivisionError(), OSError()])
def test_a_failure_is_reported_too(capsys: pytest.CaptureFixture[str], error: Exception) -> None:
    def measure() -> dict[str, Figure]:
        raise error

    assert report(measure) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out.splitlines()[-1]) == {"ok": False, "figures": {}}
    assert type(error).__name__ in printed.err
