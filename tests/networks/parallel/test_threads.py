import copy
import pickle
import threading

import numpy as np
import pytest
from conformance import Plain, residual, tied, x
from small_training import data, same
from threadpoolctl import threadpool_limits

from chainrule.layers import (
    GELU,
    AddLayer,
    Affine,
    AveragePooling,
    BatchNorm,
    Convolution,
    ConvolutionTranspose,
    CrossEntropyLoss,
    Dropout,
    Flatten,
    GroupNorm,
    Identity,
    Layer,
    LayerNorm,
    MatMul,
    MaxPooling,
    MSELoss,
    MulLayer,
    ReLU,
    Reshape,
    Sigmoid,
    Softmax,
    Softplus,
    Sum,
    Tanh,
    layer_laws,
)
from chainrule.networks import Adam, Branch, Graph, Parallel, Sequential, Trainer, value_and_grads
from chainrule.networks.parallel import threads
from chainrule.networks.parallel.threads import DataParallel, one_blas_thread

D = np.float64


def affine(inputs, outputs, rng):
    return Affine.random(inputs, outputs, rng, dtype=D)


def convolution(channels, filters, size, rng, **options):
    return Convolution.random(channels, filters, size, rng, dtype=D, **options)


def shared(rng):
    W = rng.normal(size=(3, 3))
    return Sequential(MatMul(W), Tanh(), MatMul(W), Sigmoid(), MatMul(W))


def evaluating(rng):
    net = Sequential(affine(3, 4, rng), BatchNorm.identity(4, dtype=D), Dropout(0.5, rng))
    net.eval()
    return net


def two_in_two_out(rng):
    return Sequential(
        *(Parallel(affine(3, 4, rng), affine(2, 4, rng)), Branch(2)),
        Parallel(AddLayer(), MulLayer()),
    )


NETS = {
    "affine": (lambda rng: affine(3, 2, rng), (3,)),
    "dense": (lambda rng: Sequential(affine(3, 9, rng), ReLU(), affine(9, 2, rng)), (3,)),
    "no bias": (lambda rng: MatMul.random(3, 2, rng, dtype=D), (3,)),
    "no parameters": (lambda rng: Sequential(Tanh(), Softplus()), (3,)),
    "nothing": (lambda rng: Sequential(), (3,)),
    "softmax": (lambda rng: Sequential(affine(3, 5, rng), Softmax()), (3,)),
    "rows of rows": (lambda rng: Sequential(affine(3, 4, rng), GELU()), (5, 3)),
    "residual": (residual, (3,)),
    "tied": (tied, (3,)),
    "one array in three": (shared, (3,)),
    "lists of its own": (Plain, (3,)),
    "lists of its own, inside": (lambda rng: Sequential(Plain(rng), Tanh()), (3,)),
    "in evaluation mode": (evaluating, (3,)),
    "layer norm": (lambda rng: Sequential(affine(3, 4, rng), LayerNorm.identity(4, dtype=D)), (3,)),
    "group norm": (lambda rng: Sequential(GroupNorm.identity(4, 2, dtype=D)), (4, 3, 3)),
    "images": (
        lambda rng: Sequential(
            *(convolution(1, 3, 3, rng, pad=1), ReLU(), MaxPooling(2)),
            *(convolution(3, 2, 2, rng), Flatten(), affine(8, 4, rng)),
        ),
        (1, 6, 6),
    ),
    "images out": (
        lambda rng: Sequential(
            convolution(2, 3, 3, rng, stride=2),
            ConvolutionTranspose.random(3, 1, 3, rng, stride=2, dtype=D),
        ),
        (2, 7, 7),
    ),
    "mean pooling": (lambda rng: Sequential(AveragePooling(2), Reshape(8)), (2, 4, 4)),
    "two in, two out": (two_in_two_out, (3,), (2,)),
    "two in": (lambda rng: MulLayer(), (3,), (3,)),
}


def upstream(y):
    return tuple(map(upstream, y)) if isinstance(y, tuple) else np.cos(3 * y + 1)


