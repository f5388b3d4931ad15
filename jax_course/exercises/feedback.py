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
NEXT_LINE = {  # where the words for a gradient do not suit a line
    "SIGN": "go through the signs, from the line before to this one.",
    "FACTOR": "count the factors, from the line before to this one: the 2 of each square, a sum or an average.",
    "BIAS": "write the line down for the bias alone.",
    "ENTRY": "write the line down for that entry alone.",
    "MISSING": "go through the terms of the line before one by one: where is each in this line?",
    "INDEX": "compare which index, label or vector stands in the line before and in this one.",
    "SHAPE": "write down the shape of every factor, and which sums are taken.",
    "UNKNOWN": "write both lines down for one example and one parameter, and compare.",
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


def advice_on_lines(report: dict[str, Any]) -> str:
    """Two lines, on what is right and on the next step, from a report as in `DerivationReport.to_json`; "" if all is.

    >>> steps = [{"number": 1, "findings": []}, {"number": 2, "findings": [{"kind": "SIGN", "sentence": ""}]}]
    >>> print(advice_on_lines({"first_wrong": 2, "steps": steps}))
    Right so far: line 1. In line 2 all is right but a sign.
    Next: go through the signs, from the line before to this one.
    """
    number = report["first_wrong"]
    if number is None:
        return ""
    found = [finding for finding in report["steps"][number - 1]["findings"] if finding["kind"] in NEXT]
    if not found or "could not be computed" in found[0]["sentence"]:
        return ""
    kinds = [finding["kind"] for finding in found]
    before = {2: "line 1", 3: "lines 1 and 2"}.get(number, f"lines 1 to {number - 1}")
    whole = RIGHT_SO_FAR[kinds[0]] if len(set(kinds)) == 1 else "there are several mistakes."
    right = f"Right so far: {before}. In line {number} {whole[:1].lower()}{whole[1:]}"
    return f"{right}\nNext: {NEXT_LINE.get(kinds[0], NEXT[kinds[0]])}"
