"""Trainer: the loop against the same loop written out, its checks, evaluation, early stopping."""

import signal
import threading

import numpy as np
import pytest

from chainrule.layers import (
    Affine,
    CrossEntropyLoss,
    Dropout,
    Layer,
    MSELoss,
    ReLU,
    Sigmoid,
    Tanh,
)
from chainrule.networks import (
    L2,
    SGD,
    Adam,
    Sequential,
    Trainer,
    accuracy,
    clip_gradients,
    clip_values,
    schedules,
)


def data(rng, n=50, dtype=np.float64):
    x = rng.normal(size=(n, 4)).astype(dtype)
    return x, (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0)


def classifier(rng, dtype=np.float64, hidden=6):
    return Sequential(
        Affine.random(4, hidden, rng, dtype=dtype),
        Tanh(),
        Affine.random(hidden, 3, rng, dtype=dtype),
    )


def trainer(seed=0, optimizer=None, dtype=np.float64, **options):
    rng = np.random.default_rng(seed)
    net = classifier(rng, dtype)
    return Trainer(net, CrossEntropyLoss(), optimizer or SGD(0.5), rng=rng, **options)


def same(net, other):
    a, b = net.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() for k in a)


def test_the_loop_written_out():
    x, t = data(np.random.default_rng(1))
    ours = trainer()
    history = ours.fit(x, t, epochs=3, batch_size=16, progress=False)

    rng = np.random.default_rng(0)
    net, loss, optimizer, losses = classifier(rng), CrossEntropyLoss(), SGD(0.5), []
    for _ in range(3):
        order = rng.permutation(50)
        for rows in (order[:16], order[16:32], order[32:48], order[48:]):
            losses.append(loss.forward(net.forward(x[rows]), t[rows]))
            net.backward(loss.backward())
            optimizer.step(net.params, net.grads)
    assert same(ours.net, net)
    assert history.step_losses == losses
    assert history["step"] == [4, 8, 12]
    means = [np.dot(losses[i : i + 4], [16, 16, 16, 2]) / 50 for i in (0, 4, 8)]
    np.testing.assert_allclose(history["loss"], means)


def test_without_batch_size_all_at_once_as_they_lie():
    x, t = data(np.random.default_rng(1))
    ours, steps = trainer(), trainer()
    state = ours.rng.bit_generator.state
    ours.fit(x, t, epochs=3, progress=False)
    for _ in range(3):
        steps.train_step(x, t)
    assert same(ours.net, steps.net)
    assert ours.rng.bit_generator.state == state


def test_without_shuffling():
    x, t = data(np.random.default_rng(1))
    ours, steps = trainer(), trainer()
    ours.fit(x, t, epochs=2, batch_size=30, shuffle=False, progress=False)
    for _ in range(2):
        steps.train_step(x[:30], t[:30])
        steps.train_step(x[30:], t[30:])
    assert same(ours.net, steps.net)


def test_an_iterable_of_batches():
    x, t = data(np.random.default_rng(1))
    ours, steps = trainer(), trainer()
    history = ours.fit([(x[:30], t[:30]), (x[30:], t[30:])], epochs=2, progress=False)
    steps.fit(x, t, epochs=2, batch_size=30, shuffle=False, progress=False)
    assert same(ours.net, steps.net)
    assert history["loss"] == steps.history["loss"]


def test_a_generator_that_ran_out_is_told():
    x, t = data(np.random.default_rng(1))
    with pytest.raises(ValueError, match="a generator runs only once"):
        trainer().fit(((x, t) for _ in range(2)), epochs=2, progress=False)


def test_fit_goes_on_from_epoch_to_epoch():
    x, t = data(np.random.default_rng(1))
    one, other = trainer(optimizer=Adam()), trainer(optimizer=Adam())
    one.fit(x, t, epochs=3, batch_size=16, progress=False)
    for _ in range(3):
        other.fit(x, t, epochs=1, batch_size=16, progress=False)
    assert same(one.net, other.net)
    assert other.history["epoch"] == [1, 2, 3]


def test_fit_trains_in_training_mode_and_evaluation_draws_nothing():
    rng = np.random.default_rng(5)
    x, t = data(rng)
    net = Sequential(Dropout(0.5, rng), *classifier(rng))
    net.eval()
    ours = Trainer(net, CrossEntropyLoss(), SGD(), rng=np.random.default_rng(6))
    state = rng.bit_generator.state
    ours.evaluate(x, t)
    assert rng.bit_generator.state == state
    ours.fit(x, t, epochs=1, validation=(x, t), progress=False)
    assert rng.bit_generator.state != state
    assert net.training
    assert net[0].training


