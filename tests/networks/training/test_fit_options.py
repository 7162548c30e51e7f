"""Several inputs and outputs, weights, validation sets, hooks, freezing: and all of it resumes."""

import errno
import io
import json
import os
import signal
from functools import partial

import numpy as np
import pytest
from small_training import classifier, data, same, trainer

from chainrule.layers import (
    AddLayer,
    Affine,
    CrossEntropyLoss,
    Identity,
    Layer,
    MSELoss,
    SumLoss,
)
from chainrule.networks import (
    SGD,
    Adam,
    Branch,
    Parallel,
    Sequential,
    Trainer,
    accuracy,
    confusion_matrix,
    gradient_flow,
    learning_rate_range,
    schedules,
    top_k_accuracy,
)
from chainrule.networks.files import read_npz, write_npz

QUIET = {"progress": False}


def affine(rng, inputs, outputs):
    return Affine.random(inputs, outputs, rng, dtype=np.float64)


def two_by_two(rng):
    """Two inputs, two outputs: a sum of two affine layers, and two heads."""
    ends = Parallel(affine(rng, 5, 3), affine(rng, 5, 2))
    return Sequential(Parallel(affine(rng, 4, 5), affine(rng, 2, 5)), AddLayer(), Branch(2), ends)


def test_several_inputs_and_outputs():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(50, 4)), rng.normal(size=(50, 2))
    t = (a[:, 0] > 0).astype(np.int64), b.copy()
    loss = SumLoss(CrossEntropyLoss(), MSELoss(), weights=(1, 0.5))
    ours = Trainer(two_by_two(rng), loss, Adam(0.05), rng)
    history = ours.fit((a, b), t, epochs=30, batch_size=16, validation=((a, b), t), **QUIET)
    assert history["loss"][-1] < 0.2 * history["loss"][0]
    y = ours.predict((a, b), batch_size=7)
    assert [part.shape for part in y] == [(50, 3), (50, 2)]
    expected = {"loss": loss.forward(y, t)}
    expected |= {"loss_0": loss.values[0], "loss_1": loss.values[1]}
    found = ours.evaluate((a, b), t, batch_size=16)
    assert found == pytest.approx(expected)
    assert history["validation_loss_1"][-1] == pytest.approx(found["loss_1"])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_weight_of_2_is_a_row_given_twice(reduction):
    rng = np.random.default_rng(1)
    x, t = data(rng)
    w = rng.integers(0, 3, len(t)).astype(float)
    rows = np.repeat(np.arange(len(t)), w.astype(int))
    ours = trainer(optimizer=SGD(0.0))
    ours.loss = CrossEntropyLoss(reduction, class_weights=[1.0, 2.0, 0.5])
    repeated = ours.evaluate(x[rows], t[rows], batch_size=9)["loss"]
    assert ours.evaluate(x, t, weights=w, batch_size=7)["loss"] == pytest.approx(
        repeated, rel=1e-12
    )
    options = {"epochs": 1, "batch_size": 16, "weights": w}
    row = ours.fit(x, t, validation=(x, t, w), **options, **QUIET).epochs[0]
    assert row["loss"] == pytest.approx(repeated, rel=1e-12)
    assert row["validation_loss"] == pytest.approx(repeated, rel=1e-12)
    assert ours.evaluate([(x[:9], t[:9], w[:9]), (x[9:], t[9:], w[9:])])["loss"] == pytest.approx(
        repeated, rel=1e-12
    )


def test_the_parts_of_a_sum_have_totals_of_their_own():
    rng = np.random.default_rng(2)
    x, t = data(rng)
    t[:30] = -1
    net = Sequential(Branch(2), Parallel(affine(rng, 4, 3), Identity()))
    ours = Trainer(net, SumLoss(CrossEntropyLoss(ignore_index=-1), MSELoss()), SGD(), rng)
    whole = ours.evaluate(x, (t, 2 * x), batch_size=50)
    assert ours.evaluate(x, (t, 2 * x), batch_size=7) == pytest.approx(whole, rel=1e-12)


def test_metrics_see_all_rows_at_once_and_may_have_names():
    seen = []

    def spread(y, t):
        seen.append(len(y))
        return float(np.ptp(y))

    x, t = data(np.random.default_rng(1))
    metrics = {"top1": partial(top_k_accuracy, k=1), "spread": spread, "top2": top_k_accuracy}
    found = trainer().evaluate(x, t, batch_size=7, metrics=metrics)
    assert seen == [50]
    assert list(found) == ["loss", "top1", "spread", "top2"]
    assert found["top2"] == 1.0


