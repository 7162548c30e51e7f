"""The checker is tested to fail: planted bugs, each caught and named rightly."""

import re

import numpy as np
import pytest

from chainrule import layers as library
from chainrule.layers import (
    AddLayer,
    GradientError,
    Layer,
    LeakyReLU,
    MSELoss,
    MulLayer,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
    check_gradients,
    layer_laws,
)
from chainrule.networks import Branch, Parallel, Sequential

RNG = np.random.default_rng(5)
X = RNG.normal(size=(4, 3))
Y = RNG.normal(size=(4, 3))
SQUARE = RNG.normal(size=(3, 3))
LABELS = np.array([2, 0, 1, 1])

BUGS = []


class Affine(Layer):
    """The contract's example, without checks."""

    param_names = ("W", "b")

    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.sum(axis=0)
        return dout @ self.W.T

    def __repr__(self):
        return f"{type(self).__name__}({self.W.shape[0]} -> {self.W.shape[1]})"


def bug(says, *inputs, laws=False):
    """Register a layer with a bug, and what the checker must say of it after the layer's name."""

    def register(make):
        BUGS.append(pytest.param(make, inputs, says, laws, id=make.__name__))
        return make

    return register


def affine(inputs=3, outputs=2):
    rng = np.random.default_rng(0)
    return rng.normal(size=(inputs, outputs)), rng.normal(size=outputs)


# ---- Wrong numbers -------------------------------------------------------------------------------


@bug(r"dW\[\d, \d\]: backward says \S+, finite differences say \S+ \(about 2x: a factor\?\)", X)
class FactorTwo(Affine):
    def __init__(self):
        super().__init__(*affine())

    def backward(self, dout):
        dx = super().backward(dout)
        self.dW = 2 * self.dW
        return dx


@bug(r"dx\[\d, \d\]: .* \(the sign\?\)", X)
class Sign(Tanh):
    def backward(self, dout):
        return -super().backward(dout)


@bug(r"dW\[\d, \d\]: .* \(transposed\?\)", SQUARE)
class TransposedSquare(Affine):
    def __init__(self):
        super().__init__(*affine(3, 3))

    def backward(self, dout):
        dx = super().backward(dout)
        self.dW = dout.T @ self.x
        return dx


@bug(r"dW has shape \(2, 3\), expected \(3, 2\), that of its parameter \(transposed\?\)", X)
class Transposed(Affine):
    def __init__(self):
        super().__init__(*affine())

    def backward(self, dout):
        dx = super().backward(dout)
        self.dW = self.dW.T
        return dx


@bug(r"db has shape \(4, 2\), expected \(2,\), .* \(a missing sum over the batch", X)
class NoBatchSum(Affine):
    def __init__(self):
        super().__init__(*affine())

    def backward(self, dout):
        dx = super().backward(dout)
        self.db = dout
        return dx


@bug(r"db\[\d\]: .* \(that of the first row alone: a missing sum over the batch\?\)", X)
class FirstRowOnly(Affine):
    def __init__(self):
        super().__init__(*affine())

    def backward(self, dout):
        dx = super().backward(dout)
        self.db = dout[0].copy()
        return dx


@bug(r"db\[\d\]: .* \(about 0.25x, 1 over the batch size: a factor, or a mean instead", X)
class MeanOverBatch(Affine):
    def __init__(self):
        super().__init__(*affine())

    def backward(self, dout):
        dx = super().backward(dout)
        self.db = dout.mean(axis=0)
        return dx


@bug(
    r"dy\[\d, \d\]: .* \(about 12x, the number of elements: a factor, or a sum instead of a mean",
    X,
    Y,
)
class SumForMean(MSELoss):
    def backward(self, dout=1.0):
        return super().backward(dout) * self.weighted.size


@bug(r"dy\[\d, \d\]: .* \(about 0.25x, 1 over the batch size: .*a mean instead of a sum", X, Y)
class MeanForSum(MSELoss):
    def __init__(self):
        super().__init__("sum")

    def backward(self, dout=1.0):
        return super().backward(dout) / len(self.weighted)


@bug(r"dy\[\d, \d\]: backward says \S+, finite differences say", X, Y)
class TermTooManyInALoss(MSELoss):
    """One output, four rows."""

    def backward(self, dout=1.0):
        return super().backward(dout) + 0.1 * self.weighted**2


