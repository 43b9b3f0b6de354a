"""Soaks: many random cases, all of which a right implementation passes, with the distribution of its error ratios.

`rnnspec soak` runs them. `examining` judges one case, `statistics` counts the outcomes of many, `engine` works through
the cases in one or more processes, and `state` saves finished cases, so that a later run can go on.
"""
