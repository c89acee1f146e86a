from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.export import __main__ as program
from benchmarks.export import bars, processes, results
from benchmarks.export.bars import (
    CAPPED,
    FORMATS,
    OPERATOR,
    OURS,
    PANDAS,
    SHAPES,
    WRANGLER,
    figures_of,
    format_run,
    rows_run,
    shape_run,
)
from benchmarks.export.bench import QUICK, Bench, Plan, check
from benchmarks.export.fanout import FanOut
from benchmarks.export.subjects.measuring import Done, Measured, Parameters
from benchmarks.figures import BenchmarkFailed, Figure

PLAN = Plan()
DONE = Done(10, written={"a.csv": 900, "manifest.json": None})
SIZES = {"a.csv": 900, "manifest.json": 100}


def run(rows: int, cpu: float, wall: float = 1.0, rss: float = 400e6, **done: float) -> Measured:
    return Measured(Done(rows, **done), wall, cpu, int(rss), "settings", {"pandas": "3"})  # type: ignore[arg-type]


def full(cpu: float = 1.0) -> Bench:
    """Runs that are just within every bar; `cpu` is what all of ours take, beside that."""
    bench = Bench()
    for form in FORMATS:
        bench.runs[format_run(form)] = [run(2_000, cpu)]
    for peer in (PANDAS, WRANGLER, OPERATOR):
        bench.runs[peer] = [run(100, 1.0, wall=2.0)]
    bench.runs[CAPPED] = [run(48_000, 0.3, rendering_seconds=0.9)]
    bench.fan_outs = [FanOut(0.05, (0.2, 0.19, 0.18, 0.2), 0.025, (0.18, 0.17, 0.16, 0.18))]
    bench.runs[rows_run(OURS, PLAN.small)] = [run(1_000, cpu, rss=400e6)]
    bench.runs[rows_run(OURS, PLAN.large)] = [run(10_000, 10 * cpu, rss=440e6)]
    for shape in SHAPES:
        bench.runs[shape_run(OURS, shape)] = [run(500, cpu)]
        bench.runs[shape_run(PANDAS, shape)] = [run(50, 1.0)]
    for subject in (OURS, PANDAS, WRANGLER, OPERATOR):
        bench.runs[rows_run(subject, PLAN.few)] = [run(1_000, 0.2)]
    return bench


def missed(bench: Bench) -> set[str]:
    return {name for name, figure in figures_of(bench, PLAN).items() if not figure.ok}


def test_every_bar_is_there_and_met() -> None:
    figures = figures_of(full(), PLAN)
    judged = {name: figure for name, figure in figures.items() if figure.bar is not None}
    assert all(figure.ok for figure in judged.values())
    assert {name: (one.bar, one.at_least) for name, one in judged.items()} == {
        "CSV, share of a partition's 24 MB/s": (0.95, True),
        "CSV, cores taken at that": (0.35, False),
        "CSV, wall, against boto3 + pandas": (35, True),
        "CSV, per CPU-second, against boto3 + pandas": (20, True),
        "NDJSON, per CPU-second, against boto3 + pandas": (15, True),
        "Parquet, per CPU-second, against boto3 + pandas": (15, True),
        "CSV, per CPU-second, against awswrangler": (15, True),
        "NDJSON, per CPU-second, against DynamoDBToS3Operator": (15, True),
        "fan-out, 4 slices against 1": (3.5, True),
        "peak RSS at 10 million rows, MB": (450, False),
        "peak RSS at 10 million rows, against 1 million": (1.1, False),
        "CPU per row at 10 million rows, against 1 million": (1.05, False),
    }


def test_what_has_no_bar_is_a_figure_all_the_same() -> None:
    figures = figures_of(full(), PLAN)
    assert figures["fan-out, rendering alone"].value == pytest.approx(5)
    assert figures["CSV of items with a NULL, rows per CPU-second"].value == 500
    assert figures["CSV of flat items, per CPU-second, against boto3 + pandas"].value == 10
    assert figures["CPU-seconds, awswrangler, 1,000 rows"].value == 0.2


def test_what_is_slower_or_larger_misses_its_bar() -> None:
    assert missed(full(cpu=1.2)) == {"CSV, per CPU-second, against boto3 + pandas"}
    assert {name.split(",")[0] for name in missed(full(cpu=1.5))} == {"CSV", "NDJSON", "Parquet"}
    slow = full()
    slow.runs[CAPPED] = [run(47_000, 0.4, wall=1.0, rendering_seconds=0.9)]
    assert missed(slow) == {"CSV, share of a partition's 24 MB/s", "CSV, cores taken at that"}
    large = full()
    large.runs[rows_run(OURS, PLAN.large)] = [run(10_000, 10.6, rss=460e6)]
    assert len(missed(large)) == 3


