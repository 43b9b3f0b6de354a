"""Backends against each other: who is faster on which work, by how much, how surely, and how far from the machine.

`rnnspec bench` runs it. pytest-benchmark times the calls and gives the format of the results; what is timed, in which
order, and what may be concluded is decided here.
"""
