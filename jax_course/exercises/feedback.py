"""Feedback for a student, beside the doctor's report: the parts that are right already, and the next step."""

from typing import Any

RIGHT_SO_FAR = {
    "SIGN": "All is right but a sign.",
    "FACTOR": "The formula has the right form; a number in it is not right.",
    "TRANSPOSE": "The numbers come from the right ingredients; an axis is the wrong one.",
    "PENALTY": "The part of the data is right; only the penalty's part is not.",
    "BIAS": "The slopes are right; only the bias is not.",
    "CHAIN_RULE": "Sums and shapes are right; a factor inside of them is not.",
    "INDEX": "The formula is right, for numbers in other places.",
    "MISSING": "A part is still to come; nothing else is wrong.",
    "ENTRY": "Most entries are right.",
    "DIAGONAL": "What stands on the diagonal is right.",
    "EXPECTED": "It is an approximation of the Hessian that is in use.",
    "ASYMMETRIC": "The shape is right.",
    "SHAPE": "The function runs to its end.",
    "DTYPE": "The shape is right.",
    "NONFINITE": "The shape is right.",
    "UNKNOWN": "The function runs, and its shape is right.",
}
NEXT = {
    "SIGN": "derive once more by hand the factor in which θ stands with a minus.",
    "FACTOR": "count the 2 of each square, and whether the cost sums or averages.",
    "TRANSPOSE": "write down the shape of every factor, and over which axis each sum goes.",
    "PENALTY": "derive the penalty alone, with the data left out.",
    "BIAS": "derive by the bias alone: what is its inner derivative, and what is summed?",
    "CHAIN_RULE": "derive for a single example, from the outside in, and write down each factor.",
    "INDEX": "compare which index, label or vector stands in the cost and in yours.",
    "MISSING": "go through the terms of the cost one by one, and derive each.",
    "ENTRY": "derive by that parameter alone.",
    "DIAGONAL": "derive entry k of the gradient by another parameter l.",
    "EXPECTED": "derive the gradient once more, with the product rule: a term is left out.",
    "ASYMMETRIC": "a Hessian is symmetric: compare entry (k, l) with (l, k).",
    "SHAPE": "return what has the shape of the parameters.",
    "DTYPE": "work with floating-point numbers to the end.",
    "NONFINITE": "look for a division by 0 or the logarithm of 0.",
    "UNKNOWN": "try one example and one parameter, and compare with the cost's slope.",
}


def advice(report: dict[str, Any], leaves: tuple[str, ...] = ()) -> str:
    """Two lines, on the right parts and on the next step, from a report as in `Report.to_json`; "" if all is right.

    leaves: the names of the parameters, if they are several; those that no finding names are right.

    >>> print(advice({"findings": [{"kind": "SIGN", "sentence": "`W`: yours has the wrong sign."}]}, ("W", "b")))
    Right so far: `b`. All is right but a sign.
    Next: derive once more by hand the factor in which θ stands with a minus.
    """
    wrong = [finding for finding in report["findings"] if finding["kind"] in NEXT]
    if not wrong:
        return ""
    kinds = list(dict.fromkeys(finding["kind"] for finding in wrong))
    said = " ".join(finding["sentence"] for finding in wrong)
    right = [f"`{leaf}`" for leaf in leaves if f"`{leaf}`" not in said and "SHAPE" not in kinds]
    whole = RIGHT_SO_FAR[kinds[0]] if len(kinds) == 1 else "There are several mistakes: begin with the first."
    return f"Right so far: {', '.join(right) + '. ' if right else ''}{whole}\nNext: {NEXT[kinds[0]]}"