def test_the_articles_rule_to_the_last_bit():
    x = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], float)
    t = np.array([[0], [1], [1], [0]], float)
    rng = np.random.default_rng(0)
    net = Sequential(
        Affine(2 * rng.random((3, 4)) - 1, np.zeros(4)),
        Sigmoid(),
        Affine(2 * rng.random((4, 1)) - 1, np.zeros(1)),
        Sigmoid(),
    )
    W1, W2 = net[0].W.copy(), net[2].W.copy()
    b1, b2 = np.zeros(4), np.zeros(1)
    ours = Trainer(net, MSELoss(reduction="sum"), SGD(lr=0.5), rng=rng)
    ours.fit(x, t, epochs=200, progress=False)
    for _ in range(200):
        y1 = 1 / (1 + np.exp(-(x.dot(W1) + b1)))
        y2 = 1 / (1 + np.exp(-(y1.dot(W2) + b2)))
        d2 = (t - y2) * (y2 * (1 - y2))
        d1 = d2.dot(W2.T) * (y1 * (1 - y1))
        W2 += y1.T.dot(d2)
        b2 += d2.sum(axis=0)
        W1 += x.T.dot(d1)
        b1 += d1.sum(axis=0)
    assert net[0].W.tobytes() == W1.tobytes()
    assert net[2].W.tobytes() == W2.tobytes()


def test_schedule_penalty_and_clipping_in_the_step():
    x, t = data(np.random.default_rng(1))
    schedule = schedules.step_decay(0.5, every=2)
    ours = trainer(schedule=schedule, penalty=L2(0.1), max_norm=0.3, max_value=0.05)
    losses = [ours.train_step(x, t) for _ in range(4)]

    net, loss = trainer().net, CrossEntropyLoss()
    for step in range(4):
        value = loss.forward(net.forward(x), t)
        net.backward(loss.backward())
        assert losses[step] == value + L2(0.1).value(net.params)
        grads = clip_values(L2(0.1).add_to(net.grads, net.params), 0.05)
        SGD(schedule(step)).step(net.params, clip_gradients(grads, 0.3))
    assert same(ours.net, net)
    assert ours.optimizer.lr == schedule(3)


def test_transform_draws_from_the_trainers_generator():
    x, t = data(np.random.default_rng(1))
    kept = x.copy()
    drawn = []

    def noise(x, t, rng):
        drawn.append(rng.normal(size=x.shape))
        return x + drawn[-1], t

    ours, steps = trainer(), trainer()
    ours.fit(x, t, epochs=2, transform=noise, progress=False)
    for _ in range(2):
        steps.train_step(x + steps.rng.normal(size=x.shape), t)
    assert same(ours.net, steps.net)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.parametrize("batch_size", [None, 20])
def test_a_transform_may_write_into_its_batch(batches, batch_size):
    def double(x, t, rng):
        x *= 2
        t[:] = 0
        return x, t

    x, t = data(np.random.default_rng(1))
    kept, given = (x.copy(), t.copy()), [(x, t)] if batches else x
    options = {"batch_size": batch_size, "shuffle": False, "progress": False}
    ours, steps = trainer(), trainer()
    ours.fit(given, None if batches else t, epochs=2, transform=double, **options)
    steps.fit(2 * x, 0 * t, epochs=2, **options | ({"batch_size": None} if batches else {}))
    assert same(ours.net, steps.net)
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(t, kept[1])


def test_float64_data_are_cast_batch_by_batch_for_a_float32_net():
    seen = []

    class Spy(Layer):
        def forward(self, x):
            seen.append((x.dtype, len(x)))
            return x

        def backward(self, dout):
            return dout

    x, t = data(np.random.default_rng(1))
    ours = trainer(dtype=np.float32)
    ours = Trainer(Sequential(Spy(), *ours.net), ours.loss, ours.optimizer, rng=ours.rng)
    ours.fit(x, t, epochs=1, batch_size=30, validation=(x, t), progress=False)
    ours.predict(x, batch_size=30)
    assert seen == [(np.float32, n) for n in (30, 20, 50, 30, 20)]


