"""Libraries that the suite's backends are timed against, called as their users call them.

Each is a backend, to be named as ``rnnspec.conformance.bench.contenders.pytorch_crf:PytorchCrf``, so that it is held
against the specification before it is timed. What a library's user does once (making a module, loading its weights) is
done before the clock runs; what the user does at each call is what is timed.
"""
