"""What can be wrong with a derivative, and how one mistake is told."""

import enum
from typing import Any, NamedTuple


class Kind(enum.StrEnum):
    """The kind of a mistake; its value is what the kind means."""

    SIGN = "the sign is turned"
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
    KINK = "the cost has a kink here"
    AUTODIFF = "autodiff lost accuracy here"
    UNKNOWN = "of no known kind"


HARMLESS = (Kind.KINK, Kind.AUTODIFF)


class Finding(NamedTuple):
    """One mistake: its kind, in which derivative, which leaf and entry of the parameters, both values, a sentence."""

    kind: Kind
    of: str
    leaf: str
    index: tuple[int, ...]
    hand: Any
    reference: Any
    sentence: str

    @property
    def where(self) -> str:
        """The entry in the reader's own terms."""
        return self.leaf + (f"[{', '.join(map(str, self.index))}]" if self.index else "")


class Witness(NamedTuple):
    """What one way of computing a derivative says about the reader's: agrees, disagrees or abstains, and why."""

    name: str
    of: str
    verdict: str
    error: float
    remark: str
