"""tf.matmul of a four-axis array and one of two axes, on CPUs with oneDNN: memory beside the arrays is written to."""

import os
import subprocess
import sys

PROGRAM = """
import numpy as np, tensorflow as tf
random = np.random.default_rng(0)
for _ in range(200):
    a, b = random.standard_normal((13, 1, 3, 4)).astype("f"), random.standard_normal((4, 16)).astype("f")
    assert np.allclose(tf.matmul(a, b), a @ b, atol=1e-4)
"""

for words, options in (("oneDNN off", "0"), ("oneDNN on", "1")):
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": options, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=False)
    print(f"{words:12} exit status {done.returncode}  {'right' if done.returncode == 0 else 'wrong'}")
