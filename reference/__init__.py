"""NumPy reference: how to compute it, with exact gradients."""
