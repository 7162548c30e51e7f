"""Every optimizer beside PyTorch's over 100 steps. Not part of the test suite: it needs PyTorch.

python tests/peers/torch_optimizers.py prints the greatest difference of a parameter, relative to
the greatest parameter, and ends with exit code 1 if one is too large.
"""

from __future__ import annotations

import numpy as np
import torch

from chainrule.networks import SGD, AdaGrad, Adam, AdamW, RMSProp

CASES = {
    "SGD": (SGD(0.1), torch.optim.SGD, {"lr": 0.1}),
    "SGD, decay": (SGD(0.1, weight_decay=0.1), torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.1}),
    "momentum, decay": (
        SGD(0.1, 0.9, weight_decay=0.1),
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1},
    ),
    "Nesterov": (
        SGD(0.1, 0.9, nesterov=True),
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    ),
    "AdaGrad": (AdaGrad(0.1), torch.optim.Adagrad, {"lr": 0.1}),
    "AdaGrad, decay": (
        AdaGrad(0.1, weight_decay=0.1),
        torch.optim.Adagrad,
        {"lr": 0.1, "weight_decay": 0.1},
    ),
    "RMSProp": (RMSProp(0.01), torch.optim.RMSprop, {"lr": 0.01}),
    "RMSProp, decay": (
        RMSProp(0.01, 0.9, weight_decay=0.1),
        torch.optim.RMSprop,
        {"lr": 0.01, "alpha": 0.9, "weight_decay": 0.1},
    ),
    "Adam": (Adam(0.01), torch.optim.Adam, {"lr": 0.01}),
    "Adam, decay": (
        Adam(0.01, (0.8, 0.95), weight_decay=0.1),
        torch.optim.Adam,
        {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.1},
    ),
    "AdamW": (AdamW(0.01), torch.optim.AdamW, {"lr": 0.01}),
}


def difference(name: str, dtype: type) -> float:
    """Take 100 steps with both, along the same gradients."""
    ours, theirs, options = CASES[name]
    ours = type(ours)(**{s: getattr(ours, s) for s in ours.hyperparameters})
    rng = np.random.default_rng(0)
    params = [rng.normal(size=shape).astype(dtype) for shape in ((30, 20), (20,))]
    tensors = [torch.tensor(p, requires_grad=True) for p in params]
    optimizer = theirs(tensors, **options)
    for _ in range(100):
        grads = [rng.normal(size=p.shape).astype(dtype) for p in params]
        ours.step(params, grads)
        for tensor, g in zip(tensors, grads, strict=True):
            tensor.grad = torch.from_numpy(g)
        optimizer.step()
    pairs = zip(params, tensors, strict=True)
    return max(np.abs(p - t.detach().numpy()).max() / np.abs(p).max() for p, t in pairs)


def main() -> int:
    """Compare all."""
    print(f"PyTorch {torch.__version__}, 100 steps   float64   float32")
    wrong = 0
    for name in CASES:
        double, single = difference(name, np.float64), difference(name, np.float32)
        wrong += double > 1e-12 or single > 1e-5
        print(f"{name:30s} {double:9.1e} {single:9.1e}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
