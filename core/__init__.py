"""The contract, in Python: types, tensors, dimensions, specs and errors."""