@bug(r"dx\[\d, \d\]: backward says \S+, finite differences say", X)
class TermTooManyInASum(Layer):
    """Three outputs, four rows."""

    def forward(self, x):
        self.x = x
        return (x**2).sum(axis=0)

    def backward(self, dout):
        return dout * (2 * self.x + 0.1 * self.x**3)


@bug(r"dx has shape \(4, 3\), expected \(\), that of its input \(a missing sum", 0.5)
class ArrayOfANumber(Layer):
    def forward(self, x):
        return x * np.ones((4, 3))

    def backward(self, dout):
        return dout


@bug(r"dx has shape \(\), expected \(4, 3\), that of its input", X)
class NumberOfAnArray(Layer):
    def forward(self, x):
        return float(x.sum())

    def backward(self, dout):
        return dout


@bug(r"dx\[\d, \d\]: .* \(zero: is it missing\?\)", X)
class ZeroSoftmax(Softmax):
    """Right under an upstream gradient of ones, which a softmax does not feel."""

    def backward(self, dout):
        return np.zeros_like(dout)


@bug(r"grads\[0\]\[\d, \d\]: .* \(zero: is it missing\?\)", X)
class GradientNeverWritten:
    """The old tutorials' style, with a line forgotten."""

    def __init__(self):
        self.params, self.grads = [affine()[0]], [np.zeros((3, 2))]

    def forward(self, x):
        self.x = x
        return x @ self.params[0]

    def backward(self, dout):
        return dout @ self.params[0].T


@bug(r"dx\[\d, \d\]: .*upstream gradient of ones: is dout forgotten\?\)", X)
class ForgottenDout(Sigmoid):
    def backward(self, dout):
        return self.y * (1 - self.y)


@bug(r"dx\[\d, \d\]: .*(backward says|finite differences say)", X)
class WrongAxis(Softmax):
    def backward(self, dout):
        return self.y * (dout - (dout * self.y).sum(axis=0, keepdims=True))


@bug(r"db has shape \(4,\), expected \(2,\), .* \(a sum over another axis\?\)", X)
class WrongBiasAxis(Affine):
    def __init__(self):
        super().__init__(*affine())

    def backward(self, dout):
        dx = super().backward(dout)
        self.db = dout.sum(axis=1)
        return dx


@bug(r"dx\[\d, \d\]: .*right numbers in other places: another axis or order", X)
class WrongOrder(Tanh):
    def backward(self, dout):
        return super().backward(dout)[:, ::-1]


@bug(r"d[xy]\[\d, \d\]: .* \(that is d[xy]: are the two swapped\?\)", X, Y)
class Swapped(MulLayer):
    def backward(self, dout):
        return super().backward(dout)[::-1]


@bug(r"dy has shape \(4, 3\), expected \(3,\), .* or the axes that were broadcast", X, Y[0])
class NoBroadcastSum(MulLayer):
    def backward(self, dout):
        return dout * self.y, dout * self.x


@bug(r"dx\[\d\]: backward says \S+, finite differences say \S+, beside a kink", np.zeros(4))
class HalfReLUAtZero(ReLU):
    """At 0 any factor from 0 to 1 is a subgradient; beside it only 1 is right."""

    def backward(self, dout):
        return 0.5 * dout * (self.y >= 0)


@bug(r"dx\[\d\]: .*finite differences say from \S+ to \S+, at a kink", np.zeros(4))
class BeyondTheKink(ReLU):
    def backward(self, dout):
        return dout * np.where(self.y == 0, 2.0, 1.0)


@bug(r"dx at the \d elements where forward has a kink.*ties", np.array([[1.0, 1, 0], [2, 2, 2]]))
class TiesTwice(Layer):
    """The maximum of each row, whose gradient goes to every element that equals it."""

    def forward(self, x):
        self.x, self.y = x, x.max(axis=1)
        return self.y

    def backward(self, dout):
        return dout[:, None] * (self.x == self.y[:, None])


@bug(r"dx\[\d, \d\]: .*finite differences say", X)
class WrongMask(LeakyReLU):
    def backward(self, dout):
        return np.where(self.x > 0.5, dout, self.slope * dout)


@bug(r"dx\[\d, \d\]: .* \(nearly right: a small term missing, or low precision\?\)", X)
class SmallTermMissing(Layer):
    def forward(self, x):
        self.x = x
        return x**2 * (1 + 1e-4)

    def backward(self, dout):
        return dout * 2 * self.x


