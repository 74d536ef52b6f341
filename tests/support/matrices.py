"""Matrices as the pages print them."""

import numpy as np

# The pages show eight digits of float32 sums; another order of summation moves the last of them.
PRINTED = {"rtol": 2e-6}


def matrix(text):
    """Rows and columns of numbers."""
    return np.array([[float(word) for word in line.split()] for line in text.strip().splitlines()])
