"""The contract of `Layer`, on the example of the contract itself."""

import copy
import inspect
import pickle
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass

import numpy as np
import pytest

from chainrule.layers import Affine, CrossEntropyLoss, Layer, Sigmoid, layer_laws, tree
from chainrule.layers.undeclared import check_declared
from chainrule.networks import FunctionStack, Sequential


class Scale(Layer):
    """out = a * x;  dx = dout * a,  da = sum of dout * x."""

    param_names = ("a",)
    buffer_names = ("seen",)

    def __init__(self, a):
        self.a, self.seen = a, np.zeros(())

    def forward(self, x):
        self.x = x
        self.seen += 1
        return self.a * x

    def backward(self, dout):
        self.da = np.asarray((dout * self.x).sum())
        return dout * self.a


def test_params_and_grads_are_derived():
    a = np.array(2.0)
    layer = Scale(a)
    layer.forward(np.arange(3.0))
    layer.backward(np.ones(3))
    assert layer.params[0] is a
    assert layer.grads == [3.0]


def test_backward_before_forward_says_so():
    with pytest.raises(
        AttributeError, match=r"Scale has no 'x'; if forward\(\) sets it, call forward\(\) first"
    ):
        Scale(np.ones(())).backward(1.0)
    with pytest.raises(AttributeError, match=r"no 'y'; if forward\(\) sets it, call forward"):
        Sigmoid().backward(np.ones((1, 1)))
    with pytest.raises(
        AttributeError, match=r"Affine has no 'dW'; call forward\(\) and backward\(\) first"
    ):
        _ = Affine(np.ones((1, 1)), [0]).dW
    with pytest.raises(AttributeError, match=r"call forward\(\) and backward\(\) first"):
        _ = Affine(np.ones((1, 1)), [0]).grads


def test_a_parameter_that_was_never_set_is_named():
    class Forgetful(Layer):
        param_names = ("W",)

    with pytest.raises(
        AttributeError, match=r"'params': it has no 'W', which its class declares: set it"
    ):
        _ = Forgetful().params


def test_layers_copy_and_pickle():
    layer = Affine(np.ones((2, 3)), np.zeros(3))
    layer.forward(np.ones((1, 2)))
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(twin.backward(np.ones((1, 3))), [[3.0, 3.0]])


def test_state_holds_parameters_and_buffers_and_is_a_copy():
    layer = Scale(np.array(2.0))
    layer.forward(np.ones(2))
    state = layer.state_dict()
    assert state == {"a": 2.0, "seen": 1.0}
    layer.a += 1
    assert state["a"] == 2.0
    layer.load_state_dict(state)
    assert layer.a == 2.0


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"W": np.ones((2, 3))}, r"missing \['b'\], unexpected \[\]"),
        ({"W": np.ones((2, 3)), "b": np.ones(3), "c": 1}, r"missing \[\], unexpected \['c'\]"),
        ({"W": np.ones((3, 2)), "b": np.ones(3)}, r"'W' is float64 of shape \(3, 2\), expected"),
        ({"W": np.ones((2, 3)), "b": np.ones(3, int)}, "'b' is int64 of shape"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(state, message):
    layer = Affine(np.zeros((2, 3)), np.zeros(3))
    with pytest.raises(ValueError, match=message):
        layer.load_state_dict(state)
    assert not layer.W.any()
    assert not layer.b.any()


def test_a_partial_state_loads_what_matches_and_says_what_it_left():
    layer = Affine(np.zeros((2, 3)), np.zeros(3))
    state = {"W": np.ones((2, 3)), "b": np.ones(4), "c": np.ones(3)}
    assert layer.load_state_dict(state, partial=True) == (["b"], ["b", "c"])
    assert layer.W.all()
    assert not layer.b.any()
    assert layer.load_state_dict(layer.state_dict()) == ([], [])


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"W": np.ones((2, 3)), "b": np.full(3, np.nan)}, "'b' holds nan, not finite"),
        ({"W": np.ones((2, 3)), "b": np.ones(3, int)}, "'b' is int64 of shape"),
        (
            {"0.W": np.ones((2, 3)), "b": np.ones(4)},
            r"has \['0.W', 'b'\], the layer has \['W', 'b'",
        ),
        ({}, r"nothing of the state matches in name and shape: it has \[\]"),
    ],
)
def test_a_partial_state_with_a_mistake_changes_nothing(state, message):
    layer = Affine(np.zeros((2, 3)), np.zeros(3))
    with pytest.raises(ValueError, match=message):
        layer.load_state_dict(state, partial=True)
    assert not layer.W.any()
    assert not layer.b.any()


