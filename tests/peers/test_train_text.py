"""The GPT of train_text.py beside PyTorch's same net: same weights, same batches, same losses."""

from pathlib import Path

import numpy as np
import torch

from chainrule.datasets import crops
from chainrule.layers import CrossEntropyLoss
from chainrule.networks import Adam, Trainer

SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_the_gpt_learns_step_by_step_as_pytorchs(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    from benchmarks.pytorch_layers import layer
    from train_text import build

    V, T, size, depth, rng = 11, 16, 32, 2, np.random.default_rng(0)
    net = build("gpt", V, T, size, depth, rng)
    specs = [("embedding", V, size), ("position", T, size), *[("block", size, 4)] * depth]
    specs += [("norm", size), ("affine", size, V)]
    arrays = iter([torch.tensor(param) for param in net.params])
    theirs = torch.nn.Sequential(*(layer(spec, arrays) for spec in specs))
    assert not list(arrays)  # all weights are handed over

    trainer = Trainer(net, CrossEntropyLoss(), Adam(lr=1e-2), rng, max_norm=1.0)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-2)
    text = np.cumsum(rng.integers(3, size=500)) % V
    losses = []
    for _ in range(30):
        x, t = crops(text, 4, T, rng)
        optimizer.zero_grad()
        y = theirs(torch.from_numpy(x))
        loss = torch.nn.functional.cross_entropy(y.flatten(0, 1), torch.from_numpy(t).flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizer.step()
        losses.append((trainer.train_step(x, t), loss.item()))
    ours, torchs = np.transpose(losses)
    np.testing.assert_allclose(ours, torchs, rtol=0, atol=1e-3)
    assert ours[-1] < 0.6 * ours[0]  # it does learn