def test_a_metric_that_fails_is_reported_before_the_first_step():
    x, t = data(np.random.default_rng(1))
    ours = trainer()
    with pytest.raises(ValueError, match="accuracy: y has shape") as caught:
        ours.fit(x, t, epochs=1, validation={"a": (x, t)}, metrics=[lambda y, t: accuracy(y, y[0])])
    assert caught.value.__notes__ == ["in Trainer.fit: validation 'a'"]
    assert ours.steps == 0

    def needs_many(y, t):  # such as rows of every class
        if len(y) < 50:
            raise ValueError("too few")
        return 1.0

    ours.fit(x, t, epochs=1, validation=(x, t), metrics=[needs_many], **QUIET)


def test_sets_by_name_and_a_share_that_is_held_out():
    x, t = data(np.random.default_rng(1))
    ours = trainer()
    sets = {"train": (x, t), "test": (x[:9], t[:9])}
    history = ours.fit(x, t, epochs=1, validation=sets, **QUIET)
    assert {"train_loss", "train_accuracy", "test_loss", "test_accuracy"} < set(history.names)
    with pytest.raises(ValueError, match=r"\['train', 'test'\] needs monitor, .*'test_loss'"):
        ours.fit(x, t, epochs=1, validation=sets, patience=1)
    seen = []
    x[:, 3] = np.arange(50)
    net = trainer().net
    ours = Trainer(net, CrossEntropyLoss(), SGD(0.0), np.random.default_rng(3))
    take = lambda a, b, rng: (seen.extend(a[:, 3]), (a, b))[1]  # noqa: E731
    ours.fit(x, t, epochs=1, batch_size=8, validation=0.2, transform=take, **QUIET)
    left = sorted(set(range(50)) - set(seen))
    assert len(seen) == 40
    assert ours.history["validation_loss"][0] == pytest.approx(
        ours.evaluate(x[left], t[left])["loss"]
    )


def test_accuracy_top_k_and_the_confusion_matrix():
    y = np.array([[5, 4, 1], [1, 2, 3], [3, 2, 1], [0, 9, 1]])
    t = np.array([1, 2, -1, 0])
    assert accuracy(y, t, ignore_index=-1) == pytest.approx(1 / 3)
    assert top_k_accuracy(y, t, 2, ignore_index=-1) == pytest.approx(2 / 3)
    matrix = confusion_matrix(y, t, ignore_index=-1)
    assert matrix.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert matrix._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="labels are from -1 to 2, expected 0 to 2"):
        confusion_matrix(y, t)
    for metric in (accuracy, confusion_matrix):
        with pytest.raises(TypeError, match="labels t are of dtype float64, expected integers"):
            metric(y, [0.7, 1.0, 0.0, 2.0])


def test_hooks_end_the_fit_and_thawing_keeps_moments():
    x, t = data(np.random.default_rng(1))
    ours = trainer(optimizer=Adam(0.01))
    calls = []

    def after_step(trainer):
        calls.append(trainer.steps)
        if trainer.steps == 6:
            raise StopIteration

    ours.fit(x, t, epochs=9, batch_size=25, after_step=after_step, **QUIET)
    assert calls == [1, 2, 3, 4, 5, 6]
    assert ours.unfinished is None
    first, optimizer = ours.net[0], ours.optimizer
    before = optimizer.state_dict(dict(zip("abcd", ours.net.params, strict=True)))
    first.freeze()
    frozen = first.W.copy()
    ours.train_step(x, t)
    first.unfreeze()
    after = optimizer.state_dict(dict(zip("abcd", ours.net.params, strict=True)))
    np.testing.assert_array_equal(first.W, frozen)
    assert [int(after[f"t.{k}"]) for k in "abcd"] == [6, 6, 7, 7]
    np.testing.assert_array_equal(after["M.a"], before["M.a"])
    assert not np.array_equal(after["M.c"], before["M.c"])


def thaw(trainer):
    if trainer.history.epochs[-1]["epoch"] == 3:
        trainer.net[0].unfreeze()
    schedules.reduce_on_plateau(0.5, 1, min_delta=0.5)(trainer)