def test_data_are_neither_written_to_nor_copied(tmp_path):
    rng = np.random.default_rng(1)
    x, t = data(rng, 100)
    path = tmp_path / "x.dat"
    x.tofile(path)
    mapped = np.memmap(path, np.float64, "r", shape=x.shape)
    t.flags.writeable = False
    ours, plain = trainer(), trainer()
    ours.fit(mapped, t, epochs=2, batch_size=7, validation=(mapped, t), progress=False)
    plain.fit(x, t, epochs=2, batch_size=7, progress=False)
    assert same(ours.net, plain.net)
    np.testing.assert_array_equal(ours.predict(mapped), ours.predict(x))


class Frame(list):
    """Lists its columns, and becomes an array, as tables of other libraries do."""

    def __array__(self, dtype=None, copy=None):
        return np.array(list(self))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x, t: (x[:-1], t), ValueError, "x has 49 rows and t 50"),
        (lambda x, t: (x[:0], t[:0]), ValueError, r"x has shape \(0, 4\)"),
        (lambda x, t: (x.astype(str), t), TypeError, "x is of dtype <U"),
        (lambda x, t: (x.astype(object), t), TypeError, "x is of dtype object"),
        (lambda x, t: (x, t.astype(complex)), TypeError, "t is of dtype complex128"),
        (lambda x, t: (x, None), TypeError, "x is a ndarray without targets t"),
        (lambda x, t: (3.0, t), ValueError, r"x has shape \(\)"),
        (lambda x, t: ([(x, t, t)], None), TypeError, r"batch 0 is a tuple, expected a pair"),
        (lambda x, t: ([], None), ValueError, "gave no batch"),
        (lambda x, t: ([[1.0], [2.0, 3.0]], t), ValueError, "x is not an array of numbers"),
        (lambda x, t: (Frame(x), None), TypeError, "x is a Frame without targets t"),
    ],
)
def test_data_that_cannot_be_trained_on(change, error, message):
    ours = trainer()
    start = ours.net.state_dict()
    x, t = change(*data(np.random.default_rng(1)))
    with pytest.raises(error, match="Trainer.fit: .*" + message):
        ours.fit(x, t, epochs=1, batch_size=10, progress=False)
    assert all((start[k] == v).all() for k, v in ours.net.state_dict().items())
    assert ours.unfinished is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_value_that_is_not_finite_is_named(value, monkeypatch):
    monkeypatch.setattr("chainrule.networks.batching._BLOCK", 12)
    x, t = data(np.random.default_rng(1))
    x[31, 2] = x[31, 3] = x[40, 0] = value
    with pytest.raises(ValueError, match=rf"x\[31, 2\] is {value}, expected finite"):
        trainer().fit(x, t, epochs=1)
    y = np.zeros((50, 3))
    y[7, 1] = value
    with pytest.raises(ValueError, match=rf"t\[7, 1\] is {value}, expected finite"):
        trainer().fit(np.zeros((50, 4)), y, epochs=1)


