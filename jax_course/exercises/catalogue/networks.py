"""A hidden layer and other layers: chapters 10 to 12 of the course."""

import jax.numpy as jnp

from jax_course.exercises import solutions
from jax_course.exercises.catalogue import problems
from jax_course.exercises.catalogue.exercise import Exercise


def _cost_of_hidden_layer(theta, X, y):
    hidden = jnp.tanh(X @ theta["W"] + theta["b"])
    return jnp.sum((y - hidden @ theta["v"]) ** 2)


def _cost_of_residual_layer(W, X, Y):
    return jnp.sum((Y - X - jnp.tanh(X @ W)) ** 2)


def _cost_of_affine_layer(theta, X, Y):
    return jnp.sum((Y - X @ theta["W"] - theta["b"]) ** 2)


def _cost_of_relu_layer(W, X, Y):
    return jnp.sum((Y - jnp.maximum(0, X @ W)) ** 2)


def _network(rng):
    theta = {"W": rng.standard_normal((3, 4)), "b": rng.standard_normal(4), "v": rng.standard_normal(4)}
    return theta, problems.rows(rng), rng.standard_normal(12)


def _affine(rng):
    W, X, Y = problems.layer(rng, 2)
    return {"W": W, "b": rng.standard_normal(2)}, X, Y


EXERCISES = {
    "hidden_layer": Exercise(
        "A hidden layer",
        "C = Σ (y − tanh(xW + b) v)²",
        "Course 10.2, 11.2",
        "gradient",
        'a dictionary like theta: of "W", "b" and "v"',
        _cost_of_hidden_layer,
        _network,
        hint="Backwards: residual, then times v, then times 1 − h², which is δ. W gets Xᵀδ, b the sum of δ, v gets h.",
        solution=solutions.hidden_layer,
    ),
    "residual_layer": Exercise(
        "A residual layer",
        "C(W) = Σ (Y − X − tanh(XW))²",
        "Course 12.1",
        "gradient",
        "(d, d), like W",
        _cost_of_residual_layer,
        problems.layer,
        hint="X stands beside the layer and has no W in it: derive tanh(XW) alone, with the residual Y − X − tanh(XW).",
        solution=solutions.residual_layer,
    ),
    "affine_layer": Exercise(
        "An affine layer",
        "C = Σ (Y − XW − b)²",
        "Course 12.3",
        "gradient",
        'a dictionary like theta: of "W" and "b"',
        _cost_of_affine_layer,
        _affine,
        hint="δ = 2(XW + b − Y). b is added to every example: its gradient is the sum of δ over them.",
        solution=solutions.affine_layer,
        derivation="linear_layer_gradient",
    ),
    "relu_layer": Exercise(
        "A layer of ReLU, where no z is 0",
        "C(W) = Σ (Y − max(0, XW))²",
        "Course 12.4",
        "gradient",
        "(d, d), like W",
        _cost_of_relu_layer,
        problems.layer,
        hint="max(0, z)′ is 1 where z > 0, and 0 elsewhere: a mask on the residual.",
        solution=solutions.relu_layer,
        derivation="relu_layer",
    ),
}
