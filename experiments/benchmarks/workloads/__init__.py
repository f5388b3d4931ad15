"""What is measured: a module for each workload, under the number it has in the table of targets."""

from experiments.benchmarks.race import Workload
from experiments.benchmarks.workloads import least_squares, logistic

WORKLOADS: dict[str, Workload] = {
    module.WORKLOAD.title.partition(" ")[0]: module.WORKLOAD
    for module in (
        least_squares,
        logistic,
    )
}
