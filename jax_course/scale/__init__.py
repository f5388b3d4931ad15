"""The same pure functions over several devices and several hosts.

A cost is a sum over examples, so that rows spread over devices and mini-batches are one fold.
"""

from jax_course.scale.rehearsal import rehearse
from jax_course.scale.sharding import Spread, mesh_of, shard, spread_parameters

__all__ = ["Spread", "mesh_of", "rehearse", "shard", "spread_parameters"]
