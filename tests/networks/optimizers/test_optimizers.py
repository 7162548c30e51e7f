"""Every optimizer against its formula, written out slowly element by element."""

import math
import re

import numpy as np
import pytest

from chainrule.layers import Affine
from chainrule.networks import SGD, AdaGrad, Adam, AdamW, Optimizer, RMSProp
from chainrule.networks.optimizers import base as optimizer_base

SHAPES = [(3, 4), (4,), (), (2, 1, 3)]


def sgd(lr, momentum=0.0, nesterov=False, wd=0.0):
    def update(p, g, s, t):
        g += wd * p
        s["v"] = momentum * s.get("v", 0.0) + g
        return p - lr * (g + momentum * s["v"] if nesterov else s["v"])

    return update


def adagrad(lr, eps, wd=0.0):
    def update(p, g, s, t):
        g += wd * p
        s["h"] = s.get("h", 0.0) + g**2
        return p - lr * g / (math.sqrt(s["h"]) + eps)

    return update


def rmsprop(lr, rho, eps, wd=0.0):
    def update(p, g, s, t):
        g += wd * p
        s["v"] = rho * s.get("v", 0.0) + (1 - rho) * g**2
        return p - lr * g / (math.sqrt(s["v"]) + eps)

    return update


def adam(lr, b1, b2, eps, wd=0.0, decoupled=0.0):
    def update(p, g, s, t):
        p -= lr * decoupled * p
        g += wd * p
        s["m"] = b1 * s.get("m", 0.0) + (1 - b1) * g
        s["v"] = b2 * s.get("v", 0.0) + (1 - b2) * g**2
        m, v = s["m"] / (1 - b1**t), s["v"] / (1 - b2**t)
        return p - lr * m / (math.sqrt(v) + eps)

    return update


CASES = {
    "sgd": (lambda: SGD(0.1), sgd(0.1)),
    "sgd decay": (lambda: SGD(0.1, weight_decay=0.3), sgd(0.1, wd=0.3)),
    "momentum": (lambda: SGD(0.1, 0.9), sgd(0.1, 0.9)),
    "momentum decay": (lambda: SGD(0.1, 0.9, weight_decay=0.3), sgd(0.1, 0.9, wd=0.3)),
    "nesterov": (lambda: SGD(0.1, 0.8, nesterov=True), sgd(0.1, 0.8, True)),
    "adagrad": (lambda: AdaGrad(0.1), adagrad(0.1, 1e-10)),
    "adagrad decay": (lambda: AdaGrad(0.1, eps=0.5, weight_decay=0.3), adagrad(0.1, 0.5, 0.3)),
    "rmsprop": (lambda: RMSProp(0.1, 0.7), rmsprop(0.1, 0.7, 1e-8)),
    "rmsprop decay": (lambda: RMSProp(0.1, eps=0.5, weight_decay=1), rmsprop(0.1, 0.99, 0.5, 1)),
    "adam": (lambda: Adam(0.1), adam(0.1, 0.9, 0.999, 1e-8)),
    "adam betas": (lambda: Adam(0.1, (0.5, 0.6), eps=0.5), adam(0.1, 0.5, 0.6, 0.5)),
    "adam decay": (lambda: Adam(0.1, weight_decay=0.3), adam(0.1, 0.9, 0.999, 1e-8, 0.3)),
    "adamw": (lambda: AdamW(0.1), adam(0.1, 0.9, 0.999, 1e-8, decoupled=0.01)),
    "adamw decay": (
        lambda: AdamW(0.1, weight_decay=0.3),
        adam(0.1, 0.9, 0.999, 1e-8, decoupled=0.3),
    ),
}
MAKE = [pytest.param(make, id=name) for name, (make, _) in CASES.items()]


