"""Settings for processes whose programs run once or twice each: compiling them well takes longer than running them."""

import os

import jax


def compile_fast() -> None:
    """Have XLA optimise little, and on the CPU without its newer emitters, which take twice the time to compile.

    Only before the first computation of a process, which is when XLA reads its flags.
    """
    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_traceback_in_locations_limit", 0)  # of no use in programs that nobody looks at
    if jax.__version_info__ < (0, 11):  # a flag that XLA does not know ends the process, and flags are dropped in time
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false".strip()
