"""History: columns, CSV and the plot."""

import csv
import sys

import numpy as np
import pytest
from matplotlib import pyplot

from chainrule.networks import History


@pytest.fixture
def history():
    made = History()
    made.step_losses = [2.5, 2.25, 0.1 + 0.2, 1e-17]
    made.epochs = [
        {"epoch": 1, "step": 2, "loss": 2.375, "seconds": 0.5},
        {"epoch": 2, "step": 4, "loss": 0.15, "validation_loss": 0.25, "seconds": 0.75},
    ]
    return made


def test_columns(history):
    assert history["loss"] == [2.375, 0.15]
    np.testing.assert_array_equal(history["validation_loss"], [np.nan, 0.25])
    assert history.names == ["epoch", "step", "loss", "seconds", "validation_loss"]
    with pytest.raises(KeyError, match="no 'accuracy', it has"):
        history["accuracy"]


def test_csv(history, tmp_path):
    history.to_csv(tmp_path / "epochs.csv")
    with open(tmp_path / "epochs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == history["loss"]
    assert rows[0]["validation_loss"] == ""
    assert rows[1]["epoch"] == "2"
    history.epochs[0]["validation_loss"] = np.nan  # as after a checkpoint
    before = (tmp_path / "epochs.csv").read_text().splitlines()
    history.to_csv(tmp_path / "epochs.csv")
    after = (tmp_path / "epochs.csv").read_text().splitlines()
    assert [sorted(line.split(",")) for line in after] == [sorted(x.split(",")) for x in before]

    history.to_csv(tmp_path / "steps.csv", steps=True)
    lines = (tmp_path / "steps.csv").read_text().splitlines()
    assert lines[0] == "step,loss"
    assert [float(line.split(",")[1]) for line in lines[1:]] == history.step_losses


def test_plot(history, tmp_path):
    figure = history.plot()
    (losses,) = figure.axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in losses.get_lines()}
    assert drawn["training loss"] == [[2, 2.375], [4, 0.15]]
    assert len(drawn["loss of each step"]) == 4
    for k, row in enumerate(history.epochs):
        row["validation_accuracy"] = 0.9 + 0.01 * k
    figure = history.plot()
    _, metrics = figure.axes
    assert [line.get_label() for line in metrics.get_lines()] == ["validation accuracy"]
    assert metrics.get_ylabel() == "accuracy"
    assert not pyplot.get_fignums()
    figure.savefig(tmp_path / "history.png")
    assert (tmp_path / "history.png").stat().st_size > 5000


def test_the_parts_of_a_loss_are_drawn_beside_it():
    history = History()
    history.epochs.append({"epoch": 1, "step": 2, "loss": 3.0, "loss_0": 1.0, "loss_1": 2.0})
    labels = [[line.get_label() for line in axes.get_lines()] for axes in history.plot().axes]
    assert labels == [["loss of each step", "training loss"], ["loss 0", "loss 1"]]


def test_plot_of_steps_alone():
    history = History()
    history.step_losses = [1.0, 0.5]
    assert len(history.plot().axes[0].get_lines()) == 1


def test_plot_without_matplotlib(history, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="needs matplotlib: pip install matplotlib"):
        history.plot()


def test_a_history_is_a_table_by_names():
    history = History()
    history.epochs = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]
    assert list(history) == ["epoch", "loss"]
    assert "loss" in history
    assert "accuracy" not in history
    assert dict(history) == {"epoch": [1, 2], "loss": [0.5, 0.25]}
