"""What is right passes the checker: kinks, scales, plain classes, randomness, nested tuples."""

import numpy as np
import pytest

from chainrule.layers import (
    GELU,
    AddLayer,
    Affine,
    BatchNorm,
    BinaryCrossEntropyLoss,
    CrossEntropyLoss,
    GradientError,
    Identity,
    Layer,
    LeakyReLU,
    MAELoss,
    MSELoss,
    MulLayer,
    ReLU,
    Sigmoid,
    Softplus,
    Sum,
    Tanh,
    check_gradients,
    layer_laws,
)
from chainrule.networks import Branch, Parallel, Sequential

RNG = np.random.default_rng(5)
X = RNG.normal(size=(4, 3))
SCALES = [1e-8, 1e-4, 1.0, 1e4, 1e8]


class Counted(Layer):
    """Any function and its derivative; counts the forwards."""

    def __init__(self, f, df):
        self.f, self.df, self.calls = f, df, [0]

    def forward(self, x):
        self.calls[0] += 1
        self.x = x
        return self.f(x)

    def backward(self, dout):
        return dout * self.df(self.x)


def reciprocal(x):
    return 1 / x


def log(x):
    if (x <= 0).any():
        raise ValueError("log: x is not positive")
    return np.log(x)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("f", "df"),
    [
        (np.square, lambda x: 2 * x),
        (np.sin, np.cos),
        (np.tanh, lambda x: 1 / np.cosh(np.clip(x, -300, 300)) ** 2),
        (lambda x: x**3 - x, lambda x: 3 * x**2 - 1),
        (lambda x: np.exp(-(x**2)), lambda x: -2 * x * np.exp(-(x**2))),
        (lambda x: x + 1e6, np.ones_like),
        (np.abs, np.sign),
        (lambda x: np.floor(x / np.abs(x).max() * 9), np.zeros_like),
        (np.cbrt, lambda x: 1 / (3 * np.cbrt(x) ** 2)),
    ],
    ids=["square", "sin", "tanh", "cubic", "bump", "offset", "abs", "floor", "cbrt"],
)
def test_functions_at_every_scale(f, df, scale):
    check_gradients(Counted(f, df), X * scale)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("f", "df"), [(reciprocal, lambda x: -1 / x**2), (log, reciprocal)])
def test_functions_with_an_edge(f, df, scale):
    check_gradients(Counted(f, df), np.abs(X) * scale)


def test_numbers_near_an_edge():
    check_gradients(Counted(log, reciprocal), np.array([1e-9, 1e-4, 1.0, 1e3]))

    def narrow(x):
        return log(1 - np.abs(x - 1) * 1e13) + x

    with pytest.warns(RuntimeWarning, match="cannot decide about 1 of 1 elements of dx"):
        check_gradients(Counted(narrow, np.zeros_like), np.array([1.0]))


@pytest.mark.parametrize("offset", [1e2, 1e3, 1e4, 1e6])
def test_numbers_that_cancel_inside(offset):
    class Centered(Layer):
        def forward(self, x):
            self.z = x - x.mean(axis=0)
            return np.sin(self.z)

        def backward(self, dout):
            dz = dout * np.cos(self.z)
            return dz - dz.mean(axis=0)

    check_gradients(Centered(), offset + X)


@pytest.mark.parametrize("scale", SCALES)
def test_wrong_functions_at_every_scale(scale):
    for f, df in [(np.square, lambda x: 2.01 * x), (np.sin, lambda x: 1.01 * np.cos(x))]:
        with pytest.raises(GradientError, match=r"1.\d+x|1x|nearly right"):
            check_gradients(Counted(f, df), X * scale)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_sums_of_very_different_numbers(scale):
    check_gradients(AddLayer(), X * scale, X[0] / scale)
    check_gradients(MulLayer(), X * scale, X[0] / scale)

    class Doubled(AddLayer):
        def backward(self, dout):
            dx, dy = super().backward(dout)
            return 2 * dx, dy

    with pytest.raises(GradientError, match="about 2x"):
        check_gradients(Doubled(), X * scale, X[0] / scale)


@pytest.mark.parametrize("layer", [Sigmoid(), Tanh(), GELU(), Softplus()], ids=repr)
def test_numbers_of_every_size_side_by_side(layer):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(4, 3)) * 10 ** rng.uniform(-8, 8, size=(4, 3))
        check_gradients(layer, x)
        with pytest.raises(GradientError, match="backward says"):
            check_gradients(Sequential(layer, Counted(lambda y: y, lambda y: 1.1)), x)


