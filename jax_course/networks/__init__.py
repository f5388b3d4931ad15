"""Networks (course 10–12): layers with a forward and a backward method, and what is built of them."""

from jax_course.networks import chain, costs, initializers, jacobians, layers
from jax_course.networks.layer import Layer, serial
from jax_course.networks.network import Network, decay, mlp, network
from jax_course.networks.xray import xray

__all__ = [
    "Layer",
    "Network",
    "chain",
    "costs",
    "decay",
    "initializers",
    "jacobians",
    "layers",
    "mlp",
    "network",
    "serial",
    "xray",
]


def __dir__() -> list[str]:
    return __all__
