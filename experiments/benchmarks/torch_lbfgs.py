"""PyTorch's L-BFGS on a cost, as its users call it."""

from collections.abc import Callable
from typing import Any

import numpy as np

THREADS, MOST_STEPS = 2, 100_000


def minimise(cost: Callable[[Any], Any], start: np.ndarray, tolerance: float, device: str = "cpu") -> np.ndarray:
    """The minimiser, with strong Wolfe conditions, until no entry of the gradient is above the tolerance; on the device
    that the cost computes on."""
    import torch  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(THREADS)
    theta = torch.tensor(start, device=device, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [theta],
        max_iter=MOST_STEPS,
        tolerance_grad=tolerance,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimizer.zero_grad()
        loss = cost(theta)
        loss.backward()
        return loss

    optimizer.step(closure)
    return theta.detach().cpu().numpy()
