"""Experiments: one file per claim of the course, in a folder per chapter. `python -m experiments` runs them.

An experiment is a module with a `TITLE`, the course's `SECTION`, and `run(quick) -> Result`. It computes in float64,
draws from fixed seeds, and checks the derivatives it relies on with the very data it uses. `lab` has what all of them
share, `book` the lab book, `benchmarks` the timings.
"""

FOLDERS = {
    "ch03": ("line_and_plane", "cost_bowl"),
    "ch04": ("gaussians", "sample_mean"),
    "ch05": ("likelihoods", "predictive_bands", "entropies"),
    "ch06": (
        *("ridge_trace", "circle_and_diamond", "lasso_path", "bases", "complexity", "kernel_scale"),
        "chosen_penalties",
    ),
    "ch07": (
        *("level_curves", "curvature", "step_sizes", "newton_against_descent"),
        *("storing_the_hessian", "gradient_noise", "batch_sizes", "momentum_ravine"),
        *("rare_features", "optimizer_race"),
    ),
    "ch08": ("neuron", "descent_against_irls"),
    "ch09": ("simplex", "softmax_iris", "softmax_digits"),
    "ch10": ("paths", "layer_by_layer"),
    "ch11": ("nonlinear_boundaries", "sigmoid_bumps", "function_approximation", "spiral_arms", "digits_network"),
    "ch12": ("vanishing_gradient", "two_ways"),
    "doctor": ("mutations", "errata", "errata_in_words"),
}
EXPERIMENTS = tuple(name for names in FOLDERS.values() for name in names)

# they measure time, and want the machine for themselves
TIMED = ("storing_the_hessian", "two_ways")


def module_name(experiment: str) -> str:
    """The module of an experiment, by its name.

    >>> module_name("bases")
    'experiments.ch06.bases'
    """
    folder = next(folder for folder, names in FOLDERS.items() if experiment in names)
    return f"experiments.{folder}.{experiment}"
