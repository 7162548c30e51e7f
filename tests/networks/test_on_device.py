"""Training on arrays that are not NumPy's, as on a GPU: the bits of a training on NumPy's."""

import numpy as np
import pytest
from device_array import DeviceArray, asarray, asnumpy
from small_training import classifier, data, same

from chainrule.layers import CrossEntropyLoss, Dropout
from chainrule.networks import (
    L1,
    L2,
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    RMSProp,
    Sequential,
    Trainer,
    accuracy,
    clip_gradients,
    clip_values,
    confusion_matrix,
    gradient_flow,
    minimize,
    schedules,
    value_and_grads,
)

OPTIMIZERS = [
    lambda: SGD(0.1),
    lambda: SGD(0.1, momentum=0.9),
    lambda: SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    lambda: AdaGrad(0.1),
    lambda: RMSProp(0.01),
    lambda: Adam(0.01),
    lambda: AdamW(0.01),
]
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda make: repr(make()))
X, T = data(np.random.default_rng(5), 60, np.float32)


def trainer(optimizer, on_device=True, **options):
    rng = np.random.default_rng(0)
    net = Sequential(*classifier(rng, np.float32), Dropout(0.2, rng))
    if on_device:
        net.map_arrays(asarray)
    options = {"max_norm": 1.0, "penalty": L2(0.01), **options}
    return Trainer(net, CrossEntropyLoss(), optimizer(), rng=rng, **options)


def fitted(trainer, epochs=3, x=X, t=T, **options):
    options = {"batch_size": 16, "validation": (X[:20], T[:20]), "progress": False, **options}
    trainer.fit(x, t, epochs=epochs, **options)
    return trainer


def is_on_device(trainer):
    state = [a for m in trainer.optimizer._moments.values() for a in m.arrays]
    return all(isinstance(array, DeviceArray) for array in [*trainer.net.params, *state])


def without_times(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history.epochs]


@each_optimizer
def test_a_training_gives_the_bits_of_numpy(optimizer):
    schedule = schedules.cosine(optimizer().lr, 12)
    here = fitted(trainer(optimizer, on_device=False, schedule=schedule))
    there = fitted(trainer(optimizer, schedule=schedule))
    assert same(there.net, here.net)
    assert is_on_device(there)
    assert there.history.step_losses == here.history.step_losses
    assert without_times(there.history) == without_times(here.history)


@pytest.mark.parametrize("options", [{"penalty": L1(0.01)}, {"max_value": 0.1}, {"max_norm": None}])
def test_penalties_and_clipping(options):
    here, there = (fitted(trainer(OPTIMIZERS[0], d, **options)) for d in (False, True))
    assert same(there.net, here.net)


def test_weights_and_data_on_either_side():
    weights = np.linspace(0, 1, len(X))
    here = fitted(trainer(OPTIMIZERS[5], False), weights=weights)
    there = fitted(trainer(OPTIMIZERS[5]), weights=weights)
    moved = fitted(trainer(OPTIMIZERS[5]), x=asarray(X), t=asarray(T), weights=asarray(weights))
    back = fitted(trainer(OPTIMIZERS[5], False), x=asarray(X), t=asarray(T), weights=weights)
    assert all(same(other.net, here.net) for other in (there, moved, back))


def test_batches_that_come_as_a_list_and_single_steps():
    batches = [(X[:30], T[:30]), (X[30:], T[30:], np.ones(30))]
    here, there = trainer(OPTIMIZERS[5], False), trainer(OPTIMIZERS[5])
    for each in (here, there):
        fitted(each, x=batches, t=None, batch_size=None)
        each.train_step(X, T, np.ones(len(X)))
    assert same(there.net, here.net)


@each_optimizer
@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True), (True, True)])
def test_a_checkpoint_resumes_on_either_side(optimizer, first, second, tmp_path):
    whole = fitted(trainer(optimizer, False))
    begun = fitted(trainer(optimizer, first), epochs=1)
    begun.save(tmp_path / "checkpoint.npz")
    resumed = trainer(optimizer, second)
    parts = resumed.net, resumed.loss, resumed.optimizer
    options = {"rng": resumed.rng, "max_norm": 1.0, "penalty": L2(0.01)}
    resumed = Trainer.resume(tmp_path / "checkpoint.npz", *parts, **options)
    fitted(resumed, epochs=2)
    assert same(resumed.net, whole.net)
    assert is_on_device(resumed) == second


