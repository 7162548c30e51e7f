"""Class weights, ignored labels and weights of positives beside PyTorch, in float64, to 1e-12."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from chainrule.layers import BinaryCrossEntropyLoss, CrossEntropyLoss

CLASS_WEIGHTS = np.array([0.5, 2.0, 0.0, 1.5])
both_reductions = pytest.mark.parametrize("reduction", ["mean", "sum"])


def assert_same(loss, y, t, expected, logits):
    expected.backward()
    np.testing.assert_allclose(loss.forward(y, t), expected.item(), rtol=1e-12)
    np.testing.assert_allclose(loss.backward(), logits.grad.numpy(), rtol=1e-12, atol=1e-15)


@both_reductions
@pytest.mark.parametrize("class_weights", [None, CLASS_WEIGHTS])
@pytest.mark.parametrize("ignore_index", [None, -1, 3])
@pytest.mark.parametrize("shape", [(9,), (3, 5)])
def test_class_weights_and_ignored_labels(reduction, class_weights, ignore_index, shape):
    rng = np.random.default_rng(0)
    y, t = 3 * rng.normal(size=(*shape, 4)), rng.integers(0, 4, shape)
    if ignore_index is not None:
        t[..., ::2] = ignore_index
    loss = CrossEntropyLoss(reduction, class_weights=class_weights, ignore_index=ignore_index)
    logits = torch.tensor(y, requires_grad=True)
    expected = functional.cross_entropy(
        logits.movedim(-1, 1),
        torch.from_numpy(t),
        weight=None if class_weights is None else torch.from_numpy(class_weights),
        ignore_index=-100 if ignore_index is None else ignore_index,
        reduction=reduction,
    )
    assert_same(loss, y, t, expected, logits)


@both_reductions
@pytest.mark.parametrize("positive_weight", [0.25, 1.0, 7.0])
def test_weight_of_the_positives(reduction, positive_weight):
    rng = np.random.default_rng(0)
    y, t = 5 * rng.normal(size=(9, 4)), rng.uniform(size=(9, 4))
    t[::2] = t[::2].round()
    loss = BinaryCrossEntropyLoss(reduction, positive_weight=positive_weight)
    logits = torch.tensor(y, requires_grad=True)
    expected = functional.binary_cross_entropy_with_logits(
        *(logits, torch.from_numpy(t)),
        reduction=reduction,
        pos_weight=torch.tensor(positive_weight, dtype=torch.float64),
    )
    assert_same(loss, y, t, expected, logits)
