"""Networks: chains of layers, and what trains them."""

from . import schedules
from .clipping import clip_gradients, clip_values
from .history import History
from .metrics import accuracy
from .minimize import minimize
from .network import Network
from .optimizer_base import Optimizer
from .optimizers import SGD, AdaGrad, Adam, AdamW, RMSProp
from .recipes import deep_conv_net, one_layer_net, simple_conv_net, two_layer_net
from .regularization import L1, L2
from .sequential import Branch, Parallel, Sequential
from .trainer import Trainer

__all__ = [
    "L1",
    "L2",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Branch",
    "History",
    "Network",
    "Optimizer",
    "Parallel",
    "RMSProp",
    "Sequential",
    "Trainer",
    "accuracy",
    "clip_gradients",
    "clip_values",
    "deep_conv_net",
    "minimize",
    "one_layer_net",
    "schedules",
    "simple_conv_net",
    "two_layer_net",
]
