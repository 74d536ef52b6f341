"""INT8 by calibration: calibrators give batches, the network runs on them in float, and what its tensors hold decides
how each is stored."""
