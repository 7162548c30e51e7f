import os

import numpy as np
import pytest

from chainrule.layers import Affine, CrossEntropyLoss, Identity, Layer, ReLU, Sigmoid
from chainrule.networks import (
    Adam,
    Branch,
    DataParallel,
    Graph,
    Parallel,
    Sequential,
    Trainer,
    deep_conv_net,
    one_layer_net,
    residual_conv_net,
    simple_conv_net,
    two_layer_net,
)


class Counter(Layer):
    """A layer with a buffer."""

    buffer_names = ("count",)

    def __init__(self):
        self.count = np.zeros(1)

    def forward(self, x):
        self.count += self.training
        return x

    def backward(self, dout):
        return dout


def small_net(seed=0):
    return Sequential(two_layer_net(4, 3, 2, np.random.default_rng(seed)), Counter())


def test_mode_goes_all_the_way_down():
    class Plain:  # no base class, but a mode
        training = True

        def forward(self, x):
            return x

        def backward(self, dout):
            return dout

    deep, plain = Counter(), Plain()
    net = Sequential(Parallel(Sequential(deep), plain))
    net.eval()
    assert (net.training, deep.training, plain.training) == (False, False, False)
    net.train()
    assert (net.training, deep.training, plain.training) == (True, True, True)
    deep.eval()
    net.predict(np.ones(1), np.ones(1))
    assert (net.training, deep.training, plain.training) == (True, False, True)
    assert deep.count == 0


def test_state_names_follow_the_nesting():
    assert list(small_net().state_dict()) == ["0.0.W", "0.0.b", "0.2.W", "0.2.b", "1.count"]


def test_save_and_load(tmp_path):
    net, other = small_net(0), small_net(1)
    net.forward(np.ones((1, 4), np.float32))
    path = tmp_path / "weights"  # the name stays as given
    net.save(path)
    other.load(path)
    assert os.listdir(tmp_path) == ["weights"]
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array)


def test_a_save_that_fails_leaves_the_old_file(tmp_path):
    net, path = small_net(), tmp_path / "w.npz"
    net.save(path)
    before = path.read_bytes()
    net[1].count = np.array([object()])  # cannot be written without pickle
    with pytest.raises(ValueError, match="Python objects"):
        net.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["w.npz"]


def write_pickle(path):
    np.savez(path, **{"0.W": np.array([{}], object)})


def write_array(path):
    with path.open("wb") as file:
        np.save(file, np.ones(3))


def write_truncated(path):
    small_net().save(path)
    path.write_bytes(path.read_bytes()[:-200])


def write_flipped(path):
    small_net().save(path)
    data = bytearray(path.read_bytes())
    data[150] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        write_pickle,
        write_truncated,
        write_flipped,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no zip at all"),
        write_array,
        lambda path: two_layer_net(4, 5, 2, np.random.default_rng(0)).save(path),
    ],
)
def test_a_bad_file_is_named_and_changes_nothing(tmp_path, damage):
    path, net = tmp_path / "bad.npz", small_net()
    damage(path)
    before = net.state_dict()
    with pytest.raises(ValueError, match=r"whole \.npz|does not match|expected") as info:
        net.load(path)
    assert "bad.npz" in "".join([str(info.value), *getattr(info.value, "__notes__", [])])
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(before[name], array)


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        small_net().load(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Sequential(ReLU), TypeError, r"layer 0 is the class ReLU, expected an instance"),
        (lambda: Sequential(ReLU(), 3), TypeError, "layer 1 is 3, expected an object with forward"),
        (lambda: Sequential(*[ReLU()] * 2), ValueError, r"the same ReLU\(\) is at 0 and 1"),
        (lambda: Branch(0), ValueError, "Branch: n is 0"),
        (
            lambda: Parallel(Identity(), Identity()).forward(1),
            ValueError,
            "got 1 inputs, expected 2",
        ),
        (
            lambda: Parallel(Identity(), Identity()).backward(1),
            TypeError,
            "got a int, expected a tuple",
        ),
        (
            lambda: Branch(2).backward((1, 2, 3)),
            ValueError,
            "dout is a tuple of 3, expected a tuple of 2",
        ),
    ],
)
def test_misuse_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_the_same_layer_deep_inside_is_found():
    relu = ReLU()
    with pytest.raises(ValueError, match=r"is at 0.1 and 1"):
        Sequential(Sequential(Identity(), relu), relu)


def test_summary_counts_a_shared_array_once():
    W, b = np.ones((30, 30)), np.zeros(30)
    text = Sequential(Affine(W, b), Sigmoid(), Sequential(Affine(W, b))).summary()
    assert [line.split() for line in text.splitlines()] == [
        ["layer", "parameters"],
        ["0", "Affine(30", "->", "30)", "930"],
        ["1", "Sigmoid()", "0"],
        ["2", "Sequential", "0"],
        ["2.0", "Affine(30", "->", "30)", "0"],
        ["total", "930"],
    ]


def test_recipes():
    one = one_layer_net(784, 10, np.random.default_rng(0))
    assert [param.shape for param in one.params] == [(784, 10), (10,)]
    assert -1 <= one[0].W.min() < -0.99
    assert 0.99 < one[0].W.max() <= 1
    two = two_layer_net(784, 50, 10, np.random.default_rng(0), activation=ReLU)
    assert [param.shape for param in two.params] == [(784, 50), (50,), (50, 10), (10,)]
    assert isinstance(two[1], ReLU)
    assert {param.dtype for param in one.params + two.params} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("make", "size"), [(simple_conv_net, 433_890), (residual_conv_net, 117_162)]
)
def test_the_recipes_for_images_learn(make, size):
    rng = np.random.default_rng(0)
    net, loss = make(rng), CrossEntropyLoss()
    assert sum(param.size for param in net.params) == size
    x, t = rng.random((8, 1, 28, 28), np.float32), np.arange(8)
    trainer = Trainer(net, loss, Adam(), rng=rng)
    losses = [trainer.train_step(x, t) for _ in range(8)]
    assert net.forward(x).dtype == np.float32
    assert losses[-1] < 0.5 * losses[0]


def test_the_old_name_of_the_residual_net_warns_and_works():
    with pytest.warns(DeprecationWarning, match="now called residual_conv_net"):
        old = deep_conv_net(np.random.default_rng(0), dtype=np.float64)
    new = residual_conv_net(np.random.default_rng(0), dtype=np.float64)
    assert all(map(np.array_equal, old.params, new.params))


def test_every_net_is_true_and_only_layers_in_a_row_have_numbers():
    affine = Affine(np.eye(2), np.zeros(2))

    class Own(Graph):
        part_names = ("affine",)

        def __init__(self):
            self.affine = affine

    for net in (Sequential(), Parallel(), DataParallel(affine), Own()):
        assert net
    for net in (DataParallel(affine), Own()):
        for read in (len, iter, list, lambda net: net[0]):
            with pytest.raises(TypeError, match=type(net).__name__):
                read(net)
