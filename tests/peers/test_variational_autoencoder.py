"""A step of the variational autoencoder beside PyTorch's, in float64, to 1e-10."""

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from chainrule.layers import BinaryCrossEntropyLoss, MAELoss, SumLoss
from chainrule.networks import value_and_grads, variational_autoencoder


def test_the_lower_bound_and_its_gradients():
    rng = np.random.default_rng(0)
    net = variational_autoencoder(6, 5, 2, rng, dtype=np.float64)
    x = rng.uniform(size=(4, 6))
    loss = SumLoss(BinaryCrossEntropyLoss(), MAELoss(), weights=(6, 1))
    draws = np.random.default_rng(1)
    net[2][0][0].rng = draws
    found, grads = value_and_grads(net, loss, x, (x, np.zeros(4)))

    eps = torch.from_numpy(np.random.default_rng(1).standard_normal((4, 2)))
    params = [torch.tensor(param, requires_grad=True) for param in net.params]
    W1, b1, Wm, bm, Wv, bv, W2, b2, W3, b3 = params
    xs = torch.from_numpy(x)
    hidden = torch.relu(xs @ W1 + b1)
    mean, log_var = hidden @ Wm + bm, hidden @ Wv + bv
    z = torch.distributions.Normal(mean, torch.exp(log_var / 2))
    y = torch.relu((mean + z.stddev * eps) @ W2 + b2) @ W3 + b3
    likelihood = -binary_cross_entropy_with_logits(y, xs, reduction="none").sum(dim=1)
    kl = torch.distributions.kl_divergence(z, torch.distributions.Normal(0.0, 1.0)).sum(dim=1)
    expected = -(likelihood - kl).mean()
    expected.backward()
    np.testing.assert_allclose(found, expected.item(), rtol=1e-12)
    for grad, param in zip(grads, params, strict=True):
        np.testing.assert_allclose(grad, param.grad.numpy(), rtol=0, atol=1e-10)
