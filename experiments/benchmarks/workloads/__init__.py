"""What is measured: a module for each workload, under the number it has in the table of targets."""

from experiments.benchmarks.race import Workload
from experiments.benchmarks.workloads import (
    derivatives,
    epochs,
    fresh,
    kernels,
    lasso,
    least_squares,
    logistic,
    online,
    ridge,
    softmax,
)

WORKLOADS: dict[str, Workload] = {
    module.WORKLOAD.title.partition(" ")[0]: module.WORKLOAD
    for module in (least_squares, ridge, lasso, logistic, softmax, epochs, kernels, online, derivatives, fresh)
}