def draw(rng, dtype=np.float64, shapes=SHAPES):
    return [np.asarray(rng.normal(size=shape), dtype=dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("make", "formula"), CASES.values(), ids=CASES)
def test_formula(make, formula, dtype):
    rng = np.random.default_rng(1)
    optimizer, params = make(), draw(rng, dtype)
    arrays = list(params)
    expected = [p.astype(np.float64).ravel().tolist() for p in params]
    states = [[{} for _ in p] for p in expected]
    for t in range(1, 21):
        grads = draw(rng, dtype)
        optimizer.step(params, grads)
        for p, g, s in zip(expected, grads, states, strict=True):
            p[:] = [formula(*numbers, t) for numbers in zip(p, g.ravel().tolist(), s, strict=True)]
    for p, array, numbers in zip(params, arrays, expected, strict=True):
        assert p is array
        assert p.dtype == dtype
        np.testing.assert_allclose(p.ravel(), numbers, rtol=1e-9 if dtype == np.float64 else 2e-4)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_plain_sgd_to_the_last_bit(dtype):
    rng = np.random.default_rng(2)
    params, grads = draw(rng, dtype), draw(rng, dtype)
    expected = [p - 0.3 * g for p, g in zip(params, grads, strict=True)]
    SGD(0.3).step(params, grads)
    for p, e in zip(params, expected, strict=True):
        assert p.tobytes() == e.tobytes()


@pytest.mark.parametrize("make", MAKE)
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_large_parameters_go_in_blocks_with_the_same_result(make, order, monkeypatch):
    rng = np.random.default_rng(3)
    whole, grads = draw(rng, shapes=[(50, 7), (101,)]), draw(rng, shapes=[(50, 7), (101,)])
    blocked = [p.copy() for p in whole]
    if order == "F":
        blocked = [np.asfortranarray(p) for p in whole]
    if order == "strided":
        blocked = [np.repeat(p, 2, axis=0)[::2] for p in whole]
    one, other = make(), make()
    for _ in range(3):
        one.step(whole, grads)
        with monkeypatch.context() as patch:
            patch.setattr(optimizer_base, "_BLOCK", 16)
            other.step(blocked, grads)
    for p, q in zip(whole, blocked, strict=True):
        np.testing.assert_array_equal(p, q)


@pytest.mark.parametrize("make", MAKE)
def test_gradients_are_not_written_to(make):
    rng = np.random.default_rng(4)
    optimizer, params, grads = make(), draw(rng), draw(rng)
    before = [g.copy() for g in grads]
    for g in grads:
        g.flags.writeable = False
    for _ in range(3):
        optimizer.step(params, grads)
    for g, b in zip(grads, before, strict=True):
        np.testing.assert_array_equal(g, b)


@pytest.mark.parametrize("make", MAKE)
def test_goes_on_from_its_state_to_the_last_bit(make):
    rng = np.random.default_rng(5)
    one, params = make(), draw(rng, np.float32)
    batches = [draw(rng, np.float32) for _ in range(6)]
    for grads in batches[:3]:
        one.step(params, grads)
    one.lr = 0.05
    copies = [p.copy() for p in params]
    other = make()
    other.load_state_dict(one.state_dict())
    assert other.lr == 0.05
    for grads in batches[3:]:
        one.step(params, grads)
        other.step(copies, grads)
    for p, q in zip(params, copies, strict=True):
        assert p.tobytes() == q.tobytes()


def test_state_dict_holds_copies():
    rng = np.random.default_rng(6)
    optimizer, params = Adam(), draw(rng)
    optimizer.step(params, draw(rng))
    state = optimizer.state_dict()
    kept = {name: np.array(value) for name, value in state.items()}
    optimizer.step(params, draw(rng))
    for name, value in kept.items():
        np.testing.assert_array_equal(state[name], value)


def test_lr_changes_between_steps():
    p = np.array([1.0])
    optimizer = SGD(0.5)
    optimizer.step([p], [np.array([1.0])])
    optimizer.lr = 0.25
    optimizer.step([p], [np.array([1.0])])
    assert p == [0.25]


@pytest.mark.parametrize("number", [np.float64, np.array])
@pytest.mark.parametrize("kind", [SGD, AdaGrad, RMSProp, Adam, AdamW])
def test_numpy_numbers_become_pythons_which_keep_float32_arithmetic(kind, number):
    made = kind()
    names = [name for name in made.hyperparameters if name not in ("nesterov", "betas")]
    again = kind(**{name: number(getattr(made, name) or 0.5) for name in names})
    assert all(type(getattr(again, name)) is float for name in names)
    if kind in (Adam, AdamW):
        assert [type(b) for b in kind(betas=number([0.5, 0.6])).betas] == [float, float]


def test_a_numpy_number_as_lr_to_the_last_bit():
    rng = np.random.default_rng(7)
    (p,), (g,) = draw(rng, np.float32, [(9,)]), draw(rng, np.float32, [(9,)])
    expected = p - 0.1 * g
    SGD(np.float64(0.1)).step([p], [g])
    np.testing.assert_array_equal(p, expected)


def test_momentum_switched_on_and_off():
    rng = np.random.default_rng(10)
    optimizer, params, grads = SGD(0.5), [np.zeros(3)], draw(rng, shapes=[(3,)])
    g, expected = grads[0], np.zeros(3)
    for momentum, move in ((0.0, g), (0.5, g), (0.5, 1.5 * g), (0.0, g), (0.5, g)):
        optimizer.momentum = momentum
        optimizer.step(params, grads)
        expected -= 0.5 * move
        np.testing.assert_allclose(params[0], expected)


@pytest.mark.parametrize("make", MAKE)
def test_wrong_arguments_change_nothing(make):
    rng = np.random.default_rng(8)
    optimizer, params = make(), draw(rng)
    grads = draw(rng)
    before = [p.copy() for p in params]
    with pytest.raises(ValueError, match="gradients have shapes"):
        optimizer.step(params, grads[:-1])
    with pytest.raises(ValueError, match="gradients have shapes"):
        optimizer.step(params, [*grads[:-1], np.ones((2, 1, 1))])
    for p, b in zip(params, before, strict=True):
        np.testing.assert_array_equal(p, b)
    optimizer.step(params, grads)
    for dtype in (np.int64, np.complex128):
        p = np.array([1, 2], dtype)
        with pytest.raises(TypeError, match=f"parameter 0 is of dtype {p.dtype}, expected floats"):
            make().step([p], [np.ones(2)])


@pytest.mark.parametrize("make", MAKE)
def test_float16_is_worked_on_in_float32(make):
    rng = np.random.default_rng(12)
    half = [p.astype(np.float16) for p in draw(rng)]
    single = [p.astype(np.float32) for p in half]
    optimizer, other = make(), make()
    for scale in (1e-4, 300.0):  # squared, neither is a float16
        grads = [(scale * g).astype(np.float16) for g in draw(rng)]
        optimizer.step(half, grads)
        other.step(single, [g.astype(np.float32) for g in grads])
    for p, q in zip(half, single, strict=True):
        assert p.dtype == np.float16
        np.testing.assert_allclose(p, q, rtol=4e-3, atol=4e-3)
    resumed = make()
    resumed.load_state_dict(optimizer.state_dict())
    resumed.step(half, half)


def test_a_state_that_does_not_fit_is_refused():
    rng = np.random.default_rng(9)
    params = draw(rng)
    adam = Adam()
    adam.step(params, draw(rng))
    state = adam.state_dict()
    with pytest.raises(ValueError, match="of class Adam"):
        AdamW().load_state_dict(state)
    for broken in (
        {k: v for k, v in state.items() if k != "M.1"},
        {k: v for k, v in state.items() if k != "t"},
        state | {"extra": np.ones(1)},
    ):
        fresh = Adam(0.7)
        with pytest.raises(ValueError, match="expected"):
            fresh.load_state_dict(broken)
        assert fresh.lr == 0.7
    with pytest.raises(ValueError, match="the state is for"):
        Adam().load_state_dict(state | {"V.1": np.ones(3)})
    for others in (draw(rng, np.float32), params[:2], [params[1], params[0], *params[2:]]):
        fresh = Adam()
        fresh.load_state_dict(state)
        with pytest.raises(ValueError, match="the state is for"):
            fresh.step(others, [np.ones_like(p) for p in others])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", -1.0),
        ("lr", "0.1"),
        ("lr", [0.1]),
        ("eps", np.nan),
        ("weight_decay", np.inf),
        ("betas", (0.9, 1.0)),
        ("betas", 0.9),
        ("t", -1),
        ("t", 1.5),
        ("t", [1]),
        ("arrays", 0),
        ("arrays", 5),
        ("M.0", np.ones((3, 4), int)),
        ("M.0", np.ones((3, 4), np.float16)),
    ],
)
def test_a_wrong_value_in_a_state_changes_nothing(name, value):
    rng = np.random.default_rng(11)
    params = draw(rng)
    adam, other = Adam(), Adam(0.7, (0.5, 0.6), eps=0.1, weight_decay=0.3)
    adam.step(params, draw(rng))
    other.step(params, draw(rng))
    before = other.state_dict()
    with pytest.raises((ValueError, TypeError), match="Adam"):
        other.load_state_dict(adam.state_dict() | {name: value})
    assert other.betas == (0.5, 0.6)
    after = other.state_dict()
    for key in before | after:
        np.testing.assert_array_equal(after[key], before[key])


