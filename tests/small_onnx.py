"""What the tests of ONNX share: running a model, and comparing it with the net."""

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

from chainrule.layers.nested import leaves, map_leaves
from chainrule.layers.tree import walk

# Of these onnxruntime has no kernel for doubles; ONNX's own slow evaluator runs them.
NO_DOUBLES = {"Conv", "ConvTranspose", "AveragePool", "Gelu", "Softplus", "LSTM", "GRU", "RNN"}
ACCURACY = {np.float32: 1e-5, np.float64: 1e-10}


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def run(model, *inputs):
    """Return the outputs of a model, by onnxruntime if it can."""
    onnx.checker.check_model(model, full_check=True)
    names = [entry.name for entry in model.graph.input]
    feed = {name: np.asarray(leaf) for name, (_, leaf) in zip(names, leaves(inputs), strict=True)}
    types = {entry.type.tensor_type.elem_type for entry in model.graph.output}
    operators = {node.op_type for node in model.graph.node}
    doubles = onnx.TensorProto.DOUBLE in types and operators & NO_DOUBLES
    return (ReferenceEvaluator(model) if doubles else session(model)).run(None, feed)


def in_dtype(layer, inputs, dtype):
    """Convert the arrays of a layer and its inputs."""
    twins = {}
    for _, part in walk(layer):
        for name in (*getattr(part, "param_names", ()), *getattr(part, "buffer_names", ())):
            array = getattr(part, name)
            setattr(part, name, twins.setdefault(id(array), (array.astype(dtype), array))[0])

    def convert(leaf):
        floats = isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f"
        return leaf.astype(dtype) if floats else leaf

    return map_leaves(convert, inputs)


def assert_same(model, net, inputs, accuracy):
    expected = [np.asarray(leaf) for _, leaf in leaves(net.predict(*inputs))]
    for got, wanted in zip(run(model, *inputs), expected, strict=True):
        assert got.dtype == wanted.dtype
        assert got.shape == wanted.shape
        scale = np.abs(wanted).max(initial=0)
        np.testing.assert_allclose(got, wanted, rtol=accuracy, atol=accuracy * scale)
