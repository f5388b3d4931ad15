"""Training on mini-batches (course 7.7, 7.8): the loop, its epochs, checkpoints, early stopping."""
