"""minimize against problems whose answer is known, by every method."""

import numpy as np
import pytest

from chainrule.layers import Affine, CrossEntropyLoss, Dropout, Layer, MatMul, MSELoss, Tanh
from chainrule.networks import Sequential, minimize
from chainrule.networks.training.minimize import _Objective

METHODS = ["CG", "BFGS", "L-BFGS-B", "Newton-CG", "trust-ncg"]


def regression(rng, dtype=np.float64):
    x = rng.normal(size=(40, 5))
    return x, np.sin(x.sum(axis=1, keepdims=True)), small_net(rng, dtype)


def small_net(rng, dtype=np.float64):
    return Sequential(
        Affine.random(5, 6, rng, dtype=dtype), Tanh(), Affine.random(6, 1, rng, dtype=dtype)
    )


@pytest.mark.parametrize("method", METHODS)
def test_least_squares(method):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(30, 4)), rng.normal(size=(30, 2))
    net = Sequential(MatMul(rng.normal(size=(4, 2))))
    result = minimize(net, MSELoss(), x, t, method, tol=1e-8, progress=False)
    expected = np.linalg.lstsq(x, t)[0]
    np.testing.assert_allclose(net[0].W, expected, atol=1e-5)
    np.testing.assert_allclose(result.x, net.params[0].ravel())


@pytest.mark.parametrize("method", METHODS)
def test_the_best_parameters_stay_in_the_net(method):
    x, t, net = regression(np.random.default_rng(1))
    arrays, start = net.params, MSELoss().forward(net.predict(x), t)
    result = minimize(net, MSELoss(), x, t, method, options={"maxiter": 15}, progress=False)
    assert result.nit == 15
    assert all(a is b for a, b in zip(arrays, net.params, strict=True))
    left = MSELoss().forward(net.predict(x), t)
    assert left <= result.fun < 0.5 * start
    assert net.training


def test_curvature_against_finite_differences():
    rng = np.random.default_rng(2)
    x, t, net = regression(rng)
    objective = _Objective(net, MSELoss(), x, t)
    w, v, h = objective.best, rng.normal(size=objective.best.size), 1e-4
    along = [objective(w + s * h * v)[0] for s in (-1, 0, 1)]
    second = (along[0] - 2 * along[1] + along[2]) / h**2
    assert v @ objective.curvature(w, v) == pytest.approx(second, rel=1e-5)
    np.testing.assert_array_equal(objective.curvature(w, 0 * v), 0 * v)
    u = rng.normal(size=w.size)
    assert u @ objective.curvature(w, v) == pytest.approx(v @ objective.curvature(w, u), rel=1e-6)


def test_a_float32_net_improves_too():
    x, t, net = regression(np.random.default_rng(3), np.float32)
    start = MSELoss().forward(net.predict(x.astype(np.float32)), t)
    result = minimize(net, MSELoss(), x, t, options={"maxiter": 20}, progress=False)
    assert result.fun < 0.2 * start
    assert net.params[0].dtype == np.float32


def test_callback_counts_and_ends():
    x, t, net = regression(np.random.default_rng(4))
    seen = []

    def callback(iteration, loss):
        seen.append((iteration, loss))
        if iteration == 4:
            raise StopIteration

    minimize(net, MSELoss(), x, t, callback=callback, progress=False)
    assert [iteration for iteration, _ in seen] == [1, 2, 3, 4]
    losses = [loss for _, loss in seen]
    assert losses == sorted(losses, reverse=True)
    assert MSELoss().forward(net.predict(x), t) == pytest.approx(losses[-1])


def test_ended_early_the_best_stays():
    x, t, net = regression(np.random.default_rng(5))
    losses = []

    def callback(iteration, loss):
        losses.append(loss)
        if iteration == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        minimize(net, MSELoss(), x, t, callback=callback, progress=False)
    assert MSELoss().forward(net.predict(x), t) <= losses[-1]
    assert net.training


def test_dropout_is_off_and_the_mode_comes_back():
    rng = np.random.default_rng(6)
    x, t = rng.normal(size=(20, 3)), rng.integers(0, 3, 20)
    net = Sequential(Dropout(0.5, rng), Affine.random(3, 3, rng, dtype=np.float64))
    state = rng.bit_generator.state
    minimize(net, CrossEntropyLoss(), x, t, options={"maxiter": 5}, progress=False)
    assert rng.bit_generator.state == state
    assert net.training
    assert net[0].training


def test_lines_of_progress(capsys):
    x, t, net = regression(np.random.default_rng(7))
    minimize(net, MSELoss(), x, t, options={"maxiter": 20})
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["iteration 10", "iteration 20"]


def test_a_loss_that_is_not_finite_at_the_start():
    x, t, net = regression(np.random.default_rng(8))
    net[2].W[1, 0] = np.nan
    with pytest.raises(FloatingPointError, match=r"at the start.*W\[1, 0\] is nan in layer 2"):
        minimize(net, MSELoss(), x, t, progress=False)


def test_a_loss_of_nan_counts_as_infinite():
    x, t, net = regression(np.random.default_rng(10))
    objective = _Objective(net, MSELoss(), x, t)
    w = objective.best.copy()
    least, _ = objective(w)
    w[:] = np.nan
    assert objective(w)[0] == np.inf
    assert objective.least == least
    assert np.isfinite(objective.best).all()


class Exploding(Layer):
    """``y = x^2`` up to 10, then infinite."""

    def forward(self, x):
        self.x = x
        return np.where(np.abs(x) < 10, x**2, np.inf)

    def backward(self, dout):
        return 2 * self.x * dout


@pytest.mark.parametrize("method", METHODS)
def test_an_infinite_loss_on_the_way_is_left_behind(method):
    net = Sequential(MatMul(np.array([[9.0]])), Exploding())
    x, t = np.ones((1, 1)), np.zeros((1, 1))
    minimize(net, MSELoss(), x, t, method, progress=False)
    assert abs(net[0].W[0, 0]) <= 9
    assert np.isfinite(net.predict(x)).all()


def test_wrong_arguments():
    x, t, net = regression(np.random.default_rng(9))
    with pytest.raises(ValueError, match="method is 'Powell'"):
        minimize(net, MSELoss(), x, t, "Powell")
    with pytest.raises(ValueError, match="no parameters"):
        minimize(Sequential(Tanh()), MSELoss(), x, t)
    with pytest.raises(ValueError, match="minimize: x has 40 rows and t 39"):
        minimize(net, MSELoss(), x, t[1:])
    with pytest.raises(TypeError, match=r"minimize: net is \[.*, expected a Layer"):
        minimize(list(net), MSELoss(), x, t)
    with pytest.raises(TypeError, match="minimize: loss is the class MSELoss"):
        minimize(net, MSELoss, x, t)
    with pytest.raises(TypeError, match="minimize: options is 100, expected a dict"):
        minimize(net, MSELoss(), x, t, options=100)
    with pytest.raises(TypeError, match="minimize: callback is True, expected a function"):
        minimize(net, MSELoss(), x, t, callback=True)
    x[3, 2] = np.nan
    with pytest.raises(ValueError, match=r"x\[3, 2\] is nan"):
        minimize(net, MSELoss(), x, t)
