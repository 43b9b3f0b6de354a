"""Timing contests between backends: ratios of times with their confidence intervals, and shares of the machine's peak.

`rnnspec bench` runs them. pytest-benchmark times the calls and defines the format of the results. This package chooses
the calls and their order, and draws the conclusions.
"""
