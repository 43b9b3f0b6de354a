"""Running code that somebody else wrote: under watch, in a process of its own, and with work shared among processes.

`guard` tells a backend's exceptions from the suite's, `isolated` keeps a backend in a process of its own, `guest` is
what that process runs, and `jobs` shares work among processes.
"""
