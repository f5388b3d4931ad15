r"""How well predictions agree with what was observed: accuracy, log loss, R², Brier score, area under the ROC curve.

    Σ w [ŷ = y] / Σ w                                                                      accuracy
    −Σ w log π_y / Σ w                                                                     log_loss
    Σ w (π − y)² / Σ w,  of K classes  Σ w Σ_k (π_k − 1_k(y))² / Σ w                       brier
    1 − Σ w (y − ŷ)² / Σ w (y − ȳ)²,  ȳ = Σ w y / Σ w                                      r_squared
    P(z > z') + ½ P(z = z'),  z a score of class 1, z' of class 0                          roc_auc
    C_kl = Σ w [y = k] [ŷ = l]                                                             confusion

Shapes: y (m,); predictions (m,), probabilities of K classes (m, K). `weights`, at least 0, a scalar or (m,): an example
of weight w counts as w examples, and one of weight 0 as none. All but the confusion matrix are means, so that test sets
of different sizes can be compared; a model's cost is a sum. Of these the course has the sum of the log loss (8.4, 9.2),
as a cost.

All of them work inside `jax.jit` and under `jax.vmap`. Input that is refused outside gives NaN there.
"""

from jax_course.metrics.formulas import accuracy, brier, confusion, log_loss, r_squared, roc_auc

__all__ = ["accuracy", "brier", "confusion", "log_loss", "r_squared", "roc_auc"]


def __dir__() -> list[str]:
    return __all__
