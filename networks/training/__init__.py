"""Training: the Trainer, minimize, history, metrics, and what is seen of a training."""

from .gradient_flow import gradient_flow
from .history import History
from .learning_rate import learning_rate_range
from .metrics import ConfusionMatrix, accuracy, confusion_matrix, top_k_accuracy
from .minimize import minimize
from .trainer import Trainer

__all__ = [
    "ConfusionMatrix",
    "History",
    "Trainer",
    "accuracy",
    "confusion_matrix",
    "gradient_flow",
    "learning_rate_range",
    "minimize",
    "top_k_accuracy",
]
