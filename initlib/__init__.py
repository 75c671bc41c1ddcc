"""Parameter initialization for neural networks."""
