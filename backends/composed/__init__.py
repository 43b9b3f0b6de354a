"""Every operation composed from elementary ones, written once for all frameworks that differentiate.

Each function takes a namespace of array functions first (`rnnspec.backends.composed.arrays.ArrayNamespace`, called
``xp``) and then the inputs and attributes of the specification by name. It holds nothing of a framework, and nothing of
the reference: gradients are the framework's own.
"""
