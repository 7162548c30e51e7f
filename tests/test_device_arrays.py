"""Every row of the table on arrays that are not NumPy's, as on a GPU: the same bits."""

import numpy as np
import pytest
from conformance import TABLE, make
from device_array import DeviceArray, asarray, asnumpy

from chainrule.layers import GELU, Embedding, Layer
from chainrule.layers.nested import leaves, map_leaves
from chainrule.layers.tree import params_and_grads, walk

every_row = pytest.mark.parametrize(("factory", "inputs"), TABLE)


def to_device(value):
    return map_leaves(lambda leaf: asarray(leaf) if isinstance(leaf, np.ndarray) else leaf, value)


def is_exact(layer):
    """Whether the formula is the same: `device` has two for GELU, and two for Embedding's dW."""
    return not any(isinstance(part, GELU | Embedding) for _, part in walk(layer))


def assert_same(there, here, exact=True):
    for (place, mine), (_, theirs) in zip(leaves(here), leaves(there), strict=True):
        if mine is None:
            assert theirs is None
            continue
        assert isinstance(theirs, DeviceArray) == isinstance(mine, np.ndarray), place
        got = asnumpy(theirs)
        assert (got.dtype, got.shape) == (np.asarray(mine).dtype, np.shape(mine))
        np.testing.assert_allclose(got, mine, rtol=0 if exact else 1e-6, atol=0 if exact else 1e-6)


def ones_like(value, rng):
    if isinstance(value, tuple):
        return tuple(ones_like(part, rng) for part in value)
    if not isinstance(value, np.ndarray):
        return 1.5
    return rng.normal(size=value.shape).astype(value.dtype if value.dtype.kind == "f" else float)


@every_row
def test_forward_and_backward_give_the_bits_of_numpy(factory, inputs):
    here, there = make(factory), make(factory)
    Layer.map_arrays(there, asarray)
    exact = is_exact(here)
    out = here.forward(*inputs)
    assert_same(there.forward(*to_device(inputs)), out, exact)
    dout = ones_like(out, np.random.default_rng(3))
    dx, moved_dx = here.backward(dout), there.backward(to_device(dout))
    assert_same(moved_dx, dx, exact)
    for mine, theirs in zip(params_and_grads(here)[1], params_and_grads(there)[1], strict=True):
        assert_same(theirs, mine, exact)
