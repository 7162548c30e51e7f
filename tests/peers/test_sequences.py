"""The sequence layers beside PyTorch's, with the same weights in float64, to 1e-10."""

import numpy as np
import pytest
import torch

from chainrule.layers import (
    GRU,
    LSTM,
    RNN,
    Attention,
    Concatenate,
    Embedding,
    Reverse,
    SelfAttention,
)
from chainrule.networks import Branch, Parallel, Sequential

N, T, D, H = 3, 5, 4, 6


def normal(*shape):
    return np.random.default_rng([3, *shape]).normal(size=shape)


def tensor(array, grad=True):
    return torch.tensor(array, dtype=torch.float64, requires_grad=grad)


def same(ours, theirs):
    theirs = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else theirs
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


def put(layer, module, suffix=""):
    """Give PyTorch's module our weights."""
    biases = (layer.bx, layer.bh) if isinstance(layer, GRU) else (layer.b, 0 * layer.b)
    with torch.no_grad():
        for name, array in zip(
            ("weight_ih", "weight_hh", "bias_ih", "bias_hh"),
            (layer.Wx.T, layer.Wh.T, *biases),
            strict=True,
        ):
            getattr(module, f"{name}_l0{suffix}").copy_(tensor(array, grad=False))


def same_weight_gradients(layer, module, suffix=""):
    same(layer.dWx, getattr(module, f"weight_ih_l0{suffix}").grad.T)
    same(layer.dWh, getattr(module, f"weight_hh_l0{suffix}").grad.T)
    same(
        layer.dbx if isinstance(layer, GRU) else layer.db,
        getattr(module, f"bias_ih_l0{suffix}").grad,
    )
    if isinstance(layer, GRU):
        same(layer.dbh, getattr(module, f"bias_hh_l0{suffix}").grad)


def drawn(make, **options):
    """A layer with biases that are not zero."""
    layer = make.random(D, H, np.random.default_rng(1), dtype=np.float64, **options)
    for name in layer.param_names:
        param = getattr(layer, name)
        param[...] = 0.5 * normal(*param.shape, len(name))[..., 0]
    return layer


@pytest.mark.parametrize(
    ("make", "theirs", "states"),
    [(RNN, torch.nn.RNN, 1), (LSTM, torch.nn.LSTM, 2), (GRU, torch.nn.GRU, 1)],
)
@pytest.mark.parametrize("given", [False, True])
def test_recurrent_layers_with_states(make, theirs, states, given):
    layer = drawn(make, return_state=True)
    module = theirs(D, H, batch_first=True, dtype=torch.float64)
    put(layer, module)
    x, first = normal(N, T, D), [normal(N, H, k)[..., 0] for k in range(1, 1 + states)]
    tx, tfirst = tensor(x), [tensor(s[np.newaxis]) for s in first]
    hs, *last = layer.forward(x, *first) if given else layer.forward(x)
    packed = tuple(tfirst) if states > 1 else tfirst[0]
    ths, tlast = module(tx, packed) if given else module(tx)
    tlast = tlast if states > 1 else (tlast,)
    same(hs, ths)
    for ours, its in zip(last, tlast, strict=True):
        same(ours, its[0])

    douts = normal(N, T, H), *(normal(N, H, 7, k)[:, :, 0, 0] for k in range(1, 1 + states))
    total = (ths * tensor(douts[0], grad=False)).sum()
    for its, dout in zip(tlast, douts[1:], strict=True):
        total = total + (its[0] * tensor(dout, grad=False)).sum()
    total.backward()
    dx, *dfirst = layer.backward(douts) if given else (layer.backward(douts),)
    same(dx, tx.grad)
    for ours, its in zip(dfirst, tfirst if given else (), strict=True):
        same(ours, its.grad[0])
    same_weight_gradients(layer, module)


@pytest.mark.parametrize(
    ("make", "theirs"), [(RNN, torch.nn.RNN), (LSTM, torch.nn.LSTM), (GRU, torch.nn.GRU)]
)
def test_both_directions(make, theirs):
    forth, back = drawn(make), drawn(make)
    for param in back.params:
        param *= -0.7
    net = Sequential(
        Branch(2), Parallel(forth, Sequential(Reverse(), back, Reverse())), Concatenate()
    )
    module = theirs(D, H, batch_first=True, bidirectional=True, dtype=torch.float64)
    put(forth, module)
    put(back, module, "_reverse")
    x, dout = normal(N, T, D), normal(N, T, 2 * H)
    tx = tensor(x)
    out, _ = module(tx)
    same(net.forward(x), out)
    (out * tensor(dout, grad=False)).sum().backward()
    same(net.backward(dout), tx.grad)
    same_weight_gradients(forth, module)
    same_weight_gradients(back, module, "_reverse")


@pytest.mark.parametrize("masked", [False, True])
def test_attention(masked):
    q, k, v = normal(N, 2, T, D), normal(N, 2, 7, D), normal(N, 2, 7, H)
    mask = normal(N, 1, T, 7) > -0.5 if masked else None
    if masked:
        mask[..., 0] = True  # PyTorch has NaN or 0 for a query that sees nothing, by the version
    tq, tk, tv = tensor(q), tensor(k), tensor(v)
    tmask = torch.tensor(mask) if masked else None
    out = torch.nn.functional.scaled_dot_product_attention(tq, tk, tv, attn_mask=tmask)
    attention = Attention()
    same(attention.forward(q, k, v, mask), out)
    dout = normal(*out.shape)
    (out * tensor(dout, grad=False)).sum().backward()
    for ours, its in zip(attention.backward(dout), (tq, tk, tv), strict=False):
        same(ours, its.grad)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_self_attention(causal, padded):
    size, heads = 8, 2
    layer = SelfAttention.random(
        size, heads, np.random.default_rng(0), causal=causal, dtype=np.float64
    )
    layer.b[...], layer.bo[...] = normal(3 * size), normal(size)
    module = torch.nn.MultiheadAttention(size, heads, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        module.in_proj_weight.copy_(tensor(layer.W.T, grad=False))
        module.in_proj_bias.copy_(tensor(layer.b, grad=False))
        module.out_proj.weight.copy_(tensor(layer.Wo.T, grad=False))
        module.out_proj.bias.copy_(tensor(layer.bo, grad=False))
    x, dout = normal(N, T, size), normal(N, T, size)
    valid = np.arange(T) < np.array([[T], [2], [4]]) if padded else None
    tx = tensor(x)
    out, weights = module(
        *(tx, tx, tx),
        key_padding_mask=None if valid is None else torch.tensor(~valid),
        attn_mask=torch.triu(torch.ones(T, T, dtype=torch.bool), 1) if causal else None,
        average_attn_weights=False,
    )
    same(layer.forward(x, valid) if padded else layer.forward(x), out)
    same(layer.weights, weights)
    (out * tensor(dout, grad=False)).sum().backward()
    dx = layer.backward(dout)
    same(dx[0] if padded else dx, tx.grad)
    same(layer.dW, module.in_proj_weight.grad.T)
    same(layer.db, module.in_proj_bias.grad)
    same(layer.dWo, module.out_proj.weight.grad.T)
    same(layer.dbo, module.out_proj.bias.grad)


def test_embedding():
    layer = Embedding(normal(7, D))
    x, dout = np.random.default_rng(0).integers(7, size=(N, T)), normal(N, T, D)
    W = tensor(layer.W)
    out = torch.nn.functional.embedding(torch.tensor(x), W)
    same(layer.forward(x), out)
    (out * tensor(dout, grad=False)).sum().backward()
    assert layer.backward(dout) is None
    same(layer.dW, W.grad)
