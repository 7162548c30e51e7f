"""A layer made of layers: their parameters, mode and state are its own too."""

from collections import namedtuple

import numpy as np
import pytest

from chainrule.layers import (
    AddLayer,
    Affine,
    BatchNorm,
    Concatenate,
    CrossEntropyLoss,
    Dropout,
    Embedding,
    GradientError,
    Identity,
    Layer,
    MSELoss,
    ReLU,
    SumLoss,
    Tanh,
    check_gradients,
    layer_laws,
)
from chainrule.layers.tree import layers_of
from chainrule.networks import (
    SGD,
    Branch,
    DataParallel,
    Graph,
    Parallel,
    Sequential,
    Trainer,
    value_and_grads,
)


class Residual(Layer):
    """out = x + block(x), written by hand around a net of its own."""

    part_names = ("block",)

    def __init__(self, block):
        self.block = block

    def forward(self, x):
        return x + self.block.forward(x)

    def backward(self, dout):
        return dout + self.block.backward(dout)


def residual(rng=None):
    rng = rng or np.random.default_rng(0)
    norm = BatchNorm(np.ones(3), np.zeros(3))
    return Residual(Sequential(Affine.random(3, 3, rng), norm, Dropout(0.5, rng)))


def test_a_layer_made_of_layers_lends_their_parameters_mode_and_state():
    layer = residual()
    names = ["W", "b"], ["gamma", "beta"]
    block = layer.block
    expected = [getattr(block[i], name) for i in (0, 1) for name in names[i]]
    assert all(a is b for a, b in zip(layer.params, expected, strict=True))
    net = Sequential(layer, Affine.random(3, 2, np.random.default_rng(1)))
    assert len(net.params) == 6
    names = ("0.W", "0.b", "1.gamma", "1.beta")
    assert list(net.state_dict())[:4] == [f"0.block.{name}" for name in names]
    assert "0.block.1.running_mean" in net.state_dict()
    net.eval()
    assert not block[2].training
    net.train()
    net.backward(np.ones_like(net.forward(np.eye(3))))
    assert net.grads[0] is block[0].dW
    assert "0.block.0" in net.summary()
    layer_laws(residual, np.random.default_rng(2).normal(size=(4, 3)))


def test_a_replaced_part_is_the_one_that_is_trained():
    layer = residual()
    net = Sequential(layer)
    layer.block = Sequential(Affine.random(3, 3, np.random.default_rng(3)))
    assert [id(p) for p in net.params] == [id(p) for p in layer.block[0].params]


class Kind(Affine):
    pass


@pytest.mark.parametrize("parts", [[Kind, ReLU()], Kind, {"kind": Kind, "relu": ReLU()}])
def test_a_class_among_the_parts_is_no_layer_and_stays_as_it_is(parts):
    layer = Residual(parts)
    layer.freeze()
    assert "training" not in vars(Kind)
    assert "frozen" not in vars(Kind)
    assert layers_of(layer) == [each for _, each in layer.walk()]


def test_parts_in_lists_and_dicts():
    class Wide(Residual):
        part_names = ("blocks", "by_name")

        def __init__(self):
            self.blocks = [Affine(np.eye(2), np.zeros(2))]
            self.by_name = {"relu": ReLU()}

    assert list(Wide().state_dict()) == ["blocks.0.W", "blocks.0.b"]
    assert [place for place, _ in Wide().walk()] == ["", "blocks.0", "by_name.relu"]
    assert "blocks.0" in Sequential(Wide()).summary()


def test_parts_in_a_named_tuple():
    class Pair(Residual):
        def forward(self, x):
            return self.block.second.forward(self.block.first.forward(x))

    rng = np.random.default_rng(0)
    block = namedtuple("Block", "first second")(Affine.random(3, 4, rng), Affine.random(4, 2, rng))
    net, x = Pair(block), np.ones((1, 3), np.float32)
    np.testing.assert_array_equal(net.predict(x), net.forward(x))
    assert list(net.state_dict())[:2] == ["block.0.W", "block.0.b"]


def test_a_layer_cannot_list_its_own_parameters():
    with pytest.raises(TypeError, match="Own defines 'params', which follows from param_names"):

        class Own(Layer):
            params = property(lambda self: [])

    with pytest.raises(TypeError, match=r"is the string 'Wx', expected a tuple: .* \('Wx',\)"):

        class Text(Layer):
            param_names = "Wx"


