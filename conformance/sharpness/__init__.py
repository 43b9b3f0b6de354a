"""Sharpness: the smallest relative error in one intermediate quantity of a right run that the suite sees.

`watched` is an array whose elementary operations an observer sees and can change. `planting` runs the reference on such
arrays, and `places` names the places of its code. `tolerances` are the suite's computed bounds and the fixed ones of
others. `measuring` finds the smallest error that each tolerance sees, and `drifting` the smallest systematic error.
"""
