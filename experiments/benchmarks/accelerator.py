"""`python -m experiments.benchmarks.accelerator [--minutes 8]`: the models on an accelerator, against what it can do.

It measures the bandwidth of the device and its matrix products, runs the registry's contract tests in float32 and
float64, and times the workloads and training: the first call, and milliseconds of later ones with the data on the
device, beside PyTorch there. accelerator.json has every figure after each row, accelerator.png the chart. What has no
time is named. Without an accelerator it says so and takes small sizes: that it runs, not how fast.
"""

import argparse
import json
import os
import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console

from experiments.benchmarks import charts, contract, limits, records, tables, torch_card, training
from experiments.benchmarks.limits import Limits
from experiments.benchmarks.race import Contender, Race, Terms, Work, hold
from experiments.benchmarks.records import Record
from experiments.benchmarks.workloads import WORKLOADS
from experiments.lab.style import STYLE

# Those that wait least for the device first, should the time not do: the lasso's coordinates and small batches last
ORDER = ("W1", "W4", "W2", "W5", "W6", "W7", "W9", "training", "W3")
SHARE_OF_TESTS = 0.4  # of the time
LEAST, PATIENCE, BUDGET = 15, 30, 2  # seconds: to begin a race, for a call, for the rounds of a contender
TEST_PROCESSES = 8  # they compile, which is work of the host, and each takes some memory of the device


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and leave the JSON and the chart; 1 where a test failed or ours is not accurate."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.accelerator", description=__doc__)
    parser.add_argument("--minutes", type=float, default=8, help="after which it ends; default: 8")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds, as without an accelerator")
    parser.add_argument("--only", default="", metavar="NAME", help="the tests, or a workload: W1, training")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="default: results/")
    options = parser.parse_args(arguments)
    end = time.monotonic() + 60 * options.minutes
    # the tests and PyTorch need memory of the device, too; read when JAX begins to use it
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    quick = options.quick or jax.default_backend() == "cpu"
    run = Run(options.out, end, machine(quick))
    with run.ended_in_time():
        if options.only in ("", "tests"):
            run.keep(tests=contract.run(SHARE_OF_TESTS * run.left, processes=_test_processes(quick)))
            run.console.print(contract.sentences(run.record["tests"]), "", highlight=False, markup=False)
        if options.only != "tests":
            run.races(quick, [name for name in ORDER if options.only in ("", name)])
    return run.code


def _test_processes(quick: bool) -> int:
    return 0 if quick else min(TEST_PROCESSES, os.cpu_count() or 1)


class Run:
    """What is found, and written after every row."""

    def __init__(self, out: Path, end: float, record: Record):
        self.out, self.end, self.record, self.console = out, end, record, Console(width=140)
        self.record |= {"tests": None, "limits": None, "races": [], "no_time": [], "now": None}
        out.mkdir(parents=True, exist_ok=True)
        self.console.print(heading(record), "", highlight=False)

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()

    @property
    def code(self) -> int:
        """1 where a test failed or a result of ours is not accurate."""
        tests = self.record["tests"]
        failed = tests is not None and any(tests[dtype]["failed"] for dtype in ("float64", "float32"))
        return int(failed or bool(records.summary(self.record["races"])["ours_wrong"]))

    def keep(self, **found: object) -> None:
        """In the record and in the file, which is whole at every moment."""
        self.record |= found
        file, part = self.out / "accelerator.json", self.out / "accelerator.json.part"
        part.write_text(json.dumps(self.record, indent=2, ensure_ascii=False) + "\n")
        part.replace(file)

    def ended_in_time(self) -> "_Ended":
        """A block, after which the chart is drawn; a call that outlasts the time ends the process, with all kept."""
        return _Ended(self)

    def races(self, quick: bool, names: list[str]) -> None:
        """Those of the workloads, as far as the time goes: the first of each, then the second of each."""
        warm_up()
        can = limits.of_card(quick)
        self.keep(limits=can._asdict())
        self.console.print(rates(can), "", highlight=False)
        remaining = {name: iter(of_workload(name, quick)) for name in names}
        begun = dict.fromkeys(names, 0)
        while remaining:
            for name, races in tuple(remaining.items()):
                if self.left < LEAST:
                    self.keep(no_time=[f"{title(n)}: from race {begun[n] + 1} on" for n in remaining], now=None)
                    return
                self.keep(now=f"{title(name)}: race {begun[name] + 1}")
                race = next(races, None)
                if race is None:
                    del remaining[name]
                else:
                    begun[name] += 1
                    self.hold(name, race, quick, can)
        self.keep(now=None)

    def hold(self, name: str, race: Race, quick: bool, can: Limits) -> None:
        """A race with the peers on this device."""
        terms = Terms(3 if quick else 7, BUDGET, max(1, min(PATIENCE, self.left)))
        found = records.of_race(name, race._replace(target=None), hold(race._replace(peers=race.card), terms), can)
        found["share_of_limit"] = 1 / found["times_the_limit"] if found["times_the_limit"] else None
        self.keep(races=[*self.record["races"], found])
        self.console.print(tables.of_race(found), "")

    def draw(self) -> None:
        """The chart."""
        with mpl.rc_context(STYLE):
            figure = charts.times(self.record["races"], self.record["device"])
            figure.savefig(self.out / "accelerator.png")
            plt.close(figure)


