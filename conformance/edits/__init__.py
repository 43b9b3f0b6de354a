"""Operations whose equations are changed.

`changing` puts lines in the place of those with the same left side, and `compiled` lets what results run fast.
"""
