"""How frameworks lay out the parameters of recurrent layers, and the way from there to the specification and back.

No framework is needed for it: every function works on the arrays of any namespace (`rnnspec.backends.layouts.arrays`),
NumPy's included, and is differentiable where the framework is.
"""
