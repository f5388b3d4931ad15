r"""From numbers that differ to the kind of mistake.

Let h be the reader's derivative and r the reference, both known at several points. Every kind of mistake predicts h
from r, with at most one constant to fit:

    SIGN, FACTOR    h = c r,  for all or for every row, or column, by itself            TRANSPOSE   h = rᵀ
    PENALTY         h − r = a p  (p: what the penalty contributes to r),  or  a θ,  or  a θ/‖θ‖ − p,  or  a sign θ − p
    BIAS            h = r but for the bias
    INDEX           h = r, rolled, reversed or permuted along an axis, or of another leaf, or of other labels
    MISSING         h = 0 where r is not, or h = r with a part of the data or of the parameters at 0
    one term        h = r − g + c g,  g: what one term of the cost contributes to r;  c = 0, −1, a factor, or ρ(θ)
    DIAGONAL        h = r on the diagonal blocks, 0 off them
    EXPECTED        h = c Σ g_i g_iᵀ (Fisher),  or  c Σ g_i g_iᵀ / 2c_i  (Gauss–Newton of squares c_i = r_i²)
    CHAIN_RULE      h_i = ρ_i r_i  for every single example i, with a ρ_i that differs between them;  h = ρ(θ) r
                    or  h_j = ρ(θ_j) r_j

The first that holds in every entry and at every point is the diagnosis, simple ones first. That the points are several
tells a factor 2 from an accident; that the functions can be called on a part of the examples tells a factor m from a
factor that happens to equal m.
"""

import itertools

import numpy as np

from jax_course.verify.findings import Finding, Kind
from jax_course.verify.hypotheses import LOOSE, STRUCTURAL
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
    return [_finding(evidence, wrong, chosen, leaves, guess) for chosen, guess in _explained(evidence, wrong, bad)]


def _explained(evidence: Evidence, wrong: np.ndarray, bad: list[int]) -> list[tuple[list[int], Guess]]:
    """Wrong leaves with what is said of them: all together, else by layers, else one by one.

    What says much, of structure, is tried at every level before what fits easily, a factor for each example.
    """
    layers = _layers(evidence, bad)
    found: list[tuple[list[int], Guess]] = []
    left = bad
    for hypotheses in (STRUCTURAL, LOOSE):
        if left == bad and (guess := _explain(evidence, wrong, bad, hypotheses, whole=True)):
            return [(bad, guess)]
        for layer in layers:
            group = [leaf for leaf in layer if leaf in left]
            for leaves in (group, *([leaf] for leaf in group)):
                still = [leaf for leaf in leaves if leaf in left]
                if still == leaves and leaves and (guess := _explain(evidence, wrong, leaves, hypotheses, whole=False)):
                    found.append((leaves, guess))
                    left = [leaf for leaf in left if leaf not in leaves]
    unknown = Guess(Kind.UNKNOWN, "yours differs, in a way of no known kind.")
    return _merged(found) + [([leaf], unknown) for leaf in left]


def _merged(found: list[tuple[list[int], Guess]]) -> list[tuple[list[int], Guess]]:
    """Leaves of which the same is said as one finding."""
    merged: dict[Guess, list[int]] = {}
    for leaves, guess in found:
        merged.setdefault(guess, []).extend(leaves)
    return [(sorted(leaves), guess) for guess, leaves in merged.items()]


def _layers(evidence: Evidence, bad: list[int]) -> list[list[int]]:
    """Leaves that belong together: under one node, or with one number at the end of their names (W1, b1)."""
    if evidence.of == "hessian":
        return [[leaf] for leaf in bad]
    layers: dict[tuple[str, str], list[int]] = {}
    for leaf in bad:
        above, _, name = evidence.layout.names[leaf].rpartition(".")
        number = name[len(name.rstrip("0123456789")) :] if name.strip("0123456789") else ""
        layers.setdefault((above, number), []).append(leaf)
    return list(layers.values())


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


def _explain(evidence: Evidence, wrong: np.ndarray, leaves: list[int], hypotheses: tuple, whole: bool) -> Guess | None:
    part = Part(evidence, leaves, wrong, whole)
    return next((guess for hypothesis in hypotheses if (guess := hypothesis(part))), None)