@bug(r"ds: .*finite differences say", X)
class WrongFormula(Layer):
    param_names = ("s",)

    def __init__(self):
        self.s = np.array(1.7)

    def forward(self, x):
        self.x = x
        return x * self.s**2

    def backward(self, dout):
        self.ds = np.sum(dout * self.x) * self.s  # the exponent forgotten
        return dout * self.s**2


@bug(r"dW\[\d, \d\]: .*forward does not change with it: is a copy used, or nothing\?\)", X)
class TrainsACopy(Affine):
    def __init__(self):
        super().__init__(*affine())
        self.used = self.W.copy()

    def forward(self, x):
        self.x = x
        return x @ self.used + self.b


@bug(r"1\.dW\[\d, \d\]: .* \(about 3x: a factor\?\)", X)
def inside_a_net():
    class Tripled(Affine):
        def backward(self, dout):
            dx = super().backward(dout)
            self.dW = 3 * self.dW
            return dx

    return Sequential(Affine(*affine(3, 3)), Tripled(*affine(3, 2)), Tanh())


@bug(r"backward says dx is nan at \[0, 0\]$", X)
class NaNGradient(Tanh):
    def backward(self, dout):
        dx = super().backward(dout)
        dx[0, 0] = np.nan
        return dx


@bug(r"dx\[\d\]: backward says \S+, but forward jumps there or is too rough", np.array([2.0, 0.3]))
class StraightThrough(Layer):
    """A step at the very point, with a made-up gradient."""

    def forward(self, x):
        return np.floor(x)

    def backward(self, dout):
        return dout.copy()


# ---- Wrong structure -----------------------------------------------------------------------------


@bug(r"backward returned one ndarray, expected a tuple of 2 gradients, one per input", X, Y)
class DroppedElement(AddLayer):
    def backward(self, dout):
        return super().backward(dout)[0]


@bug(r"backward returned one ndarray, .* \(only a loss, which returns one number from", X, Y)
class NamedAsALoss(MulLayer):
    def forward(self, x, t):
        return super().forward(x, t)

    def backward(self, dout=1.0):
        return super().backward(dout)[0]


@bug(r"backward says dx is a list, expected an array or a number", X)
class RaggedGradient(Tanh):
    def backward(self, dout):
        return [[1.0], [1.0, 2.0]]


@bug(r"^NotSaved\(\): backward uses self.x, which forward did not save$", X)
class NotSaved(Layer):
    def forward(self, x):
        return x**2

    def backward(self, dout):
        return 2 * dout * self.x


@bug(r"block\.0\.dW\[\d, \d\]: .* \(about 2x: a factor\?\)", X)
class Residual(Layer):
    part_names = ("block",)

    def __init__(self):
        self.block = Sequential(FactorTwo(), Affine(*affine(2, 3)))

    def forward(self, x):
        return x + self.block.forward(x)

    def backward(self, dout):
        return dout + self.block.backward(dout)


@bug(r"backward returned a tuple of 3, expected a tuple of 2 gradients", X, Y)
class OneTooMany(AddLayer):
    def backward(self, dout):
        return dout, dout, dout


@bug(r"backward says dx is None; is a return missing", X)
class NothingReturned(Tanh):
    def backward(self, dout):
        super().backward(dout)


@bug(r"dx has shape \(12,\), expected \(4, 3\), .* \(the right size: a missing reshape\?\)", X)
class NotReshaped(Layer):
    def forward(self, x):
        return x.ravel()

    def backward(self, dout):
        return dout


@bug(r"backward assigned no db$", X)
class Unassigned(Affine):
    def __init__(self):
        super().__init__(*affine())

    def backward(self, dout):
        self.dW = self.x.T @ dout
        return dout @ self.W.T


@bug(r"grads lists 1, expected 2, as params does", X)
class OneGradientShort:
    def __init__(self):
        self.params, self.grads = list(affine()), [np.zeros((3, 2))]

    def forward(self, x):
        self.x = x
        return x @ self.params[0] + self.params[1]

    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        return dout @ self.params[0].T


@bug(r"params makes new arrays, expected the trained arrays", X)
class ParamsAreCopies:
    def __init__(self):
        self.W, self.b = affine()

    forward, backward = Affine.forward, Affine.backward
    params = property(lambda self: [self.W.copy(), self.b.copy()])
    grads = property(lambda self: [self.dW, self.db])


