"""The kinds of mistakes in a derivative, and the records of what was found."""

import enum
from typing import Any, NamedTuple


class Kind(enum.StrEnum):
    """The kind of a mistake; its value is what the kind means.

    >>> Kind.SIGN.name, Kind.SIGN.value
    ('SIGN', 'the sign is wrong')
    """

    SIGN = "the sign is wrong"
    FACTOR = "a constant factor"
    TRANSPOSE = "rows and columns are exchanged"
    PENALTY = "the penalty's part"
    BIAS = "confined to the bias"
    CHAIN_RULE = "a factor of the chain rule, different for each example"
    INDEX = "the right numbers in the wrong places"
    MISSING = "left at zero"
    ENTRY = "isolated entries"
    DIAGONAL = "off-diagonal blocks are missing"
    EXPECTED = "Gauss–Newton or Fisher in place of the Hessian"
    ASYMMETRIC = "a Hessian that is not symmetric"
    SHAPE = "another structure or shape than the parameters"
    DTYPE = "another kind of number than the parameters"
    NONFINITE = "NaN or infinity"
    NONLINEAR = "a rule that is not linear in the cotangent, or in the tangent"
    COTANGENT = "a rule that ignores the cotangent, or the tangent"
    STALE = "a rule that keeps values of another call"
    OUTPUT = "with its rule the function has another value"
    KINK = "the cost has a kink here"
    AUTODIFF = "autodiff lost accuracy here"
    UNKNOWN = "of no known kind"


HARMLESS = (Kind.KINK, Kind.AUTODIFF)


class Finding(NamedTuple):
    """One mistake, or one reason why a difference is none.

    derivative: "gradient", "hessian", "hessian_product", "jacobian", "rule", or "cost" where the cost itself has no
    value. leaf: the name of the parameter array; index: the entry in it, () for a scalar. hand, reference: both values
    there, where there are any. sentence: the mistake in words.

    >>> Finding(Kind.SIGN, "gradient", "theta", (2,), -1.0, 1.0, "`theta`: yours has the wrong sign.").location
    'theta[2]'
    """

    kind: Kind
    derivative: str
    leaf: str
    index: tuple[int, ...]
    hand: Any
    reference: Any
    sentence: str

    @property
    def location(self) -> str:
        """The entry in the names of the reader's parameters."""
        return self.leaf + (f"[{', '.join(map(str, self.index))}]" if self.index else "")


class Guess(NamedTuple):
    """The kind of a mistake, and the end of its sentence, after the names of the leaves."""

    kind: Kind
    words: str


class Witness(NamedTuple):
    """One way of computing a derivative, and whether the reader's agrees with it.

    derivative: as in `Finding`. verdict: "agrees", "disagrees" or "abstains". error: the largest difference in units of
    the largest entry; NaN where there is none. remark: the reason of the verdict.

    >>> Witness("complex step", "gradient", "agrees", 1e-16, "along 6 directions").verdict
    'agrees'
    """

    name: str
    derivative: str
    verdict: str
    error: float
    remark: str


def abstention(name: str, derivative: str, reason: str) -> Witness:
    """A witness that has nothing to compare with.

    >>> abstention("complex step", "gradient", "the cost does not take complex numbers").verdict
    'abstains'
    """
    return Witness(name, derivative, "abstains", float("nan"), reason)
