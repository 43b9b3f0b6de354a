"""Golden vectors: a fixed corpus of cases as files, for implementations without an adapter in Python."""