def test_predict_puts_the_mode_back_whatever_happens():
    class Moody(Layer):
        def forward(self, x):
            assert not self.training
            return 1 / x

    layer = Moody()
    assert layer.predict(2) == 0.5
    assert layer.training
    with pytest.raises(ZeroDivisionError):
        layer.predict(0)
    assert layer.training
    layer.eval()
    layer.predict(1)
    assert not layer.training


@pytest.mark.parametrize("x", [None, "abc", [["a"]], np.array([object()]), 1j])
def test_what_is_no_number_is_refused(x):
    with pytest.raises(TypeError, match=r"Sigmoid\(\): x is of dtype .*, expected real numbers"):
        Sigmoid().forward(x)


def test_checks_hold_for_a_new_shape_after_one_that_passed():
    layer = Affine(np.ones((2, 3)), np.zeros(3))
    layer.forward(np.ones((4, 2)))
    for shape in [(2,), (4, 3), ()]:
        with pytest.raises(ValueError, match=r"Affine\(2 -> 3\): x has shape"):
            layer.forward(np.ones(shape))
    with pytest.raises(ValueError, match=r"dout has shape \(4, 2\), expected \(4, 3\)"):
        layer.backward(np.ones((4, 2)))


def test_integers_become_floats_of_the_layer():
    layer = Affine(np.ones((2, 1), np.float32), np.zeros(1, np.float32))
    for _ in range(2):
        assert layer.forward(np.array([[1, 2]])).dtype == np.float32


def test_a_missing_attribute_is_told_without_guessing():
    text = r"^Scale has no 'fit'; if forward\(\) sets it, call forward\(\) first$"
    with pytest.raises(AttributeError, match=text):
        Scale(np.ones(3)).fit  # noqa: B018


def test_predict_runs_a_layers_own_methods_on_its_copy():
    class Chosen(Layer):
        def __init__(self):
            self.function = self.double

        def double(self, x):
            self.x = x
            return 2 * x

        def forward(self, x):
            return self.function(x)

    layer = Chosen()
    layer.forward(1.0)
    assert layer.predict(3.0) == 6
    assert layer.x == 1


def test_predict_leaves_what_forward_saved():
    layer = Affine(np.ones((2, 1)), np.zeros(1))
    layer.forward(x := np.ones((3, 2)))
    layer.predict(np.zeros((1, 2)))
    assert layer.x is x


class Kept(Layer):
    """out = x^3;  what it saves is in containers that the constructor made."""

    def __init__(self):
        self.cache, self.seen = {"x": [None]}, (deque(maxlen=1),)
        self.same = self.cache

    def forward(self, x):
        self.cache["x"][0] = x
        self.seen[0].append(x)
        return x**3

    def backward(self, dout):
        return 3 * dout * self.same["x"][0] * self.seen[0][0]


def test_what_forward_keeps_in_containers_is_each_calls_own():
    layer = Kept()
    layer.forward(2.0)
    assert layer.predict(5.0) == 125
    assert layer.backward(1.0) == 12
    stack = FunctionStack()
    x = stack.value(2.0)
    stack.backward(stack.push(layer, stack.push(layer, x)))
    assert x.grad == 9 * 2.0**8
    layer_laws(Kept, np.ones((2, 3)) + np.eye(2, 3))


