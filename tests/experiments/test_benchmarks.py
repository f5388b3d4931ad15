"""The benchmarks run, count right, and say who failed; how fast anybody is stands in no test."""

import json
import time

import matplotlib as mpl
import numpy as np
import pytest
from rich.console import Console

from experiments.benchmarks import __main__, charts, guard, page, records, scaling, streaming, tables
from experiments.benchmarks.limits import Limits
from experiments.benchmarks.problems import design, sparse_regression, two_classes
from experiments.benchmarks.race import Contender, Outcome, Race, Terms, Work, best, hold, ratios
from experiments.benchmarks.workloads import WORKLOADS, lasso, least_squares

mpl.use("Agg")

LIMITS = Limits(1e9, {"float32": 2e9, "float64": 1e9})


def contender(name, seconds, value=0.0, target=None):
    def run():
        time.sleep(seconds)
        return value

    return Contender(name, lambda: run, target)


def unable(error):
    def prepare():
        raise error

    return prepare


def race(*peers, ours=0.01, target=None):
    return Race("a race", contender("jax_course", ours), peers, abs, 0.5, 10**8, Work(2e7, 5e6), target=target)


def test_the_command_measures_checks_and_leaves_numbers_and_charts(tmp_path, capsys):
    file = tmp_path / "numbers.json"
    arguments = ["w8", "autodiff", "--quick", "--only", "logistic", "--json", str(file), "--out", str(tmp_path)]
    assert __main__.main(arguments) == 0
    record = json.loads(file.read_text())
    printed = capsys.readouterr().out
    assert {found["workload"] for found in record["races"]} == {"W8", "W9"}
    assert record["machine"]["versions"]["jax"]
    for found in record["races"]:
        ours, peer = found["contenders"]
        assert ours["accurate"]
        assert peer["accurate"]
        assert found["best_peer"] == peer["name"]
        assert peer["ratios"] == [theirs / mine for theirs, mine in zip(peer["seconds"], ours["seconds"], strict=False)]
        assert found["ratio"][0] == pytest.approx(np.median(peer["ratios"]))
        assert found["times_the_limit"] == pytest.approx(np.median(ours["seconds"]) / found["limit_seconds"])
        assert found["name"] in printed
    assert (tmp_path / "ratios.png").stat().st_size > 5_000
    assert (tmp_path / "ratios.svg").stat().st_size > 5_000
    assert page.main([str(file), str(file)]) == 0
    printed = capsys.readouterr().out
    assert all(printed.count(f"**{found['name']}, float64**") == 2 for found in record["races"])
    assert "| **jax_course** |" in printed


def test_the_page_says_where_a_peer_is_faster_and_from_which_size_on_none_is():
    ours, faster, wrong = (
        Outcome("ours", None, first=2.0),
        Outcome("fast", None, first=0.1),
        Outcome("bad", None, first=3),
    )
    for outcome, seconds, error in ((ours, 1.0, 0.1), (faster, 0.5, 0.2), (wrong, 0.1, 9.0)):
        outcome.seconds, outcome.error = {0: seconds}, error
    record = records.of_race("W1", race(), [ours, faster, wrong], LIMITS)
    first = "the first call, because ours compiles: a peer is faster in 1 of 1 rows"
    assert page.better([record]) == ["a race, float64: fast, 0.50 (error 2e-01, ours 1e-01)", first]
    seconds = {"jax_course": [4.0, 1.0, 2.0, None], "a": [2.0, 3.0, None, 1.0], "b": [None, 2.0, 8.0, 1.0]}
    along = {"sizes": [1, 10, 1000, 10000], "seconds": seconds}
    rows = page.crossings(
        {"W1": {"title": "T", "rows": along | {"of_features": 5}, "features": along | {"of_rows": 7}}}
    )
    assert rows[0] == ["T", "rows, 5 features", "10", "0.5 at 1", "4 at 1,000"]


