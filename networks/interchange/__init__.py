"""Exchange with other libraries: ONNX models, and the weights of PyTorch."""

from . import onnx_sequences  # noqa: F401 - it registers its rows
from .onnx import to_onnx
from .onnx_graph import OnnxGraph, onnx_operators
from .torch import from_torch, to_torch, torch_names

__all__ = ["OnnxGraph", "from_torch", "onnx_operators", "to_onnx", "to_torch", "torch_names"]
