"""Keras: an optimizer squares the parts of an embedding's gradient one by one where an id comes twice."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np

inputs = keras.Input((2,), dtype="int64")
table = keras.layers.Embedding(3, 1, embeddings_initializer="ones")
outputs = keras.layers.Dense(1, kernel_initializer="ones")(keras.layers.Flatten()(table(inputs)))
model = keras.Model(inputs, outputs)
optimizer = keras.optimizers.Adam(beta_1=0.0, beta_2=0.0)
model.compile(optimizer, "mse")
model.fit(np.array([[0, 0]]), np.array([[1.0]]), verbose=0)
m, v = float(optimizer._momentums[0][0, 0]), float(optimizer._velocities[0][0, 0])
print(f"keras {keras.__version__}")
print(f"gradient of the vector of id 0, which comes twice: {m:g}")
print(f"its square as Adam has it: {v:g}, {'right' if np.isclose(v, m * m) else 'wrong'}")
