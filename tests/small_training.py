"""A small classification and its Trainer, for the tests of training."""

import numpy as np

from chainrule.layers import (
    Affine,
    CrossEntropyLoss,
    Tanh,
)
from chainrule.networks import (
    SGD,
    Sequential,
    Trainer,
)


def data(rng, n=50, dtype=np.float64):
    x = rng.normal(size=(n, 4)).astype(dtype)
    return x, (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0)


def classifier(rng, dtype=np.float64, hidden=6):
    return Sequential(
        Affine.random(4, hidden, rng, dtype=dtype),
        Tanh(),
        Affine.random(hidden, 3, rng, dtype=dtype),
    )


def trainer(seed=0, optimizer=None, dtype=np.float64, **options):
    rng = np.random.default_rng(seed)
    net = classifier(rng, dtype)
    return Trainer(net, CrossEntropyLoss(), optimizer or SGD(0.5), rng=rng, **options)


def same(net, other):
    a, b = net.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() for k in a)
