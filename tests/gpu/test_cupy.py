"""The table, a training and MNIST on a GPU beside NumPy: needs CuPy and a GPU."""

import cupy
import numpy as np
import pytest
from conformance import TABLE, make

from chainrule.datasets import load_mnist_sample
from chainrule.layers import CrossEntropyLoss, Layer
from chainrule.layers.nested import leaves, map_leaves
from chainrule.networks import SGD, AdaGrad, Adam, AdamW, RMSProp, Trainer, simple_conv_net

OPTIMIZERS = [SGD(0.1), SGD(0.1, momentum=0.9), AdaGrad(), RMSProp(0.001), Adam(), AdamW()]


def to_gpu(value):
    return map_leaves(
        lambda leaf: cupy.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf, value
    )


def in_float32(value):
    def single(leaf):
        is_float = isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f"
        return leaf.astype(np.float32) if is_float else leaf

    return map_leaves(single, value)


def assert_close(there, here):
    for (_, mine), (_, theirs) in zip(leaves(here), leaves(there), strict=True):
        if mine is not None:
            got, expected = cupy.asnumpy(theirs), np.asarray(mine)
            assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
            scale = np.abs(expected).max(initial=0)
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize(("factory", "inputs"), TABLE)
def test_forward_and_backward(factory, inputs):
    here, there, inputs = make(factory), make(factory), in_float32(inputs)
    for layer in (here, there):
        Layer.map_arrays(layer, lambda a: a.astype(np.float32) if a.dtype.kind == "f" else a)
    Layer.map_arrays(there, cupy.asarray)
    out = here.forward(*inputs)
    assert_close(there.forward(*to_gpu(inputs)), out)
    rng = np.random.default_rng(3)
    dout = map_leaves(lambda y: rng.normal(size=np.shape(y)).astype(np.float32), out)
    dout = map_leaves(lambda d: d if d.ndim else float(d), dout)
    assert_close(there.backward(to_gpu(dout)), here.backward(dout))
    for mine, theirs in zip(here.grads, there.grads, strict=True):
        assert_close(theirs, mine)


def trained(optimizer, on_gpu, steps):
    (x, t), test = load_mnist_sample(flatten=False)
    rng = np.random.default_rng(0)
    net = simple_conv_net(rng)
    if on_gpu:
        net.map_arrays(cupy.asarray)
    trainer = Trainer(net, CrossEntropyLoss(), optimizer, rng=rng)
    trainer.fit(x[: 100 * steps], t[: 100 * steps], epochs=1, batch_size=100, progress=False)
    return trainer, test


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_ten_steps(optimizer):
    make = type(optimizer)
    options = {name: getattr(optimizer, name) for name in optimizer.settings}
    (here, _), (there, _) = (trained(make(**options), on_gpu, 10) for on_gpu in (False, True))
    losses = there.history.step_losses
    np.testing.assert_allclose(losses, here.history.step_losses, rtol=1e-3)


def test_mnist_to_the_accuracy_of_the_cpu():
    (here, test), (there, _) = (trained(Adam(), on_gpu, 40) for on_gpu in (False, True))
    accuracies = [trainer.evaluate(*test)["accuracy"] for trainer in (here, there)]
    assert accuracies[1] == pytest.approx(accuracies[0], abs=0.01)
