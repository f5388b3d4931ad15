r"""The diagnosis: the kind of a mistake, from the entries of the wrong derivative and of the right one.

Let h be the reader's derivative and r the reference, both known at several points. Every kind of mistake predicts h
from r, with at most one constant to fit:

    SIGN, FACTOR    h = c r,  for all or for every row, or column, by itself            TRANSPOSE   h = rᵀ
    PENALTY         h − r = a p  (p: the penalty's part of r),  or  a θ,  or  a θ/‖θ‖ − p,  or  a sign θ − p
    BIAS            h = r but for the bias
    INDEX           h = r, rolled, reversed or permuted along an axis, or of another leaf, or of other labels
    MISSING         h = 0 where r is not, or h = r with a part of the data or of the parameters at 0
    one term        h = r − g + c g,  g: the part of r from one term of the cost;  c = 0, −1, a factor, or ρ(θ)
    DIAGONAL        h = r on the diagonal blocks, 0 off them
    EXPECTED        h = c Σ g_i g_iᵀ (Fisher),  or  c Σ g_i g_iᵀ / 2c_i  (Gauss–Newton of squares c_i = r_i²)
    CHAIN_RULE      h_i = ρ_i r_i  for every single example i, with a ρ_i that differs between them;  h = ρ(θ) r
                    or  h_j = ρ(θ_j) r_j

The first that holds in every entry and at every point is the diagnosis, simple ones first. That the points are several
tells a factor 2 from an accident; that the functions can be called on a part of the examples tells a factor m from a
factor that happens to equal m.
"""

import numpy as np

from jax_course.verify.evidence import Evidence
from jax_course.verify.findings import Finding, Guess, Kind
from jax_course.verify.hypotheses import LOOSE, STRUCTURAL
from jax_course.verify.parts import Part

Explanations = list[tuple[list[int], Guess]]  # numbers of leaves, and the guess that explains them


def diagnose(evidence: Evidence) -> list[Finding]:
    """The findings, one for all leaves that share an explanation; none if hand and reference agree."""
    if not evidence.wrong.any():
        return []
    bad = [leaf for leaf, entries in enumerate(evidence.layout.slices) if evidence.wrong[:, entries].any()]
    return [_finding(evidence, leaves, guess) for leaves, guess in _explain_leaves(evidence, bad)]


def _explain_leaves(evidence: Evidence, bad: list[int]) -> Explanations:
    """Explanations of the wrong leaves: of all together, else of the leaves of a layer, else of single ones.

    Structural hypotheses are tried at every level before those that fit easily, such as a factor for each example.
    """
    layers = _layers(evidence, bad)
    found: Explanations = []
    left = bad
    for hypotheses in (STRUCTURAL, LOOSE):
        if left == bad and (guesses := _explain(evidence, bad, hypotheses, whole=True)):
            return [(bad, guess) for guess in guesses]
        for layer in layers:
            group = [leaf for leaf in layer if leaf in left]
            for leaves in (group, *([leaf] for leaf in group)):
                open_leaves = [leaf for leaf in leaves if leaf in left]
                if open_leaves != leaves or not leaves:
                    continue
                if guesses := _explain(evidence, leaves, hypotheses, whole=False):
                    found.extend((leaves, guess) for guess in guesses)
                    left = [leaf for leaf in left if leaf not in leaves]
    unknown = Guess(Kind.UNKNOWN, "yours differs, in a way of no known kind.")
    return _merged(found) + [([leaf], unknown) for leaf in left]


def _explain(evidence: Evidence, leaves: list[int], hypotheses: tuple, *, whole: bool) -> list[Guess]:
    """The guesses of the first hypothesis that holds: two where it is one on two mistakes."""
    part = Part(evidence, leaves, whole=whole)
    found = next((guess for hypothesis in hypotheses if (guess := hypothesis(part))), [])
    return [found] if isinstance(found, Guess) else found


def _merged(found: Explanations) -> Explanations:
    """Leaves with the same guess as one explanation."""
    merged: dict[Guess, list[int]] = {}
    for leaves, guess in found:
        merged.setdefault(guess, []).extend(leaves)
    return [(sorted(leaves), guess) for guess, leaves in merged.items()]


def _layers(evidence: Evidence, bad: list[int]) -> list[list[int]]:
    """Leaves that belong together: under one node, or with one number at the end of their names (W1, b1)."""
    if evidence.name == "hessian":
        return [[leaf] for leaf in bad]
    layers: dict[tuple[str, str], list[int]] = {}
    for leaf in bad:
        above, _, name = evidence.layout.names[leaf].rpartition(".")
        number = name[len(name.rstrip("0123456789")) :] if name.strip("0123456789") else ""
        layers.setdefault((above, number), []).append(leaf)
    return list(layers.values())


def _finding(evidence: Evidence, leaves: list[int], guess: Guess) -> Finding:
    """The finding on the worst entry of the leaves: at the point given if it is wrong there, else at the worst."""
    layout, slices = evidence.layout, evidence.layout.slices
    chosen = np.concatenate([np.arange(slices[leaf].start, slices[leaf].stop) for leaf in leaves])
    wrong = evidence.wrong[:, chosen]
    with np.errstate(all="ignore"):
        distance = np.abs(evidence.hand - evidence.reference)[:, chosen]
        excess = distance / evidence.tolerance[:, chosen]
    excess, distance = (np.where(np.isfinite(values), values, np.inf) for values in (excess, distance))
    point = 0 if wrong[0].any() else int(np.argmax(excess.max(axis=1)))
    entry = int(chosen[np.argmax(np.where(wrong[point], distance[point], -1))])
    leaf, index = layout.leaf_of(entry)
    count = int(wrong.any(axis=0).sum())
    names = ", ".join(f"`{layout.names[leaf]}`" for leaf in leaves[:3]) + (", …" if len(leaves) > 3 else "")
    extent = names if count == len(chosen) else f"{names} ({count} of {len(chosen)} entries)"
    beside = "" if point == 0 else " (Not at the point given, where it happens to agree, but beside it.)"
    hand, reference = float(evidence.hand[point, entry]), float(evidence.reference[point, entry])
    sentence = f"{extent}: {guess.words}{beside}"
    return Finding(guess.kind, evidence.name, layout.names[leaf], index, hand, reference, sentence)