def test_numbers_whose_digits_are_nearly_gone():
    """A batch of offset 1e8, a loss that is 1e-38, where backward's p - t is 0."""
    check_gradients(BatchNorm.identity(3), 1e8 + X)
    check_gradients(BinaryCrossEntropyLoss(), 1e3 * X, (X > 0).astype(float))
    check_gradients(Sigmoid(), 1e-310 * X)


def test_numbers_near_the_greatest():
    check_gradients(Counted(lambda x: 3 * x, lambda x: 3.0), 1e300 * X)


@pytest.mark.parametrize("at", [0.0, 1e-300, 1e-15, 1e-12, 1e-9, 1e-6, 1e-4, 4e-4, 1e-2])
@pytest.mark.parametrize("layer", [ReLU(), LeakyReLU(0.2)], ids=repr)
def test_kinks_near_and_far(layer, at):
    check_gradients(layer, np.array([at, -at, 1.0, -1.0]))


def test_every_subgradient_at_a_kink_is_right_there_only():
    for at_zero in (0.0, 0.5, 1.0):
        check_gradients(
            Counted(lambda x: np.maximum(x, 0), lambda x, z=at_zero: np.heaviside(x, z)),
            np.array([0.0, 0.0, 1.0, -1.0]),
        )
    for at_zero in (-0.1, 1.1):
        with pytest.raises(GradientError, match="at a kink"):
            check_gradients(
                Counted(lambda x: np.maximum(x, 0), lambda x, z=at_zero: np.heaviside(x, z)),
                np.array([0.0, 1.0]),
            )


def test_all_at_the_kink():
    check_gradients(ReLU(), np.zeros((3, 2)))
    check_gradients(MAELoss(), X, X.copy())


class RowMaximum(Layer):
    """The first of equal maxima gets the gradient."""

    def forward(self, x):
        self.x, self.at = x, x.argmax(axis=1)
        return x.max(axis=1)

    def backward(self, dout):
        dx = np.zeros_like(self.x)
        dx[np.arange(len(dx)), self.at] = dout
        return dx


def test_ties_of_a_maximum():
    layer_laws(RowMaximum, np.array([[1.0, 1, 0], [2, 2, 2], [0, 1, 2]]))
    layer_laws(RowMaximum, np.round(RNG.normal(size=(6, 8))))


def test_a_jump_is_reported_as_such():
    with pytest.raises(GradientError, match="forward jumps there or is too rough"):
        check_gradients(Counted(np.floor, np.zeros_like), np.array([0.3, 2.0]))


def test_the_price_example_in_python_numbers():
    fruit = Sequential(Parallel(MulLayer(), MulLayer()), AddLayer())
    shop = Sequential(Parallel(fruit, Identity()), MulLayer())
    check_gradients(shop, ((100, 2), (150, 3)), 1.1)

    class WrongTax(MulLayer):
        def backward(self, dout):
            dprice, dtax = super().backward(dout)
            return dprice, dtax + 1

    with pytest.raises(GradientError, match=r"dinputs\[1\]: backward says"):
        check_gradients(Sequential(Parallel(fruit, Identity()), WrongTax()), ((1, 2), (5, 3)), 1.1)


class OldStyle:
    """The old tutorials' class: its own lists, gradients written in place."""

    def __init__(self, W):
        self.params = [W]
        self.grads = [np.zeros_like(W)]

    def forward(self, x):
        (W,) = self.params
        self.x = x
        return np.dot(x, W)

    def backward(self, dout):
        self.grads[0][...] = np.dot(self.x.T, dout)
        return np.dot(dout, self.params[0].T)


class OldStyleByName(OldStyle):
    def __init__(self, W):
        super().__init__(W)
        self.W = W

    def forward(self, x):
        self.x = x
        return x @ self.W


class FlatParameters(OldStyle):
    """Works on a view of the one vector that is trained."""

    def __init__(self, W):
        self.params = [W.ravel()]
        self.grads = [np.zeros(W.size, W.dtype)]
        self.W = self.params[0].reshape(W.shape)

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dout):
        self.grads[0][...] = (self.x.T @ dout).ravel()
        return dout @ self.W.T


class Declared:
    """The books' class, with the line that the README asks for, and no lists."""

    param_names = ("W",)

    def __init__(self, W):
        self.W = W

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dout):
        self.dW = self.x.T @ dout
        return dout @ self.W.T


@pytest.mark.parametrize("make", [OldStyle, OldStyleByName, FlatParameters, Declared])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_plain_classes(make, dtype):
    W = RNG.normal(size=(3, 2)).astype(dtype)
    layer_laws(lambda: make(W), X)
    layer_laws(lambda: Sequential(make(W), Tanh()), X)