def test_a_net_of_the_books_style_keeps_its_inner_layers_through_predict():
    class Inner:
        def __init__(self):
            self.params, self.grads = [np.eye(2)], [np.zeros((2, 2))]

        def forward(self, x):
            self.x = x
            return x @ self.params[0]

        def backward(self, dout):
            self.grads[0][...] = self.x.T @ dout
            return dout @ self.params[0].T

    class Net:
        def __init__(self):
            self.layers = {"a": Inner(), "b": Inner()}
            self.params = [p for layer in self.layers.values() for p in layer.params]
            self.grads = [g for layer in self.layers.values() for g in layer.grads]

        def forward(self, x):
            for layer in self.layers.values():
                x = layer.forward(x)
            return x

        def backward(self, dout):
            for layer in reversed(self.layers.values()):
                dout = layer.backward(dout)
            return dout

    net, x, stack = Net(), np.array([[1.0, 2.0]]), FunctionStack()
    net.forward(x)
    tree.twin(net).forward(5 * x)
    net.backward(x)
    np.testing.assert_array_equal(net.grads[0], x.T @ x)
    value = stack.value(x)
    stack.backward(stack.push(net, stack.push(net, value)), x)
    np.testing.assert_array_equal(net.grads[0], 2 * x.T @ x)


def test_map_arrays_keeps_shared_arrays_shared():
    layer = Scale(np.array(2.0))
    layer.seen = layer.a
    layer.map_arrays(lambda array: array.astype(np.float32))
    assert layer.a is layer.seen
    assert layer.a.dtype == np.float32


class Listed:
    """out = x @ W;  a class of the books' style, no Layer: W is listed and an attribute too."""

    def __init__(self):
        self.W = np.eye(2)
        self.dW = np.zeros((2, 2))
        self.params, self.grads = [self.W], [self.dW]

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dout):
        self.dW[...] = self.x.T @ dout
        return dout @ self.W.T


def test_map_arrays_keeps_a_listed_attribute_trained():
    net = Sequential(Affine(np.eye(2), np.zeros(2)), Listed())
    net.map_arrays(np.float32)
    assert net[1].params[0] is net[1].W
    assert net[1].grads[0] is net[1].dW
    x = np.array([[1.0, 2.0]], np.float32)
    net.backward(net.forward(x))
    np.testing.assert_array_equal(net.grads[2], x.T @ x)
    net.params[2][...] = 0
    assert not net.forward(x).any()


def test_map_arrays_changes_nothing_if_the_function_raises():
    layer = Affine(np.eye(2), np.zeros(2))

    def fails(array):
        if array.ndim == 1:
            raise MemoryError
        return array.astype(np.float32)

    with pytest.raises(MemoryError):
        layer.map_arrays(fails)
    assert layer.W.dtype == np.float64


class Hidden(Layer):
    """out = mask * x;  the attributes as the books write them: None at first."""

    def __init__(self):
        self.mask, self.limit = None, np.zeros(1)

    def forward(self, x):
        self.mask, self.shape = x > self.limit, x.shape
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


def test_forget_keeps_what_the_constructor_set():
    layer = Hidden()
    layer.forward(np.ones(1000))
    layer.eval()
    layer.freeze()
    layer.forget()
    assert layer.mask is None
    assert not hasattr(layer, "shape")
    assert (layer.limit, layer.training, layer.frozen) == (np.zeros(1), False, True)


@dataclass
class Scaled(Layer):
    """out = factor * x;  a dataclass, whose constructor is written after the class is."""

    factor: float

    def forward(self, x):
        self.x = x
        return self.factor * x


def test_forget_leaves_a_dataclass_as_it_is():
    layer = Scaled(2.0)
    layer.forward(np.ones(3))
    layer.forget()
    np.testing.assert_array_equal(layer.forward(layer.x), 2 * np.ones(3))


def test_forget_makes_the_pickle_of_a_used_layer_small():
    layer = Affine.random(3, 2, np.random.default_rng(0))
    new = len(pickle.dumps(layer))
    layer.backward(layer.forward(np.ones((1000, 3))))
    assert len(pickle.dumps(layer)) > 10_000
    layer.forget()
    assert len(pickle.dumps(layer)) == new
    copies = pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)
    for twin in copies:
        twin.backward(twin.forward(np.ones((1000, 3))))
        twin.forget()
        assert len(pickle.dumps(twin)) < new + 64  # names may be written twice