def test_parameters_that_a_plain_class_lists_are_saved_and_trained():
    class Scale:
        def __init__(self):
            self.params, self.grads = [np.array([2.0])], [np.zeros(1)]

        def forward(self, x):
            return x * self.params[0]

        def backward(self, dout):
            return dout * self.params[0]

    net = Sequential(Scale())
    assert list(net.state_dict()) == ["0.params.0"]
    net.load_state_dict({"0.params.0": np.array([3.0])})
    assert net.params[0] == 3


def test_what_nothing_declares_is_named_with_the_line_to_write():
    class Hiding(Layer):
        def __init__(self):
            self.block = affine()

    with pytest.raises(TypeError, match=r"0, Hiding\(\): attribute 'block' .*: part_names = \('bl"):
        Sequential(Hiding())

    class Plain:
        def __init__(self):
            self.W = np.eye(3)

        def forward(self, x):
            return x @ self.W

        def backward(self, dout):
            return dout @ self.W.T

    with pytest.raises(TypeError, match=r"holds the arrays W, .* add param_names = \('W',\)"):
        Sequential(Plain())


class BookDropout:
    """A class of the books: its mode is an argument, which no net passes."""

    def forward(self, x, train_flg=True):
        if not train_flg:
            return x / 2
        self.mask = np.arange(x.size).reshape(x.shape) % 2
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


class LayerWithMode(BookDropout, Layer):
    def forward(self, x, training=False):
        return super().forward(x, training)


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: Sequential(ReLU(), BookDropout()), "1, BookDropout: forward takes train_flg"),
        (lambda: Sequential(LayerWithMode()), r"0, LayerWithMode\(\): forward takes training"),
        (lambda: layer_laws(BookDropout, np.ones((4, 3))), "BookDropout: forward takes train_flg"),
    ],
)
def test_a_mode_as_an_argument_is_refused(make, where):
    with pytest.raises((TypeError, GradientError), match=f"^{where}.*self.training"):
        make()


def test_parameters_on_one_memory_that_are_not_one_array_are_refused():
    W = np.eye(3)
    with pytest.raises(ValueError, match=r"W of 0, Affine.* and W of 1, .* share memory without"):
        Sequential(Affine(W, np.zeros(3)), Affine(W.T, np.zeros(3)))
    whole = np.zeros((4, 3))
    net = Sequential(Affine(whole[:3], whole[3]), Affine(W, np.zeros(3)))
    assert len(net.params) == 4


def test_a_frozen_layer_is_saved_but_not_trained():
    net = Sequential(affine(), BatchNorm.identity(3, dtype=np.float64), affine())
    net.freeze()
    assert net.params == []
    net[2].unfreeze()
    assert [id(p) for p in net.params] == [id(net[2].W), id(net[2].b)]
    net.train()
    assert (net[1].training, net[2].training) == (False, True)
    assert len(net.state_dict()) == 8
    net.unfreeze()
    net.train()
    assert net[1].training
    assert len(net.params) == 6


class Counting(Identity):
    calls = 0

    def backward(self, dout):
        self.calls += 1
        return dout


class Counted(Affine):
    """An affine layer that counts how often it runs back, by either of the two methods."""

    calls = 0

    def backward_params(self, dout):
        type(self).calls += 1
        super().backward_params(dout)


class Twice(Graph):
    """out = head(lower(x) + lower(x))."""

    part_names = ("lower", "head")

    def __init__(self, lower, head):
        self.lower, self.head = lower, head

    def connect(self, stack, x):
        both = stack.push(self.lower, x), stack.push(self.lower, x)
        return stack.push(self.head, stack.push(AddLayer(), *both))


NESTINGS = {
    "a row": Sequential,
    "nested": lambda lower, head: Sequential(Sequential(lower), Sequential(Identity(), head)),
    "a graph": Twice,
    "side by side": lambda lower, head: Sequential(
        *(Branch(2), Parallel(lower, Sequential(Identity(), head)), AddLayer())
    ),
    "shares": lambda lower, head: DataParallel(Sequential(lower, head), 1),
}


@pytest.mark.parametrize("nest", NESTINGS.values(), ids=NESTINGS.keys())
def test_below_the_lowest_trained_layer_nothing_runs_back(nest):
    """Neither what is frozen nor what has no parameters; in the head one layer runs back."""
    below, above = Counting(), Counting()
    frozen = Counted(np.eye(3), np.zeros(3))
    net = nest(Sequential(below, frozen, Counting()), Sequential(affine(), above))
    frozen.freeze()
    Counted.calls = Counting.calls = 0
    _, grads = value_and_grads(net, MSELoss(), np.eye(3), np.ones((3, 3)))
    assert (below.calls, Counted.calls, above.calls) == (0, 0, 1)
    frozen.unfreeze()
    _, all_grads = value_and_grads(net, MSELoss(), np.eye(3), np.ones((3, 3)))
    assert Counted.calls > 0
    for a, b in zip(grads, all_grads[-2:], strict=True):
        np.testing.assert_array_equal(a, b)


