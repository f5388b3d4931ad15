"""How the time grows with the rows and with the features, for ours and for each peer until it gives up."""

from collections.abc import Callable, Iterable

from experiments.benchmarks.race import Race, Scaling, Terms, hold
from experiments.benchmarks.records import Record

FULL, QUICK = Terms(3, 5, 20, 0.2), Terms(1, 1, 10)


def of(scaling: Scaling, *, quick: bool) -> Record:
    """Medians by contender along both, quick: at the two smallest sizes."""
    rows, features = (sizes[:2] if quick else sizes for sizes in (scaling.rows, scaling.features))
    m, d = (rows[0], features[0]) if quick else (scaling.of_rows, scaling.of_features)
    terms = QUICK if quick else FULL
    return {
        "rows": along(rows, lambda size: scaling.at(size, d), terms) | {"of_features": d},
        "features": along(features, lambda size: scaling.at(m, size), terms) | {"of_rows": m},
    }


def along(sizes: Iterable[int], at: Callable[[int], Race], terms: Terms) -> Record:
    """At ascending sizes; a peer that did not end, failed or missed the accuracy at one is not asked at the next."""
    sizes = list(sizes)
    seconds: dict[str, list[float | None]] = {}
    given_up: dict[str, str] = {}
    for i, size in enumerate(sizes):
        race = at(size)
        race = race._replace(peers=tuple(peer for peer in race.peers if peer.name not in given_up))
        for outcome in hold(race, terms):
            series = seconds.setdefault(outcome.name, [None] * len(sizes))
            if outcome.accurate(race.bound) and outcome.seconds:
                series[i] = outcome.median
            else:
                given_up[outcome.name] = outcome.status if outcome.status != "ran" else f"error {outcome.error:.0e}"
    return {"sizes": sizes, "seconds": seconds, "given_up": given_up}
