"""Optimizers, with schedules, clipping and penalties."""

from . import schedules
from .adaptive import AdaGrad, Adam, AdamW, RMSProp
from .base import Optimizer
from .clipping import clip_gradients, clip_values
from .penalties import L1, L2
from .sgd import SGD

__all__ = [
    "L1",
    "L2",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSProp",
    "clip_gradients",
    "clip_values",
    "schedules",
]
