"""The project's own benchmarks: what is measured is written to docs/performance.md.

Run as ``python -m rnnspec.conformance.bench.own docs/performance.md``, or by ``tox -e bench``.
"""