def affine():
    return Affine.random(3, 3, np.random.default_rng(0))


def test_one_layer_in_two_of_a_nets_places_is_an_error():
    layer = affine()
    with pytest.raises(ValueError, match=r"is at 0 and 1\.block; a layer remembers one"):
        Sequential(layer, Residual(layer))

    class Pair(Layer):
        part_names = ("a", "b")

        def __init__(self):
            self.a = self.b = affine()

    for net in (lambda: Sequential(Pair()), lambda: Sequential(Residual([layer, layer]))):
        with pytest.raises(ValueError, match=r"Affine.* is at 0\.\S+ and 0\.\S+; a layer"):
            net()
    loss = MSELoss()
    with pytest.raises(ValueError, match=r"SumLoss: the same .* is at losses\.0 and losses\.1"):
        SumLoss(loss, loss)
    inner = Residual(layer)
    inner.part_names = ("block", "itself")
    inner.itself = inner
    with pytest.raises(ValueError, match=r"is at 0 and 0\.itself"):
        Sequential(inner)


def test_a_graph_may_have_a_layer_at_several_places():
    class Twice(Graph):
        part_names = ("a", "b")

        def __init__(self, tower):
            self.a, self.b = Sequential(tower), Sequential(tower, ReLU())

        def connect(self, stack, x):
            return stack.push(self.b, stack.push(self.a, x))

    layer_laws(lambda: Twice(affine()), np.random.default_rng(4).normal(size=(4, 3)))
    with pytest.raises(ValueError, match=r"is at 0\.a\.0 and 1"):
        Sequential(Twice(layer := affine()), layer)


def test_what_a_net_gets_after_it_was_made_is_trained():
    class Headed(Sequential):
        param_names = ("scale",)
        part_names = ("layers", "head")

        def __init__(self):
            self.scale = np.ones(1)
            self.head = affine()
            super().__init__(affine())

    net = Headed()
    assert len(net.params) == len(net.state_dict()) == 5
    late = Residual([])
    net = Sequential(affine(), late)
    assert len(net.params) == 2
    late.block.append(affine())
    assert len(net.params) == 4


def test_layers_in_nested_lists_and_names_that_collide():
    layer = Residual(None)
    layer.part_names = ("block", "blocks", "layers", "head")
    layer.blocks = [[affine(), affine()], {"last": affine()}]
    layer.layers, layer.head = {}, None
    assert len(layer.params) == 6
    assert list(layer.state_dict())[-1] == "blocks.1.last.b"
    layer.layers = {"head": affine()}
    layer.head = affine()
    with pytest.raises(ValueError, match="two of its layers are called 'head'"):
        layer.state_dict()


def test_a_part_that_backward_left_out_is_named():
    layer = Residual(affine())
    layer.part_names, layer.unused = ("block", "unused"), affine()
    layer.backward(layer.forward(np.eye(3)))
    with pytest.raises(AttributeError, match=r"assign it: unused, Affine\(3 -> 3\), has no 'dW'"):
        layer.grads  # noqa: B018


def test_deep_nesting_takes_no_time():
    layer = affine()
    for _ in range(30):
        layer = Residual(layer)
    assert len(layer.params) == 2


def test_a_state_of_views_of_the_net_itself():
    net = Sequential(affine(), Affine.random(3, 3, np.random.default_rng(1)))
    first, second = net[0].W.copy(), net[1].W.copy()
    views = net.state_dict() | {"0.W": net[1].W, "1.W": net[0].W}
    net.load_state_dict(views)
    assert np.array_equal(net[0].W, second)
    assert np.array_equal(net[1].W, first)


def test_a_state_that_unties_is_refused_whole():
    W = np.eye(3)
    net = Sequential(Affine(W, np.zeros(3)), Affine(W, np.zeros(3)))
    state = net.state_dict() | {"0.b": np.ones(3), "1.W": 2 * W}
    with pytest.raises(ValueError, match=r"'0\.W' and '1\.W' share an array but differ"):
        net.load_state_dict(state)
    assert not net[0].b.any()
    frozen = np.ones(3)
    frozen.flags.writeable = False
    net = Sequential(Affine(np.eye(3), np.zeros(3)), Affine(np.eye(3), frozen))
    with pytest.raises(ValueError, match=r"'1\.b' is read-only"):
        net.load_state_dict({name: array + 1 for name, array in net.state_dict().items()})
    assert np.array_equal(net[0].W, np.eye(3))


