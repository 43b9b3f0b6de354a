"""Variables of the environment by which libraries are told their number of threads."""

from __future__ import annotations

from typing import Final

# OpenMP, BLAS and TensorFlow read these when they are first imported; the cores limit all others.
VARIABLES: Final = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
)  # fmt: skip
