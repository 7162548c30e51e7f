"""A step that fails leaves buffers and Generators as they were, whatever the error."""

import numpy as np
import pytest
from small_training import data

from chainrule.layers import Affine, BatchNorm, CrossEntropyLoss, Dropout, Layer
from chainrule.networks import Adam, Sequential, Trainer


class Noise(Layer):
    """Draws from Generators in a list."""

    def __init__(self):
        self.rngs = [np.random.default_rng(5)]

    def forward(self, x):
        return x + self.rngs[0].normal(size=x.shape)

    def backward(self, dout):
        return dout


class BadGradient(Layer):
    def __init__(self, factor):
        self.factor = factor

    def forward(self, x):
        return x

    def backward(self, dout):
        return self.factor * dout


def everything(trainer):
    net, noise = trainer.net.state_dict(), trainer.net[1].rngs[0]
    dropout = trainer.net[2].rng
    return str((net, noise.bit_generator.state, dropout.bit_generator.state))


@pytest.mark.parametrize("how", ["loss", "labels", "gradient", "schedule", "optimizer"])
def test_a_failed_step_leaves_no_trace(how):
    rng = np.random.default_rng(0)
    layers = [BatchNorm.identity(4, dtype=np.float64), Noise(), Dropout(0.5, rng)]
    layers += [Affine.random(4, 3, rng, dtype=np.float64)]
    options = {}
    if how == "gradient":
        layers, options = [*layers, BadGradient(np.nan)], {"max_norm": 1.0}
    if how == "optimizer":  # which squares the gradients
        layers = [*layers, BadGradient(1e200)]
    if how == "schedule":
        options = {"schedule": lambda step: -1.0}
    trainer = Trainer(Sequential(*layers), CrossEntropyLoss(), Adam(), rng, **options)
    x, t = data(np.random.default_rng(1))
    before = everything(trainer)
    if how == "loss":
        x = x.copy()
        x[3] = np.inf
    with np.errstate(all="ignore"), pytest.raises((FloatingPointError, ValueError)):
        trainer.train_step(x, t[:-1] if how == "labels" else t)
    assert everything(trainer) == before
    assert trainer.steps == 0
