"""Execution of a backend's code, in this process or in another, and of work in several processes.

`guard` tells a backend's exceptions from the suite's. `isolated` keeps a backend in a process of its own, which runs
`guest`. `work` is a piece of work as plain data, and `jobs` shares pieces among processes. `cluster` shares them among
a Dask scheduler's workers, each of which has a guest that runs `block`.
"""