class _Ended:
    """The block of `Run.ended_in_time`."""

    def __init__(self, run: Run):
        self.run, self.timer = run, threading.Timer(max(0, run.left), self.end)

    def __enter__(self) -> None:
        self.timer.daemon = True
        self.timer.start()

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()
        self.run.keep()
        self.run.draw()

    def end(self) -> None:
        """From a thread beside the call that does not end, which no signal reaches."""
        self.run.keep(no_time=[*self.run.record["no_time"], f"{self.run.record['now']} and what follows"])
        self.run.draw()
        os._exit(1)


def machine(quick: bool) -> Record:
    """Device, versions, and when."""
    found = records.machine(os.cpu_count() or 1)
    (device, *_) = jax.devices()
    statistics = device.memory_stats() or {}
    return found | {
        "is_accelerator": device.platform != "cpu",
        "quick": quick,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "jaxlib": metadata.version("jaxlib"),
        "platform": device.client.platform_version,
        "memory_bytes": statistics.get("bytes_limit"),
    }


def heading(record: Record) -> str:
    """The device, in words."""
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items() if version)
    lines = [f"{record['device']}, {record['date']}", f"Python {record['python']}, {versions}"]
    if not record["is_accelerator"]:
        lines.append("This is a CPU (cpu): sizes are small, and no figure says anything about an accelerator.")
    return "\n".join(lines)


def rates(can: Limits) -> str:
    """The measured rates."""
    products = ", ".join(f"{rate / 1e12:.3g} Tflop/s in {name}" for name, rate in can.products.items())
    return f"Measured: {can.read / 1e9:.4g} GB/s read and written, {products} in products."


def warm_up() -> None:
    """The libraries of the device are loaded by the first call that needs them, which is not to be the first row's."""
    for dtype in ("float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            A = jnp.eye(4, dtype=dtype)
            jax.block_until_ready((jnp.linalg.cholesky(A), jnp.linalg.qr(A), jnp.linalg.svd(A), jnp.linalg.eigh(A)))


def title(name: str) -> str:
    """Of a workload."""
    return WORKLOADS[name].title if name in WORKLOADS else name


def of_workload(name: str, quick: bool) -> Iterable[Race]:
    """Its races."""
    return WORKLOADS[name].races(quick) if name in WORKLOADS else of_training(quick)


def of_training(quick: bool) -> Iterator[Race]:
    """An epoch of logistic regression by `train`, float64: many examples in a batch, and one."""
    for m, batch_size in ((1_000_000, 1024), (1_000_000, 32), (10_000, 1)):
        yield epoch(m // 100 if quick else m, batch_size)


def epoch(m: int, batch_size: int) -> Race:
    """theta (20,), by the mean cost in units of that of a guess, of which some must be gone."""
    X, y = training.problem(m, 20)

    def error(theta: np.ndarray) -> float:
        z = X @ theta
        return float(np.mean(np.logaddexp(0, z) - y * z) / np.log(2))

    def ours() -> Callable[[], np.ndarray]:
        return training.ours(X, y, batch_size=batch_size)

    return Race(
        f"an epoch of {m:,} × 20 by gradient descent, batches of {batch_size}",
        Contender("jax_course", ours),
        (),
        error,
        0.99,
        X.nbytes + y.nbytes,
        Work(X.nbytes),
        card=(Contender("PyTorch", partial(torch_card.logistic_epoch, X, y, training.RATE, batch_size)),),
    )


if __name__ == "__main__":
    raise SystemExit(main())