def test_the_loaded_momentum_decides_what_is_kept():
    rng = np.random.default_rng(12)
    batches = [draw(rng) for _ in range(6)]
    for done in (0, 3):
        one, params, other = SGD(0.1, 0.9), draw(rng), SGD(0.1)
        for grads in batches[:done]:
            one.step(params, grads)
        copies = [p.copy() for p in params]
        other.load_state_dict(one.state_dict())
        for grads in batches:
            one.step(params, grads)
            other.step(copies, grads)
        for p, q in zip(params, copies, strict=True):
            np.testing.assert_array_equal(p, q)


def test_the_betas_are_a_tuple_again():
    other = Adam()
    other.load_state_dict(Adam(betas=(0.5, 0.6)).state_dict())
    assert other.betas == (0.5, 0.6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(-1),
        lambda: SGD(math.nan),
        lambda: SGD(math.inf),
        lambda: SGD(0.1, 1.0),
        lambda: SGD(0.1, nesterov=True),
        lambda: SGD(weight_decay=-1),
        lambda: AdaGrad(eps=-1),
        lambda: RMSProp(eps=0),
        lambda: Adam(eps=1e-50),  # 0 in float32
        lambda: RMSProp(rho=1),
        lambda: Adam(betas=(0.9, 1.0)),
        lambda: AdamW(eps=math.nan),
    ],
)
def test_settings_out_of_range(make):
    with pytest.raises(ValueError, match=r"expected|needs"):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD("0.1"), "SGD: lr is '0.1', expected a number"),
        (lambda: SGD(None), "SGD: lr is None, expected a number"),
        (lambda: SGD(np.array([0.1])), "SGD: lr is array([0.1]), expected a number"),
        (lambda: SGD(momentum=1j), "SGD: momentum is 1j, expected a number"),
        (
            lambda: SGD(momentum=0.9, nesterov=7),
            "SGD: nesterov is 7, expected True or False",
        ),
        (lambda: Adam(betas=(0.9, [1, 2])), "Adam: b2 is [1, 2], expected a number"),
        (lambda: Adam(betas=(0.9,)), "Adam: betas is (0.9,), expected a pair of numbers"),
        (lambda: Adam(betas=0.9), "Adam: betas is 0.9, expected a pair of numbers"),
        (lambda: AdamW(betas=("a", 0.9)), "AdamW: b1 is 'a', expected a number"),
    ],
)
def test_settings_that_are_no_numbers(make, message):
    with pytest.raises(TypeError) as caught:
        make()
    assert str(caught.value) == message


