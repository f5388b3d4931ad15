"""Settings for processes that run their programs once or twice each: tests, experiments, scripts.

There compiling takes longer than running. Nothing here is set by importing the package; each function sets it for this
process and for the processes that it starts.
"""

import ctypes
import gc
import os
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

# In JAX 0.10 the older emitters for the CPU compile in half the time. JAX 0.11 removed them together with the flag that
# chooses them, and XLA ends a process whose flags it does not know.
OLD_EMITTERS = ("--xla_cpu_use_fusion_emitters=false",) if jax.__version_info__ < (0, 11) else ()
LARGEST_PROCESS = 600 * 2**20  # bytes; a test or an experiment adds 0.4 GB to that
ONE_PART = "--xla_cpu_parallel_codegen_split_count=1"  # small programs are not worth the threads that share them


def compile_fast() -> None:
    """Make XLA optimise little: with JAX 0.10 a program compiles in a third of the time; it may run slower.

    Call it before the first computation of the process, which is when XLA reads its flags.
    """
    _set(jax_disable_most_optimizations=True, jax_traceback_in_locations_limit=0)
    flags = os.environ.get("XLA_FLAGS", "").split()
    os.environ["XLA_FLAGS"] = " ".join([*flags, *(flag for flag in (*OLD_EMITTERS, ONE_PART) if flag not in flags)])


def cache_programs(folder: Path | str) -> None:
    """Keep every compiled program in a folder, where this process and later ones find it.

    The folder that JAX_COMPILATION_CACHE_DIR names comes first. Several processes may use it at once: a file that is
    half written is not used, JAX warns and compiles. Also for programs compiled from now on in a process that has
    compiled some.
    """
    _set(
        jax_compilation_cache_dir=os.environ.get("JAX_COMPILATION_CACHE_DIR", str(Path(folder).expanduser())),
        jax_persistent_cache_min_compile_time_secs=0,
        jax_persistent_cache_min_entry_size_bytes=-1,
    )
    compilation_cache.reset_cache()  # JAX decides at its first program whether there is a cache


def collect_garbage_rarely() -> None:
    """Let Python look for garbage every 20,000 objects instead of 700, and never among those that exist now.

    Tracing makes many objects, and little of it is garbage: a twelfth of the CPU of the tests is saved.
    Call it when everything is imported.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def free_programs(above: int = LARGEST_PROCESS) -> None:
    """Forget all compiled programs of this process, and give their memory back, if it holds more than `above` bytes.

    A program of one addition takes 1.4 MB with JAX 0.10, 0.2 MB with 0.12. Linux only: elsewhere nothing is forgotten.
    """
    if resident_bytes() > above:
        jax.clear_caches()
        gc.collect()
        # glibc keeps freed memory for itself: 1.4 GB of 1.6 after a thousand small programs
        getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: None)(0)


def resident_bytes() -> int:
    """The physical memory that this process holds; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _set(**settings: object) -> None:
    """In this process, and by the environment in those it starts."""
    for name, value in settings.items():
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)
