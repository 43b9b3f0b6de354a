"""The benchmarks as pytest tests."""