@pytest.mark.parametrize("step", [1, 7, 8, 13, 17, 25, 31])
def test_all_of_it_resumes_bit_for_bit(tmp_path, step):
    rng = np.random.default_rng(4)
    x, t = data(rng)
    options = {"epochs": 9, "batch_size": 6, "drop_last": True, "weights": rng.random(50)}
    options |= {"validation": 0.2, "patience": 5, "min_delta": 0.05, "after_epoch": thaw}

    def made():
        ours = trainer(optimizer=Adam(0.05))
        ours.net[0].freeze()
        return ours

    def stop(trainer):
        if trainer.steps == step:
            signal.raise_signal(signal.SIGINT)

    whole, first = made(), made()
    whole.fit(x, t, **options, **QUIET)
    assert whole.optimizer.lr < 0.05
    first.fit(x, t, after_step=stop, **options, **QUIET)
    assert first.steps == step
    first.save(tmp_path / "run.npz")
    fresh = trainer(seed=9, optimizer=Adam())
    second = Trainer.resume(tmp_path / "run.npz", fresh.net, fresh.loss, fresh.optimizer, fresh.rng)
    second.fit(x, t, **options, **QUIET)
    assert same(second.net, whole.net)
    assert second.history.step_losses == whole.history.step_losses
    for name in set(whole.history.names) - {"seconds"}:
        assert second.history[name] == whole.history[name]
    assert second.optimizer.lr == whole.optimizer.lr


def test_a_checkpoint_of_the_older_format_is_read(tmp_path):
    x, t = data(np.random.default_rng(1))
    whole, first, path = trainer(optimizer=Adam()), trainer(optimizer=Adam()), tmp_path / "run.npz"
    whole.fit(x, t, epochs=4, batch_size=16, **QUIET)

    def stop(trainer):
        if trainer.steps == 6:
            signal.raise_signal(signal.SIGINT)

    first.fit(x, t, epochs=4, batch_size=16, after_step=stop, checkpoint=path, **QUIET)
    arrays = read_npz(path)
    text = json.loads(str(arrays["json"]))
    run = text["run"]
    for name in ("drop_last", "share", "sums", "split_state", "stopped"):
        del run[name]
    run |= {"loss": 1.0, "rows": 32, "best_loss": run.pop("best_value")}
    del text["frozen"]
    arrays["json"] = np.array(json.dumps(text | {"format": 2}))
    for k, name in enumerate(["0.W", "0.b", "2.W", "2.b"]):
        del arrays[f"optimizer/t.{name}"]
        for slot in "MV":
            arrays[f"optimizer/{slot}.{k}"] = arrays.pop(f"optimizer/{slot}.{name}")
    write_npz(path, arrays | {"optimizer/arrays": np.array(4)})
    fresh = trainer(seed=9, optimizer=Adam())
    second = Trainer.resume(path, fresh.net, fresh.loss, fresh.optimizer, fresh.rng)
    second.fit(x, t, epochs=4, batch_size=16, **QUIET)
    assert same(second.net, whole.net)


class FullDisk(io.FileIO):
    """A file for which the disk has room for so many bytes."""

    def __init__(self, path, mode, room):
        super().__init__(path, mode)
        self.room = room

    def write(self, data):
        fits = memoryview(data).cast("B")[: self.room]
        self.room -= super().write(fits)
        if len(fits) < memoryview(data).nbytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return len(fits)


@pytest.mark.parametrize("room", [0, 40, 1000, 2500, 4000])
def test_a_disk_that_fills_up_loses_nothing(tmp_path, monkeypatch, room):
    x, t = data(np.random.default_rng(1))
    ours, whole = (trainer(optimizer=Adam(0.05)) for _ in range(2))
    options = {"epochs": 4, "batch_size": 16, "validation": 0.2, "patience": 9, **QUIET}
    whole.fit(x, t, **options)
    path, step = tmp_path / "run.npz", 4

    def fill(trainer):
        if trainer.steps == step:
            full = partial(FullDisk, room=room)
            monkeypatch.setattr("chainrule.networks.files.open", full, raising=False)

    with pytest.raises(OSError, match=r"No space left on device: .*run\.npz"):
        ours.fit(x, t, checkpoint=path, checkpoint_every=1, after_step=fill, **options)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["run.npz"]
    ours.save(tmp_path / "elsewhere.npz")
    for file, steps in (("run.npz", step - 1), ("elsewhere.npz", step)):
        new = trainer(seed=9, optimizer=Adam())
        again = Trainer.resume(tmp_path / file, new.net, new.loss, new.optimizer, new.rng)
        assert again.steps == steps
        again.fit(x, t, **options)
        assert same(again.net, whole.net)
    ours.fit(x, t, **options)
    assert same(ours.net, whole.net)
    assert ours.history.step_losses == whole.history.step_losses


