"""The benchmark of first calls pairs, counts and prints right; nothing is timed here."""

import pytest

from experiments.benchmarks import first
from experiments.benchmarks.first_worker import CASES


def timed(seconds, later=None, process=3.0, programs=2):
    return {"first": [seconds, 2 * seconds], "later": later, "process": [process, process], "programs": programs}


def test_every_row_names_cases_that_the_worker_has():
    named = {case for row in first.ROWS for case in (row.case, row.peer) if case}
    assert named == set(CASES)


def test_a_row_has_the_medians_and_holds_by_cpu_time_within_the_limit():
    row = first.Row("a fit", "ours", "first", 0.6, "theirs")
    runs = {"ours": [timed(0.5), timed(9.0), timed(0.4)], "theirs": [timed(0.25)] * 3}
    found = first.record(row, runs, {})
    assert found["ours"] == (0.5, 1.0)
    assert found["ratio"] == 0.5
    assert first.table([found]).endswith("| a fit | 0.6 s | 0.50 | 1.00 | 0.25 | 0.50 | 0.50 | yes |")
    assert not first.record(row._replace(limit=0.4), runs, {})["holds"]


def test_a_row_without_a_limit_holds_where_the_peer_takes_as_long():
    row = first.Row("a process", "ours", "process", None, "theirs")
    runs = {"ours": [timed(1.0, process=2.0)], "theirs": [timed(1.0, process=2.0)]}
    assert first.record(row, runs, {})["holds"]
    slower = {"ours": [timed(1.0, process=2.5)], "theirs": runs["theirs"]}
    assert not first.record(row, slower, {})["holds"]


def test_a_later_call_is_subtracted_and_programs_are_counted():
    found = [timed(1.5, later=[0.5, 1.0], programs=9)]
    assert first.figures(first.Row("", "ours", "first - later", 1.5), found) == (1.0, 2.0)
    counted = first.record(first.Row("sizes", "ours", "programs", 8), {"ours": found}, {})
    assert first.table([counted]).endswith("| sizes | 8 programs | 9 programs |  |  |  |  | no |")


def test_a_missing_peer_leaves_its_cells_empty_and_a_failure_of_ours_is_said():
    row = first.Row("a fit", "ours", "process", None, "theirs")
    alone = first.record(row, {"ours": [timed(1.0)], "theirs": []}, {"theirs": "no sklearn"})
    assert alone["holds"] is None
    assert first.table([alone]).endswith("| a fit |  | 3.00 | 3.00 |  |  |  |  |")
    failed = first.record(row, {"ours": [], "theirs": []}, {"ours": "planted"})
    assert "failed: planted" in first.table([failed])


def test_a_name_that_no_row_has_is_refused():
    with pytest.raises(SystemExit, match="no row has Nothing"):
        first.main(["Nothing"])


def test_numbers_table_and_chart_are_left(tmp_path):
    runs = {"ours": [timed(1.0)], "theirs": [timed(2.0)]}
    first.save([first.record(first.Row("a fit", "ours", "first", 0.6, "theirs"), runs, {})], 1, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"first.json", "first.md", "first.png"}
