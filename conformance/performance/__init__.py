"""The project's own benchmarks, which write docs/performance.md.

Run as ``python -m rnnspec.conformance.pages performance docs/performance.md``, or by ``tox -e bench``.
"""