def test_a_name_that_no_workload_has_is_refused():
    with pytest.raises(SystemExit, match="no workload is called W77; there are W1"):
        __main__.main(["W77"])


def test_who_is_not_accurate_missing_failing_or_late_is_a_row_and_not_the_best():
    measured = race(
        contender("inaccurate", 0.001, value=1.0, target=3),
        Contender("missing", unable(ModuleNotFoundError(name="glum"))),
        Contender("failing", unable(ValueError("a reason\nand more"))),
        contender("late", 5),
        contender("slow", 0.05, target=2),
        contender("slower", 0.15),
        target=100,
    )
    outcomes = hold(measured, Terms(3, 1, 0.5))
    found = records.of_race("W1", measured, outcomes, LIMITS)
    rows = {row["name"]: row for row in found["contenders"]}
    assert found["best_peer"] == "slow"
    assert found["ratio"][0] > 2
    assert rows["inaccurate"]["status"] == "ran"
    assert not rows["inaccurate"]["accurate"]
    assert rows["inaccurate"]["ratio"][0] < 1
    assert rows["missing"]["status"] == "glum is not installed"
    assert rows["failing"]["status"] == "failed: ValueError: a reason"
    assert rows["late"]["status"] == "did not end in 0.5 s"
    assert not rows["late"]["seconds"]
    (counted,) = records.rows([found])
    assert (counted[1]["name"], counted[2]) == ("slow", 2)
    assert records.summary([found])["targets_met"] == 1
    assert found["limit_seconds"] == pytest.approx(0.02)
    text = rendered(tables.of_race(found))
    assert "missing: glum is not installed" in text
    assert "1e+00 > 5e-01" in text


def test_ours_wrong_or_failing_is_said_and_no_ratio_hides_it():
    wrong = race(contender("peer", 0.001))._replace(ours=contender("jax_course", 0.001, value=3.0))
    failing = race(contender("peer", 0.001))._replace(ours=Contender("jax_course", unable(ValueError("planted"))))
    found = [records.of_race("W1", each, hold(each, Terms(2, 1, 1)), LIMITS) for each in (wrong, failing)]
    summary = records.summary(found)
    assert summary["ours_wrong"] == ["a race", "a race"]
    assert "OURS IS WRONG OR FAILED: a race" in tables.closing(summary)
    assert "planted" in rendered(tables.of_race(found[1]))


def test_ratios_pair_rounds_and_the_best_has_the_least_median():
    ours = Outcome("ours", None, error=0, seconds={0: 1.0, 1: 10.0, 2: 1.0})
    quick = Outcome("quick", None, error=0, seconds={0: 2.0, 1: 20.0, 2: 2.0})
    once = Outcome("once", None, error=0, seconds={0: 1.5})
    assert ratios(ours, quick) == [2.0, 2.0, 2.0]
    assert ratios(ours, once) == [1.5]
    assert best([ours, quick, once], 0) is once
    assert best([ours, quick], 0) is quick
    assert best([ours], 0) is None


def test_one_that_takes_long_has_fewer_rounds_and_one_that_takes_very_long_none_of_its_own():
    measured = race(contender("long", 0.09), contender("very long", 0.25), ours=0.001)
    _, long, very_long = hold(measured, Terms(5, 0.2, 5))
    assert len(long.seconds) == 2
    assert very_long.seconds == {0: very_long.first}


def test_the_memory_of_a_call_is_what_it_holds_at_most():
    def run():
        return float(np.ones(2**23).sum())

    measured = race()._replace(ours=Contender("jax_course", lambda: run), bound=1e9)
    (ours,) = hold(measured, Terms(1, 1, 5))
    if ours.memory is None:
        pytest.skip("no /proc/self/clear_refs here")
    assert ours.memory == pytest.approx(2**26, rel=0.1)


