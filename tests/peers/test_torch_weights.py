"""Nets with the weights of PyTorch's: outputs and gradients beside PyTorch's own."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from chainrule.layers import (
    GELU,
    GRU,
    LSTM,
    RNN,
    Affine,
    AveragePooling,
    BatchNorm,
    Concatenate,
    Convolution,
    ConvolutionTranspose,
    Embedding,
    Flatten,
    GroupNorm,
    LayerNorm,
    MatMul,
    MaxPooling,
    ReLU,
    Reverse,
    SelfAttention,
    Slice,
    Tanh,
)
from chainrule.networks import Branch, Parallel, Sequential
from chainrule.networks.interchange import from_torch, to_torch

RNG = np.random.default_rng(0)
IDS = RNG.integers(11, size=(4, 6))


class Last(nn.Module):
    """The last step of what a recurrent module returns."""

    def __init__(self, *modules):
        super().__init__()
        self.body = nn.ModuleList(modules)

    def forward(self, x):
        for module in self.body:
            x = module(x)
            x = x[0] if isinstance(x, tuple) else x
        return x[:, -1]


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(11, 8)
        self.mixer = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.words(x)
        hidden = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        x, _ = self.mixer(x, x, x, attn_mask=hidden, need_weights=False)
        return self.head(self.norm(x))


def recurrent(layer, module):
    return (
        lambda: Last(
            nn.Embedding(11, 5), module(5, 7, num_layers=2, batch_first=True), nn.Linear(7, 3)
        ),
        lambda r, d: Sequential(
            *(Embedding.random(11, 5, r, dtype=d), layer.random(5, 7, r, dtype=d)),
            *(layer.random(7, 7, r, dtype=d), Affine.random(7, 3, r, dtype=d), Slice(np.s_[:, -1])),
        ),
        IDS,
    )


def both_directions(D, H, r, d):
    forth, back = (LSTM.random(D, H, r, dtype=d) for _ in range(2))
    return Sequential(
        Branch(2), Parallel(forth, Sequential(Reverse(), back, Reverse())), Concatenate()
    )


NETS = {
    "dense": (
        lambda: nn.Sequential(
            *(nn.Linear(6, 9), nn.BatchNorm1d(9), nn.GELU(), nn.Linear(9, 5, bias=False)),
            *(nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 2)),
        ),
        lambda r, d: Sequential(
            *(Affine.random(6, 9, r, dtype=d), BatchNorm.identity(9, dtype=d), GELU()),
            *(MatMul.random(9, 5, r, dtype=d), LayerNorm.identity(5, dtype=d), Tanh()),
            Affine.random(5, 2, r, dtype=d),
        ),
        RNG.normal(size=(8, 6)),
    ),
    "images": (
        lambda: nn.Sequential(
            *(nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU()),
            *(
                nn.MaxPool2d(2),
                nn.Conv2d(6, 4, (3, 2), groups=2, dilation=(1, 2)),
                nn.GroupNorm(2, 4),
            ),
            *(nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, groups=2), nn.AvgPool2d(2)),
            *(nn.Flatten(), nn.Linear(12, 3)),
        ),
        lambda r, d: Sequential(
            *(
                Convolution.random(2, 6, 3, r, pad=1, dtype=d),
                BatchNorm.identity(6, dtype=d),
                ReLU(),
            ),
            *(
                MaxPooling(2),
                Convolution.random(6, 4, (3, 2), r, groups=2, dilation=(1, 2), dtype=d),
            ),
            GroupNorm.identity(4, 2, dtype=d),
            ConvolutionTranspose.random(4, 6, 3, r, stride=2, pad=1, groups=2, dtype=d),
            *(AveragePooling(2), Flatten(), Affine.random(12, 3, r, dtype=d)),
        ),
        RNG.normal(size=(5, 2, 8, 10)),
    ),
    "both directions": (
        lambda: Last(nn.LSTM(3, 5, num_layers=2, batch_first=True, bidirectional=True)),
        lambda r, d: Sequential(
            *(both_directions(3, 5, r, d), both_directions(10, 5, r, d), Slice(np.s_[:, -1])),
        ),
        RNG.normal(size=(4, 6, 3)),
    ),
    "RNN": recurrent(RNN, nn.RNN),
    "LSTM": recurrent(LSTM, nn.LSTM),
    "GRU": recurrent(GRU, nn.GRU),
    "attention": (
        Attending,
        lambda r, d: Sequential(
            *(
                Embedding.random(11, 8, r, dtype=d),
                SelfAttention.random(8, 2, r, causal=True, dtype=d),
            ),
            *(LayerNorm.identity(8, dtype=d), Affine.random(8, 3, r, dtype=d)),
        ),
        IDS,
    ),
}


def gradients(net, model):
    """Yield the name, our gradient and PyTorch's of each parameter of a model."""
    holder = copy.deepcopy(net)
    for param, grad in zip(holder.params, net.grads, strict=True):
        param[...] = grad
    for _, part in holder.walk():
        if isinstance(part, Convolution) and part.groups == 1:
            part.b[...] = 0  # the model's has none
    ours = to_torch(holder, model.state_dict())
    for key, param in model.named_parameters():
        # of two biases that are added, to_torch fills the first, and both have its gradient
        same = key.replace("bias_hh", "bias_ih") if "GRU" not in repr(model) else key
        yield key, ours[same], param.grad.numpy()


@pytest.mark.parametrize(("dtype", "accuracy"), [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("name", NETS)
def test_outputs_and_gradients(name, dtype, accuracy):
    make_model, make_net, x = NETS[name]
    torch.manual_seed(0)
    model = make_model().to(getattr(torch, dtype))
    net = make_net(np.random.default_rng(1), np.dtype(dtype))
    from_torch(net, model.state_dict())
    x = x if x.dtype.kind == "i" else x.astype(dtype)
    out = model(torch.from_numpy(x))
    dout = np.random.default_rng(2).normal(size=out.shape).astype(dtype)
    out.backward(torch.from_numpy(dout))

    y = net.forward(x)
    net.backward(dout)
    expected = out.detach().numpy()
    assert np.abs(y - expected).max() <= accuracy * np.abs(expected).max()
    for key, ours, theirs in gradients(net, model):
        scale = max(np.abs(theirs).max(), 1e-2)
        assert np.abs(ours - theirs).max() <= 10 * accuracy * scale, key

    again = to_torch(net, model.state_dict())
    other = make_model().to(getattr(torch, dtype))
    other.load_state_dict({key: torch.from_numpy(array) for key, array in again.items()})
    model.eval()
    other.eval()
    with torch.no_grad():
        np.testing.assert_allclose(
            other(torch.from_numpy(x)).numpy(), net.predict(x), rtol=accuracy, atol=10 * accuracy
        )
