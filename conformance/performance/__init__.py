"""The project's own benchmarks: what is measured is written to docs/performance.md.

Run as ``python -m rnnspec.conformance.pages performance docs/performance.md``, or by ``tox -e bench``.
"""
