"""Checkpoints that are not what was saved, and names that no checkpoint can have."""

import json
import os

import numpy as np
import pytest

from chainrule.layers import Affine, CrossEntropyLoss
from chainrule.networks import Adam, Sequential, Trainer
from chainrule.networks.files import read_npz, write_npz

X, T = np.random.default_rng(0).normal(size=(8, 3)), np.arange(8) % 2


def parts():
    rng = np.random.default_rng(0)
    return Sequential(Affine.random(3, 2, rng)), CrossEntropyLoss(), Adam(), rng


def fit(trainer, **options):
    trainer.fit(X, T, epochs=2, batch_size=4, progress=False, **options)


def text(arrays, **changes):
    return arrays | {"json": np.array(json.dumps(json.loads(str(arrays["json"])) | changes))}


def slot(arrays):
    """The name of an array of Adam's state."""
    return next(name for name in arrays if name.startswith("optimizer/V"))


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda a: text(a, steps=10**400), "steps is 10000000"),
        (lambda a: text(a, steps=-1), "steps is -1, expected an integer from 0"),
        (lambda a: a | {"step_losses": np.zeros(0)}, r"step_losses is float64\[0\], expected .*4"),
        (lambda a: a | {"step_losses": np.zeros((4, 0))}, r"step_losses is float64\[4, 0\]"),
        (lambda a: a | {"step_losses": np.array(1.0)}, r"step_losses is float64\[\], expected"),
        (lambda a: a | {"net/0.W": np.full((3, 2), np.nan, "f4")}, "'0.W' holds nan, not finite"),
        (lambda a: a | {slot(a): np.full((3, 2), np.inf, "f4")}, "numbers that are not finite"),
        (lambda a: a | {slot(a): np.full((3, 2), "x" * 9000)}, "."),
        (lambda a: a | {"optimizer/arrays": np.array(1 << 60)}, "."),
        (lambda a: a | {"json": np.array("[" * 100_000)}, "."),
        (lambda a: a | {"json": np.array('{"format": ' + "9" * 5000 + "}")}, "."),
    ],
)
def test_a_checkpoint_that_is_not_what_was_saved(tmp_path, harm, says):
    path, trainer = tmp_path / "run.npz", Trainer(*parts())
    fit(trainer, checkpoint=path)
    write_npz(path, harm(read_npz(path)))
    with pytest.raises(ValueError, match=says) as caught:
        Trainer.resume(path, *parts())
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) <= 500


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "the path is '', expected the name of a file"),
        ("a" * 250, "cannot be written: File name too long"),
        ("none/run.npz", "there is no folder"),
        (".", "is a folder"),
        ("pipe", "is a pipe or a device"),
    ],
)
def test_a_name_is_tried_before_the_first_step(tmp_path, monkeypatch, name, says):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    trainer = Trainer(*parts())
    with pytest.raises(OSError, match=says):
        fit(trainer, checkpoint=name)
    assert trainer.steps == 0
    assert os.listdir() == ["pipe"]
