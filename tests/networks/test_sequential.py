import numpy as np
import pytest

from chainrule.layers import AddLayer, Affine, Identity, MatMul, MulLayer, ReLU, Sigmoid, Sum
from chainrule.networks import Branch, Graph, Parallel, Sequential


def shop():
    fruit = Sequential(Parallel(MulLayer(), MulLayer()), AddLayer())
    return Sequential(Parallel(fruit, Identity()), MulLayer())


def test_gradients_come_back_as_the_inputs_went_in():
    net = shop()
    assert net.forward(((100, 2), (150, 3)), 1.1) == 715.0000000000001
    (apple, orange), dtax = net.backward(1)
    assert apple == (2.2, 110.00000000000001)
    assert orange == (3.3000000000000003, 165.0)
    assert dtax == 650


def test_a_chain_is_the_product_of_its_jacobians():
    rng = np.random.default_rng(0)
    A, B, C = (rng.normal(size=shape) for shape in [(4, 3), (3, 5), (5, 2)])
    net = Sequential(MatMul(A), Sequential(MatMul(B), MatMul(C)))
    x, dout = rng.normal(size=(6, 4)), rng.normal(size=(6, 2))
    np.testing.assert_allclose(net.forward(x), x @ A @ B @ C)
    np.testing.assert_allclose(net.backward(dout), dout @ (A @ B @ C).T)
    for grad, want in zip(
        net.grads,
        [x.T @ dout @ (B @ C).T, (x @ A).T @ dout @ C.T, (x @ A @ B).T @ dout],
        strict=True,
    ):
        np.testing.assert_allclose(grad, want)


def test_a_residual_block_adds_its_two_gradients():
    rng = np.random.default_rng(0)
    W = rng.normal(size=(3, 3))
    net = Sequential(Branch(2), Parallel(MatMul(W), Identity()), AddLayer())
    x, dout = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    np.testing.assert_allclose(net.forward(x), x @ W + x)
    np.testing.assert_allclose(net.backward(dout), dout @ W.T + dout)


def test_branch_copies_several_inputs_and_adds_in_their_nesting():
    branch = Branch(3)
    assert branch.forward(1, (2, 3)) == ((1, (2, 3)),) * 3
    assert branch.backward(((1, (2, 3)), (10, (20, 30)), (100, (200, 300)))) == (111, (222, 333))
    assert Branch(1).forward(5) == 5
    assert Branch(1).backward(5) == 5


def test_branch_does_not_write_into_its_gradients():
    douts = tuple(np.ones(3) for _ in range(3))
    branch = Branch(3)
    branch.forward(np.zeros(3))
    np.testing.assert_array_equal(branch.backward(douts), [3, 3, 3])
    assert all((dout == 1).all() for dout in douts)


def test_a_parallel_of_one_is_its_layer():
    net = Parallel(MulLayer())
    assert net.forward((2, 3)) == 6
    assert net.backward(1) == (3, 2)


def test_a_shared_array_is_one_parameter_and_its_gradients_add():
    rng = np.random.default_rng(0)
    W = rng.normal(size=(3, 3))
    net = Sequential(MatMul(W), Parallel(MatMul(W)), MatMul(W.copy()))
    x, dout = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    net.forward(x)
    net.backward(dout)
    assert [p is W for p in net.params] == [True, False]  # equal values do not tie
    np.testing.assert_array_equal(net.grads[0], net[0].dW + net[1][0].dW)
    np.testing.assert_array_equal(net.grads[1], net[2].dW)


class Doubling(MatMul):
    """A subclass with a backward of its own, which the net must not pass by."""

    def backward(self, dout):
        dx = super().backward(dout)
        self.dW = 2 * self.dW
        return dx


@pytest.mark.parametrize("first", [MatMul, Doubling])
def test_backward_params_equals_backward_for_every_parameter(first):
    rng = np.random.default_rng(0)
    nets = [
        Sequential(first(np.ones((3, 4))), Sigmoid(), MatMul(np.ones((4, 2)))),
        Sequential(
            Sequential(Parallel(first(np.ones((3, 2))), MatMul(np.ones((3, 2)))), AddLayer())
        ),
        Sequential(
            Branch(2), Parallel(first(np.ones((3, 2))), MatMul(np.ones((3, 2)))), AddLayer()
        ),
    ]
    x = rng.normal(size=(5, 3))
    for net, value in zip(nets, [x, (x, x), x], strict=True):
        out = net.forward(*value) if isinstance(value, tuple) else net.forward(value)
        dout = rng.normal(size=out.shape)
        net.backward(dout)
        want = net.grads
        assert net.backward_params(dout) is None
        for grad, expected in zip(net.grads, want, strict=True):
            np.testing.assert_array_equal(grad, expected)