@bug(r"forward returned a list, expected an array or a number", X)
class ReturnsAList(Layer):
    def forward(self, x):
        return list(x)

    def backward(self, dout):
        return dout


@bug(r"forward returned nan at \[\d, \d\]", X)
class NaN(Layer):
    def forward(self, x):
        with np.errstate(invalid="ignore"):
            return np.sqrt(x)

    def backward(self, dout):
        return dout


# ---- Parameters that would not train -------------------------------------------------------------


class Scale(Layer):
    """``y = a x``, with nothing to train."""

    def __init__(self):
        self.a = RNG.normal(size=3)

    def forward(self, x):
        self.x = x
        return self.a * x

    def backward(self, dout):
        self.dx = dout * self.a  # kept to look at; x is no parameter
        return self.dx.copy()


class Forgetful(Scale):
    def backward(self, dout):
        self.da = (dout * self.x).sum(axis=0)
        return super().backward(dout)


@bug(r"^Forgotten\(\): backward assigns da, but a would not be .* = \('a',\)$", X)
class Forgotten(Forgetful):
    pass


@bug(r"^SecondForgotten\(\): backward assigns da, but a would not .* \('b', 'a'\)$", X)
class SecondForgotten(Forgetful):
    param_names = ("b",)

    def __init__(self):
        super().__init__()
        self.b = np.ones(3)

    def forward(self, x):
        return super().forward(x) + self.b

    def backward(self, dout):
        self.db = dout.sum(axis=0)
        return super().backward(dout)


@bug(r"^1, Forgetful\(\): backward assigns da, but a would", X)
def forgotten_in_a_net():
    return Sequential(Tanh(), Forgetful())


@bug(r"^Misspelt has no 'alpha', which the class declares: set it in __init__$", X)
class Misspelt(Forgetful):
    param_names = ("alpha",)


@bug(r"parameter 'a' is of type float, expected a float array, .*as_parameter\(value, \"a\"\)", X)
class ANumber(Layer):
    param_names = ("a",)

    def __init__(self):
        self.a = 0.5

    def forward(self, x):
        self.x = x
        return self.a * x

    def backward(self, dout):
        self.da = np.sum(dout * self.x)
        return dout * self.a


class PlainAffine:
    """The tutorials' class whose lists were left out; dW is written in place."""

    def __init__(self):
        self.W, self.b = affine()
        self.dW, self.db = np.zeros_like(self.W), None

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW[...], self.db = self.x.T @ dout, dout.sum(axis=0)
        return dout @ self.W.T


@bug(r"^NoLists: it holds the arrays W, b, but .*; add param_names = \('W', 'b'\) to its", X)
class NoLists(PlainAffine):
    pass


@bug(r"^BiasLeftOut: backward assigns db, but b would not be trained; .* = \('W', 'b'\)$", X)
class BiasLeftOut(PlainAffine):
    param_names = ("W",)


@bug(r"^PlainAround: attribute 'inner' holds a layer .* part_names = \('inner',\)$", X)
class PlainAround:
    def __init__(self):
        self.inner = Affine(*affine())

    def forward(self, x):
        return self.inner.forward(x)

    def backward(self, dout):
        return self.inner.backward(dout)


# ---- Wrong conduct -------------------------------------------------------------------------------


@bug(r"backward writes into dout: \[\d, \d\] was \S+, then 0", X)
class MutatedDout(ReLU):
    def backward(self, dout):
        dout[self.y <= 0] = 0
        return dout


@bug(r"forward writes into its input: \[\d, \d\] was \S+, then 0", X)
class MutatedInput(Layer):
    def forward(self, x):
        self.mask = x > 0
        x[~self.mask] = 0
        return x

    def backward(self, dout):
        return dout * self.mask


@bug(r"backward writes into the input of forward", X)
class MutatedSavedInput(Tanh):
    def forward(self, x):
        self.x = x
        return np.tanh(x)

    def backward(self, dout):
        self.x *= 0.5
        return dout / np.cosh(2 * self.x) ** 2


@bug(r"backward writes into the output of forward", X)
class MutatedOutput(Sigmoid):
    def backward(self, dout):
        slope = self.y
        slope *= 1 - self.y
        return dout * slope


