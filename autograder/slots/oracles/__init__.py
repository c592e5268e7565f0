"""What the answers should be: float64 NumPy, worked out independently of the reference solution.

Each formula is written from its source in a form of its own (explicit sums instead of recursions,
closed-form gradients instead of autograd), so that an error in the solution cannot hide here as well.
"""
