"""Execution of a backend's code, in this process or in another, and of work in several processes.

`guard` tells a backend's exceptions from the suite's. `isolated` keeps a backend in a process of its own, which runs
`guest`. `jobs` shares work among processes.
"""
