"""The estimators: all of scikit-learn's own checks, and what these do not ask."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from estimator_nets import convolution_net
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    make_multilabel_classification,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chainrule.layers import Affine, BatchNorm, HuberLoss, Layer, ReLU
from chainrule.networks import AdamW, Sequential, schedules
from chainrule.networks.estimators import NetClassifier, NetRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CHECKS = """
import sys, warnings
sys.path.insert(0, sys.argv[1])
warnings.simplefilter("ignore")
from estimator_nets import convolution_net
from sklearn.utils.estimator_checks import check_estimator
from chainrule.networks.estimators import *
results = check_estimator(eval(sys.argv[2]), on_fail=None, on_skip=None)
print(len(results))
for result in results:
    if result["status"] != "passed":
        print(result["check_name"], result["status"], repr(result["exception"]))
"""


@pytest.mark.parametrize(
    "estimator",
    [
        "NetClassifier()",
        "NetRegressor()",
        "NetClassifier(convolution_net, learning_rate_init=0.01, max_iter=50)",
        "NetRegressor(convolution_net, learning_rate_init=0.01, max_iter=50)",
    ],
)
def test_all_of_check_estimator_passes_and_none_is_skipped(estimator):
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", CHECKS, tests, estimator],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    number, *others = done.stdout.splitlines()
    assert others == []
    assert int(number) >= 50


def iris():
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def fast(kind=NetClassifier, **options):
    return kind(**{"learning_rate_init": 0.01, "max_iter": 60, "random_state": 0, **options})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_of_the_input_is_that_of_the_net(dtype):
    X, y = iris()
    for net in (None, convolution_net):
        model = fast(net=net).fit(X.astype(dtype), y)
        assert {param.dtype for param in model.net_.params} == {np.dtype(dtype)}
        assert model.predict_proba(X.astype(dtype)).dtype == dtype
        assert model.score(X, y) > 0.9
    assert fast(NetRegressor).fit(X.astype(dtype), y).predict(X.astype(dtype)).dtype == dtype


def test_the_default_net_begins_with_weights_of_the_size_of_mlp_classifier():
    X, y = load_digits(return_X_y=True)
    options = {"learning_rate_init": 1e-9, "random_state": 0}
    ours = NetClassifier(**options).partial_fit(X, y, classes=range(10)).net_.params[::2]
    theirs = MLPClassifier(**options).partial_fit(X, y, classes=range(10)).coefs_
    for W, coef in zip(ours, theirs, strict=True):
        assert W.std() == pytest.approx(coef.std(), rel=0.05)


def test_labels_of_strings_and_booleans_and_a_data_frame():
    X, y = iris()
    names = np.array(["setosa", "versicolor", "virginica"], object)[y]
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = fast().fit(frame, pd.Series(names, dtype="category"))
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert model.feature_names_in_.tolist() == list("abcd")
    assert model.score(frame, names) > 0.9
    assert model.predict(frame)[0] == "setosa"
    assert fast().fit(X, y == 0).predict(X).dtype == bool


def test_in_a_pipeline_a_grid_search_with_two_processes_and_cross_validation(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]))
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), fast(max_iter=20))
    grid = {"netclassifier__optimizer": [None, AdamW(0.02)], "netclassifier__net": [None]}
    search = GridSearchCV(model, grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.9
    assert cross_val_score(model, X, y, cv=2).min() > 0.8
    assert clone(search.best_estimator_).get_params().keys() == model.get_params().keys()


def test_a_pickle_predicts_the_same_and_holds_no_batch():
    X, y = load_digits(return_X_y=True)
    model = fast(max_iter=2, early_stopping=True).fit(X, y)
    data = pickle.dumps(model)
    floats = sum(param.size for param in model.net_.params)
    assert len(data) < 8 * 3 * floats + 20_000  # the parameters and Adam's two moments
    again = pickle.loads(data)
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    for one in (model, again):
        one.partial_fit(X, y)
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))


def test_several_labels_and_several_outputs():
    X, t = make_multilabel_classification(random_state=0)
    model = fast().fit(X, t)
    assert model.predict(X).shape == t.shape
    assert (model.predict(X) == t).mean() > 0.9
    assert model.predict_proba(X).shape == t.shape
    X, _ = iris()
    model = fast(NetRegressor, max_iter=200).fit(X[:, :2], X[:, 2:])
    assert model.predict(X[:, :2]).shape == (150, 2)
    assert model.score(X[:, :2], X[:, 2:]) > 0.7


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_weight_of_two_is_a_row_given_twice_and_of_zero_one_left_out(solver):
    X, y = iris()
    weights = np.arange(150) % 3
    options = {"solver": solver, "batch_size": 1000, "max_iter": 20}
    for kind in (NetClassifier, NetRegressor):
        weighted = fast(kind, **options).fit(X, y, sample_weight=weights)
        repeated = fast(kind, **options).fit(X.repeat(weights, 0), y.repeat(weights))
        found, expected = (model.net_.params[0] for model in (weighted, repeated))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)
        np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-6)


def test_class_weight_is_sample_weight_by_class():
    X, y = iris()
    by_class = fast(class_weight={0: 1, 1: 5, 2: 1}).fit(X, y)
    by_row = fast().fit(X, y, np.where(y == 1, 5.0, 1.0))
    assert np.array_equal(by_class.predict_proba(X), by_row.predict_proba(X))
    balanced = fast(class_weight="balanced").fit(X, y)  # as many of each: all weights are 1
    np.testing.assert_allclose(balanced.predict_proba(X), fast().fit(X, y).predict_proba(X))


def test_early_stopping_restores_the_best_weights():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    model = fast(early_stopping=True, n_iter_no_change=3, validation_fraction=0.3).fit(X, y)
    scores = model.validation_scores_
    assert len(scores) == model.n_iter_ < 60
    assert model.n_iter_ - scores.index(max(scores)) >= 4


def test_training_stops_when_the_loss_improves_no_more_or_warns():
    X, y = iris()
    model = fast(max_iter=500, tol=0.01, n_iter_no_change=2).fit(X, y)
    assert model.n_iter_ < 500
    losses = np.array(model.loss_curve_)
    assert len(losses) == model.n_iter_
    assert (losses[-3:] > np.minimum.accumulate(losses)[-4:-1] - 0.01).all()
    with pytest.warns(ConvergenceWarning, match="still improving after max_iter=2 epochs"):
        fast(max_iter=2).fit(X, y)


def test_warm_start_and_partial_fit_go_on():
    X, y = iris()
    model = fast(max_iter=1, warm_start=True).fit(X, y)
    first = model.loss_curve_[0]
    assert model.fit(X, y).loss_curve_[0] < first
    model = fast().partial_fit(X[:100], y[:100], classes=[0, 1, 2])
    for _ in range(30):
        model.partial_fit(X, y)
    assert model.n_iter_ == 31
    assert model.score(X, y) > 0.9
    with pytest.raises(ValueError, match="classes is"):
        model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="y has the classes"):
        model.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="first call of partial_fit needs classes"):
        fast().partial_fit(X, y)


def test_loss_schedule_and_batch_transform_are_used():
    X, y = iris()
    seen = []

    def noise(x, t, rng):
        seen.append(len(x))
        return x + rng.normal(0, 0.01, x.shape), t

    options = {"loss": HuberLoss(0.5), "schedule": schedules.constant(0.02), "max_iter": 5}
    model = fast(NetRegressor, batch_transform=noise, batch_size=50, **options).fit(X, y)
    assert seen == [50, 50, 50] * 5
    assert model._optimizer.lr == 0.02
    plain = fast(NetRegressor, max_iter=5, batch_size=50).fit(X, y)
    assert plain.loss_curve_[-1] != model.loss_curve_[-1]


def test_batch_norm_of_a_net_of_ones_own_is_in_evaluation_when_it_predicts():
    def net(inputs, outputs, rng):
        layers = Affine.random(inputs, 8, rng), BatchNorm.identity(8), ReLU()
        return Sequential(*layers, Affine.random(8, outputs, rng))

    X, y = iris()
    model = fast(net=net).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X[:1]), model.predict_proba(X)[:1])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"activation": "sigmoid"}, ValueError, "activation is 'sigmoid', expected one of"),
        ({"solver": "adamw"}, ValueError, "solver is 'adamw', expected one of"),
        ({"net": Sequential()}, TypeError, "net is Sequential.*, expected a function net"),
        ({"max_iter": 0}, ValueError, "max_iter is 0, expected an integer"),
        ({"early_stopping": True, "validation_fraction": 1}, ValueError, "holds out 1, expected"),
    ],
)
def test_what_does_not_fit_is_named(options, error, message):
    X, y = iris()
    with pytest.raises(error, match=message):
        fast(NetRegressor, **options).fit(X, y)


@pytest.mark.parametrize(
    ("make", "came"), [(NetClassifier, r"\(1, 4\)"), (NetRegressor, r"\(1, 2\)")]
)
def test_a_net_with_too_many_outputs_is_refused(make, came):
    def net(inputs, outputs, rng):
        return Sequential(Affine.random(inputs, outputs + 1, rng))

    with pytest.raises(ValueError, match=f"{make.__name__}: for one row .* shape {came}, expected"):
        fast(make, net=net).fit(*iris())


def test_unscaled_inputs_start_from_a_loss_near_that_of_guessing():
    model = NetClassifier(max_iter=1, random_state=5).fit(*load_iris(return_X_y=True))
    assert model.loss_curve_[0] < 2  # that of guessing is log(3) = 1.1


def test_weights_and_targets_that_do_not_fit_are_named():
    X, y = iris()
    for weights, message in [
        (np.ones(3), r"sample_weight has shape \(3,\), expected \(150,\)"),
        (-np.ones(150), "sample_weight has a value below 0"),
        (np.zeros(150), "at least one non-zero"),
    ]:
        with pytest.raises(ValueError, match=message):
            fast().fit(X, y, weights)
    with pytest.raises(ValueError, match="MultiOutputClassifier"):
        fast().fit(X, np.stack([y, y], axis=1))


def test_without_scikit_learn_the_error_says_what_to_install():
    program = (
        "import sys; sys.modules['sklearn.base'] = None\n"
        "try:\n    import chainrule.networks.estimators\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "needs scikit-learn: pip install 'chainrule[sklearn]'" in done.stdout


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "nope"},
        {"learning_rate_init": -1},
        {"early_stopping": True, "validation_fraction": 0.001},
        {"solver": "sgd", "learning_rate_init": 1e300},
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_refit_that_fails_leaves_the_fitted_estimator(options):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 4))
    model = NetClassifier(max_iter=2, random_state=0).fit(x, np.arange(30) % 3)
    before = model.predict_proba(x)
    model.set_params(**options)
    with pytest.raises((ValueError, FloatingPointError)):
        model.fit(x, np.arange(30) % 2)
    np.testing.assert_array_equal(model.predict_proba(x), before)


def test_partial_fit_cannot_balance_classes():
    model = NetClassifier(class_weight="balanced")
    with pytest.raises(ValueError, match="class_weight is 'balanced', but partial_fit"):
        model.partial_fit(np.ones((2, 3)), [0, 1], classes=[0, 1])


def test_buffers_of_integers_stay_integers():
    class Shuffled(Layer):
        buffer_names = ("order",)

        def __init__(self, rng):
            self.order = rng.permutation(4)

        def forward(self, x):
            return x[:, self.order]

        def backward(self, dout):
            dx = np.empty_like(dout)
            dx[:, self.order] = dout
            return dx

    def net(inputs, outputs, rng):
        return Sequential(Shuffled(rng), Affine.random(inputs, outputs, rng))

    x = np.random.default_rng(0).normal(size=(20, 4))
    model = NetClassifier(net=net, max_iter=2, random_state=0).fit(x, np.arange(20) % 2)
    assert model.net_[0].order.dtype.kind == "i"
