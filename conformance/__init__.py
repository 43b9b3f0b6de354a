"""The conformance suite: who is right, and how fast."""
