"""How small an error the suite sees, measured: a relative error is planted in one intermediate quantity of a right run.

`watched` is an array whose elementary operations can be seen, and changed, one by one; `reference` is the reference run
on such arrays; `tolerances` are what a result can be accepted by, the suite's computed bounds and the fixed ones of
others; `measuring` finds the smallest error that each of them sees.
"""
