r"""From numbers that differ to the kind of mistake.

Let h be the reader's derivative and r the reference, both known at several points. Every kind of mistake predicts h
from r, with at most one constant to fit:

    SIGN, FACTOR    h = c r                              TRANSPOSE   h = rᵀ
    PENALTY         h − r = a p  (p: what the penalty contributes to r),  or  a θ,  or  a θ/‖θ‖ − p,  or  a sign θ − p
    INDEX           h = r, rolled, reversed or permuted along an axis
    MISSING         h = 0 where r is not                 DIAGONAL    h = r on the diagonal blocks, 0 off them
    EXPECTED        h = Σ g_i g_iᵀ (Fisher),  or  Σ g_i g_iᵀ / 2c_i  (Gauss–Newton of squares c_i = r_i²)
    CHAIN_RULE      h_i = ρ_i r_i  for every single example i, with a ρ_i that differs between them

The first that holds in every entry and at every point is the diagnosis, simple ones first. That the points are several
tells a factor 2 from an accident; that the functions can be called on a part of the examples tells a factor m from a
factor that happens to equal m.
"""

import itertools

import numpy as np

from jax_course.verify.findings import Finding, Kind
from jax_course.verify.hypotheses import HYPOTHESES
from jax_course.verify.subject import Layout
from jax_course.verify.suspicion import Evidence, Guess, Part


def diagnose(evidence: Evidence) -> list[Finding]:
    """The findings, one for all leaves that share an explanation; none where hand and reference agree."""
    wrong = np.abs(evidence.hand - evidence.reference) > evidence.tolerance
    wrong |= ~np.isfinite(evidence.hand) & np.isfinite(evidence.reference)
    if not wrong.any():
        return []
    leaves = _leaf_slices(evidence.layout)
    bad = [leaf for leaf in range(len(leaves)) if wrong[:, leaves[leaf]].any()]
    together = _explain(evidence, wrong, bad, leaves)
    if together.kind is not Kind.UNKNOWN or len(bad) == 1:
        return [_finding(evidence, wrong, bad, leaves, together)]
    return [_finding(evidence, wrong, [leaf], leaves, _explain(evidence, wrong, [leaf], leaves)) for leaf in bad]


def _leaf_slices(layout: Layout) -> list[slice]:
    ends = np.cumsum([0, *layout.sizes])
    return [slice(int(a), int(b)) for a, b in itertools.pairwise(ends)]


def _finding(evidence: Evidence, wrong: np.ndarray, bad: list[int], leaves: list[slice], guess: Guess) -> Finding:
    chosen = np.concatenate([np.arange(leaves[leaf].start, leaves[leaf].stop) for leaf in bad])
    with np.errstate(all="ignore"):
        excess = np.abs(evidence.hand - evidence.reference) / evidence.tolerance
    excess = np.where(np.isfinite(excess), excess, np.inf)[:, chosen]
    point = 0 if wrong[0, chosen].any() else int(np.argmax(excess.max(axis=1)))
    distance = np.abs(evidence.hand - evidence.reference)[point, chosen]
    distance = np.where(np.isfinite(distance), distance, np.inf)
    entry = int(chosen[np.argmax(np.where(wrong[point, chosen], distance, -1))])
    leaf, index = evidence.layout.leaf_of(entry)
    count = int(wrong[:, chosen].any(axis=0).sum())
    names = ", ".join(f"`{evidence.layout.names[b]}`" for b in bad[:3]) + (", …" if len(bad) > 3 else "")
    extent = names if count == len(chosen) else f"{names} ({count} of {len(chosen)} entries)"
    beside = "" if point == 0 else " (Not at the point given, where it happens to agree, but beside it.)"
    hand, reference = float(evidence.hand[point, entry]), float(evidence.reference[point, entry])
    sentence = f"{extent}: {guess.words}{beside}"
    return Finding(guess.kind, evidence.of, evidence.layout.names[leaf], index, hand, reference, sentence)


def _explain(evidence: Evidence, wrong: np.ndarray, bad: list[int], leaves: list[slice]) -> Guess:
    chosen = np.concatenate([np.arange(leaves[leaf].start, leaves[leaf].stop) for leaf in bad])
    part = Part(
        evidence, chosen, np.asarray(wrong[:, chosen].any(axis=0)), [evidence.layout.shapes[leaf] for leaf in bad]
    )
    for hypothesis in HYPOTHESES:
        if guess := hypothesis(part):
            return guess
    return Guess(Kind.UNKNOWN, "yours differs, in a way of no known kind.")