def test_a_peer_that_gives_up_at_a_size_is_not_asked_again():
    def at(size):  # right once more at 3
        return race(contender("good", 0.001), contender("wrong at 2", 0.001, value=float(size == 2)), ours=0.001)

    found = scaling.along([1, 2, 3], at, Terms(1, 1, 1))
    assert all(found["seconds"]["good"])
    assert [bool(seconds) for seconds in found["seconds"]["wrong at 2"]] == [True, False, False]
    assert found["given_up"] == {"wrong at 2": "error 1e+00"}


def test_the_time_against_rows_and_features_is_drawn(tmp_path):
    code = __main__.main(["W9", "--scaling", "--quick", "--out", str(tmp_path)])
    assert code == 0
    record = json.loads((tmp_path / "scaling.json").read_text())
    assert set(record["scaling"]["W9"]["rows"]["seconds"]) == {"jax_course", "autodiff"}
    assert (tmp_path / "scaling_W9.png").stat().st_size > 5_000
    assert charts.main([str(tmp_path / "scaling.json"), "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "scaling_W9.svg").exists()


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_begins_with_a_race_that_ours_ends_right(name):
    first = next(iter(WORKLOADS[name].races(True)))
    of_card = [peer for peer in first.card if peer not in first.peers]
    ours, *peers = hold(first._replace(peers=(*first.peers, *of_card)), Terms(0, 1, 60))
    assert ours.accurate(first.bound), (ours.status, ours.error)
    for peer in peers:
        assert peer.status == "ran" or "is not installed" in peer.status, peer


def test_the_guard_sees_a_ratio_that_has_fallen(tmp_path, capsys):
    file = tmp_path / "guard.json"
    common = ["--quick", "--file", str(file)]
    assert guard.main(["--record", *common]) == 0
    recorded = json.loads(file.read_text())
    assert set(recorded) == set(guard.PASSES)
    (fallen, *others) = recorded
    file.write_text(json.dumps({fallen: 10 * recorded[fallen]} | {name: recorded[name] / 10 for name in others}))
    capsys.readouterr()
    assert guard.main(common) == 1
    assert capsys.readouterr().out.count("FALLEN") == 1
    file.write_text(json.dumps({name: ratio / 10 for name, ratio in recorded.items()}))
    assert guard.main(common) == 0


def test_the_data_are_of_the_condition_and_correlation_that_they_say():
    assert np.linalg.cond(design(20_000, 8, condition=1e4)) == pytest.approx(1e4, rel=0.05)
    correlations = np.corrcoef(design(20_000, 8, rho=0.9).T)
    assert correlations[0, 1] == pytest.approx(0.9, abs=0.02)
    assert correlations[0, 3] == pytest.approx(0.9**3, abs=0.02)
    assert two_classes(100, 3, dtype="float32")[0].dtype == np.float32


def test_the_checks_in_numpy_agree_with_others():
    X, y = sparse_regression(200, 10)
    assert least_squares.minimiser(X, y) == pytest.approx(np.linalg.lstsq(X, y)[0], rel=1e-12)
    wide = np.random.default_rng(0).standard_normal((10, 30))
    assert least_squares.minimiser(wide, y[:10]) == pytest.approx(np.linalg.lstsq(wide, y[:10])[0], rel=1e-9)
    problem = lasso.Problem(200, 60, np.array([1.0, 0.1]), 0.0, "float64")
    J, D = problem.between(np.zeros(60), problem.penalties[0])
    assert D == pytest.approx(J, rel=1e-14)
    J, D = problem.between(np.zeros(60), problem.penalties[1])
    assert D < problem.least[1] < J
    assert problem.error(np.zeros((2, 60))) == pytest.approx(1 - problem.least[1] / J)


def rendered(table):
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_fits_of_a_file_are_measured_beside_reading_it(capsys, tmp_path):
    assert streaming.main(["--gigabytes", "0.01", "--features", "4", "--folder", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("linear", "logistic", "reading", "passes"))
    assert not list(tmp_path.iterdir())
    slower = streaming.Speed(reading=8.0, in_memory=3.0, streamed=1.0, passes=4, memory=None)
    assert slower.share == 0.5  # 8 / 4 rows a second can be read
