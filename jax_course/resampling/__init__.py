r"""Resampling: errors, intervals and tests from fits on other samples of the same data.

A sample is a vector of weights, a number of times for each example. So all fits of a method are one `jax.vmap` over
the weights, and X is stored once:

    0 for the examples of a fold, 1 for the others                                          cross_validate
    the counts of m draws with replacement                                                  bootstrap
    0 for one example, 1 for the others                                                     jackknife
    y in another order                                                                      permutation_test

Intervals of level 1 − 2α from the n replicates θ* of an estimate θ̂, with Φ the standard normal distribution:

    quantiles α and 1 − α of θ*                                                             percentile_interval
    quantiles Φ(z₀ + (z₀ + z)/(1 − a(z₀ + z))) of θ*,  Φ(z) = α and 1 − α                   bca_interval
    Φ(z₀) = (#{θ* < θ̂} + ½ #{θ* = θ̂})/n,  a = Σ u³ / (6 (Σ u²)^{3/2}),  u = θ̄₍·₎ − θ₍ᵢ₎

z₀ corrects the bias of the median; a, from the fits θ₍ᵢ₎ without example i, how the standard error changes with θ.

Shapes: X (m, d), y (m,). `fit(X, y, weights=w)` is one of this package that takes weights (linear, ridge, logistic,
softmax), `functools.partial` of one for its settings, or a function of your own that vmap can batch. Fits that are too
large together are computed in batches.

The course has none of these methods (its 6.5, the choice of λ, names none): they have the sources of the field.
"""

from jax_course.resampling.cross_validation import CrossValidation, cross_validate, folds, stratified_folds
from jax_course.resampling.intervals import bca_interval, percentile_interval
from jax_course.resampling.permutation import PermutationTest, permutation_test
from jax_course.resampling.replicates import Bootstrap, bootstrap, jackknife

__all__ = [
    "Bootstrap",
    "CrossValidation",
    "PermutationTest",
    "bca_interval",
    "bootstrap",
    "cross_validate",
    "folds",
    "jackknife",
    "percentile_interval",
    "permutation_test",
    "stratified_folds",
]


def __dir__() -> list[str]:
    return __all__
