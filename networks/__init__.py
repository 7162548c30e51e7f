"""Networks: chains of layers, and what trains them."""

from .network import Network
from .optimizers import SGD, Adam
from .recipes import one_layer_net, two_layer_net
from .sequential import Branch, Parallel, Sequential
from .trainer import Trainer

__all__ = [
    "SGD",
    "Adam",
    "Branch",
    "Network",
    "Parallel",
    "Sequential",
    "Trainer",
    "one_layer_net",
    "two_layer_net",
]