def test_a_copy_still_remembers_the_forward():
    layer = Affine.random(3, 2, np.random.default_rng(0))
    out = layer.forward(np.ones((4, 3)))
    dx = layer.backward(out)
    np.testing.assert_array_equal(copy.deepcopy(layer).backward(out), dx)


def test_signatures_and_abstract_classes_stay_pythons_own():
    assert (
        str(inspect.signature(Affine))
        == "(W: 'ArrayLike', b: 'ArrayLike', *, transposed: 'bool' = False) -> 'None'"
    )
    assert str(inspect.signature(Sigmoid)) == "()"

    class Base(Layer, ABC):
        @abstractmethod
        def slope(self): ...

    with pytest.raises(TypeError, match="abstract"):
        Base()


def test_forget_keeps_what_was_configured():
    class Clamp(Layer):
        limit = 6.0

        def forward(self, x):
            self.x = x
            return np.minimum(x, self.limit)

    layer, loss = Clamp(), CrossEntropyLoss()
    layer.limit, loss.ignore_index = 3.0, -1
    layer.forward(np.array([5.0]))
    layer.forget()
    loss.forget()
    assert layer.predict(np.array([5.0])) == 3
    assert loss.ignore_index == -1
    assert "x" not in vars(layer)


@pytest.mark.parametrize("holder", [list, tuple, lambda arrays: dict(enumerate(arrays))])
def test_map_arrays_reaches_arrays_in_lists_tuples_and_dicts(holder):
    layer = Affine(np.ones((2, 3)), np.zeros(3))
    layer.mine = holder([layer.W, layer.b])
    layer.map_arrays(lambda array: array.astype(np.float32))
    kept = layer.mine.values() if isinstance(layer.mine, dict) else layer.mine
    assert [id(array) for array in kept] == [id(layer.W), id(layer.b)]


def test_a_numpy_number_is_no_parameter():
    class Scale(Layer):
        param_names = ("a",)

        def __init__(self):
            self.a = np.float32(1)

        def forward(self, x):
            return x

        backward = forward

    with pytest.raises(TypeError, match=r"type float32, .* such as as_parameter\(value, \"a\"\)"):
        check_declared(Scale())


def test_names_that_follow_from_the_object_can_be_copied():
    class Several(Layer):
        def __init__(self, count):
            self.count = count
            for k in range(count):
                setattr(self, f"W{k}", np.ones((3, 3)))

        @property
        def param_names(self):
            return tuple(f"W{k}" for k in range(self.count))

        def forward(self, x):
            for W in self.params:
                x = x @ W
            return x

    assert len(copy.deepcopy(Several(2)).params) == 2
    assert Several(2).predict(np.ones((1, 3))).shape == (1, 3)


def test_the_error_inside_a_property_is_its_own():
    class Normed(Layer):
        def __init__(self):
            self.v = np.ones(3)

        @property
        def norm(self):
            return self.v.nrm()

    with pytest.raises(AttributeError, match="no attribute 'nrm'"):
        Normed().norm  # noqa: B018


def test_params_are_declared_not_assigned():
    class BookMatMul(Layer):
        def __init__(self, W):
            self.params = [W]

    with pytest.raises(TypeError, match=r'declare the arrays, such as param_names = \("W", "b"\)'):
        BookMatMul(np.ones((2, 2)))


def test_a_part_of_a_network_of_ones_own_is_set_first():
    class Encoder(Sequential):
        part_names = ("layers", "head")

        def __init__(self, rng):
            super().__init__(Affine.random(3, 2, rng))
            self.head = Affine.random(2, 2, rng)

    with pytest.raises(AttributeError, match=r"no 'head', .* before super\(\).__init__\(...\)"):
        Encoder(np.random.default_rng(0))


def test_a_buffer_that_is_a_number_is_told():
    class Scaled(Layer):
        buffer_names = ("scale",)

        def __init__(self):
            self.scale = np.float64(1)

    with pytest.raises(TypeError, match="'scale' is a float64, expected an array"):
        Scaled().state_dict()
