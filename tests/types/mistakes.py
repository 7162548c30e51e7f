"""Mistakes that mypy and pyright must report, on each line that ends with `# wrong`."""

import numpy as np

from chainrule.layers import Affine, MSELoss
from chainrule.networks import SGD, Sequential, Trainer

rng = np.random.default_rng(0)
net = Sequential(Affine.random(4, 3, rng))
net.sumary()  # wrong
number: int = net.summary()  # wrong
Trainer(net, MSELoss(), SGD("fast"), rng=rng)  # wrong
Trainer(net, MSELoss(), SGD(), rng=0)  # wrong
Sequential(net, 3)  # wrong
Trainer(net, lambda y, t: 0.0, SGD(), rng=rng)  # wrong
Trainer(net, MSELoss(), 0.1, rng=rng)  # wrong
Trainer(net, MSELoss(), SGD(), rng=rng, schedule=0.1)  # wrong
