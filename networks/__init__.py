"""Networks: chains of layers, and what trains them."""

from .drawing import draw
from .function_stack import FunctionStack
from .gradients import value_and_grads
from .graph import Graph
from .network import Network
from .optimizers import (
    L1,
    L2,
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    Optimizer,
    RMSProp,
    clip_gradients,
    clip_values,
    schedules,
)
from .parallel import DataParallel
from .recipes import (
    deep_conv_net,
    one_layer_net,
    recurrent_net,
    residual_conv_net,
    simple_conv_net,
    transformer_net,
    two_layer_net,
    variational_autoencoder,
)
from .sequential import Branch, Parallel, Sequential
from .training import (
    ConfusionMatrix,
    History,
    Trainer,
    accuracy,
    confusion_matrix,
    gradient_flow,
    learning_rate_range,
    minimize,
    top_k_accuracy,
)

__all__ = [
    "L1",
    "L2",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Branch",
    "ConfusionMatrix",
    "DataParallel",
    "FunctionStack",
    "Graph",
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
    "confusion_matrix",
    "deep_conv_net",
    "draw",
    "gradient_flow",
    "learning_rate_range",
    "minimize",
    "one_layer_net",
    "recurrent_net",
    "residual_conv_net",
    "schedules",
    "simple_conv_net",
    "top_k_accuracy",
    "transformer_net",
    "two_layer_net",
    "value_and_grads",
    "variational_autoencoder",
]
