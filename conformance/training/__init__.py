"""Training of models: on every backend from equal parameters and batches, judged step by step.

`passing` goes through a model's stages and back, `trainer` makes its steps, on the arrays of an `engine`: a backend's,
or the reference's. `judging` trains the reference in all its perturbed versions beside a backend.
"""