def test_the_fan_out_is_all_of_it_against_all_of_it() -> None:
    bench = full()
    assert figures_of(bench, PLAN)["fan-out, 4 slices against 1"].value == pytest.approx(1 / 0.275)
    bench.fan_outs = [replace(bench.fan_outs[0], prepare=0.1)]
    assert missed(bench) == {"fan-out, 4 slices against 1"}


def test_a_figure_is_the_median_of_its_runs() -> None:
    bench = full()
    bench.runs[CAPPED] += [run(24_000, 0.9, rendering_seconds=0.9)]
    bench.runs[CAPPED] += [run(50_000, 0.3, rendering_seconds=0.9)]
    bench.fan_outs += [replace(bench.fan_outs[0], publish=9.0), bench.fan_outs[0]]
    assert not missed(bench)


def test_a_figure_names_the_rows_that_there_were() -> None:
    assert rows_run("ours", 10_000_000) == "ours, 10 million rows"
    assert rows_run("ours", QUICK.large) == "ours, 200,000 rows"


def test_a_run_that_did_its_work_passes() -> None:
    check("ours", DONE, 10, 1_000, SIZES)
    check("DynamoDBToS3Operator", Done(10), 10, 5_000, {})


@pytest.mark.parametrize(
    ("done", "rows", "arrived", "reason"),
    [
        (DONE, 11, 1_000, "10 rows, and the table has 11"),
        (replace(DONE, rejects=1), 10, 1_000, "1 records were left out"),
        (replace(DONE, written={"a.csv": 899}), 10, 1_000, "900 bytes, not 899"),
        (DONE, 10, 1_001, "1,001 bytes arrived, and it wrote 1,000"),
        (Done(10), 10, 0, "0 bytes arrived"),
    ],
)
def test_a_run_that_did_something_else_is_none(
    done: Done, rows: int, arrived: int, reason: str
) -> None:
    sizes = {key: SIZES[key] for key in done.written}
    with pytest.raises(BenchmarkFailed, match=f"ours: .*{reason}"):
        check("ours", done, rows, arrived, sizes)


def test_the_results_tell_the_runs_and_what_they_stand_on(tmp_path: Path) -> None:
    bench = full()
    path = tmp_path / "results" / "export.json"

    results.write(bench, PLAN, figures_of(bench, PLAN), path)

    found = json.loads(path.read_text())
    assert found["subjects"][PANDAS] == {"settings": "settings", "versions": {"pandas": "3"}}
    assert found["runs"][PANDAS][0]["rows_per_cpu_second"] == 100
    assert found["fan_out"][0]["seconds"] == pytest.approx(0.275)
    assert found["fan_out"][0]["prepare"] == 0.05
    assert found["figures"]["CSV, cores taken at that"] == {"value": 0.3, "bar": 0.35, "ok": True}
    assert found["figures"]["fan-out, rendering alone"]["bar"] is None


def test_what_is_measured_travels_as_json() -> None:
    measured = run(10, 0.5, rendering_seconds=0.25)
    assert Measured.from_json(json.loads(json.dumps(results.asdict(measured)))) == measured


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--quick"], (QUICK, False)),
        ([], (PLAN, True)),
        (["--rounds", "5"], (replace(PLAN, rounds=5), True)),
    ],
)
def test_a_quick_run_is_small_and_leaves_the_results_alone(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: tuple[Plan, bool]
) -> None:
    seen = []

    def measured(plan: Plan, *, keep: bool) -> dict[str, Figure]:
        seen.append((plan, keep))
        return {}

    monkeypatch.setattr(program, "measured", measured)
    assert program.main(arguments) == 0
    assert seen == [expected]


def test_a_subject_that_does_not_start_is_a_failure() -> None:
    with pytest.raises(BenchmarkFailed, match="no_such did not start"):
        processes.run("no_such", Parameters("", ""), Path(sys.executable))


def test_a_subject_that_fails_is_a_failure() -> None:
    nowhere = Parameters("http://127.0.0.1:9", "http://127.0.0.1:9", piece={"stage": "none"})
    with pytest.raises(BenchmarkFailed, match="ours_cut exited with 1"):
        processes.run("ours_cut", nowhere)


def test_shapes_beside_the_nested_one_are_those_that_there_are() -> None:
    from benchmarks.export.shapes import SHAPES as MADE

    assert {"nested", *bars.SHAPES} == set(MADE)
