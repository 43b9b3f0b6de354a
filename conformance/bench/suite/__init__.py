"""The benchmarks as pytest sees them."""