@bug(r"a later call overwrites the output of forward", X)
class ReusedOutput(Tanh):
    def forward(self, x):
        if "y" not in vars(self):
            self.y = np.empty_like(x)
        return np.tanh(x, out=self.y)


@bug(r"a later call overwrites what backward returned", X)
class ReusedGradient(Tanh):
    def backward(self, dout):
        if "dx" not in vars(self):
            self.dx = np.empty_like(dout)
        return np.multiply(dout, 1 - self.y**2, out=self.dx)


@bug(r"gradients are accumulated, not assigned: dW\[0, 0\] was \S+, then", X)
class Accumulates(Affine):
    def __init__(self):
        super().__init__(*affine())
        self.total = np.zeros_like(self.W)

    def backward(self, dout):
        dx = super().backward(dout)
        self.total = self.total + self.dW
        self.dW = self.total
        return dx


@bug(r"a second forward keeps something of the first, in what backward returns", X)
class Stale(Layer):
    def forward(self, x):
        if "x" not in vars(self):
            self.x = x
        return x**2

    def backward(self, dout):
        return 2 * dout * self.x


@bug(
    r"a second forward keeps something of the first, in its output "
    r"\(in training the output may not depend on a buffer\): \[0, 0\] was",
    X,
)
class ScaledByEarlierBatches(Layer):
    buffer_names = ("average",)

    def __init__(self):
        self.average = np.ones(1)

    def forward(self, x):
        self.scale = self.average.copy()
        self.average[...] = 0.9 * self.average + 0.1 * np.abs(x).mean()
        return self.scale * x

    def backward(self, dout):
        return self.scale * dout


@bug(r"backward twice gives two answers: \[0, 0\] was", X)
class UsedUp(Tanh):
    def backward(self, dout):
        dx = super().backward(dout)
        self.y = np.zeros_like(self.y)
        return dx


@bug(r"raises IndexError: pop from empty list, in a second backward", X)
class Popped(Tanh):
    def forward(self, x):
        self.stack = [super().forward(x)]
        return self.stack[0].copy()

    def backward(self, dout):
        return dout * (1 - self.stack.pop() ** 2)


@bug(r"two copies with equal Generators disagree; draw from a Generator in the layer", X)
class DrawsFromElsewhere(Layer):
    def forward(self, x):
        self.mask = np.random.default_rng().random(x.shape) > 0.5
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


# ---- Wrong precision -----------------------------------------------------------------------------


@bug(r"forward returned float32, expected float64, that of what went in", X)
class ToFloat32(Layer):
    def forward(self, x):
        return x.astype(np.float32)

    def backward(self, dout):
        return dout


@bug(r"forward returns float32 numbers in float64; is a part of it in float32\?", X)
class ThroughFloat32(Layer):
    def forward(self, x):
        self.x = x
        return (x.astype(np.float32) ** 2).astype(x.dtype)

    def backward(self, dout):
        return dout * 2 * self.x


@bug(r"dx holds float32 numbers in float64; is a part of backward in float32\?", X)
class BackwardThroughFloat32(Tanh):
    def backward(self, dout):
        return super().backward(dout).astype(np.float32).astype(dout.dtype)


@bug(r"backward says dx is float32, expected float64", X)
class Float32Gradient(Tanh):
    def backward(self, dout):
        return super().backward(dout).astype(np.float32)


@bug(r"forward returned float64, expected float32, .* keeps float32: .*, in float32", X, laws=True)
class UpcastsTheOutput(Layer):
    def forward(self, x):
        return x + np.zeros(3)

    def backward(self, dout):
        return dout


# ---- Laws that only layer_laws knows -------------------------------------------------------------


@bug(r"raises ValueError: .* read-only, with read-only arrays in", X, laws=True)
class WritesAndPutsBack(Layer):
    def forward(self, x):
        x *= 2
        out = x.copy()
        x /= 2
        return out

    def backward(self, dout):
        return 2 * dout


@bug(
    r"forward gives another answer: \[\d, \d\] was .*, with read-only arrays in Fortran's order",
    X,
    laws=True,
)
class MemoryOrder(Layer):
    def forward(self, x):
        self.shape = x.shape
        return x.ravel(order="K").reshape(x.shape) ** 1

    def backward(self, dout):
        return dout.copy()