def worst(y, t):
    return 0.0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs is 0, expected an integer of at least 1"),
        ({"epochs": 1.5}, ValueError, "epochs is 1.5, expected an integer"),
        ({"epochs": None}, ValueError, "epochs is None, expected an integer"),
        ({"batch_size": 0}, ValueError, "batch_size is 0, expected an integer of at least 1"),
        ({"batch_size": 2.0}, ValueError, "batch_size is 2.0, expected an integer"),
        ({"patience": 0}, ValueError, "patience is 0, expected an integer of at least 1"),
        ({"patience": "accuracy"}, ValueError, "patience is 'accuracy', expected an integer"),
        ({"patience": 1, "validation": None}, ValueError, "patience needs validation data"),
        ({"metrics": [worst], "validation": None}, ValueError, "metrics needs validation data"),
        ({"metrics": ["accuracy"]}, TypeError, r"metrics is \['accuracy'\], expected a list of"),
        ({"metrics": accuracy}, TypeError, "metrics is <function accuracy .* a list of"),
        ({"metrics": [worst, accuracy, worst]}, ValueError, "'worst' names two metrics"),
        ({"metrics": [lambda y, t: 1, lambda y, t: 2]}, ValueError, "'<lambda>' names two"),
        ({"transform": "noise"}, TypeError, "transform is 'noise', expected a function"),
        ({"transform": lambda x, t, rng: x}, TypeError, "transform gave is a ndarray, exp"),
        ({"validation": 0.2}, TypeError, "validation: x is a float without targets"),
        ({"validation": (np.ones((2, 4)), [0])}, ValueError, "validation: x has 2 rows and t 1"),
        ({"checkpoint_every": 5}, ValueError, "checkpoint_every needs a checkpoint"),
        ({"checkpoint": 3}, TypeError, "checkpoint is 3, expected a path"),
        ({"checkpoint": "none/x.npz"}, FileNotFoundError, "x.npz cannot be written"),
        ({"checkpoint": "."}, IsADirectoryError, "is a folder, expected"),
    ],
)
def test_options_that_make_no_sense(options, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ours, (x, t) = trainer(), data(np.random.default_rng(1))
    where = "" if issubclass(error, OSError) else "Trainer.fit: .*"
    with pytest.raises(error, match=where + message):
        ours.fit(x, t, **{"epochs": 1, "validation": (x, t), "progress": False} | options)
    assert ours.steps == 0
    assert ours.unfinished is None
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_needs_an_optimizer_with_a_state(tmp_path):
    class Still:
        def step(self, params, grads):
            pass

    x, t = data(np.random.default_rng(1))
    with pytest.raises(TypeError, match="Still has no state_dict"):
        trainer(optimizer=Still()).fit(x, t, epochs=1, checkpoint=tmp_path / "run.npz")


def test_a_metric_called_as_the_loss():
    def loss(y, t):
        return 0.0

    with pytest.raises(ValueError, match="'loss' names two metrics, or the loss"):
        trainer().evaluate(*data(np.random.default_rng(1)), metrics=[loss])


@pytest.mark.parametrize(
    ("part", "value", "error", "message"),
    [
        ("net", [Tanh()], TypeError, r"net is \[Tanh\(\)\], expected a Layer"),
        ("net", Sequential, TypeError, "net is the class Sequential, expected an instance"),
        ("net", Sequential(Tanh()), ValueError, "the net has no parameters: nothing to train"),
        ("loss", SGD(), TypeError, r"loss is SGD\(.*, expected one such as MSELoss\(\)"),
        ("loss", "mse", TypeError, "loss is 'mse', expected"),
        ("loss", lambda y, t: 0, TypeError, "loss is <function .*, expected"),
        ("optimizer", MSELoss(), TypeError, r"optimizer is MSELoss\(.* such as SGD\(\)"),
        ("optimizer", "adam", TypeError, "optimizer is 'adam', expected"),
        ("rng", 0, TypeError, r"rng is 0, expected numpy.random.default_rng\(seed\)"),
        ("schedule", 0.1, TypeError, "schedule is 0.1, expected a function of the step"),
        ("penalty", 0.1, TypeError, r"penalty is 0.1, expected L1\(strength\) or L2"),
        ("max_norm", 0, ValueError, "max_norm is 0, expected a positive number"),
        ("max_value", "1", TypeError, "max_value is '1', expected a number"),
    ],
)
def test_parts_of_which_no_trainer_can_be_made(part, value, error, message):
    ours = trainer()
    parts = {"net": ours.net, "loss": ours.loss, "optimizer": ours.optimizer, "rng": ours.rng}
    with pytest.raises(error, match="Trainer: " + message):
        Trainer(**parts | {part: value})


def test_validation_data_in_a_list():
    x, t = data(np.random.default_rng(1))
    found = [
        trainer().fit(x, t, epochs=1, validation=given, progress=False)["validation_loss"]
        for given in ((x, t), [x, t], [(x[:9], t[:9]), (x[9:], t[9:])])
    ]
    assert found[0] == found[1] == pytest.approx(found[2])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_evaluation_in_batches_is_evaluation_at_once(reduction):
    rng = np.random.default_rng(2)
    x, t = data(rng)
    loss = CrossEntropyLoss(reduction=reduction)
    ours = Trainer(Sequential(Dropout(0.5, rng), *classifier(rng)), loss, SGD(), rng=rng)
    found = ours.evaluate(x, t, batch_size=16)
    y = ours.net.predict(x)
    assert found == {
        "loss": pytest.approx(loss.forward(y, t)),
        "accuracy": pytest.approx(np.mean(y.argmax(axis=1) == t)),
    }
    np.testing.assert_allclose(ours.predict(x, batch_size=16), y)
    assert ours.evaluate([(x[:9], t[:9]), (x[9:], t[9:])]) == pytest.approx(found)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_epochs_loss_is_over_all_its_rows(reduction):
    x, t = data(np.random.default_rng(1))
    ours = trainer(optimizer=SGD(0.0))
    ours.loss = CrossEntropyLoss(reduction=reduction)
    row = ours.fit(x, t, epochs=1, batch_size=16, validation=(x, t), progress=False).epochs[0]
    assert row["loss"] == pytest.approx(row["validation_loss"])


def test_metrics_of_your_own():
    def worst(y, t):
        return float(np.abs(y - t).max())

    rng = np.random.default_rng(3)
    x, t = rng.normal(size=(10, 4)), rng.normal(size=(10, 3))
    ours = Trainer(classifier(rng), MSELoss(), SGD(), rng=rng)
    history = ours.fit(x, t, epochs=2, validation=(x, t), metrics=[worst], progress=False)
    y = ours.predict(x)
    assert history["validation_worst"][-1] == pytest.approx(worst(y, t))
    assert ours.evaluate(x, t).keys() == {"loss"}


def test_accuracy():
    y = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    t = np.array([1, 0, 0, 0])
    assert accuracy(y, t) == accuracy(y, np.eye(2)[t]) == 0.75
    for wrong in (t[:2], t[:, None], np.zeros((4, 3))):
        with pytest.raises(ValueError, match="accuracy: y has shape"):
            accuracy(y, wrong)
    with pytest.raises(ValueError, match="accuracy: y has shape"):
        accuracy(y.argmax(axis=1), t)
    for labels in (t, t[:, None]):
        with pytest.raises(ValueError, match=r"K at least 2; .* np.mean\(\(y > 0\) == t\)"):
            accuracy(y[:, :1], labels)


def test_early_stopping_keeps_the_best_weights():
    rng = np.random.default_rng(4)
    x, t = data(rng, 20)
    t = rng.permutation(t)
    held_out = data(rng, 200)
    states = []
    ours = Trainer(classifier(rng, hidden=50), CrossEntropyLoss(), Adam(0.05), rng=rng)

    def spy(y, t):
        states.append(ours.net.state_dict())
        return 0.0

    history = ours.fit(
        x, t, epochs=1000, validation=held_out, metrics=[spy], patience=7, progress=False
    )
    losses = history["validation_loss"]
    best = int(np.argmin(losses))
    assert len(losses) == best + 8 < 1000
    for name, value in ours.net.state_dict().items():
        np.testing.assert_array_equal(value, states[best][name])
    assert ours.evaluate(*held_out)["loss"] == pytest.approx(min(losses))


def test_patience_given_up_does_not_bring_old_weights_back():
    x, t = data(np.random.default_rng(1))
    ours, whole = interrupted(7), interrupted(0)
    options = {"validation": (x, 2 - t), "progress": False}
    ours.fit(x, t, epochs=9, patience=9, **options)
    ours.fit(x, t, epochs=9, **options)
    whole.fit(x, t, epochs=9, **options)
    assert same(ours.net, whole.net)


def test_without_patience_the_last_weights_stay():
    x, t = data(np.random.default_rng(1))
    one, other = trainer(), trainer()
    one.fit(x, t, epochs=3, validation=(x, 2 - t), progress=False)
    other.fit(x, t, epochs=3, progress=False)
    assert same(one.net, other.net)


class Interrupting(ReLU):
    """Sends a SIGINT in the middle of its n-th backward."""

    def __init__(self, n, times=1):
        self.calls, self.n, self.times = 0, n, times

    def backward(self, dout):
        self.calls += 1
        if self.calls == self.n:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)
        return super().backward(dout)


