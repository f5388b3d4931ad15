"""The evidence on a wrong derivative: its entries beside those of the reference, and measurements on both."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jax_course.verify.changes import Altered, Change
from jax_course.verify.context import Context, Derivative
from jax_course.verify.contributions import Contribution, divided_parts, own_term_parts, penalty_parts, term_parts
from jax_course.verify.evaluation import hessians
from jax_course.verify.findings import Kind
from jax_course.verify.parameters import Layout
from jax_course.verify.probes import Singles, biases, lengths, single_examples
from jax_course.verify.slip_evidence import altered_gradients, penalty_terms, slip_changes
from jax_course.verify.tracing import traits

SMALL_HESSIAN = 300  # parameters; with more, a product is not compared with parts of the Hessian


@dataclass(frozen=True, eq=False)
class Evidence:
    """A derivative of the reader's, the reference and the tolerance at p points, (p, E) each.

    The measurements below are made when a hypothesis first asks for one.
    """

    context: Context
    derivative: Derivative
    points: np.ndarray  # (p, n)
    hand: np.ndarray
    reference: np.ndarray
    tolerance: np.ndarray

    @property
    def name(self) -> str:
        """The derivative's name: "gradient", "hessian" or "hessian_product"."""
        return self.derivative.name

    @property
    def layout(self) -> Layout:
        """The layout of the entries."""
        return self.derivative.layout

    @property
    def identity(self) -> np.ndarray:
        """The derivative (p, E) of ½‖θ‖²: θ, the unit matrix, or a product's direction."""
        return self.derivative.identity

    @cached_property
    def wrong(self) -> np.ndarray:
        """Whether an entry (p, E) differs by more than its tolerance, or is no number where the reference is one."""
        wrong = np.abs(self.hand - self.reference) > self.tolerance
        return wrong | (~np.isfinite(self.hand) & np.isfinite(self.reference))

    @cached_property
    def may_not_end(self) -> bool:
        """Whether the cost has a loop that ends when it converges: with other data it may not."""
        context = self.context
        return traits(context.inputs, context.cost, context.points[0]).has_loops

    @cached_property
    def penalty(self) -> dict[str, np.ndarray]:
        """The contribution (p, E) of each numeric keyword."""
        if self.may_not_end:
            return {}
        return penalty_parts(self.context, self.derivative, self.points, self.reference)

    def of_data(self, name: str) -> bool:
        """Whether what a keyword contributes depends on the data: on fewer examples it is no multiple of itself."""
        m = self.context.inputs.examples
        if m < 2 or self.derivative.estimate is None:
            return False
        fewer = self.context._replace(inputs=self.context.inputs.rows(slice(0, m // 2)))
        try:
            reference = self.derivative.estimate(fewer.inputs, self.points)
            part = penalty_parts(fewer, self.derivative, self.points, reference).get(name)
        except Exception:  # a cost that needs all its data
            return False
        whole = self.penalty[name]
        if part is None or not part.any():
            return True
        cosine = np.sum(part * whole) / np.sqrt(np.sum(part**2) * np.sum(whole**2))
        return bool(cosine < 1 - 1e-9)

    @cached_property
    def divided(self) -> dict[str, np.ndarray]:
        """The part (p, E) that each keyword divides, as a variance does."""
        if self.may_not_end:
            return {}
        return divided_parts(self.context, self.derivative, self.points, self.reference)

    @cached_property
    def terms(self) -> list[Contribution]:
        """The contribution of each term of the cost."""
        return term_parts(self.context, self.derivative, self.points)

    @cached_property
    def own_terms(self) -> list[tuple[str, np.ndarray]]:
        """Each term (p, E) of the reader's derivative, with its name."""
        return own_term_parts(self.context, self.derivative, self.points)

    @cached_property
    def _slips(self) -> tuple[list[Change], list[list[int]]]:
        return slip_changes(self.context, self.derivative, self.points)

    @property
    def changes(self) -> list[Change]:
        """The change of the gradient by each slip in the cost."""
        return self._slips[0]

    @cached_property
    def _penalty_terms(self) -> set[int]:
        numbers = {term for change in self.changes for term in change.terms}
        return (
            numbers
            if self.name in ("slope", "moved")
            else penalty_terms(self.context, self.derivative, self.points, numbers)
        )

    def kind(self, change: Change) -> Kind:
        """The kind of a slip: the penalty's part where it is in terms without data that are penalties."""
        return Kind.PENALTY if change.terms and change.terms <= self._penalty_terms else change.kind

    def ends(self, change: Change) -> np.ndarray:
        """The change (p, n) where the terms without data are left out in which a slip is."""
        ends = [c.values for c in self.changes if c.path and c.step in change.terms]
        return sum(ends, np.zeros_like(change.values))

    @property
    def turns(self) -> list[list[Change]]:
        """The changes by slips at one place in the code, as in the turns of a loop."""
        changes, turns = self._slips
        return [[changes[number] for number in numbers] for numbers in turns]

    @cached_property
    def slope(self) -> "Evidence":
        """Of a second derivative: its product with a direction, at the last point; a gradient of the cost's slope."""
        return self._along("slope")

    @cached_property
    def moved(self) -> list["Evidence"]:
        """Of a second derivative: its product with a direction, and that of its transpose; moves of the gradient."""
        return [self._along("moved"), *([self._along("moved", rows=False)] if self.name == "hessian" else [])]

    def _along(self, name: str, *, rows: bool = True) -> "Evidence":
        layout, derivative = self.context.layout, self.derivative
        hand, reference, tolerance = self.hand[-1], self.reference[-1], self.tolerance[-1]
        v = self.identity[-1]
        if self.name == "hessian":
            v = np.random.default_rng(11).standard_normal(layout.size)
            matrices = [layout.block_matrix(values) for values in (hand, reference, tolerance)]
            matrices = [matrix if rows else matrix.T for matrix in matrices]
            hand, reference, tolerance = matrices[0] @ v, matrices[1] @ v, matrices[2] @ np.abs(v)
        derivative = derivative._replace(name=name, layout=layout, identity=v[None])
        values = {"hand": hand[None], "reference": reference[None], "tolerance": tolerance[None]}
        return Evidence(self.context, derivative, self.points[-1:], **values)

    @cached_property
    def alterations(self) -> list[Altered]:
        """The gradients with a slip in several operations, or with an operation left out."""
        return altered_gradients(self.context, self.derivative, self.points)

    @cached_property
    def biases(self) -> np.ndarray:
        """Whether each entry (E,) is that of a bias."""
        return biases(self.context, self.derivative)

    @cached_property
    def lengths(self) -> dict[str, float]:
        """The lengths that a factor may be."""
        return lengths(self.context.inputs)

    @property
    def examples(self) -> int:
        """The number m of examples; 0 if the data has none."""
        return self.context.inputs.examples

    @cached_property
    def singles(self) -> Singles | None:
        """Both derivatives on single examples, and the factors that may be between them."""
        return single_examples(self.context, self.derivative)

    @cached_property
    def hessians(self) -> np.ndarray | None:
        """The Hessians (points, n, n) at the points, if autodiff gives them and they are small."""
        context = self.context
        small = context.has_hessian and context.layout.size <= SMALL_HESSIAN
        return hessians(context.inputs, context.cost, context.points) if small else None
