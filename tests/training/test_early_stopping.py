"""Early stopping looks exactly as far as it has patience."""

import numpy as np
import pytest

from jax_course.early_stopping import early_stopping
from jax_course.train import Training


@pytest.mark.parametrize("patience", [1, 2, 4])
def test_it_looks_as_many_epochs_behind_the_best_as_it_has_patience(patience):
    held_out = [3.0, 2.0, 5.0, 4.0, 6.0, 7.0, 8.0, 9.0]
    consumed = []

    def runs():
        for epoch in range(1, len(held_out) + 1):
            consumed.append(epoch)
            yield Training(None, None, {"held out": np.array(held_out[:epoch])}, epoch, None, 1, 1)

    assert early_stopping(runs(), metric="held out", patience=patience).epochs == 2
    assert consumed == list(range(1, 2 + patience + 1))
