"""The checker accuses no right layer, whatever rounding, kinks and inputs left out look like."""

import numpy as np
import pytest

from chainrule import layers as library
from chainrule.layers import Layer, ReLU, check_gradients, layer_laws
from chainrule.networks import Sequential

RNG = np.random.default_rng(5)


def test_a_plateau_of_rounding_is_no_slope_of_zero():
    class LogCosh(Layer):
        def forward(self, x):
            self.x = x
            return np.log(np.cosh(x))

        def backward(self, dout):
            return dout * np.tanh(self.x)

    for seed in range(2):
        rng = np.random.default_rng(seed)
        check_gradients(LogCosh(), 1e-3 * rng.normal(size=(4, 3)))
        q, k, v = rng.normal(size=(3, 2, 5, 4))  # a softmax that is 0 or 1 but for rounding
        check_gradients(library.Attention(), 1e3 * q, 1e3 * k, v)


@pytest.mark.parametrize("kind", [library.RNN, library.LSTM, library.SelfAttention])
def test_optional_inputs_may_be_none(kind):
    left_out = (None, None) if kind is library.LSTM else (None,)
    layer = kind.random(4, 2, RNG, dtype=np.float64)
    check_gradients(layer, RNG.normal(size=(2, 3, 4)), *left_out)


def test_kinks_of_inputs_of_many_sizes_are_no_mistakes():
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=500) * np.exp(5 * rng.normal(size=500))
        check_gradients(ReLU(), x, max_elements=20)


def test_rounding_alone_is_no_gradient():
    """db before a BatchNorm is 0 but for rounding; offsets take digits inside the function."""

    def net(rng):
        return Sequential(
            library.Affine.random(3, 4, rng),
            library.BatchNorm.identity(4),
            library.Dropout(0.3, rng),
        )

    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=(8, 3))
        layer_laws(net, x)
        for offset in (1e3, 1e5):
            check_gradients(library.BatchNorm.identity(3), offset + x, max_elements=10)
            check_gradients(library.LayerNorm.identity(3), offset + x, max_elements=10)
