"""The conformance suite as pytest sees it."""
