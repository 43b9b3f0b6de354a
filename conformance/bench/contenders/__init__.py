"""Libraries that the suite's backends are timed against, called as their users call them.

Each is a backend with a name such as ``rnnspec.conformance.bench.contenders.pytorch_crf:PytorchCrf``, so that it is
compared with the specification before it is timed. Only the work of each call is timed. Work that a library's user does
once, such as making a module and loading its weights, is done before.
"""
