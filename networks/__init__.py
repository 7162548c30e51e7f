"""Networks: chains of layers, and what trains them."""

from .history import History
from .metrics import accuracy
from .network import Network
from .optimizers import SGD, Adam
from .recipes import one_layer_net, two_layer_net
from .sequential import Branch, Parallel, Sequential
from .trainer import Trainer

__all__ = [
    "SGD",
    "Adam",
    "Branch",
    "History",
    "Network",
    "Parallel",
    "Sequential",
    "Trainer",
    "accuracy",
    "one_layer_net",
    "two_layer_net",
]
