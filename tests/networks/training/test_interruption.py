"""Ctrl-C ends a training between two steps; lines and bars of its progress."""

import signal
import threading

import numpy as np
import pytest
from small_training import classifier, data, same, trainer

from chainrule.layers import (
    CrossEntropyLoss,
    ReLU,
)
from chainrule.networks import (
    SGD,
    Sequential,
    Trainer,
)


class Interrupting(ReLU):
    """Sends a SIGINT in the middle of the backward that follows its n-th forward."""

    def __init__(self, n, times=1):
        self.calls, self.n, self.times = 0, n, times

    def forward(self, x):
        self.calls += 1
        return super().forward(x)

    def backward(self, dout):
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
    with pytest.raises(ValueError, match="batch_size is 10, but 16 in the unfinished fit"):
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
    assert lines[0] == "interrupted after step 6: call fit again to resume"
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


def test_a_fit_that_patience_ended_says_so(tmp_path, capsys):
    x, t = data(np.random.default_rng(1))
    path, ours = tmp_path / "run.npz", interrupted(0)
    fitting = {
        "epochs": 9,
        "validation": (x, t),
        "patience": 2,
        "min_delta": 9.0,
        "checkpoint": path,
    }
    ours.fit(x, t, **fitting)
    capsys.readouterr()
    again = interrupted(0)
    again = Trainer.resume(path, again.net, again.loss, SGD(0.5), again.rng)
    assert len(repr(again.unfinished)) < 300
    again.fit(x, t, **fitting)
    said = capsys.readouterr().err.splitlines()[0]
    assert said == "nothing to do: patience ended it after epoch 3; a greater one goes on"


def test_a_second_ctrl_c_ends_at_once():
    x, t = data(np.random.default_rng(1))
    ours = interrupted(6, times=2)
    with pytest.raises(KeyboardInterrupt):
        ours.fit(x, t, epochs=3, batch_size=16, progress=False)
    assert ours.steps == 5
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_patience_given_up_does_not_bring_old_weights_back():
    x, t = data(np.random.default_rng(1))
    ours, whole = interrupted(7), interrupted(0)
    options = {"validation": (x, 2 - t), "progress": False}
    ours.fit(x, t, epochs=9, patience=9, **options)
    ours.fit(x, t, epochs=9, **options)
    whole.fit(x, t, epochs=9, **options)
    assert same(ours.net, whole.net)


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
