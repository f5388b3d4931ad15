"""What a race found, as numbers to keep: medians and quartiles, ratios, accuracy, memory, how far from a limit."""

import datetime
import math
import os
from importlib import metadata
from typing import Any

import jax

from experiments.benchmarks.limits import Limits
from experiments.benchmarks.race import Outcome, Race, best, quartiles, ratios

LIBRARIES = (
    *("jax-course", "jax", "numpy", "scipy", "scikit-learn", "statsmodels"),
    *("torch", "glum", "skglm", "celer"),
)
Record = dict[str, Any]


def of_race(workload: str, race: Race, outcomes: list[Outcome], limits: Limits) -> Record:
    """A race and all its contenders, ours first."""
    ours, winner = outcomes[0], best(outcomes, race.bound)
    limit = limits.seconds(race.work, race.dtype)
    return {
        "workload": workload,
        "name": race.name,
        "dtype": race.dtype,
        "data_bytes": race.data_bytes,
        "bound": race.bound,
        "target": race.target,
        "best_peer": winner.name if winner else None,
        "ratio": quartiles(ratios(ours, winner)) if winner else None,
        "limit_seconds": limit,
        "times_the_limit": ours.median / limit if limit and ours.seconds else None,
        "contenders": [_of_outcome(outcome, ours, race) for outcome in outcomes],
    }


def _of_outcome(outcome: Outcome, ours: Outcome, race: Race) -> Record:
    pairs = ratios(ours, outcome)
    return {
        "name": outcome.name,
        "status": outcome.status,
        "accurate": outcome.accurate(race.bound),
        "error": outcome.error,
        "first_seconds": outcome.first,
        "compile_seconds": max(0.0, outcome.first - outcome.median) if outcome.first and outcome.seconds else None,
        "seconds": list(outcome.seconds.values()),
        "median_and_quartiles": quartiles(list(outcome.seconds.values())) if outcome.seconds else None,
        "ratios": pairs,
        "ratio": quartiles(pairs) if pairs else None,
        "target": outcome.target,
        "memory_bytes": outcome.memory,
    }


def rows(races: list[Record]) -> list[tuple[Record, Record, float]]:
    """Race, peer and target wherever there is one and the peer's ratio counts: a peer's own, or that of the best."""
    found = []
    for race in races:
        for peer in race["contenders"][1:]:
            target = peer["target"] or (race["target"] if peer["name"] == race["best_peer"] else None)
            if target and peer["accurate"] and peer["ratio"]:
                found.append((race, peer, target))
    return found


def geometric_mean(values: list[float]) -> float | None:
    """None of no values.

    >>> geometric_mean([1.0, 4.0])
    2.0
    """
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def summary(races: list[Record]) -> Record:
    """The geometric means of the ratios, and the races in which ours failed, was not accurate, or missed a target."""
    with_target = rows(races)
    return {
        "geometric_mean_of_rows_with_a_target": geometric_mean([peer["ratio"][0] for _, peer, _ in with_target]),
        "geometric_mean_of_best_peers": geometric_mean([race["ratio"][0] for race in races if race["ratio"]]),
        "targets_met": sum(peer["ratio"][0] >= target for _, peer, target in with_target),
        "targets": len(with_target),
        "missed": [
            f"{race['name']}, {peer['name']}: {peer['ratio'][0]:.2f} of {target:g}"
            for race, peer, target in with_target
            if peer["ratio"][0] < target
        ],
        "ours_wrong": [race["name"] for race in races if not race["contenders"][0]["accurate"]],
    }


def machine(threads: int) -> Record:
    """Where it ran: JAX's device, what else ran there, and the versions of the libraries that are installed."""
    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            versions[library] = None
    (device, *_) = jax.devices()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    kind = f"{device.platform}: {device.device_kind}"
    today = datetime.date.today().isoformat()
    return {"date": today, "device": kind, "threads": threads, "load_before": load, "versions": versions}
