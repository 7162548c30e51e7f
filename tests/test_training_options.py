"""The training options of train_mnist.py."""

import re

import numpy as np
import pytest


@pytest.fixture
def train(run_script, tmp_path):
    """Run train_mnist.py on the sample with a small net."""

    def run(*options, out="out"):
        fixed = "--hidden", 10, "--batch-size", 200, "--out", tmp_path / out
        return run_script("train_mnist.py", *fixed, *options)

    return run


def weights(folder):
    with np.load(folder / "weights.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize(
    "optimizer", ["adam", "adamw", "rmsprop", "adagrad", "sgd", "momentum", "nesterov"]
)
def test_every_optimizer_learns(train, optimizer):
    run = train("--epochs", 3, "--optimizer", optimizer)
    assert run.code == 0
    assert float(re.search(r"test accuracy: ([\d.]+)%", run.out).group(1)) > 50


@pytest.mark.parametrize(
    "option",
    [
        ["--schedule", "step"],
        ["--schedule", "exponential"],
        ["--schedule", "cosine"],
        ["--schedule", "warm-up"],
        ["--weight-decay", "0.1"],
        ["--clip", "0.1"],
        ["--augment"],
        ["--lr", "0.001"],
    ],
)
def test_every_option_changes_the_training(train, tmp_path, option):
    assert train("--epochs", 1, out="plain").code == 0
    assert train("--epochs", 1, *option, out="changed").code == 0
    plain, changed = weights(tmp_path / "plain"), weights(tmp_path / "changed")
    assert (plain["0.W"] != changed["0.W"]).any()


def test_resumed_it_goes_on_to_the_last_bit(train, tmp_path):
    options = "--augment", "--optimizer", "momentum", "--clip", 1, "--patience", 3
    assert train("--epochs", 3, *options, out="whole").code == 0
    assert train("--epochs", 1, *options, out="parts").code == 0
    assert train("--epochs", 3, *options, "--resume", "--seed", 5, out="parts").code == 0
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    for name, value in whole.items():
        assert value.tobytes() == parts[name].tobytes()


def test_what_cannot_be_resumed(train):
    run = train("--resume")
    assert run.code == 1
    assert "--resume: " in run.err
    assert train("--epochs", 1).code == 0
    run = train("--epochs", 2, "--resume", "--hidden", 11)
    assert run.code == 1
    assert "--resume: " in run.err
    for options, now in (
        (["--batch-size", 100], "4000 samples in batches of 100"),
        (["--patience", 3], "3600 samples in batches of 200"),
    ):
        run = train("--epochs", 2, "--resume", *options)
        assert run.code == 1
        assert run.err == (
            f"--resume: {now}, but 4000 in batches of 200 before; "
            "give the same options again, or leave out --resume\n"
        )


def test_patience_ends_early(train):
    run = train("--epochs", 500, "--patience", 1, "--lr", 0.1)
    assert run.code == 0
    assert "net, 3,600 images to train on, 400 held out and 1,000 to test on\n" in run.out
    assert re.search(r"the best weights, of epoch \d\d?, are restored$", run.err)


def test_threads_train_the_same_net(train, tmp_path):
    assert train("--epochs", 1, out="one").code == 0
    assert train("--epochs", 1, "--threads", 2, out="two").code == 0
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, atol=1e-3)