@bug(r"raises ValueError: .*, with a batch of one", X, laws=True)
class BatchOfFour(Layer):
    def forward(self, x):
        return x * np.ones((4, 1), x.dtype) if len(x) == 4 else x.reshape(4, 3)

    def backward(self, dout):
        return dout


@bug(r"squeezes: .*batch of one", X, laws=True)
class Squeezes(Layer):
    def forward(self, x):
        self.shape = x.shape
        return x.squeeze()

    def backward(self, dout):
        return dout.reshape(-1, 3) if dout.ndim == 2 else dout

    def __repr__(self):
        return "squeezes"


@bug(r"forward twice gives two answers: .*, in evaluation mode", X, laws=True)
class NoisyInEvaluation(Layer):
    def __init__(self, rng):
        self.rng = rng

    def forward(self, x):
        return x + self.rng.normal(size=x.shape).astype(x.dtype)

    def backward(self, dout):
        return dout


@bug(r"dx\[\d, \d\]: .*about 2x: a factor\?\), in evaluation mode", X, laws=True)
class WrongInEvaluation(Layer):
    def forward(self, x):
        return 2 * x if self.training else x

    def backward(self, dout):
        return 2 * dout


@bug(r"two layers made with equal Generators disagree", X, laws=True)
class IgnoresItsGenerator(Layer):
    made = 0

    def __init__(self, rng):
        type(self).made += 1
        self.shift = float(self.made)

    def forward(self, x):
        return x + self.shift

    def backward(self, dout):
        return dout


# ---- backward_params -----------------------------------------------------------------------------


class OwnContainer(Layer):
    """No backward_params of its own."""

    part_names = ("block",)

    def __init__(self, block):
        self.block = block

    def forward(self, x):
        return x + self.block.forward(x)

    def backward(self, dout):
        return dout + self.block.backward(dout)


class DoubledBias(library.Affine):
    """Right in backward, twice db where training calls it."""

    def __init__(self):
        super().__init__(*affine(3, 3))

    def backward(self, dout):
        super().backward_params(dout)
        return dout @ self.W.T

    def backward_params(self, dout):
        super().backward_params(dout)
        self.db = 2 * self.db


class NoBias(DoubledBias):
    def backward_params(self, dout):
        self.dW = self.x.T @ dout


class WritesDout(DoubledBias):
    def backward_params(self, dout):
        super(DoubledBias, self).backward_params(dout)
        dout *= 2


NESTINGS = {
    "": lambda layer: layer,
    "0.": lambda layer: Sequential(layer, Tanh()),
    "1.": lambda layer: Sequential(Tanh(), layer, Tanh()),
    "1.0.": lambda layer: Sequential(Branch(2), Parallel(layer, Tanh()), AddLayer()),
    "0.1.": lambda layer: Sequential(Sequential(Tanh(), layer), Tanh()),
    "block.block.": lambda layer: OwnContainer(OwnContainer(layer)),
    "block.1.": lambda layer: OwnContainer(Sequential(Tanh(), layer)),
}


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (DoubledBias, r"backward_params assigns other gradients than backward: db\[0\] was"),
        (NoBias, "backward_params assigned no db"),
        (WritesDout, r"backward_params writes into dout: \[0\]\[0, 0\] was|dout: \[0, 0\] was"),
    ],
)
@pytest.mark.parametrize("place", NESTINGS)
def test_a_wrong_backward_params_is_caught_at_any_depth(kind, says, place):
    with pytest.raises(GradientError, match=f": {re.escape(place)}{says}"):
        check_gradients(NESTINGS[place](kind()), X)


@pytest.mark.parametrize("place", NESTINGS)
def test_a_right_backward_params_passes_at_any_depth(place):
    layer_laws(lambda: NESTINGS[place](library.Affine(*affine(3, 3))), X)


# ---- One law each --------------------------------------------------------------------------------


class SqueezesAndBack(Layer):
    def forward(self, x):
        self.shape = x.shape
        return x.squeeze()

    def backward(self, dout):
        return dout.reshape(self.shape)


class TransposedAtFirst(Affine):
    def __init__(self):
        super().__init__(*affine())
        self.turned = self.W.T.copy()

    def backward(self, dout):
        super().backward(dout)
        return dout @ self.turned


