"""What Trainer and fit are given: everything wrong is told before the first step."""

from functools import partial

import numpy as np
import pytest
from small_training import data, trainer

from chainrule.layers import (
    Affine,
    MSELoss,
    Tanh,
)
from chainrule.networks import (
    SGD,
    Sequential,
    Trainer,
    accuracy,
    minimize,
)


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
        (
            lambda x, t: ([(x, t, t, t)], None),
            TypeError,
            r"batch 0 is a tuple of 4, expected a pair",
        ),
        (lambda x, t: ([], None), ValueError, "yields no batch"),
        (lambda x, t: ([[1.0], [2.0, 3.0]], t), ValueError, "x is not an array of numbers"),
        (lambda x, t: (Frame(x), None), TypeError, "x is a Frame without targets t"),
    ],
)
def test_data_that_cannot_be_trained_on(change, error, message):
    ours = trainer()
    start = ours.net.state_dict()
    x, t = change(*data(np.random.default_rng(1)))
    with pytest.raises(error, match="Trainer.fit: .*" + message):
        ours.fit(x, t, epochs=1, batch_size=None if t is None else 10, progress=False)
    assert all((start[k] == v).all() for k, v in ours.net.state_dict().items())
    assert ours.unfinished is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_value_that_is_not_finite_is_named(value, monkeypatch):
    monkeypatch.setattr("chainrule.networks.training.batches._BLOCK", 12)
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
        ({"shuffle": 1}, TypeError, "shuffle is 1, expected True or False"),
        ({"drop_last": "no"}, TypeError, "drop_last is 'no', expected True or False"),
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
        (
            {"transform": lambda x, t, rng: x},
            TypeError,
            "result of transform is a ndarray, exp",
        ),
        ({"validation": 1.2}, ValueError, r"validation is 1\.2, expected a fraction between 0 and"),
        ({"validation": {}}, ValueError, r"validation has the names \[\], expected names of sets"),
        ({"monitor": "validation_loss"}, ValueError, "monitor needs patience"),
        ({"patience": 2, "monitor": "validation_accuracy"}, ValueError, "expected .*max"),
        (
            {"patience": 2, "monitor": "test_loss"},
            ValueError,
            "monitor is 'test_loss', expected one",
        ),
        ({"patience": 2, "min_delta": -1}, ValueError, "min_delta is -1, expected at least 0"),
        ({"after_epoch": 3}, TypeError, "after_epoch is 3, expected a function of the Trainer"),
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


def test_a_metric_that_takes_the_targets_first():
    def r2(y_true, y_pred, *, weights=None):
        return 0.0

    x, t = data(np.random.default_rng(1))
    for metrics in ([r2], {"R2": r2}, [partial(r2, weights=1)]):
        with pytest.raises(TypeError, match=r"'(r2|R2)' takes the targets first.*: r2\(t, y\)"):
            trainer().fit(x, t, epochs=1, validation=(x, t), metrics=metrics)


def test_a_net_of_the_books_is_told_how_its_layers_are_taken():
    class TwoLayerNet:
        def __init__(self):
            self.layers = {"Affine1": Tanh()}

    with pytest.raises(TypeError, match=r"expected Sequential\(\*net.layers.values\(\)\)"):
        Trainer(TwoLayerNet(), MSELoss(), SGD(0.1), rng=np.random.default_rng(0))


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
        ("loss", SGD(), TypeError, r"loss is SGD\(.*, expected a layer such as MSELoss\(\)"),
        ("loss", "mse", TypeError, "loss is 'mse', expected"),
        ("loss", lambda y, t: 0, TypeError, "loss is <function .*, expected"),
        ("optimizer", MSELoss(), TypeError, r"optimizer is MSELoss\(.* as SGD\(\)"),
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


class Loss(Tanh):
    def __init__(self, value):
        self.value = value

    def forward(self, y, t):
        self.y = y
        return self.value

    def backward(self, dout):  # without a default
        return 0 * self.y


@pytest.mark.parametrize(
    ("value", "came"), [(None, "None"), (np.ones(3), r"an array of shape \(3,\)"), ("1", "'1'")]
)
def test_a_loss_or_metric_that_gives_no_number_is_named(value, came):
    x, t = data(np.random.default_rng(1))
    ours = trainer()
    ours.loss = Loss(value)
    with pytest.raises(TypeError, match=rf"^Loss\.forward returned {came}, expected a number$"):
        ours.train_step(x, t)
    ours.loss = Loss(1.0)
    assert ours.train_step(x, t) == 1.0
    with pytest.raises(TypeError, match=rf"^metric <lambda> returned {came}, expected a number$"):
        ours.evaluate(x, t, metrics=[lambda y, t: value])


def test_validation_that_does_not_fit_is_told_before_the_first_step():
    x, t = data(np.random.default_rng(1))
    ours = trainer()
    with pytest.raises(ValueError, match=r"t has shape \(2, 2\)") as raised:
        ours.fit(x, t, epochs=1, validation=(x, np.zeros((len(x), 2))), progress=False)
    assert "in Trainer.fit: validation" in raised.value.__notes__
    assert ours.steps == 0
    assert ours.unfinished is None


class Scaled(MSELoss):
    """A loss with a parameter."""

    param_names = ("scale",)

    def __init__(self):
        super().__init__()
        self.scale = np.ones(1)


@pytest.mark.parametrize(
    "run",
    [
        lambda net, loss: Trainer(net, loss, SGD(), np.random.default_rng(0)),
        lambda net, loss: minimize(net, loss, np.ones((2, 3)), np.ones((2, 1))),
    ],
)
def test_parameters_that_would_not_be_trained(run):
    net = Affine(np.ones((3, 1)), np.zeros(1))
    with pytest.raises(ValueError, match="the loss has parameters, which would not be trained"):
        run(net, Scaled())
    net.freeze()
    with pytest.raises(ValueError, match=r"all parameters of the net are frozen.* unfreeze\(\)"):
        run(net, MSELoss())


def test_a_layer_in_evaluation_mode_below_a_frozen_net():
    ours = trainer()
    ours.net.freeze()
    ours.net[2].unfreeze()
    with pytest.warns(UserWarning, match=r"in evaluation mode; call net\.train\(\)"):
        ours.train_step(*data(np.random.default_rng(1)))
