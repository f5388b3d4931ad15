"""Compiled programs on disk and in memory: shared safely by processes, and given up when they take too much."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jax_course import compiling

PROGRAM = """
import json, sys
import jax
from jax_course.compiling import cache_programs, compile_fast

compile_fast()
cache_programs(sys.argv[1])
hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event) if event.endswith("cache_hits") else None)
found = [float(jax.jit(lambda x, power=power: (x**power).sum())(jax.numpy.arange(4.0))) for power in range(2, 8)]
print(json.dumps([found, len(hits)]))
"""
SUMS = [sum(x**power for x in range(4)) for power in range(2, 8)]


def start(folder, code=PROGRAM):
    """A process of its own that keeps its programs in the folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def result(process):
    """What it found, how many programs it found on disk, and what it complained of."""
    printed, complaints = process.communicate(timeout=120)
    assert process.returncode == 0, complaints
    return *json.loads(printed), complaints


def test_processes_that_write_at_once_and_one_that_comes_later_find_the_right_programs(tmp_path):
    for found, _, _ in map(result, [start(tmp_path) for _ in range(4)]):
        assert found == SUMS
    found, hits, complaints = result(start(tmp_path))
    assert found == SUMS
    assert hits >= len(SUMS)
    assert "Error reading" not in complaints


def test_a_file_that_is_half_written_is_not_used(tmp_path):
    result(start(tmp_path))
    for file in tmp_path.glob("*-cache"):
        file.write_bytes(file.read_bytes()[:-20])
    found, hits, complaints = result(start(tmp_path))
    assert (found, hits) == (SUMS, 0)
    assert "Error reading persistent compilation cache" in complaints


STARTED = """
import os, subprocess, sys
from jax_course.compiling import compile_fast
compile_fast()
compile_fast()
ask = "import jax; print(jax.config.values['jax_disable_most_optimizations'], float(jax.numpy.zeros(2).sum()))"
print(subprocess.run([sys.executable, "-c", ask], stdout=subprocess.PIPE, text=True, check=True).stdout.strip())
print(os.environ["XLA_FLAGS"])
"""


def test_the_settings_reach_processes_that_are_started_and_are_set_once(tmp_path):
    printed, complaints = start(tmp_path, STARTED).communicate(timeout=120)
    assert printed.startswith("True 0.0"), complaints
    assert printed.split().count(compiling.ONE_PART) == 1


HELD = """
import jax, numpy as np
from jax_course.compiling import compile_fast, free_programs, resident_bytes
compile_fast()

def fill():
    for length in range(2, 150):
        jax.numpy.add(np.ones(length), 1.0)
    return resident_bytes() / 2**20

first = fill()
free_programs(above=2**40)
kept = resident_bytes() / 2**20
free_programs(above=1)
print(first, kept, resident_bytes() / 2**20)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell what a process holds")
def test_programs_are_given_up_with_their_memory_above_a_bound(tmp_path):
    printed, complaints = start(tmp_path, HELD).communicate(timeout=120)
    first, kept, last = map(float, printed.split())
    assert kept > 0.95 * first, complaints
    assert last < first - 20, printed  # MB; a program of one addition takes 0.2 to 1.4
