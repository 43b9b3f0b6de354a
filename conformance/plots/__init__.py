"""The plots of docs/gradients.md: their numbers, which the reference computes, and how they are drawn.

The numbers need nothing but NumPy; only drawing needs matplotlib, the extra ``plots``.
"""