class TransposedAtFirstForward(Affine):
    def __init__(self):
        super().__init__(*affine())

    def forward(self, x):
        if "turned" not in vars(self):
            self.turned = self.W.T.copy()
        return super().forward(x)

    def backward(self, dout):
        super().backward(dout)
        return dout @ self.turned


class SavedInTrainingOnly(Layer):
    def forward(self, x):
        if self.training or "x" not in vars(self):
            self.x = x
        return x**2

    def backward(self, dout):
        return 2 * dout * self.x


class WrongBesideGreatNumbers(Layer):
    """Of the outputs' digits few are left for finite differences."""

    def forward(self, x):
        return x + np.asarray(1e8, x.dtype)

    def backward(self, dout):
        return dout.copy() if self.training else 1.001 * dout


class CacheOnTheClass(Layer):
    def forward(self, x):
        type(self).x = x
        return x**2

    def backward(self, dout):
        return 2 * dout * self.x


MODULE = {}


class CacheInTheModule(Layer):
    def forward(self, x):
        MODULE["x"] = x
        return x**2

    def backward(self, dout):
        return 2 * dout * MODULE["x"]


class Memory:
    pass


class CacheInAnObject(Layer):
    def __init__(self):
        self.memory = Memory()

    def forward(self, x):
        self.memory.x = x
        return x**2

    def backward(self, dout):
        return 2 * dout * self.memory.x


class RunningMean(Layer):
    """Right, once its mean is declared."""

    def __init__(self):
        self.mean = np.zeros(3)

    def forward(self, x):
        if self.training:
            self.mean += 0.1 * (x.mean(axis=0) - self.mean)
        return x if self.training else x - self.mean.astype(x.dtype)

    def backward(self, dout):
        return dout.copy()


class DeclaredRunningMean(RunningMean):
    buffer_names = ("mean",)


class LastBatch(Layer):
    def forward(self, x):
        if self.training:
            self.scale = float(np.abs(x[0]).sum())
        self.of_now = 1.0 if self.training else getattr(self, "scale", 1.0)
        return x * self.of_now

    def backward(self, dout):
        return dout * self.of_now


class RandomFeatures(Layer):
    """Right, once its projection is declared."""

    def __init__(self, rng):
        self.projection = rng.normal(size=(3, 5))

    def forward(self, x):
        return x @ self.projection

    def backward(self, dout):
        return dout @ self.projection.T


class DeclaredRandomFeatures(RandomFeatures):
    buffer_names = ("projection",)


class IgnoresWeights(MSELoss):
    def forward(self, y, t, weights=None):
        return super().forward(y, t)


class WeightsOnlyInForward(MSELoss):
    def forward(self, y, t, weights=None):
        value = super().forward(y, t, weights)
        super().forward(y, t)
        return value


LAWS = [
    (
        SqueezesAndBack,
        (X,),
        r"output has shape \(3,\), expected \(1, 3\), as 4 rows give",
    ),
    (TransposedAtFirst, (X,), r"dx\[\d, \d\]: .*, after its parameters changed in place"),
    (TransposedAtFirstForward, (X,), r"dx\[\d, \d\]: .*, after its parameters changed in place"),
    (SavedInTrainingOnly, (X,), r"dx\[\d, \d\]: .*, in evaluation mode"),
    (WrongBesideGreatNumbers, (X,), r"dx\[\d, \d\]: .*about 1x.*, in evaluation mode|nearly"),
    (CacheOnTheClass, (X,), "another instance of the class disturbs it"),
    (CacheInTheModule, (X,), "another instance of the class disturbs it"),
    (CacheInAnObject, (X,), r"predict\(\) disturbs it; is a value kept in an object"),
    (
        RunningMean,
        (X,),
        "same state_dict gives another answer; declare .* or a training forward leaves",
    ),
    (
        LastBatch,
        (X,),
        "same state_dict gives another answer; declare .* or a training forward leaves",
    ),
    (RandomFeatures, (X,), "same state_dict gives another answer; declare .* what __init__ draws"),
    (IgnoresWeights, (X, Y), "a row of weight 2 is not a row given twice: it was"),
    (WeightsOnlyInForward, (X, Y), r"dy\[\d, \d\]: .*, with weights"),
]


@pytest.mark.parametrize(("kind", "inputs", "says"), LAWS, ids=lambda v: getattr(v, "__name__", ""))
def test_a_broken_law_is_named(kind, inputs, says):
    with pytest.raises(GradientError) as caught:
        layer_laws(kind, *inputs)
    assert re.search(says, str(caught.value)), str(caught.value)