def test_a_state_whose_nesterov_is_no_bool_changes_nothing():
    optimizer = SGD(0.1, 0.9)
    with pytest.raises(TypeError, match=r"SGD: nesterov is 7\.5, expected True or False"):
        optimizer.load_state_dict(optimizer.state_dict() | {"lr": 0.5, "nesterov": 7.5})
    assert (optimizer.lr, optimizer.nesterov) == (0.1, False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(math.inf), "SGD: lr is inf, expected at least 0 and finite"),
        (lambda: SGD(0.1, 1.0), "SGD: momentum is 1.0, expected at least 0 and below 1"),
    ],
)
def test_a_setting_out_of_range_is_told_its_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("kind", [AdaGrad, RMSProp, Adam, AdamW])
@pytest.mark.parametrize(
    ("dtype", "fits", "sum_overflows", "overflows"),
    [(np.float32, 1e17, 3e17, 1e20), (np.float64, 1e152, 2e152, 1e200)],
)
def test_an_overflowing_square_is_an_error_before_anything_moves(
    kind, dtype, fits, sum_overflows, overflows
):
    optimizer, params, ones = kind(), [np.ones(2, dtype), np.ones(3, dtype)], np.ones(2, dtype)

    def step(g):
        optimizer.step(params, [ones, np.array([1, g, 1], dtype)])

    def everything():
        return [a.tobytes() for a in (*params, *optimizer.state_dict().values())]

    for _ in range(2):  # before the first step, and after it
        before = everything()
        for g in (sum_overflows, overflows):
            with pytest.raises(
                FloatingPointError, match=re.escape(f"gradient 1 holds {g:.3g}, whose square")
            ):
                step(g)
            assert everything() == before
        step(1)
    before = everything()
    for _ in range(1000):
        step(fits)
    assert all(np.isfinite(a).all() for a in optimizer.state_dict().values() if a.dtype == dtype)
    assert everything() != before


