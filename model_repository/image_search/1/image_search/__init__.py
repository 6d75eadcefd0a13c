"""The parts of the model `image_search`. It runs in Triton's Python: NumPy 1.26 or later, and no torch."""