def interrupted(n, times=1):
    rng = np.random.default_rng(0)
    net = Sequential(*classifier(rng), Interrupting(n, times))
    return Trainer(net, CrossEntropyLoss(), SGD(0.5), rng=rng)


def test_ctrl_c_ends_after_the_whole_step(capsys):
    x, t = data(np.random.default_rng(1))
    ours, whole = interrupted(6), interrupted(10**9)
    handler = signal.getsignal(signal.SIGINT)
    history = ours.fit(x, t, epochs=3, batch_size=16)
    assert signal.getsignal(signal.SIGINT) is handler
    assert "interrupted after step 6" in capsys.readouterr().err
    assert len(history.step_losses) == ours.steps == 6
    expected = whole.fit(x, t, epochs=3, batch_size=16, progress=False)
    assert history.step_losses == expected.step_losses[:6]

    ours.fit(x, t, epochs=3, batch_size=16, progress=False)
    assert history.step_losses == expected.step_losses
    assert history["loss"] == expected["loss"]
    assert same(ours.net, whole.net)
    assert ours.unfinished is None


def test_after_ctrl_c_other_data_need_a_word():
    x, t = data(np.random.default_rng(1))
    ours = interrupted(6)
    ours.fit(x, t, epochs=3, batch_size=16, progress=False)
    with pytest.raises(ValueError, match="batch_size is 10, but 16 in the fit to go on with"):
        ours.fit(x, t, epochs=1, batch_size=10, progress=False)
    ours.unfinished = None
    history = ours.fit(x, t, epochs=1, batch_size=10, progress=False)
    assert len(history.step_losses) == 11


