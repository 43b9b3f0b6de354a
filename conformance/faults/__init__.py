"""The suite, tested: wrong implementations that it must catch, and right ones that it must never reject.

`loops` and its families are right, and written differently from the reference: one step after another, one place for
each thing that an implementation can get wrong. A planted fault overrides one such place, or changes a line of the
specification's equations (`equations`, run by `changed`); a variant does the same sums another way. `score` runs the
suite's checks on them.
"""
