"""The slips in the printed course: what is printed, what is meant."""

from typing import NamedTuple


class Slip(NamedTuple):
    """As LaTeX, or in words where it is a sentence."""

    printed: str
    meant: str
    words: bool = False


SLIPS = {
    1: Slip(r"(2\pi\sigma)^{-1/2}", r"(2\pi\sigma^2)^{-1/2}"),
    2: Slip(r"\frac{\partial\,\theta^\top A\theta}{\partial\theta} = 2A^\top\theta", r"(A + A^\top)\,\theta"),
    3: Slip(r"p(x) = \frac{1}{m}\sum \delta(x^{(i)})", r"\frac{1}{m}\sum \delta(x - x^{(i)})"),
    4: Slip(r"(2\pi)^d / 2", r"(2\pi)^{d/2}"),
    5: Slip(r"\det(a\Sigma) = a^2 \det\Sigma", r"a^d \det\Sigma"),
    6: Slip("the entropy is proportional to the determinant", "it is affine in the logarithm of the determinant", True),
    7: Slip("ridge removes irrelevant axes", "it shrinks them and sets none to 0; the lasso removes", True),
    8: Slip(r"\|\theta\|_1 = \theta_1 + \theta_2", r"|\theta_1| + |\theta_2|"),
    9: Slip(r"\nabla^2 J = 2\sum X", r"2 X^\top X"),
    10: Slip(r"2\sum\left((\theta_0 + x\theta_1) - y\right)(-1)", r"2\sum\left((\theta_0 + x\theta_1) - y\right)"),
    11: Slip("the factor 2 is dropped between two lines", "it is kept, or absorbed into η", True),
    12: Slip(r"\eta / \sum g^2", r"\eta / \sqrt{\sum g^2 + \varepsilon}"),
    13: Slip("Adam is momentum and Adagrad", "a running mean of g², not its sum, and the bias corrected", True),
    14: Slip(r"-\sum a + b", r"-\sum (a + b)"),
    15: Slip(
        "H is positive definite, hence there is a unique minimum",
        "only with full column rank; and on separable data there is none",
        True,
    ),
    16: Slip(r"e^{z_c} / \sum z_{c'}", r"e^{z_c} / \sum e^{z_{c'}}"),
    17: Slip("the last line of the layered derivative has lost ∂C/∂z", "the sum over l carries it", True),
    18: Slip(r"\frac{1}{1 - e^{-z}}", r"\frac{1}{1 + e^{-z}}"),
    19: Slip("a likelihood that is a sum over classes of powers", "a product", True),
    20: Slip(r"\frac{\partial C}{\partial\theta_{io}} = \sum_o \delta_o \cdots", r"\delta_o z_i"),
}
