"""Flax NNX: nnx.RNN with a length of 0 returns the carry after all padding in place of the initial one."""

import flax
import jax.numpy as jnp
import numpy as np
from flax import nnx

layer = nnx.RNN(nnx.GRUCell(2, 3, rngs=nnx.Rngs(0)), return_carry=True)
x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 4, 2)), jnp.float32)
first = jnp.full((1, 3), 0.5)
carry, _ = layer(x, initial_carry=first, seq_lengths=jnp.array([0]))
whole, _ = layer(x, initial_carry=first, seq_lengths=jnp.array([4]))
print(f"flax {flax.__version__}")
print(f"initial carry {np.array(first)}")
print(f"carry after 0 of 4 steps {np.array(carry)}")
print(f"carry after 4 of 4 steps {np.array(whole)}")
print("wrong" if not np.allclose(carry, first) else "right")