def test_what_is_no_forgotten_parameter():
    """Saved inputs, constants, buffers, and what is kept to look at."""

    class Scale(Layer):
        buffer_names = ("mean",)

        def __init__(self):
            self.x = np.zeros(3)  # stands for what forward saves
            self.k, self.t, self.dt = np.array([1.0, 2.0, 3.0]), np.linspace(0, 1, 3), 0.5
            self.mean, self.y = np.zeros(3), np.zeros((4, 3))

        def forward(self, x):
            self.x = x
            self.y[: len(x)] = self.k * self.dt * x + self.mean
            return self.y[: len(x)].astype(x.dtype)

        def backward(self, dout):
            self.dmean = self.dy = dout.copy()
            self.dx = dout * (self.k * self.dt).astype(dout.dtype)
            return self.dx.copy()

    layer_laws(Scale, X)
    used = Scale()
    used.forward(X[::-1])
    used.backward(X)
    check_gradients(used, X)
    W = RNG.normal(size=(3, 2))
    layer_laws(lambda: Sequential(Sequential(OldStyleByName(W)), Scale2()), X)


class Scale2(Layer):
    """Trains a view of what it holds."""

    param_names = ("flat",)

    def __init__(self):
        self.W = RNG.normal(size=(1, 2))
        self.flat = self.W.reshape(-1)

    def forward(self, x):
        self.x = x
        return x * self.W

    def backward(self, dout):
        self.dflat = (dout * self.x).sum(axis=0)
        return dout * self.W


@pytest.mark.parametrize("layer", [Tanh, ReLU, lambda: LeakyReLU(0.2), Sigmoid, GELU, Softplus])
def test_a_python_number_goes_in(layer):
    layer_laws(layer, 0.5)
    assert layer().forward(np.float32(0.5)).dtype == np.float32
    layer_laws(lambda: Sequential(layer(), Parallel(layer())), -0.5)
    layer_laws(MulLayer, 2.5, X)
    layer_laws(MSELoss, 0.5, 0.25)


def test_the_layer_is_left_as_it_was():
    layer = Affine.random(3, 2, RNG)
    layer.forward(X.astype(np.float32))
    layer.backward(np.ones((4, 2), np.float32))
    before, x = dict(vars(layer)), X.copy()
    copies = {name: np.copy(value) for name, value in before.items() if name != "_fits"}
    check_gradients(layer, x)
    assert all(vars(layer)[name] is before[name] for name in before)
    for name, value in copies.items():
        assert np.array_equal(vars(layer)[name], value), name
    assert np.array_equal(x, X)


class Noise(Layer):
    def __init__(self, rng):
        self.rng = rng

    def forward(self, x):
        self.mask = (self.rng.random(x.shape) > 0.5) if self.training else np.ones(x.shape, bool)
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


def test_generators_are_held_still_at_any_depth():
    rng = np.random.default_rng(7)
    state = rng.bit_generator.state
    check_gradients(Sequential(Sequential(Noise(rng), Tanh()), {"noise": Noise(rng)}["noise"]), X)
    assert rng.bit_generator.state == state
    layer_laws(Noise, X)
    layer_laws(lambda rng: Sequential(Noise(rng), Affine.random(3, 2, rng), Noise(rng)), X)


def test_a_legacy_generator_is_held_still_too():
    check_gradients(Noise(np.random.RandomState(0)), X)


def test_integers_are_left_alone():
    class Embedding(Layer):
        param_names = ("W",)

        def __init__(self):
            self.W = RNG.normal(size=(5, 3))

        def forward(self, i):
            assert i.dtype == np.int64
            self.i = i
            return self.W[i]

        def backward(self, dout):
            self.dW = np.zeros_like(self.W)
            np.add.at(self.dW, self.i, dout)

    layer_laws(Embedding, np.array([[1, 4], [1, 0], [2, 2]]))
    layer_laws(CrossEntropyLoss, X, np.array([2, 0, 1, 1]))


def test_a_loss_is_differentiated_by_its_first_input():
    class HalfSquare:
        def forward(self, y, t):
            self.error = y - t
            return 0.5 * float(np.sum(self.error**2))

        def backward(self, dout=1.0):
            return dout * self.error

    layer_laws(HalfSquare, X, X[::-1])
    layer_laws(MSELoss, X, X[::-1])


def test_shared_arrays_count_once():
    W = RNG.normal(size=(3, 3))
    net = Sequential(Affine(W, np.zeros(3)), Tanh(), Affine(W, np.ones(3)))
    check_gradients(net, X)
    check_gradients(Sequential(Branch(2), Parallel(net, Identity()), AddLayer()), X)