def test_a_partial_state_knows_a_shared_array_by_either_name():
    W = np.eye(3)
    net = Sequential(Affine(W, np.zeros(3)), Affine(W, np.zeros(3)))
    missing, unexpected = net.load_state_dict({"1.W": 2 * W, "7.W": W}, partial=True)
    assert (missing, unexpected) == (["0.b", "1.b"], ["7.W"])
    assert np.array_equal(net[0].W, 2 * np.eye(3))
    with pytest.raises(ValueError, match=r"'0\.W' and '1\.W' share an array but differ"):
        net.load_state_dict({"0.W": 3 * np.eye(3), "1.W": 4 * np.eye(3)}, partial=True)
    assert np.array_equal(net[0].W, 2 * np.eye(3))


def test_a_buffer_that_is_no_array_is_named():
    layer = Residual(ReLU())
    layer.buffer_names, layer.n = ("n",), 0
    with pytest.raises(TypeError, match="Residual: 'n' is a int, expected an array"):
        layer.state_dict()


def test_a_net_of_plain_objects_that_has_run_can_be_cut():
    class Half:
        def forward(self, x):
            self.out = 0.5 * x
            return self.out

        def backward(self, dout):
            return 0.5 * dout

    net = Sequential(Affine(np.ones((3, 3)), np.zeros(3)), Half(), Tanh())
    net.forward(np.ones((2, 3)))
    assert len(net[:2]) == len(Sequential(*net[1:])) == 2


def test_a_buffer_that_forward_replaces_breaks_a_law():
    class Mean(Layer):
        buffer_names = ("mean",)

        def __init__(self):
            self.mean = np.zeros(3)

        def forward(self, x):
            if self.training:
                self.mean = 0.9 * self.mean + 0.1 * x.mean(axis=0)
            return x

        def backward(self, dout):
            return dout

    with pytest.raises(GradientError, match=r"Mean\(\): forward put another array in 'mean'; "):
        layer_laws(Mean, np.random.default_rng(0).normal(size=(4, 3)))


@pytest.mark.parametrize("k", [0, 1])
def test_an_array_is_frozen_with_any_of_its_owners(k):
    rng = np.random.default_rng(0)
    embedding = Embedding.random(5, 3, rng, dtype=float)
    net = Sequential(embedding, Affine(embedding.W, np.zeros(5), transposed=True))
    net[k].freeze()
    assert [param.shape for param in net.params] == ([(5,)] if k == 0 else [])
    assert net.summary().splitlines()[-1].endswith(f"{20}  {[15, 20][k]} frozen")
    before = embedding.W.copy()
    if k == 0:
        check_gradients(net, np.array([[0, 1, 2]]))
        trainer = Trainer(net, CrossEntropyLoss(), SGD(0.1), rng)
        trainer.train_step(np.array([[0, 1, 2]]), np.array([[1, 2, 3]]))
    np.testing.assert_array_equal(embedding.W, before)


def test_a_named_tuple_is_a_tuple():
    Two = namedtuple("Two", "one two")

    class Split(Layer):
        def forward(self, x):
            return Two(x, 2 * x)

        def backward(self, dout):
            return dout[0] + 2 * dout[1]

    class OnStack(Graph):
        part_names = ("split", "join")

        def __init__(self):
            self.split, self.join = Split(), Concatenate()

        def connect(self, stack, x):
            return stack.push(self.join, *stack.push(self.split, x))

    for net in (Sequential(Split(), Concatenate()), OnStack()):
        assert net.forward(np.ones((2, 3))).shape == (2, 6)
        np.testing.assert_array_equal(net.backward(np.ones((2, 6))), np.full((2, 3), 3.0))


def test_gradients_are_the_callers_also_of_a_layer_that_writes_them_in_place():
    class Scale:
        def __init__(self):
            self.params, self.grads = [np.ones(3)], [np.zeros(3)]

        def forward(self, x):
            self.x = x
            return x * self.params[0]

        def backward(self, dout):
            self.grads[0][...] = (dout * self.x).sum(axis=0)
            return dout * self.params[0]

    net, t = Sequential(Scale()), np.zeros((2, 3))
    _, (first,) = value_and_grads(net, MSELoss(), np.ones((2, 3)), t)
    before = first.copy()
    value_and_grads(net, MSELoss(), np.full((2, 3), 5.0), t)
    np.testing.assert_array_equal(first, before)