def check_equal(a, b):
    if isinstance(a, tuple):
        assert isinstance(b, tuple)
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            check_equal(one, other)
    else:
        assert a.shape == b.shape
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-12 * max(1.0, np.abs(a).max()))


@pytest.mark.parametrize("name", NETS)
def test_outputs_and_gradients_are_those_of_the_plain_net(name):
    factory, *shapes = NETS[name]
    plain = factory(np.random.default_rng(0))
    parallel = DataParallel(factory(np.random.default_rng(0)), 3)
    for rows in range(1, 34):
        inputs = [x(rows, *shape) for shape in shapes]
        y = plain.forward(*inputs)
        check_equal(y, parallel.forward(*inputs))
        assert len(parallel.shares) == max(1, min(3, rows // 2))
        dout = upstream(y)
        check_equal(plain.backward(dout), parallel.backward(dout))
        for _ in range(2):  # a second backward gives the same, and so does that without dx
            check_equal(tuple(getattr(plain, "grads", ())), tuple(parallel.grads))
            parallel.backward_params(dout)


def dense(rng):
    return Sequential(affine(3, 5, rng), Tanh(), affine(5, 2, rng))


def dropping(rng):
    return Sequential(affine(3, 5, rng), Dropout(0.5, rng), affine(5, 2, rng))


@pytest.mark.parametrize("count", [1, 3])
def test_laws(count):
    layer_laws(lambda rng: DataParallel(dense(rng), count), x(9, 3))
    layer_laws(lambda rng: DataParallel(dropping(rng), count), x(9, 3))
    layer_laws(lambda rng: DataParallel(two_in_two_out(rng), count), x(6, 3), x(6, 2))
    layer_laws(lambda: DataParallel(MulLayer(), count), x(6, 3), 2.5)


def test_laws_with_statistics_of_the_batch():
    layer_laws(
        lambda rng: DataParallel(
            Sequential(affine(3, 2, rng), BatchNorm.identity(2), Dropout(0.5, rng)), 2
        ),
        x(7, 3),
    )


def trainer(seed=0, net=dropping, count=2):
    rng = np.random.default_rng(seed)
    made = DataParallel(
        Sequential(affine(4, 6, rng), BatchNorm.identity(6, dtype=D), Dropout(0.3, rng), Tanh())
        if net is dropping
        else net(rng),
        count,
    )
    return Trainer(made, CrossEntropyLoss(), Adam(), rng=rng)


def test_each_share_draws_another_mask():
    net = DataParallel(Dropout(0.5, np.random.default_rng(0)), 2)
    first = net.forward(np.ones((20, 50)))
    assert not np.array_equal(first[:10], first[10:])
    second = net.forward(np.ones((20, 50)))
    assert not np.array_equal(first, second)
    assert 0.4 < np.mean(first == 0) < 0.6


def test_evaluation_draws_nothing():
    rng = np.random.default_rng(0)
    net = DataParallel(Dropout(0.5, rng), 2)
    before = rng.bit_generator.state
    np.testing.assert_array_equal(net.predict(np.ones((20, 5))), np.ones((20, 5)))
    assert rng.bit_generator.state == before


def test_training_repeats_and_resumes_bit_for_bit(tmp_path):
    file = tmp_path / "training.npz"
    x, t = data(np.random.default_rng(1), n=52)
    fit = {"batch_size": 10, "validation": (x, t), "progress": False}
    once, again = trainer(), trainer()
    for one in (once, again):
        one.fit(x, t, epochs=4, **fit)
    assert same(once.net, again.net)
    part = trainer()
    part.fit(x, t, epochs=2, checkpoint=file, **fit)
    new = trainer(seed=3)
    new.fit(x, t, epochs=1, **fit)
    resumed = Trainer.resume(file, new.net, new.loss, new.optimizer, rng=new.rng)
    resumed.fit(x, t, epochs=4, **fit)
    assert same(once.net, resumed.net)


def test_running_averages_are_the_mean_over_the_shares():
    shared = BatchNorm.identity(3, dtype=D)
    values = x(7, 3)
    DataParallel(shared, 2).forward(values)
    expected = []
    for rows in (values[:3], values[3:]):
        alone = BatchNorm.identity(3, dtype=D)
        alone.forward(rows)
        expected.append((alone.running_mean, alone.running_var))
    for k, buffer in enumerate((shared.running_mean, shared.running_var)):
        mean = (3 * expected[0][k] + 4 * expected[1][k]) / 7
        np.testing.assert_allclose(buffer, mean, rtol=1e-14)


@pytest.mark.parametrize("rows", [2, 3])
def test_a_last_batch_of_two_rows_has_statistics(rows):
    plain, parallel = BatchNorm.identity(3, dtype=D), BatchNorm.identity(3, dtype=D)
    y = plain.forward(x(rows, 3))
    np.testing.assert_array_equal(DataParallel(parallel, 4).forward(x(rows, 3)), y)
    np.testing.assert_array_equal(parallel.running_mean, plain.running_mean)


def test_a_last_batch_of_one_row_is_the_error_of_the_plain_net():
    with pytest.raises(ValueError, match="at least 2 in training"):
        DataParallel(BatchNorm.identity(3), 2).forward(x(1, 3))


class Fails(Layer):
    """``y = x``, unless a row is negative."""

    def forward(self, x):
        if (x < 0).any():
            raise ArithmeticError("negative")
        ended.append(threading.current_thread().name)
        return x

    def backward(self, dout):
        return dout


ended = []


@pytest.mark.parametrize(("row", "share"), [(0, 1), (9, 2), (25, 3)])
def test_an_error_names_the_share_and_the_layer(row, share):
    values = np.ones((30, 2))
    values[row] = -1
    ended.clear()
    with pytest.raises(ArithmeticError, match="negative") as caught:
        DataParallel(Sequential(Identity(), Fails()), 3).forward(values)
    rows = {1: "0 to 9", 2: "10 to 19", 3: "20 to 29"}
    share = row // 10 + 1
    assert caught.value.__notes__ == [
        "in Sequential, layer 1: Fails()",
        f"in DataParallel: share {share} of 3, rows {rows[share]}",
    ]
    assert len(ended) == 2  # the other shares have ended


def test_errstate_reaches_the_threads():
    class Logarithm(Layer):
        """``y = log(x)``."""

        def forward(self, x):
            return np.log(x)

    values = np.ones((8, 2))
    values[7] = 0
    net = DataParallel(Logarithm(), 2)
    with np.errstate(divide="ignore"):
        net.forward(values)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        net.forward(values)


class Workspace:
    def __init__(self, rng):
        self.room, self.rng = np.zeros(3), rng


class WithHelper(Layer):
    """``y = x + noise``, by way of a helper that two threads must not share."""

    def __init__(self, rng):
        self.helper = Workspace(rng)

    def forward(self, x):
        noise = self.helper.rng.normal(size=x.shape)
        y = np.empty_like(x)
        for i in range(len(x)):
            self.helper.room[...] = x[i]
            y[i] = self.helper.room
        return y + noise

    def backward(self, dout):
        return dout


def test_helpers_are_not_shared():
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(2000.0)[:, None], 3, axis=1)
    net = DataParallel(WithHelper(rng), 4)
    noise = net.forward(rows) - rows
    assert np.abs(noise).max() < 6
    shares = noise.reshape(4, 500, 3)
    assert all(np.abs(shares[a] - shares[b]).max() > 0.5 for a in range(4) for b in range(a))
    again = DataParallel(WithHelper(np.random.default_rng(0)), 4)
    np.testing.assert_array_equal(again.forward(rows) - rows, noise)


class InPlace(Layer):
    """``y = x w``; the gradient has an array from the start, as in old books."""

    param_names = ("w",)

    def __init__(self):
        self.w, self.dw = np.ones(3), np.zeros(3)

    def forward(self, x):
        self.x = x
        return x * self.w

    def backward(self, dout):
        self.dw[...] = 0
        for row in dout * self.x:
            self.dw += row
        return dout * self.w


def test_gradients_written_in_place():
    plain, net = InPlace(), DataParallel(InPlace(), 3)
    plain.forward(x(300, 3))
    plain.backward(x(300, 3))
    net.forward(x(300, 3))
    for _ in range(3):
        net.backward(x(300, 3))
        np.testing.assert_allclose(net.grads[0], plain.dw, rtol=1e-12)


def test_what_is_changed_later_is_seen():
    rng = np.random.default_rng(0)
    net = DataParallel(dense(rng), 2)
    net.forward(x(8, 3))
    net.layers[0].W = np.zeros((3, 5))
    net.layers[0].b[...] = 0
    np.testing.assert_array_equal(net.forward(x(8, 3)), np.tile(net.layers[2].b, (8, 1)))


def test_files_fit_both_ways(tmp_path):
    def make(seed):
        rng = np.random.default_rng(seed)
        return Sequential(affine(3, 4, rng), BatchNorm.identity(4, dtype=D), affine(4, 2, rng))

    plain, parallel = make(0), DataParallel(make(1), 2)
    assert list(plain.state_dict()) == list(parallel.state_dict())
    plain.save(tmp_path / "plain.npz")
    parallel.load(tmp_path / "plain.npz")
    assert same(plain, parallel)
    parallel.forward(x(6, 3))
    parallel.save(tmp_path / "parallel.npz")
    plain.load(tmp_path / "parallel.npz")
    assert same(plain, parallel)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_copies_are_independent(duplicate):
    net = DataParallel(Sequential(affine(3, 4, np.random.default_rng(0)), Tanh()), 2)
    y = net.forward(x(8, 3))
    other = duplicate(net)
    np.testing.assert_array_equal(other.forward(x(8, 3)), y)
    other.backward(y)
    other.params[0][...] = 0
    np.testing.assert_array_equal(net.forward(x(8, 3)), y)


def blas_threads():
    return [lib["num_threads"] for lib in threads._blas().info() if lib["user_api"] == "blas"]


class Watching(Layer):
    """``y = x``."""

    def forward(self, x):
        seen.append(blas_threads())
        return x


seen = []


def test_blas_has_one_thread_and_gets_its_own_back():
    net = DataParallel(Sequential(Watching(), Watching()), 2)
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        seen.clear()
        net.forward(x(8, 3))
        assert {n for counts in seen for n in counts} == {1}
        assert blas_threads() == before
        with one_blas_thread():
            net.forward(x(8, 3))
            assert set(blas_threads()) == {1}
        assert blas_threads() == before


def test_fit_holds_blas_throughout():
    rng = np.random.default_rng(0)
    x, t = data(rng)
    net = DataParallel(Sequential(affine(4, 6, rng), Tanh(), affine(6, 3, rng)), 2)
    counts = []

    class Recorded(Adam):
        def step(self, params, grads):
            counts.append(blas_threads())
            super().step(params, grads)

    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        one = Trainer(net, CrossEntropyLoss(), Recorded(), rng=rng)
        one.fit(x, t, epochs=1, batch_size=10, progress=False)
        assert blas_threads() == before
    assert {n for found in counts for n in found} == {1}


def test_predictions_from_several_threads_leave_blas_as_it_was():
    net = DataParallel(dense(np.random.default_rng(0)), 2)
    net.eval()
    expected = net.forward(x(8, 3))
    wrong = []

    def work():
        mine = copy.deepcopy(net)
        for _ in range(20):
            wrong.extend([] if np.array_equal(mine.forward(x(8, 3)), expected) else ["another"])

    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        workers = [threading.Thread(target=work) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert blas_threads() == before
    assert not wrong


def test_one_within_another():
    rng = [np.random.default_rng(0) for _ in range(2)]
    plain, nested = dense(rng[0]), DataParallel(Sequential(DataParallel(dense(rng[1]), 2)), 2)
    check_equal(plain.forward(x(16, 3)), nested.forward(x(16, 3)))
    dout = x(16, 2)
    check_equal(plain.backward(dout), nested.backward(dout))
    check_equal(tuple(plain.grads), tuple(nested.grads))


def test_a_part_of_a_net():
    rng = [np.random.default_rng(0) for _ in range(2)]
    plain = Sequential(dense(rng[0]), Tanh())
    net = Sequential(DataParallel(dense(rng[1]), 2), Tanh())
    assert list(net.state_dict()) == list(plain.state_dict())
    check_equal(plain.forward(x(9, 3)), net.forward(x(9, 3)))
    check_equal(plain.backward(x(9, 2)), net.backward(x(9, 2)))


def test_wrong_calls():
    net = DataParallel(MulLayer(), 2)
    with pytest.raises(ValueError, match=r"have \[4, 6\] rows, expected an equal number"):
        net.forward(x(4, 3), x(6, 3))
    with pytest.raises(ValueError, match="have no rows"):
        net.forward(2.0, 3.0)
    with pytest.raises(ValueError, match=r"an output for 2 rows has shape \(\), expected \(2, "):
        DataParallel(Sum(), 2).forward(x(4, 3))
    with pytest.raises(ValueError, match="threads is 0"):
        DataParallel(MulLayer(), 0)
    with pytest.raises(TypeError, match="DataParallel: layer 0 is 3"):
        DataParallel(3)
    net = DataParallel(Branch(2), 2)
    net.forward(x(4, 3))
    with pytest.raises(ValueError, match="dout is ndarray, expected a tuple of 2"):
        net.backward(x(4, 3))
    with pytest.raises(ValueError, match=r"dout has shape \(3, 3\), expected \(4, 3\)"):
        net.backward((x(4, 3), x(3, 3)))


def test_without_threadpoolctl(monkeypatch):
    import sys

    threads._blas.cache_clear()
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    with pytest.raises(ImportError, match="needs threadpoolctl: pip install threadpoolctl"):
        DataParallel(MulLayer())


def test_a_net_whose_first_layers_are_frozen_trains_as_without_threads():
    def net():
        first = Affine.random(4, 3, np.random.default_rng(0))
        return Sequential(first, ReLU(), Affine.random(3, 2, np.random.default_rng(1)))

    x, t = np.random.default_rng(2).normal(size=(8, 4)), np.zeros((8, 2))
    plain, parallel = net(), DataParallel(net(), threads=2)
    for before in (False, True):  # with gradients that are left from before
        for each in (plain, parallel):
            each.unfreeze()
            if before:
                value_and_grads(each, MSELoss(), x, t)
        plain[0].freeze()
        parallel.layers[0].freeze()
        both = [value_and_grads(each, MSELoss(), x, t)[1] for each in (plain, parallel)]
        for grad, other in zip(*both, strict=True):
            np.testing.assert_allclose(other, grad, rtol=1e-12)


def test_a_share_of_a_graph_copies_nothing_of_the_last_step():
    class Steep(Graph):
        part_names = ("tower",)

        def __init__(self):
            self.tower = Affine.random(4, 3, np.random.default_rng(0))

        def connect(self, stack, x):
            return stack.push(self.tower, x)

    net, x = Steep(), np.ones((4, 4))
    net.forward(x)
    copied = threads._copy(net, 1)
    assert copied.stack is net.stack
    assert copied.given[0] is net.given[0]
    parallel = DataParallel(net, threads=2)
    for _ in range(2):
        np.testing.assert_array_equal(parallel.forward(x), net.tower.predict(x))


def test_buffers_of_integers_and_bools_are_the_first_shares():
    class Counting(Layer):
        buffer_names = ("rows", "seen")

        def __init__(self):
            self.rows, self.seen = np.zeros((), int), np.zeros((), bool)

        def forward(self, x):
            self.rows += len(x)
            self.seen |= True
            return x

        def backward(self, dout):
            return dout

    net = DataParallel(Sequential(Counting(), affine(4, 3, np.random.default_rng(0))))
    value_and_grads(net, MSELoss(), np.ones((5, 4)), np.ones((5, 3)))
    counting = net.layers[0]
    assert (counting.rows, counting.seen) == (2, True)  # of 2 and 3 rows
