"""keras.layers.MultiHeadAttention: a bias along the steps in place of the heads, and a factor of float64 in float32."""

import math
import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np


def by_hand(x: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """Self-attention by the equations of Vaswani et al. (2017), section 3.2.2, from the layer's own weights."""
    Wq, bq, Wk, bk, Wv, bv, Wo, bo = weights
    q, k, v = (np.einsum("btd,dnh->bnth", x, W) + b[:, None] for W, b in ((Wq, bq), (Wk, bk), (Wv, bv)))
    e = np.einsum("bnuh,bnth->bnut", q, k) / math.sqrt(q.shape[-1])
    a = np.exp(e - e.max(-1, keepdims=True))
    a /= a.sum(-1, keepdims=True)
    return np.einsum("bnut,bnth,nhk->buk", a, v, Wo) + bo


def compare(title: str, heads: int, units: int, steps: int, dtype: str) -> None:
    random = np.random.default_rng(0)
    layer = keras.layers.MultiHeadAttention(heads, units, dtype=dtype)
    x = random.standard_normal((2, steps, 3)).astype(dtype)
    layer.build(x.shape, x.shape)
    layer.set_weights([random.standard_normal(w.shape) for w in layer.get_weights()])
    y = keras.ops.convert_to_numpy(layer(x, x, return_attention_scores=True)[0])
    error = np.abs(y - by_hand(x, layer.get_weights())).max()
    right = error < 1e3 * np.finfo(dtype).eps
    print(f"{title:36} largest error {error:.1e}  {'right' if right else 'wrong'}")


compare("3 heads of 1 unit, 4 steps, float32", 3, 1, 4, "float32")
compare("3 heads of 1 unit, 3 steps, float32", 3, 1, 3, "float32")
compare("2 heads of 4 units, float64", 2, 4, 3, "float64")
compare("2 heads of 2 units, float64", 2, 2, 3, "float64")
