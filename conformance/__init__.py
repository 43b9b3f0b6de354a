"""The conformance suite: which implementations are right, and how fast."""