def test_files_hold_the_arrays_of_numpy(tmp_path):
    there = trainer(OPTIMIZERS[0])
    assert all(type(array) is np.ndarray for array in there.net.state_dict().values())
    there.net.save(tmp_path / "net.npz")
    for on_device in (False, True):
        other = trainer(OPTIMIZERS[0], on_device)
        other.net.params[0][...] = 0
        other.net.load(tmp_path / "net.npz")
        assert same(other.net, there.net)


def test_early_stopping_restores_the_best_weights():
    here, there = (
        fitted(trainer(OPTIMIZERS[5], d), epochs=12, patience=2, validation=0.3)
        for d in (False, True)
    )
    assert len(there.history.epochs) == len(here.history.epochs)
    assert same(there.net, here.net)
    assert is_on_device(there)


@each_optimizer
def test_an_optimizer_moves_with_its_net_in_the_middle_of_a_training(optimizer):
    here, there = trainer(optimizer, False), trainer(optimizer, False)
    for each in (here, there):
        each.net[0].freeze()
        fitted(each, 1)
        each.net[0].unfreeze()
        fitted(each, 1)
    there.optimizer.map_arrays(asarray, there.net)
    assert is_on_device(there)
    fitted(here, 1), fitted(there, 1)
    there.optimizer.map_arrays(asnumpy, there.net)
    fitted(here, 1), fitted(there, 1)
    assert same(there.net, here.net)
    assert all(type(param) is np.ndarray for param in there.net.params)


def test_predictions_lie_where_the_inputs_do():
    here, there = trainer(OPTIMIZERS[0], False), trainer(OPTIMIZERS[0])
    y = here.predict(X, batch_size=16)
    np.testing.assert_array_equal(there.predict(X, batch_size=16), y, strict=True)
    moved = there.predict(asarray(X), batch_size=16)
    np.testing.assert_array_equal(moved.get(), y, strict=True)
    np.testing.assert_array_equal(there.net.predict(asarray(X)).get(), here.net.predict(X))
    metrics = [accuracy]
    assert there.evaluate(X, T, metrics=metrics) == here.evaluate(X, T, metrics=metrics)
    assert accuracy(moved, asarray(T)) == accuracy(y, T)
    np.testing.assert_array_equal(confusion_matrix(moved, asarray(T)), confusion_matrix(y, T))


def test_a_frozen_net_is_evaluated_where_it_is():
    here, there = trainer(OPTIMIZERS[0], False), trainer(OPTIMIZERS[0])
    here.net.freeze(), there.net.freeze()
    assert there.evaluate(X, T) == here.evaluate(X, T)


def test_value_and_grads_minimize_and_gradient_flow():
    here, there = trainer(OPTIMIZERS[0], False), trainer(OPTIMIZERS[0])
    here.net.eval(), there.net.eval()
    value, grads = value_and_grads(here.net, here.loss, X, T)
    moved_value, moved_grads = value_and_grads(there.net, there.loss, asarray(X), asarray(T))
    assert moved_value == value
    for mine, theirs in zip(grads, moved_grads, strict=True):
        np.testing.assert_array_equal(theirs.get(), mine, strict=True)
    clipped = clip_values(clip_gradients(moved_grads, 0.1), 0.05)
    for mine, theirs in zip(clip_values(clip_gradients(grads, 0.1), 0.05), clipped, strict=True):
        np.testing.assert_array_equal(theirs.get(), mine, strict=True)
    flow = gradient_flow(there.net, there.loss, asarray(X), asarray(T))
    assert flow.rows == gradient_flow(here.net, here.loss, X, T).rows
    for each in (here, there):
        minimize(each.net, each.loss, X, T, options={"maxiter": 3}, progress=False)
    assert same(there.net, here.net)


def test_what_is_not_finite_is_found_on_a_device_too():
    there = trainer(OPTIMIZERS[0])
    x = X.copy()
    x[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"x\[3, 1\] is nan, expected finite"):
        fitted(there, x=asarray(x))
    there.net.params[0][1, 2] = np.nan
    with pytest.raises(FloatingPointError, match=r"already before the step, W\[1, 2\] is nan"):
        there.train_step(X, T)


def test_a_net_on_a_device_refuses_arrays_of_numpy():
    net = trainer(OPTIMIZERS[0]).net
    message = r"Affine\(4 -> 6\): x is a numpy.ndarray, W a device_array.DeviceArray"
    with pytest.raises(TypeError, match=message) as caught:
        net.forward(X)
    assert "in Sequential, layer 0: Affine(4 -> 6)" in caught.value.__notes__
