"""A race: one of ours and its peers on the same data, to the same accuracy, in turn.

Every contender runs once apart, which compiles ours and the peers that compile; the result is checked there, by the
race's own measure in NumPy. Then come rounds in which each runs once, the order rotated from round to round, so that
what slows the machine down slows all of them down; a ratio is taken inside a round. One that takes long has fewer
rounds, and one that does not end in time none. Peers that are missing, fail, or miss the accuracy say so, and are not
the best peer.
"""

import gc
import statistics
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.benchmarks.clock import Late, deadline, timed, weighed

RAN = "ran"


class Contender(NamedTuple):
    """Its `prepare` imports the library and takes over the data, and returns what is measured."""

    name: str
    prepare: Callable[[], Callable[[], Any]]
    target: float | None = None  # its seconds in units of ours
    compiles: bool = False  # in its first call


class Work(NamedTuple):
    """What no method avoids: bytes read, and operations in matrix products."""

    bytes: float = 0.0
    operations: float = 0.0


class Race(NamedTuple):
    """`error` of what a contender returns is at most `bound` where it is right; target: the best peer's by ours; card:
    the peers on the device that ours runs on."""

    name: str
    ours: Contender
    peers: tuple[Contender, ...]
    error: Callable[[Any], float]
    bound: float
    data_bytes: int
    work: Work = Work()
    dtype: str = "float64"
    target: float | None = None
    card: tuple[Contender, ...] = ()


class Scaling(NamedTuple):
    """Races of m rows and d features, along both."""

    at: Callable[[int, int], Race]
    rows: tuple[int, ...]
    of_features: int
    features: tuple[int, ...]
    of_rows: int


class Workload(NamedTuple):
    """Its races, at full size or quick, and how they scale."""

    title: str
    races: Callable[[bool], Iterable[Race]]
    scaling: Scaling | None = None


class Terms(NamedTuple):
    """At most so many rounds, seconds for all rounds of one contender, and for one call; and seconds before each call,
    in which the threads of the one before, which wait for more work, go to sleep."""

    rounds: int
    budget: float
    patience: float
    rest: float = 0.0


FULL, QUICK = Terms(7, 6, 60, 0.2), Terms(3, 1, 20, 0)


@dataclass
class Outcome:
    """What became of a contender: the first call, and the seconds by round."""

    name: str
    target: float | None
    status: str = RAN
    first: float | None = None
    error: float | None = None
    memory: int | None = None
    seconds: dict[int, float] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """Of the seconds."""
        return statistics.median(self.seconds.values())

    def accurate(self, bound: float) -> bool:
        """Whether it ran and came to the right result."""
        return self.status == RAN and self.error is not None and self.error <= bound


def hold(race: Race, terms: Terms) -> list[Outcome]:
    """The outcomes, ours first."""
    contenders = race.ours, *race.peers
    outcomes = [Outcome(c.name, c.target) for c in contenders]
    runs: dict[str, Callable[[], Any]] = {}
    jax.clear_caches()  # the first call of ours is to compile, whatever ran before
    gc.collect()
    with jax.enable_x64(race.dtype == "float64"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a peer's doubts are seen in its accuracy
        for contender, outcome in zip(contenders, outcomes, strict=True):
            _guarded(outcome, terms.patience, lambda c=contender, o=outcome: _first(c, o, race, runs))
        for peer, outcome in zip(race.peers, outcomes[1:], strict=True):
            if not peer.compiles and outcome.first is not None and outcome.first > terms.budget:
                outcome.seconds[0] = outcome.first  # there is no time for a second call
        for i in range(terms.rounds):
            shift = i % len(outcomes)
            for outcome in outcomes[shift:] + outcomes[:shift]:
                if outcome.status == RAN and _has_time(outcome, terms.budget):
                    run = runs[outcome.name]
                    time.sleep(terms.rest)
                    _guarded(outcome, terms.patience, lambda o=outcome, r=run, i=i: _again(r, o, i))
    return outcomes


def _guarded(outcome: Outcome, patience: float, work: Callable[[], None]) -> None:
    """The work, or the status that says why not."""
    try:
        with deadline(patience):
            work()
    except Late:
        outcome.status = f"did not end in {patience:g} s"
    except ModuleNotFoundError as error:
        outcome.status = f"{error.name} is not installed"
    except Exception as error:
        outcome.status = f"failed: {type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _first(contender: Contender, outcome: Outcome, race: Race, runs: dict[str, Callable[[], Any]]) -> None:
    runs[outcome.name] = contender.prepare()
    result, outcome.first, outcome.memory = weighed(runs[outcome.name])
    outcome.error = race.error(result)


def _again(run: Callable[[], Any], outcome: Outcome, i: int) -> None:
    if i == 0:
        _, outcome.seconds[i], outcome.memory = weighed(run)  # of the first call it was that of compiling, too
    else:
        _, outcome.seconds[i] = timed(run)


def _has_time(outcome: Outcome, budget: float) -> bool:
    spent = sum(outcome.seconds.values())
    return not outcome.seconds or spent + spent / len(outcome.seconds) <= budget


def ratios(ours: Outcome, peer: Outcome) -> list[float]:
    """The peer's seconds by ours in every round both ran in.

    >>> ratios(Outcome("ours", None, seconds={0: 1.0, 1: 2.0, 2: 2.0}), Outcome("peer", None, seconds={0: 3.0, 2: 1.0}))
    [3.0, 0.5]
    """
    return [peer.seconds[i] / ours.seconds[i] for i in sorted(ours.seconds.keys() & peer.seconds.keys())]


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """The median and the quartiles around it.

    >>> quartiles([1.0, 2.0, 3.0, 4.0, 5.0])
    (3.0, 2.0, 4.0)
    """
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return median, low, high


def best(outcomes: list[Outcome], bound: float) -> Outcome | None:
    """The peer with the least ratio among those that came to the right result."""
    ours, *peers = outcomes
    rated = [peer for peer in peers if peer.accurate(bound) and ratios(ours, peer)]
    return min(rated, key=lambda peer: statistics.median(ratios(ours, peer)), default=None)
