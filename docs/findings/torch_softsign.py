"""torch: the derivative of softsign loses its digits where the argument is large."""

import numpy as np
import torch

a = torch.tensor(-3.7e6, requires_grad=True)
torch.nn.functional.softsign(a).backward()
due = 1 / (1 + np.float64(3.7e6)) ** 2
print(f"torch {torch.__version__}")
print(f"softsign'(-3.7e6) = {float(a.grad):.6e}, expected {due:.6e}: off by {abs(float(a.grad) / due - 1):.1%}")
print("wrong" if abs(float(a.grad) / due - 1) > 1e-3 else "right")