@pytest.mark.parametrize("kind", [AdaGrad, RMSProp, Adam, AdamW])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_gradient_at_all_is_a_step_of_0(kind, dtype):
    p = np.ones(3, dtype)
    kind(eps=1e-30, weight_decay=0).step([p], [np.zeros(3, dtype)])
    np.testing.assert_array_equal(p, 1)


def test_lr_is_checked_when_it_is_changed():
    optimizer = SGD()
    with pytest.raises(ValueError, match="lr is nan"):
        optimizer.lr = math.nan
    assert optimizer.lr == 0.1


def test_repr_names_the_settings():
    assert repr(SGD(0.1, 0.9)) == "SGD(lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.0)"


def test_an_optimizer_of_your_own_is_a_formula():
    class SignSGD(Optimizer):
        def __init__(self, lr):
            super().__init__(lr, weight_decay=0.0)

        def _update(self, p, g, *state):
            p -= self.lr * np.sign(g)

    p = np.array([1.0, 2.0])
    SignSGD(0.5).step([p], [np.array([3.0, -4.0])])
    np.testing.assert_array_equal(p, [0.5, 2.5])


def test_momentum_set_between_two_steps_is_in_the_state():
    p, g = [np.ones(2)], [np.ones(2)]
    mine = SGD(0.1)
    mine.step(p, g)
    mine.momentum = 0.9
    q = [p[0].copy()]
    again = SGD(0.1)
    again.load_state_dict(mine.state_dict({"p": p[0]}), {"p": q[0]})
    for _ in range(2):
        mine.step(p, g)
        again.step(q, g)
    np.testing.assert_array_equal(p[0], q[0])


def test_an_array_given_twice_is_refused():
    W = np.ones(2)
    with pytest.raises(ValueError, match="an array is twice in params, expected once"):
        SGD(0.1).step([W, W], [np.ones(2), np.ones(2)])
    np.testing.assert_array_equal(W, 1)


def test_a_gradient_wider_than_its_parameter_does_not_overflow_the_state():
    p, optimizer = np.ones(3, np.float32), Adam()
    with pytest.raises(FloatingPointError, match="1e\\+25, whose square is too large for float32"):
        optimizer.step([p], [np.full(3, 1e25)])
    optimizer.step([p], [np.ones(3)])
    assert (p < 1).all()


def test_map_arrays_that_fails_leaves_net_and_state_as_they_were():
    net, optimizer = Affine(np.ones((2, 2)), np.ones(2)), Adam()
    net.forward(np.ones((1, 2)))
    net.backward(np.ones((1, 2)))
    optimizer.step(net.params, net.grads)
    before = optimizer.state_dict(dict(zip("Wb", net.params, strict=True)))
    for calls in range(6):
        left = iter(range(calls))

        def limited(array, left=left):
            next(left)
            return array.astype(np.float32)

        with pytest.raises(StopIteration):
            optimizer.map_arrays(limited, net)
        after = optimizer.state_dict(dict(zip("Wb", net.params, strict=True)))
        assert {p.dtype for p in net.params} == {np.dtype(np.float64)}
        for name, array in before.items():
            np.testing.assert_array_equal(after[name], array, strict=True)


@pytest.mark.parametrize("base", [Optimizer, Adam])
def test_a_formula_of_ones_own_gets_whole_arrays(base):
    class ByNorm(base):
        """``p = p - lr |p| / |g| g``."""

        def __init__(self, lr):
            super().__init__(lr) if base is Adam else super().__init__(lr, 0.0)

        def _update(self, p, g, *state):
            p -= self.lr * np.linalg.norm(p) / np.linalg.norm(g) * g

    rng = np.random.default_rng(8)
    (p,), (g,) = draw(rng, shapes=[(300, 300)]), draw(rng, shapes=[(300, 300)])
    expected = p - 0.1 * np.linalg.norm(p) / np.linalg.norm(g) * g
    ByNorm(0.1).step([p], [g])
    np.testing.assert_allclose(p, expected, rtol=1e-12)
