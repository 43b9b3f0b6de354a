"""How fast the suite itself is: what it measures is written to docs/performance.md.

Run as ``python -m rnnspec.conformance.benchmarks docs/performance.md``, or by ``tox -e bench``.
"""