def test_large_arrays_are_sampled():
    layer = Counted(np.sin, np.cos)
    check_gradients(layer, RNG.normal(size=(1000, 10)), max_elements=5)
    few = layer.calls[0]
    assert few == 0  # a copy was checked

    seen = []

    def sin(x):
        seen.append(1)
        return np.sin(x)

    check_gradients(Counted(sin, np.cos), RNG.normal(size=(1000, 10)), max_elements=5)
    assert 5 * 2 <= len(seen) < 140  # 5 elements, and a line through all
    with pytest.raises(GradientError, match=r"about 1\.5x"):
        check_gradients(
            Counted(np.sin, lambda x: 1.5 * np.cos(x)), RNG.normal(size=(1000, 10)), max_elements=5
        )


def test_the_generator_given_draws_what_is_checked():
    def message(seed):
        with pytest.raises(GradientError) as caught:
            check_gradients(Counted(np.sin, np.sin), X, rng=np.random.default_rng(seed))
        return str(caught.value)

    assert message(1) == message(1) != message(2)


def test_a_gradient_that_is_zero_but_for_rounding():
    class Centered(Layer):
        """A bias that is taken away again."""

        param_names = ("b",)

        def __init__(self):
            self.b = np.array([0.3, -0.7])

        def forward(self, x):
            z = x + self.b
            return z - z.mean(axis=0)

        def backward(self, dout):
            dz = dout - dout.mean(axis=0)
            self.db = dz.sum(axis=0)
            return dz

    layer_laws(Centered, X[:, :2])


def test_it_stays_silent_about_overflow_on_the_way():
    """Warnings are errors here; far steps overflow."""
    check_gradients(Counted(np.exp, np.exp), X)
    check_gradients(Counted(np.exp, np.exp), np.array([700.0]))


def test_a_list_is_an_array():
    check_gradients(Sum(axis=0), [[1.0, 2.0], [3.0, 4.0]])
    layer_laws(lambda: Affine([[1, 2], [3, 4]], [5, 6]), [[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: check_gradients(ReLU, X), TypeError, "got the class ReLU, expected an instance"),
        (lambda: check_gradients(np.sin, X), TypeError, "expected an object with forward, back"),
        (lambda: check_gradients(ReLU(), np.array([1, 2])), ValueError, "no float input"),
        (lambda: check_gradients(Affine.random(3, 2, RNG), X.T), ValueError, "x has shape"),
        (lambda: check_gradients(ReLU(), np.ones((0, 3))), ValueError, r"inputs\[0\] is empty, of"),
        (lambda: layer_laws(ReLU, np.ones((0, 3))), ValueError, r"ReLU\(\): inputs\[0\] is empty"),
        (
            lambda: check_gradients(ReLU(), {"x": X}),
            TypeError,
            r"inputs\[0\] is a dict, expected a",
        ),
        (lambda: layer_laws(AddLayer, X, memoryview(X)), TypeError, r"inputs\[1\] is a memoryview"),
        (lambda: check_gradients(ReLU(), X, max_elements=0), ValueError, "max_elements is 0, exp"),
        (lambda: check_gradients(ReLU(), X, rtol=-1), ValueError, "rtol is -1, expected a number"),
        (lambda: layer_laws(Affine, X), TypeError, r"Affine needs W, b, .* lambda: Affine\(...\)"),
        (lambda: layer_laws(ReLU(), X), TypeError, r"such as lambda: ReLU\(...\)"),
        (lambda: layer_laws(lambda: 3, X), TypeError, "the factory made 3, expected"),
    ],
)
def test_wrong_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_gradient_error_is_an_assertion():
    assert issubclass(GradientError, AssertionError)


def test_inputs_that_are_no_batch():
    class Outer(Layer):
        def forward(self, u):
            self.u = u
            return u * np.arange(1.0, 5)[:, None].astype(u.dtype)

        def backward(self, dout):
            return dout * np.arange(1.0, 5)[:, None].astype(dout.dtype)

    layer_laws(Outer, X, batched=False)
    with pytest.raises(GradientError, match="with a batch of one"):
        layer_laws(Outer, X)


def test_a_layer_without_modes_has_no_evaluation():
    class Plain:
        def forward(self, x):
            self.y = 1 / (1 + np.exp(-x))
            return self.y

        def backward(self, dout):
            return dout * self.y * (1 - self.y)

    layer_laws(Plain, X)
    layer_laws(Sigmoid, X)
