"""Experiments: one file per claim of the course. `python -m experiments` runs them and shows what they found.

An experiment is a module with a `TITLE`, the course's `SECTION`, and `run(quick) -> Result`. It computes in float64,
draws from fixed seeds, and proves the derivatives it relies on with the very data it uses.
"""

EXPERIMENTS = (
    "line_and_plane",
    "cost_bowl",
    "gaussians",
    "sample_mean",
    "likelihoods",
    "predictive_bands",
    "entropies",
    "ridge_trace",
    "circle_and_diamond",
    "lasso_path",
    "bases",
    "complexity",
    "kernel_scale",
    "level_curves",
    "curvature",
    "step_sizes",
    "newton_against_descent",
    "storing_the_hessian",
    "gradient_noise",
    "batch_sizes",
    "momentum_ravine",
    "rare_features",
    "optimizer_race",
    "neuron",
    "descent_against_irls",
    "simplex",
    "softmax_iris",
    "softmax_digits",
    "paths",
    "layer_by_layer",
    "nonlinear_boundaries",
    "sigmoid_bumps",
    "function_approximation",
    "spiral_arms",
    "digits_network",
    "vanishing_gradient",
    "two_ways",
    "mutations",
    "errata",
    "statements",
)

# they measure time, and want the machine for themselves
TIMED = ("storing_the_hessian", "two_ways")
