"""Have CUDA compute in the type that it was given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def full_precision() -> Iterator[None]:
    """Switch off CUDA's settings that trade precision for speed, and those by which results change from run to run.

    TensorFloat-32 keeps 10 bits of the mantissa of a float32; reduced-precision reductions add up products of 16-bit
    numbers in 16 bits.
    """
    matmul = torch.backends.cuda.matmul
    names = ("allow_tf32", "allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction")
    before = {name: getattr(matmul, name) for name in names}
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        try:
            for name in names:
                setattr(matmul, name, False)
            yield
        finally:
            for name, allowed in before.items():
                setattr(matmul, name, allowed)
