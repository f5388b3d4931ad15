"""PyTorch on the device that JAX has, as its users write it: the peers of the races on an accelerator.

The data are on the device before anything is measured. What is returned are arrays of NumPy, so that a call ends when
the device is done. Products are in full float32, which is PyTorch's default.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments.benchmarks import torch_lbfgs

Run = Callable[[], Any]


def device() -> str:
    """Its name for JAX's device. ModuleNotFoundError: PyTorch is missing, or its part for that device."""
    import torch  # pyright: ignore[reportMissingImports]

    if jax.default_backend() == "cpu":
        return "cpu"
    if not torch.cuda.is_available():
        raise ModuleNotFoundError(name="PyTorch for this device")
    return "cuda"


def tensors(*arrays: np.ndarray) -> list[Any]:
    """The arrays on the device."""
    import torch  # pyright: ignore[reportMissingImports]

    return [torch.from_numpy(np.ascontiguousarray(a)).to(device()) for a in arrays]


def on_host(tensor: Any) -> np.ndarray:
    """A tensor in NumPy, once it is computed."""
    return tensor.detach().cpu().numpy()


def lstsq(X: np.ndarray, y: np.ndarray) -> Run:
    """torch.linalg.lstsq: Householder's factorisation."""
    import torch  # pyright: ignore[reportMissingImports]

    X, y = tensors(X, y)
    return lambda: on_host(torch.linalg.lstsq(X, y[:, None]).solution[:, 0])


def normal_equations(X: np.ndarray, y: np.ndarray) -> Run:
    """Cholesky's factor of XᵀX, or of XXᵀ where there are fewer rows."""
    import torch  # pyright: ignore[reportMissingImports]

    X, y = tensors(X, y)
    if len(X) < X.shape[1]:
        return lambda: on_host(X.T @ torch.cholesky_solve(y[:, None], torch.linalg.cholesky(X @ X.T)))
    return lambda: on_host(torch.cholesky_solve((X.T @ y)[:, None], torch.linalg.cholesky(X.T @ X)))


def ridge_path(X: np.ndarray, y: np.ndarray, penalties: np.ndarray) -> Run:
    """theta for each penalty, by singular values."""
    import torch  # pyright: ignore[reportMissingImports]

    X, y, p = tensors(X, y, penalties.astype(X.dtype))

    def run():
        U, S, Vt = torch.linalg.svd(X, full_matrices=False)
        return on_host((S * (U.T @ y) / (S**2 + p[:, None])) @ Vt)

    return run


def ridge_left_out(X: np.ndarray, y: np.ndarray, penalties: np.ndarray) -> Run:
    """The penalty of the least error, each example left out once, and its theta, by singular values."""
    import torch  # pyright: ignore[reportMissingImports]

    X, y, p = tensors(X, y, penalties.astype(X.dtype))

    def run():
        U, S, Vt = torch.linalg.svd(X, full_matrices=False)
        of_y, kept = U.T @ y, S**2 / (S**2 + p[:, None])
        left_out = (y - (kept * of_y) @ U.T) / (1 - kept @ (U**2).T)
        best = torch.argmin(torch.sum(left_out**2, 1))
        return float(p[best]), on_host((S * of_y / (S**2 + p[best])) @ Vt)

    return run


def logistic_lbfgs(X: np.ndarray, y: np.ndarray, tolerance: float) -> Run:
    """L-BFGS on the sum."""
    import torch  # pyright: ignore[reportMissingImports]

    inputs, labels = tensors(X, y)
    loss, start = torch.nn.functional.binary_cross_entropy_with_logits, np.zeros(X.shape[1], X.dtype)

    def cost(theta):
        return loss(inputs @ theta, labels, reduction="sum")

    return lambda: torch_lbfgs.minimise(cost, start, tolerance, device())


def softmax_lbfgs(X: np.ndarray, y: np.ndarray, classes: int, penalty: float, tolerance: float) -> Run:
    """L-BFGS on the sum and the penalty."""
    import torch  # pyright: ignore[reportMissingImports]

    inputs, labels = tensors(X, y.astype(np.int64))
    start = np.zeros((X.shape[1], classes), X.dtype)

    def cost(theta):
        of_data = torch.nn.functional.cross_entropy(inputs @ theta, labels, reduction="sum")
        return of_data + penalty * torch.sum(theta**2)

    return lambda: torch_lbfgs.minimise(cost, start, tolerance, device())


def kernel_ridge(X: np.ndarray, y: np.ndarray, scale: float, penalty: float) -> Run:
    """Cholesky's factor of K + δ²I."""
    import torch  # pyright: ignore[reportMissingImports]

    X, y = tensors(X, y)

    def run():
        K = torch.exp(-(torch.cdist(X, X) ** 2) / scale)
        K.diagonal().add_(penalty)
        return on_host(torch.cholesky_solve(y[:, None], torch.linalg.cholesky(K)))

    return run


def ridge_on_centers(
    X: np.ndarray, y: np.ndarray, scale: float, penalty: float, centers: np.ndarray, X_new: np.ndarray
) -> Run:
    """The prediction of normal equations for a kernel on each center."""
    import torch  # pyright: ignore[reportMissingImports]

    X, y, mu, new = tensors(X, y, centers, X_new)

    def features(X):
        return torch.exp(-(torch.cdist(X, mu) ** 2) / scale)

    def run():
        Phi = features(X)
        A = Phi.T @ Phi
        A.diagonal().add_(penalty)
        return on_host(features(new) @ torch.cholesky_solve((Phi.T @ y)[:, None], torch.linalg.cholesky(A)))[:, 0]

    return run


def logistic_derivative(name: str, theta: np.ndarray, X: np.ndarray, y: np.ndarray) -> Run:
    """The gradient by `grad`, or the Hessian by `hessian`, of torch.func."""
    import torch  # pyright: ignore[reportMissingImports]

    theta, X, y = tensors(theta, X, y)

    def cost(theta):
        return torch.nn.functional.binary_cross_entropy_with_logits(X @ theta, y, reduction="sum")

    derivative = getattr(torch.func, name)(cost)
    return lambda: on_host(derivative(theta))


def logistic_epoch(X: np.ndarray, y: np.ndarray, rate: float, batch_size: int) -> Run:
    """theta (d,) after an epoch of gradient descent on shuffled batches."""
    import torch  # pyright: ignore[reportMissingImports]

    X, y = tensors(X, y)

    def run():
        theta = torch.zeros_like(X[0])
        for rows in torch.randperm(len(X), device=X.device).split(batch_size):
            inputs = X[rows]
            theta -= rate / len(rows) * ((torch.sigmoid(inputs @ theta) - y[rows]) @ inputs)
        return on_host(theta)

    return run
