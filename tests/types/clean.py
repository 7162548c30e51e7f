"""What a user writes against the installed package: clean for mypy --strict and for pyright."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.layers import Affine, CrossEntropyLoss, Layer, ReLU, layer_laws
from chainrule.networks import Adam, Sequential, Trainer, value_and_grads

Array = NDArray[Any]


class Swish(Layer):
    """``y = x / (1 + exp(-x))``."""

    def forward(self, x: Array) -> Array:
        self.x, self.s = x, 1 / (1 + np.exp(-x))
        return x * self.s

    def backward(self, dout: Array) -> Array:
        return dout * self.s * (1 + self.x * (1 - self.s))


class Residual(Layer):
    """``out = x + block(x)``."""

    part_names = ("block",)

    def __init__(self, block: Layer) -> None:
        self.block = block

    def forward(self, x: Array) -> Any:
        return x + self.block.forward(x)

    def backward(self, dout: Array) -> Any:
        return dout + self.block.backward(dout)


class MeanSquare:
    """A loss of no base class."""

    def forward(self, y: Array, t: Array) -> np.float64:
        self.error = y - t
        return np.float64(np.mean(self.error**2))

    def backward(self, dout: float = 1.0) -> Array:
        return 2 * dout * self.error / self.error.size


class Descent:
    """An optimizer of no base class."""

    lr = 0.1

    def step(self, params: Sequence[Array], grads: Sequence[Array]) -> None:
        for p, g in zip(params, grads, strict=True):
            p -= self.lr * g


def slower(step: int) -> float:
    return 0.1 / (1 + step / 100)


rng = np.random.default_rng(0)
own = Trainer(Residual(Swish()), MeanSquare(), Descent(), rng=rng, schedule=slower)
net = Sequential(Affine.random(4, 8, rng), Swish(), ReLU(), Affine.random(8, 3, rng))
x, t = np.ones((5, 4), np.float32), np.zeros(5, int)
trainer = Trainer(net, CrossEntropyLoss(), Adam(0.01), rng=rng)
loss: float = trainer.train_step(x, t)
value, grads = value_and_grads(net, CrossEntropyLoss(), x, t)
layer_laws(Swish, np.ones((2, 3)))
print(net.summary(), loss, value, len(grads))
