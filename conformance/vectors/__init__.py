"""Golden vectors: a fixed corpus of cases as files, for implementations that no adapter in Python reaches."""
