"""Operations whose equations are changed.

`changing` puts lines in the place of those with the same left side, and `compiled` lets what results run fast. `single`
has every single edit of an operation, and `placing` what an edit changes in a system.
"""
