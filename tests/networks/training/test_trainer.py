"""Trainer: the loop against the same loop written out, evaluation, early stopping."""

import numpy as np
import pytest
from small_training import classifier, data, same, trainer

from chainrule.layers import (
    Affine,
    BinaryCrossEntropyLoss,
    CrossEntropyLoss,
    Dropout,
    Layer,
    MSELoss,
    Sigmoid,
    Softmax,
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
    own = options | ({"batch_size": None} if batches else {})
    ours, steps = trainer(), trainer()
    ours.fit(given, None if batches else t, epochs=2, transform=double, **own)
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
    # two rows of the validation data on trial, two batches, the validation, the prediction
    assert seen == [(np.float32, n) for n in (2, 30, 20, 50, 30, 20)]


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


def test_validation_data_in_a_list():
    x, t = data(np.random.default_rng(1))
    found = [
        trainer().fit(x, t, epochs=1, validation=given, progress=False)["validation_loss"]
        for given in ((x, t), [(x[:9], t[:9]), (x[9:], t[9:])])
    ]
    assert found[0] == pytest.approx(found[1])


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
    states = []  # the first is that of the trial before the first step
    ours = Trainer(classifier(rng, hidden=50), CrossEntropyLoss(), Adam(0.05), rng=rng)

    def spy(y, t):
        states.append(ours.net.state_dict())
        return 0.0

    fitting = {"validation": held_out, "metrics": [spy], "patience": 7}
    history = ours.fit(x, t, epochs=1000, **fitting, progress=False)
    losses = history["validation_loss"]
    best = int(np.argmin(losses))
    assert len(losses) == best + 8 < 1000
    for name, value in ours.net.state_dict().items():
        np.testing.assert_array_equal(value, states[best + 1][name])
    assert ours.evaluate(*held_out)["loss"] == pytest.approx(min(losses))


def test_without_patience_the_last_weights_stay():
    x, t = data(np.random.default_rng(1))
    one, other = trainer(), trainer()
    one.fit(x, t, epochs=3, validation=(x, 2 - t), progress=False)
    other.fit(x, t, epochs=3, progress=False)
    assert same(one.net, other.net)


@pytest.mark.parametrize(
    ("last", "loss"), [(Softmax(), CrossEntropyLoss()), (Sigmoid(), BinaryCrossEntropyLoss())]
)
def test_probabilities_for_a_loss_of_logits_are_warned_of(last, loss):
    rng = np.random.default_rng(0)
    net = Sequential(Affine.random(3, 2, rng), last)
    with pytest.warns(UserWarning, match=f"ends in {type(last).__name__}, .* leave .* out"):
        Trainer(net, loss, SGD(), rng)


def test_a_net_that_was_frozen_later_is_refused():
    rng = np.random.default_rng(0)
    net = Affine.random(3, 2, rng)
    trainer = Trainer(net, MSELoss(), SGD(), rng)
    net.freeze()
    with pytest.raises(ValueError, match="all parameters of the net are frozen: nothing to train"):
        trainer.train_step(np.ones((4, 3)), np.ones((4, 2)))
    assert trainer.steps == 0


def test_the_accuracy_of_several_outputs_names_the_function_to_write():
    with pytest.raises(
        TypeError, match=r"accuracy: y is a tuple of 2, .* accuracy\(y\[0\], t\[0\]"
    ):
        accuracy((np.eye(3), np.eye(4)), (np.arange(3), np.arange(4)))
