"""Bad luck, really done: processes killed while they write, full disks, and the same run twice."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(code, *arguments, command=(), **settings):
    """In a process of its own."""
    full = [*command, sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(full, capture_output=True, text=True, check=False, cwd=ROOT, timeout=300, **settings)


KILLED_WHILE_WRITING = """
import os, random, signal, sys, time
import numpy as np
from jax_course.checkpoint import load, save

path, last, parts = sys.argv[1], 0, 0
like = {"number": np.zeros(300_000), "step": 0}
save(path, like)
random.seed(0)
for _ in range(25):
    child = os.fork()
    if child == 0:
        for step in range(last + 1, 10_000):
            save(path, {"number": np.full(300_000, float(step)), "step": step})
        os._exit(1)
    time.sleep(random.uniform(0.01, 0.06))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    parts += os.path.exists(path + ".part")
    state = load(path, like)
    assert state["step"] >= last and (state["number"] == state["step"]).all()
    last = state["step"]
print(last, parts)
"""


def test_whoever_is_killed_while_writing_a_checkpoint_leaves_a_whole_one(tmp_path):
    """25 times, at moments by chance; in most of them a file was half written."""
    done = run(KILLED_WHILE_WRITING, tmp_path / "state.npz")
    assert done.returncode == 0, done.stderr
    states, in_the_middle = map(int, done.stdout.split())
    assert states > 0
    assert in_the_middle > 0


FULL = """
import os, sys
import jax
jax.config.update("jax_enable_x64", True)
import numpy as np
from jax_course import scale
from jax_course.optimization import optimizers
from jax_course.train import train

X, y, folder = np.ones((20, 4000)), np.ones(20), sys.argv[1]

def trained(epochs):
    settings = {"key": jax.random.key(0), "epochs": epochs, "batch_size": 5, "checkpoint": folder + "/run.npz"}
    return train(lambda theta, X, y: (X @ theta - y) @ X, optimizers.adam(0.1), np.zeros(4000), X, y, **settings)

reached = trained(3)
with open(folder + "/rest", "wb") as rest:  # as if others had filled the disk
    free = os.statvfs(folder)
    rest.write(bytes(free.f_bavail * free.f_frsize - 50_000))
try:
    trained(6)
except OSError as error:
    print(error.strerror)
print(sorted(os.listdir(folder)))
np.testing.assert_array_equal(trained(3).theta, reached.theta)  # what was complete is still there
os.remove(folder + "/rest")
after = trained(6).theta
os.remove(folder + "/run.npz")
np.testing.assert_array_equal(after, trained(6).theta)
"""


def alone():
    """What begins a command that may mount: as root, or as one who is root to himself."""
    for command in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        try:
            if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
                return command
        except FileNotFoundError:
            break
    return pytest.skip("this machine lets nobody mount a small disk")


def test_a_full_disk_stops_a_run_with_an_error_and_loses_nothing(tmp_path):
    mount = 'mount -t tmpfs -o size=400k small "$0" && exec "$@"'
    done = run(FULL, tmp_path, command=[*alone(), "sh", "-c", mount, str(tmp_path)])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["No space left on device", "['rest', 'run.npz']"]


LIMITED = """
import resource, signal, sys
import numpy as np
from jax_course.checkpoint import load, save

path, like = sys.argv[1], {"number": np.zeros(1000)}
save(path, like)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save(path, {"number": np.ones(1_000_000)})
except OSError as error:
    print(error.strerror)
assert (load(path, like)["number"] == 0).all()
"""


def test_a_file_that_may_not_grow_is_an_error_and_leaves_the_one_before(tmp_path):
    done = run(LIMITED, tmp_path / "state.npz")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "File too large"
    assert os.listdir(tmp_path) == ["state.npz"]


LAUNCHED = """
import os, sys, time
open(f"{sys.argv[1]}/{os.getpid()}", "w").close()
time.sleep(600)
"""


def test_where_the_launcher_is_killed_its_processes_end_too(tmp_path):
    program, folder = tmp_path / "waits.py", tmp_path / "processes"
    program.write_text(LAUNCHED)
    folder.mkdir()
    command = [sys.executable, "-m", "jax_course.scale", "--processes", "2", str(program), str(folder)]
    launcher = subprocess.Popen(command, cwd=ROOT)
    try:
        until(lambda: len(os.listdir(folder)) == 2)
    finally:
        launcher.send_signal(signal.SIGKILL)
        launcher.wait()
    until(lambda: not any(Path(f"/proc/{number}").exists() for number in os.listdir(folder)))


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


SAME = """
import hashlib
import jax
jax.config.update("jax_enable_x64", True)
import numpy as np
from jax_course import kernel, lasso, linear, ridge, scale, softmax
from jax_course.networks import costs, mlp
from jax_course.optimization import optimizers
from jax_course.train import train

rng = np.random.Generator(np.random.PCG64(0))
X = rng.normal(size=(20_000, 30))
y = X @ rng.normal(size=30) + rng.normal(size=20_000)
number = np.digitize(y, [-3.0, 3.0])
net, key = mlp([8, 3], "relu", costs.cross_entropy()), jax.random.key(1)
settings = {"key": key, "epochs": 2, "batch_size": 100}
source = [(X[i : i + 3000], y[i : i + 3000]) for i in range(0, 20_000, 3000)]
for name, found in {
    "linear": linear.fit(X, y).theta,
    "ridge path": ridge.leave_one_out(X, y, np.geomspace(1, 1e4, 5)),
    "lasso": lasso.fit(X, y, penalty=1000.0).theta,
    "kernel": kernel.fit(X[:500], y[:500], scale=50.0, penalty=1.0).theta,
    "softmax": softmax.fit(X, number, penalty=1.0).theta,
    "network": train(net.gradient, optimizers.adam(1e-2), net.init(key, 30), X, number, **settings).theta,
    "stream": scale.fit_ridge(source, penalty=1.0).theta,
}.items():
    bits = b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(found))
    print(name, hashlib.blake2b(bits, digest_size=8).hexdigest())
"""


def test_the_same_call_gives_the_same_bits_in_another_process():
    """Of programs that one of them compiled itself, and the other may have found in the cache."""
    itself = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    with ThreadPoolExecutor() as both:
        first, second = both.map(lambda environment: run(SAME, env=environment), [os.environ, itself])
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert len(first.stdout.splitlines()) == 7