def test_warnings_come_once():
    x = np.full((10, 4), 200, np.uint8)
    ours = trainer()
    with pytest.warns(UserWarning, match="x holds bytes") as caught:  # noqa: PT031
        for _ in range(2):
            ours.fit(x, np.zeros(10, int), epochs=1, **QUIET)
    assert len(caught) == 1
    ours.net.eval()
    with pytest.warns(UserWarning, match="evaluation mode") as caught:  # noqa: PT031
        for _ in range(2):
            ours.train_step(x / 255, np.zeros(10, int))
    assert len(caught) == 1


def test_gradient_flow_and_the_learning_rate_range_leave_all_as_it_was():
    x, t = data(np.random.default_rng(1))
    ours = trainer(optimizer=Adam(0.01))
    before, state = ours.net.state_dict(), ours.rng.bit_generator.state
    flow = gradient_flow(ours.net, ours.loss, x, t)
    assert [row["place"] for row in flow.rows] == ["0", "1", "2"]
    ours.loss.forward(ours.net.forward(x), t)
    dout = ours.loss.backward()
    ours.net.backward(dout)
    assert flow.rows[2]["dout"] == pytest.approx(np.linalg.norm(dout))
    expected = np.hypot(np.linalg.norm(ours.net[0].dW), np.linalg.norm(ours.net[0].db))
    assert flow.rows[0]["gradient"] == pytest.approx(expected)
    assert flow.rows[1]["output"] == pytest.approx(np.linalg.norm(np.tanh(x @ ours.net[0].W)))
    assert flow.plot()._repr_png_().startswith(b"\x89PNG")
    curve = learning_rate_range(ours, x, t, batch_size=10, highest=1e3, steps=60)
    assert curve.rates[0] == pytest.approx(1e-6)
    assert curve.losses[-1] > 4 * min(curve.losses)
    assert curve._repr_png_().startswith(b"\x89PNG")
    assert (ours.steps, ours.optimizer.lr, ours.rng.bit_generator.state) == (0, 0.01, state)
    assert all(np.array_equal(before[k], v) for k, v in ours.net.state_dict().items())


def test_summary_shows_shapes_and_what_is_frozen():
    net = classifier(np.random.default_rng(0))
    net[0].freeze()
    text = net.summary(np.zeros((7, 4)))
    assert repr(text) == str(text)
    assert [line.split()[-1] for line in text.splitlines()] == [
        *("parameters", "frozen", "0", "21", "frozen")
    ]
    assert "(7, 6)" in text.splitlines()[1]


def test_held_out_rows_leave_one_to_train_on():
    rng = np.random.default_rng(0)
    trainer = Trainer(Affine.random(3, 2, rng), MSELoss(), SGD(), rng)
    trainer.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1, validation=0.95, progress=False)
    assert trainer.steps == 1


def test_scores_of_any_integers_are_ordered():
    for scores in ([[0, 5, 9, 7]], np.array([[-128, 0, 1, 1]], np.int8)):
        assert top_k_accuracy(np.asarray(scores, getattr(scores, "dtype", np.uint8)), [0], k=2) == 0


def test_a_list_of_arrays_is_told_to_be_a_tuple():
    rng = np.random.default_rng(0)
    trainer = Trainer(Affine.random(3, 2, rng), MSELoss(), SGD(), rng)
    with pytest.raises(ValueError, match="several inputs or targets are a tuple of arrays"):
        trainer.fit([np.ones((4, 3)), np.ones((4, 2))], np.ones((4, 2)), epochs=1)


def test_batches_may_hold_a_number():
    class Scaled(Layer):
        def forward(self, x, factor):
            self.factor = factor
            return factor * x

        def backward(self, dout):
            return self.factor * dout, None

    rng = np.random.default_rng(0)
    net = Sequential(Scaled(), Affine.random(3, 2, rng))
    batches = [((np.ones((4, 3)), 0.5), np.zeros((4, 2)))]
    ours = Trainer(net, MSELoss(), SGD(0.1), rng)
    assert len(ours.fit(batches, epochs=2, progress=False).step_losses) == 2
