"""Training: the Trainer, minimize, history and metrics."""

from .evaluation import accuracy
from .history import History
from .minimize import minimize
from .trainer import Trainer

__all__ = ["History", "Trainer", "accuracy", "minimize"]