def raising(where):
    """Return options of fit with which a KeyboardInterrupt comes out of the user's own code."""

    def stop(*_):
        raise KeyboardInterrupt

    return {"transform": stop} if where == "transform" else {"metrics": [stop]}


@pytest.mark.parametrize("where", ["transform", "metric"])
def test_a_keyboard_interrupt_from_elsewhere_is_no_end_between_steps(where, tmp_path):
    x, t = data(np.random.default_rng(1))
    ours, path = trainer(), tmp_path / "run.npz"
    with pytest.raises(KeyboardInterrupt):
        ours.fit(x, t, epochs=3, validation=(x, t), checkpoint=path, **raising(where))
    assert ours.unfinished is None
    assert not path.exists()


def test_after_ctrl_c_it_says_how_to_go_on(tmp_path, capsys):
    x, t = data(np.random.default_rng(1))
    path = tmp_path / "run.npz"
    interrupted(6).fit(x, t, epochs=3, batch_size=16, checkpoint=path)
    lines = capsys.readouterr().err.splitlines()[-2:]
    assert lines[0] == "interrupted after step 6: call fit again to go on"
    assert lines[1] == f"or later: Trainer.resume({str(path)!r}, ...) and this fit"


def test_a_fit_with_nothing_left_to_do_says_so(tmp_path, capsys):
    x, t = data(np.random.default_rng(1))
    ours = interrupted(6)
    ours.fit(x, t, epochs=3, batch_size=16, progress=False)
    ours.fit(x, t, epochs=1, batch_size=16)
    assert capsys.readouterr().err == "nothing to do: epoch 1 was done by step 6\n"
    ours.fit(x, t, epochs=3, batch_size=16, checkpoint=tmp_path / "run.npz", progress=False)
    assert ours.steps == 12  # it had not lost its place
    again = interrupted(0)
    again = Trainer.resume(tmp_path / "run.npz", again.net, again.loss, SGD(0.5), again.rng)
    again.fit(x, t, epochs=3, batch_size=16)
    assert capsys.readouterr().err == "nothing to do: epoch 3 was done by step 12\n"
    assert again.unfinished is None


def test_a_second_ctrl_c_ends_at_once():
    x, t = data(np.random.default_rng(1))
    ours = interrupted(6, times=2)
    with pytest.raises(KeyboardInterrupt):
        ours.fit(x, t, epochs=3, batch_size=16, progress=False)
    assert ours.steps == 5
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_programs_own_is_left_alone():
    x, t = data(np.random.default_rng(1))
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        assert len(interrupted(6).fit(x, t, epochs=3, batch_size=16, progress=False).epochs) == 3
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [1]


def test_fit_in_another_thread():
    x, t = data(np.random.default_rng(1))
    ours = trainer()
    thread = threading.Thread(
        target=ours.fit, args=(x, t), kwargs={"epochs": 3, "progress": False}, daemon=True
    )
    thread.start()
    thread.join()
    assert len(ours.history.epochs) == 3


def test_lines_of_progress(capsys):
    x, t = data(np.random.default_rng(1))
    trainer().fit(x, t, epochs=3, validation=(x, t))
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert [line.split(":")[0] for line in lines] == [f"epoch {k} of 3" for k in (1, 2, 3)]
    assert all("validation_accuracy" in line for line in lines)
    for epochs in (1000, 199):
        trainer().fit(x, t, epochs=epochs)
        assert len(capsys.readouterr().err.splitlines()) == 100
    trainer().fit(x, t, epochs=3, progress=False)
    assert capsys.readouterr().err == ""


def test_a_bar_in_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    x, t = data(np.random.default_rng(1))
    trainer().fit(x, t, epochs=2, batch_size=10)
    shown = capsys.readouterr().err
    assert "epoch 2 of 2" in shown
    assert "/10" in shown
    ours = interrupted(3)
    ours.fit(x, t, epochs=2, batch_size=10, progress=False)
    ours.fit(x, t, epochs=2, batch_size=10)
    assert "/7" in capsys.readouterr().err  # what is left