def test_a_forgotten_dout_of_a_loss_is_named():
    class SoftmaxWithLoss(library.CrossEntropyLoss):
        def backward(self, dout=1):
            return super().backward(1.0)

    with pytest.raises(GradientError, match="is dout forgotten"):
        check_gradients(SoftmaxWithLoss(), X, LABELS)


def test_a_missing_return_is_the_layers_own():
    class NoReturn(Tanh):
        def forward(self, x):
            super().forward(x)

    with pytest.raises(GradientError, match=r"^NoReturn\(\): forward returned None; is a return"):
        check_gradients(NoReturn(), X)


def test_a_gradient_far_below_the_greatest_is_checked():
    class TenPercent(Affine):
        def backward(self, dout):
            dx = super().backward(dout)
            self.dW = self.dW * [[1.1], [1], [1]]
            return dx

    for seed in range(5):
        x = np.random.default_rng(seed).normal(size=(6, 3)) * [1e-10, 1, 1]
        check_gradients(Affine(*affine()), x)
        with pytest.raises(GradientError, match=r"dW\[0, \d\]: backward says"):
            check_gradients(TenPercent(*affine()), x)


def test_an_element_that_is_not_sampled_is_seen_along_a_line():
    class OneForgotten(library.MatMul):
        def backward_params(self, dout):
            super().backward_params(dout)
            self.dW[3, 7] = 0

    W = np.random.default_rng(0).normal(size=(60, 50))
    for seed in range(5):
        x = np.random.default_rng(seed).normal(size=(4, 60))
        check_gradients(library.MatMul(W), x, max_elements=10)
        with pytest.raises(GradientError, match="dW along a random direction: backward says"):
            check_gradients(OneForgotten(W), x, max_elements=10)


def test_integers_beside_floats_have_a_gradient_of_none():
    class Picked(Layer):
        def forward(self, x, i):
            self.i, self.shape = i, x.shape
            return x[:, i]

        def backward(self, dout):
            dx = np.zeros(self.shape)
            dx[:, self.i] = dout
            return dx

    class PickedRight(Picked):
        def backward(self, dout):
            return super().backward(dout), None

    check_gradients(PickedRight(), X, np.array([2, 0]))
    with pytest.raises(GradientError, match="expected a tuple of 2 gradients"):
        check_gradients(Picked(), X, np.array([2, 0]))


def test_large_inputs_do_not_excuse_a_wrong_gradient():
    class TooLarge(Affine):
        def backward(self, dout):
            dx = super().backward(dout)
            self.dW = 1.5 * self.dW
            return dx

    class Masked(Layer):
        factor = 1.0

        def forward(self, x, mask):
            self.out = np.exp(x + mask)
            return self.out

        def backward(self, dout):
            return self.factor * dout * self.out, dout * self.out

    for scale in (1, 1e9, 1e15):
        with pytest.raises(GradientError, match="dW"):
            check_gradients(TooLarge(*affine()), scale * X)
    mask = np.array([0.0, -np.inf, 0])
    wrong = Masked()
    wrong.factor = 1.5
    with np.errstate(invalid="ignore"), pytest.raises(GradientError, match="dx"):
        check_gradients(wrong, X, np.broadcast_to(mask, X.shape).copy())


def test_a_python_number_is_no_gradient_of_an_array():
    class Scale(Layer):
        param_names = ("a",)

        def __init__(self):
            self.a = np.array(2.0)

        def forward(self, x):
            self.x = x
            return self.a * x

        def backward(self, dout):
            self.da = float((dout * self.x).sum())
            return self.a * dout

    with pytest.raises(GradientError, match="da is a float, expected an array"):
        check_gradients(Scale(), X)


@pytest.mark.parametrize("kind", [DeclaredRunningMean, DeclaredRandomFeatures])
def test_the_mended_ones_pass(kind):
    layer_laws(kind, X)


@pytest.mark.parametrize(("make", "inputs", "says", "laws"), BUGS)
def test_a_planted_bug_is_caught_and_named(make, inputs, says, laws):
    check, what = (layer_laws, make) if laws else (check_gradients, make())
    with pytest.raises(GradientError) as caught:
        check(what, *inputs)
    assert re.search(says, str(caught.value)), str(caught.value)