def test_a_backward_patched_into_an_instance_is_called():
    layer, seen = MatMul(np.ones((2, 2))), []
    original = layer.backward
    layer.backward = lambda dout: seen.append(dout) or original(dout)
    net = Sequential(layer, ReLU())
    net.forward(np.ones((1, 2)))
    net.backward_params(np.ones((1, 2)))
    assert len(seen) == 1


class OldStyle:
    """A layer in the tutorials' style: no base class, lists of its own."""

    def __init__(self, W):
        self.params = [W]
        self.grads = [np.zeros_like(W)]

    def forward(self, x):
        self.x = x
        return x @ self.params[0]

    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        return dout @ self.params[0].T


class BookRelu:
    """The books' Relu, whose backward writes to the gradient it got."""

    def forward(self, x):
        self.mask = x <= 0
        return np.where(self.mask, 0, x)

    def backward(self, dout):
        dout[self.mask] = 0
        return dout


class Shortcut(Graph):
    """``x + relu(x)``, one call after the other."""

    part_names = ("relu",)

    def __init__(self, relu):
        self.relu = relu

    def connect(self, stack, x):
        return stack.push(AddLayer(), x, stack.push(self.relu, x))


def shortcut(relu):
    return Sequential(Branch(2), Parallel(Identity(), relu), AddLayer())


@pytest.mark.parametrize(
    "net", [shortcut(BookRelu()), shortcut(Sequential(BookRelu())), Shortcut(BookRelu())]
)
def test_a_plain_class_that_writes_to_its_dout_spoils_no_other_gradient(net):
    dout = np.ones((1, 4))
    net.forward(np.array([[1.0, -1.0, 2.0, -2.0]]))
    np.testing.assert_array_equal(net.backward(dout), [[2, 1, 2, 1]])
    np.testing.assert_array_equal(dout, np.ones((1, 4)))


def test_a_class_in_the_old_style_works_as_it_stands():
    rng = np.random.default_rng(0)
    W, V = rng.normal(size=(3, 4)), rng.normal(size=(4, 2))
    ours, theirs = Sequential(MatMul(W), MatMul(V)), Sequential(OldStyle(W), MatMul(V))
    x, dout = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    np.testing.assert_array_equal(ours.forward(x), theirs.forward(x))
    np.testing.assert_array_equal(ours.backward(dout), theirs.backward(dout))
    for a, b in zip(ours.grads, theirs.grads, strict=True):
        np.testing.assert_array_equal(a, b)
    assert theirs.params[0] is W
    assert list(theirs.state_dict()) == ["0.params.0", "1.W"]


def test_indexing_slicing_iteration_length_and_repr():
    net = Sequential(Affine(np.ones((2, 3)), np.zeros(3)), Sigmoid(), ReLU(), Sum(axis=1))
    assert len(net) == 4
    assert isinstance(net[1], Sigmoid)
    assert net[-1] is list(net)[3]
    part = net[1:3]
    assert isinstance(part, Sequential)
    assert list(part) == [net[1], net[2]]
    assert repr(net) == "Sequential(Affine(2 -> 3), Sigmoid(), ReLU(), Sum(axis=1))"


def test_errors_say_where():
    net = Sequential(
        Identity(), Parallel(Identity(), Sequential(Affine(np.ones((2, 3)), np.zeros(3))))
    )
    with pytest.raises(ValueError, match=r"Affine\(2 -> 3\): x has shape \(1, 5\)") as info:
        net.forward(0, np.ones((1, 5)))
    assert info.value.__notes__ == [
        "in Sequential, layer 0: Affine(2 -> 3)",
        "in Parallel, layer 1: Sequential",
        "in Sequential, layer 1: Parallel",
    ]
    with pytest.raises(AttributeError, match="call forward") as info:
        Sequential(Sigmoid(), ReLU()).backward(np.ones(1))
    assert info.value.__notes__ == ["in Sequential, layer 1: ReLU()"]


def test_an_empty_sequence_is_the_identity():
    assert Sequential().forward(3) == 3
    assert Sequential().backward(4) == 4
    assert Sequential().params == []


class Foreign:
    """An array of another library, which NumPy can convert, with a dtype of its own kind."""

    dtype = "float64"

    def __array__(self, dtype=None, copy=None):
        return np.ones((2, 3))


def test_arrays_of_other_libraries_are_converted_by_the_first_layer():
    layer = Affine(np.eye(3), np.zeros(3))
    np.testing.assert_array_equal(Sequential(layer).predict(Foreign()), layer.predict(Foreign()))
