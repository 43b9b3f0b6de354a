"""Keras: Adam computes 1 - beta_2^t in float32, and so the first steps have four right digits."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np

theta = keras.Variable(np.zeros(1, np.float32))
keras.optimizers.Adam(learning_rate=1.0, epsilon=0.0).apply([keras.ops.ones(1)], [theta])
step = -float(theta.numpy()[0])
print(f"keras {keras.__version__}")
print("the first step with a gradient of 1 is the learning rate, 1, whatever the betas are")
print(f"Adam's first step in float32: {step:.9f}, {'right' if abs(step - 1) < 1e-6 else 'wrong'}")
