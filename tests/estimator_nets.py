"""A net for the estimators' tests, where other processes can import it."""

from chainrule.layers import Affine, Convolution, Flatten, ReLU, Reshape
from chainrule.networks import Sequential


def convolution_net(inputs, outputs, rng):
    """Take each row for an image of one line."""
    return Sequential(
        Reshape(1, 1, inputs),
        Convolution.random(1, 4, (1, 3), rng, pad=(0, 1)),
        ReLU(),
        Flatten(),
        Affine.random(4 * inputs, outputs, rng),
    )
