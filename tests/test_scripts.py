"""The scripts as their users meet them: output, files, exit codes."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from device_array import asarray, asnumpy

from chainrule.datasets import additions, load_mnist_sample, write_idx
from chainrule.layers import ReLU
from chainrule.networks import SGD, Adam
from chainrule.networks.parallel import threads

SCRIPTS = Path(__file__).parents[1] / "scripts"
PROGRAMS = sorted(
    path.name for path in SCRIPTS.glob("*.py") if '__name__ == "__main__"' in path.read_text()
)
PNG = b"\x89PNG"


@pytest.fixture
def few_digits(tmp_path):
    """A folder of IDX files: 300 digits to train on, 100 to test on."""
    folder = tmp_path / "digits"
    folder.mkdir()
    (x, t), (x_test, t_test) = load_mnist_sample(normalize=False, flatten=False)
    write_idx(folder / "train-images-idx3-ubyte", x[:300, 0])
    write_idx(folder / "train-labels-idx1-ubyte", t[:300].astype(np.uint8))
    write_idx(folder / "t10k-images-idx3-ubyte", x_test[:100, 0])
    write_idx(folder / "t10k-labels-idx1-ubyte", t_test[:100].astype(np.uint8))
    return folder


@pytest.fixture
def train(run_script, few_digits, tmp_path):
    """Run train_mnist.py for two epochs on a few digits."""

    def run(*arguments, out="out"):
        fixed = "--data", few_digits, "--epochs", 2, "--out", tmp_path / out
        return run_script("train_mnist.py", *fixed, *arguments)

    return run


def accuracy(run):
    return re.search(r"test accuracy: .*", run.out).group()


@pytest.mark.parametrize("script", PROGRAMS)
def test_help(run_script, script):
    run = run_script(script, "--help")
    assert run.code == 0
    assert run.out.startswith(f"usage: {script}")


@pytest.mark.parametrize("script", PROGRAMS)
def test_an_unknown_option_is_a_usage_error(run_script, script):
    run = run_script(script, "--no-such-option")
    assert run.code == 2
    assert "--no-such-option" in run.err or "required" in run.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs: 0 is not an integer of at least 1"),
        (["--batch-size", "ten"], "--batch-size: ten is not an integer of at least 1"),
        (["--lr", "-0.1"], "--lr: -0.1 is not a finite number above 0"),
        (["--lr", "nan"], "--lr: nan is not a finite number above 0"),
        (["--seed", "-1"], "--seed: -1 is not an integer from 0 to 4294967295"),
        (["--lr", "abc"], "--lr: abc is not a finite number above 0"),
        (["--weight-decay", "-1"], "--weight-decay: -1 is not a finite number of at least 0"),
        (["--model", "three-layer"], "--model: invalid choice: 'three-layer'"),
        (["--model", "conv", "--hidden", "50"], "--hidden is for the two-layer net"),
        (["--model", "one-layer", "--activation", "relu"], "but --model is one-layer"),
    ],
)
def test_usage_errors_of_train_mnist(run_script, arguments, message):
    run = run_script("train_mnist.py", *arguments)
    assert run.code == 2
    assert message in run.err


def test_xor_is_learned(run_script):
    run = run_script("train_xor.py", "--seed", 3)
    assert run.code == 0
    before, after = (
        np.array([line.split() for line in table.splitlines()[2:]], float)
        for table in run.out.split("\n\n")
    )
    for table in (before, after):
        np.testing.assert_array_equal(table[:, :3], [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]])
    assert np.abs(before[:, 3] - before[:, 2]).max() > 0.3
    assert np.abs(after[:, 3] - after[:, 2]).max() < 0.1


def test_the_parabola_is_drawn(run_script, tmp_path):
    run = run_script("fit_parabola.py", "--plot", tmp_path / "loss.png")
    assert run.code == 0
    assert (tmp_path / "loss.png").read_bytes().startswith(PNG)


def test_the_default_reads_93_percent_of_the_sample_from_any_folder(tmp_path):
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # tests run beside each other
    arguments = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
    trained = subprocess.run([sys.executable, SCRIPTS / "train_mnist.py"], check=True, **arguments)
    percent = float(re.search(r"test accuracy: ([\d.]+)%", trained.stdout).group(1))
    assert percent >= 93
    assert trained.stderr.count("test_accuracy") == 16
    tested = subprocess.run(
        [sys.executable, SCRIPTS / "predict_mnist.py", "out/weights.npz"], check=True, **arguments
    )
    assert tested.stdout.splitlines()[0] in trained.stdout
    listed = re.findall(r"^wrote (.+)$", trained.stdout, re.MULTILINE)
    assert {tmp_path / name for name in listed} == {*(tmp_path / "out").iterdir()}


@pytest.mark.parametrize(
    "options",
    [
        ["--model", "one-layer", "--lr", "0.01"],
        ["--activation", "sigmoid", "--hidden", "30"],
        ["--activation", "relu", "--optimizer", "sgd", "--batch-size", "10"],
    ],
)
def test_predict_rebuilds_the_net_without_options(run_script, train, tmp_path, options):
    trained = train(*options)
    tested = run_script("predict_mnist.py", tmp_path / "out" / "weights.npz")
    assert trained.code == tested.code == 0
    assert accuracy(tested) == accuracy(trained)

    table = [re.findall(r"[\d]+|\.(?= )", line) for line in tested.out.splitlines()[3:]]
    counts = np.array([[0 if cell == "." else int(cell) for cell in row[1:11]] for row in table])
    right = int(re.search(r"\((\d+) of 100 images\)", tested.out).group(1))
    np.testing.assert_array_equal(counts.sum(axis=1), 10)  # ten of each digit
    assert np.trace(counts) == right


def test_the_same_seed_gives_the_same_weights(train, tmp_path):
    for seed, out in ((1, "a"), (1, "b"), (2, "c")):
        train("--seed", seed, out=out)
    a, b, c = (np.load(tmp_path / out / "weights.npz")["0.W"] for out in "abc")
    assert (a == b).all()
    assert (a != c).any()


def test_curves_and_digits_are_drawn(train, tmp_path):
    run = train("--plot")
    assert run.code == 0
    for name in ("curves.png", "digits.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(PNG)
        assert f"drew {tmp_path / 'out' / name}" in run.out


@pytest.mark.parametrize("script", ["train", "addition"])
def test_drawing_without_matplotlib_fails_before_the_training(
    request, script, tmp_path, monkeypatch
):
    monkeypatch.delitem(sys.modules, "pictures", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    run = request.getfixturevalue(script)("--plot")
    assert run.code == 1
    assert run.err == "pictures need matplotlib: pip install 'chainrule[plot]'\n"
    assert not (tmp_path / "out").exists()


def test_missing_digits(run_script, tmp_path):
    run = run_script("train_mnist.py", "--data", tmp_path, "--out", tmp_path / "out")
    assert run.code == 1
    assert run.err.startswith(f"no digits: {tmp_path} has no train-images-idx3-ubyte")


@pytest.mark.filterwarnings("ignore:(overflow|invalid value):RuntimeWarning")
def test_a_training_that_diverges(train, tmp_path):
    run = train("--optimizer", "sgd", "--lr", "1e30")
    assert run.code == 1
    assert "training failed, perhaps --lr is too high: the loss is" in run.err
    assert not (tmp_path / "out" / "weights.npz").exists()


def test_an_error_names_its_place_in_the_net(train, monkeypatch):
    def forward(self, x):
        raise ValueError("no way")

    monkeypatch.setattr(ReLU, "forward", forward)
    run = train()
    assert run.code == 1
    assert run.err.startswith("cannot train: no way\nin Sequential, layer 1")


def test_interrupted_it_says_how_to_go_on(run_script, few_digits, tmp_path):
    options = "--data", few_digits, "--batch-size", "1", "--out", tmp_path / "out", "--epochs"
    program = subprocess.Popen(
        [sys.executable, SCRIPTS / "train_mnist.py", *options, "100"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stderr.readline().startswith("epoch 1 of 100: ")
    program.send_signal(signal.SIGINT)
    out, err = program.communicate()
    assert program.returncode == 130
    assert "Traceback" not in err
    assert f"with --resume continues from {tmp_path / 'out' / 'checkpoint.npz'}\n" in out
    assert run_script("train_mnist.py", *options, 2, "--resume").code == 0


@pytest.mark.parametrize("model", ["two-layer", "conv"])
def test_an_exported_net_reads_as_the_net_does(train, run_script, tmp_path, model):
    file = tmp_path / "digits.onnx"
    trained = train("--model", model, "--onnx", file)
    assert f"wrote {file}\n" in trained.out
    tested = run_script("predict_mnist.py", file)
    assert tested.code == 0
    assert accuracy(tested) == accuracy(trained)


def test_an_onnx_file_that_cannot_be(train, run_script, tmp_path):
    trained = train("--onnx", tmp_path / "no folder" / "digits.onnx")
    assert trained.code == 1
    assert "--onnx: " in trained.err
    (tmp_path / "broken.onnx").write_bytes(b"broken")
    tested = run_script("predict_mnist.py", tmp_path / "broken.onnx")
    assert tested.code == 1
    assert f"cannot read {tmp_path / 'broken.onnx'}: " in tested.err


def test_exporting_without_onnx_fails_before_the_training(train, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "onnx_digits", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    run = train("--onnx", tmp_path / "digits.onnx")
    assert run.code == 1
    assert run.err == "ONNX files need onnxruntime: pip install 'chainrule[onnx]'\n"
    assert not (tmp_path / "out").exists()


def damage_weights(weights, settings):
    weights.write_bytes(weights.read_bytes()[:1000])


def lose_settings(weights, settings):
    settings.unlink()


def break_settings(weights, settings):
    settings.write_text("{")


def list_settings(weights, settings):
    settings.write_text('["two-layer"]')


def rename_activation(weights, settings):
    settings.write_text(settings.read_text().replace("relu", "step"))


def widen_net(weights, settings):
    settings.write_text(settings.read_text().replace("100", "101"))


@pytest.mark.parametrize(
    "spoil",
    [damage_weights, lose_settings, break_settings, list_settings, rename_activation, widen_net],
)
def test_weights_that_fit_no_net(run_script, train, tmp_path, spoil):
    train()
    weights = tmp_path / "out" / "weights.npz"
    spoil(weights, weights.with_suffix(".json"))
    run = run_script("predict_mnist.py", weights)
    assert run.code == 1
    assert run.err.startswith(f"cannot rebuild the net from {weights}")


@pytest.mark.parametrize("model", ["conv", "deep"])
def test_a_convolution_net_from_training_to_its_filters(train, run_script, tmp_path, model):
    trained = train("--model", model)
    assert trained.code == 0
    weights = tmp_path / "out" / "weights.npz"
    assert accuracy(run_script("predict_mnist.py", weights)) == accuracy(trained)
    drawn = run_script("draw_filters.py", weights)
    assert drawn.code == 0
    for name in ("filters.png", "mistakes.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(PNG)


def test_filters_of_a_net_without_any(train, run_script, tmp_path):
    train()
    drawn = run_script("draw_filters.py", tmp_path / "out" / "weights.npz")
    assert drawn.code == 1
    assert "the first layer is Affine(784 -> 100): give weights of --model conv" in drawn.err


@pytest.mark.parametrize("model", ["gpt", "lstm"])
def test_train_text_writes_and_resumes(run_script, tmp_path, model):
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat. " * 100, "utf-8")
    arguments = ["--text", text, "--model", model, "--steps", 5, "--length", 8, "--size", 8]
    arguments += ["--depth", 1, "--characters", 20, "--prompt", "the ", "--out", tmp_path / "out"]
    first = run_script("train_text.py", *arguments, "--epochs", 1)
    then = run_script("train_text.py", *arguments, "--epochs", 2, "--resume")
    assert (first.code, then.code) == (0, 0)
    assert re.search(r"epoch 1: validation loss \d\.\d{3} per character\nthe ", first.out)
    assert "epoch 1:" not in then.out
    assert (tmp_path / "out" / "samples.txt").read_text("utf-8").count("validation loss") == 2
    whole = [a if a != tmp_path / "out" else tmp_path / "whole" for a in arguments]
    assert run_script("train_text.py", *whole, "--epochs", 2).out.count("epoch 2:") == 1
    with (
        np.load(tmp_path / "out" / "weights.npz") as a,
        np.load(tmp_path / "whole" / "weights.npz") as b,
    ):
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name])


def test_train_text_names_what_does_not_fit(run_script, tmp_path):
    text, weights = tmp_path / "text.txt", tmp_path / "weights.npz"
    text.write_text("abc" * 500, "utf-8")
    weights.write_bytes(b"\x80")
    out = ["--text", text, "--out", tmp_path / "out"]
    for options, code, message in (
        (["--prompt", "z"], 1, "--prompt: Characters.encode: 'z' at 0 is none of"),
        (["--prompt", ""], 2, "--prompt must hold at least one character"),
        (["--prompt", "a", "--size", 6], 2, "--size must be a multiple of 4"),
        (["--prompt", "a", "--length", 150], 1, "--length: 150, but the tenth of the text"),
        (["--text", weights], 1, f"--text {weights}: 'utf-8' codec can't decode"),
    ):
        run = run_script("train_text.py", *out, *options)
        assert run.code == code
        assert message in run.err


def test_train_addition_prints_examples_and_draws(run_script, tmp_path):
    run = run_script(
        "train_addition.py",
        *("--sums", 300, "--epochs", 2, "--hidden", 8, "--digits", 2),
        *("--out", tmp_path, "--plot"),
    )
    assert run.code == 0
    assert re.search(r"epoch 2: \d+\.\d% of unseen sums are exact\n    \d+\+\d+ = ", run.out)
    assert (tmp_path / "attention.png").read_bytes().startswith(PNG)


def test_train_vae_resumes_and_draws(run_script, few_digits, tmp_path):
    def train(out, *arguments):
        fixed = "--data", few_digits, "--hidden", 20, "--out", tmp_path / out
        run = run_script("train_vae.py", *fixed, *arguments)
        assert run.code == 0
        return re.findall(r"epoch (\d+): bound (-\d+\.\d\d) nats", run.out)

    in_parts = train("a", "--epochs", 1) + train("a", "--epochs", 3, "--resume", "--plot")
    assert in_parts == train("b", "--epochs", 3)
    assert [epoch for epoch, _ in in_parts] == ["1", "2", "3"]
    bounds = [float(bound) for _, bound in in_parts]
    assert bounds[0] < bounds[1] < bounds[2]
    for name in ("curves", "reconstructions", "samples", "plane"):
        assert (tmp_path / "a" / f"{name}.png").read_bytes().startswith(PNG)


def test_watch_gradients_sees_them_vanish(run_script, tmp_path):
    options = "--layers", 6, "--epochs", 1, "--plot", tmp_path / "flow.png"
    run = run_script("watch_gradients.py", *options)
    assert run.code == 0
    sigmoid, relu = re.findall(r"layer 0 / of the last: (\S+)", run.out)
    assert float(sigmoid) < 1e-3 < float(relu)
    for name in ("flow_sigmoid.png", "flow_relu.png"):
        assert (tmp_path / name).read_bytes().startswith(PNG)


def cupy_without(error=None):
    """Return a module like cupy, whose arrays are the stand-in's, with a device or an error."""

    class CUDARuntimeError(RuntimeError):
        pass

    def device_count():
        if error:
            raise CUDARuntimeError(error)
        return 1

    runtime = SimpleNamespace(getDeviceCount=device_count, CUDARuntimeError=CUDARuntimeError)
    cuda = SimpleNamespace(runtime=runtime)
    return SimpleNamespace(asarray=asarray, asnumpy=asnumpy, cuda=cuda)


@pytest.mark.parametrize(
    ("cupy", "message"),
    [
        (None, "--device gpu needs CuPy: pip install cupy-cuda12x"),
        (cupy_without("no driver"), "--device gpu: CuPy finds no device: no driver"),
    ],
)
def test_without_a_gpu_the_digits_say_why(train, monkeypatch, cupy, message):
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    run = train("--device", "gpu")
    assert run.code == 1
    assert message in run.err


@pytest.mark.parametrize(
    "options", [["--augment", "--clip", "1"], ["--model", "conv", "--threads", "1"]]
)
def test_digits_are_the_same_on_a_device(train, monkeypatch, tmp_path, options):
    monkeypatch.setitem(sys.modules, "cupy", cupy_without())
    here, there = train(*options), train(*options, "--device", "gpu", out="device")
    assert accuracy(there) == accuracy(here)
    weights = (np.load(tmp_path / out / "weights.npz") for out in ("out", "device"))
    for mine, theirs in zip(*(file.values() for file in weights), strict=True):
        np.testing.assert_array_equal(theirs, mine)


@pytest.fixture
def addition(run_script, tmp_path):
    """Run train_addition.py on a few sums."""

    def run(*arguments, out="out"):
        fixed = "--sums", 300, "--hidden", 8, "--digits", 2, "--out", tmp_path / out
        return run_script("train_addition.py", *fixed, *arguments)

    return run


def test_a_finished_addition_is_evaluated_again(addition, monkeypatch):
    def easy(n, rng, digits):
        sums, answers = additions(n, rng, digits)
        return sums, ["7".ljust(len(answer)) for answer in answers]

    monkeypatch.setattr("chainrule.datasets.additions", easy)
    for resume in ([], ["--resume"]):
        run = addition("--epochs", 1, "--batch-size", 3, "--lr", 0.05, *resume)
        assert run.code == 0
        assert run.out.endswith("exact sums: 100.00% of 1,000\n")


def test_the_epochs_of_an_addition_are_numbered_and_resumed(addition, tmp_path):
    whole = addition("--epochs", 3, "--lr", "0.02", out="whole")
    assert re.findall(r"^epoch (\d of \d):", whole.err, re.MULTILINE) == [
        "1 of 3",
        "2 of 3",
        "3 of 3",
    ]
    assert re.findall(r"^epoch (\d):", whole.out, re.MULTILINE) == ["1", "2", "3"]


@pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide):RuntimeWarning")
@pytest.mark.parametrize(
    ("script", "options"),
    [
        ("train_vae.py", ["--lr", "1e4"]),
        ("train_addition.py", ["--lr", "1e20", "--sums", "20000", "--epochs", "1"]),
        ("train_text.py", ["--lr", "1e30", "--model", "lstm", "--size", "8", "--length", "8"]),
    ],
)
def test_any_training_that_diverges_says_so_in_a_line(run_script, tmp_path, script, options):
    run = run_script(script, *options, "--out", tmp_path)
    assert run.code == 1
    assert re.search("^training failed, perhaps --lr is too high: ", run.err, re.M)


@pytest.fixture
def ctrl_c(monkeypatch):
    """Press Ctrl-C in a step of an optimizer, counted from 1."""

    def press(optimizer, step):
        real, count = optimizer.step, iter(range(1, step + 1))

        def pressed(self, params, grads):
            real(self, params, grads)
            if next(count, None) == step:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(optimizer, "step", pressed)

    return press


def test_an_addition_is_resumed_to_the_last_bit(addition, ctrl_c, tmp_path):
    assert addition("--epochs", 2, out="whole").code == 0
    ctrl_c(Adam, 4)  # the first of the second epoch
    stopped = addition("--epochs", 2, out="parts")
    assert stopped.code == 130
    assert "exact sums" not in stopped.out
    other = addition("--epochs", 2, "--resume", "--sums", 600, out="parts")
    assert other.code == 1
    assert other.err.startswith("--resume: 600 samples in batches of 128, but 300 in batches")
    resumed = addition("--epochs", 2, "--resume", "--seed", 5, out="parts")
    assert re.findall("^epoch .:", resumed.out, re.MULTILINE) == ["epoch 2:"]
    checkpoints = (np.load(tmp_path / out / "checkpoint.npz") for out in ("whole", "parts"))
    whole, parts = (
        {name: array for name, array in file.items() if name.startswith("net")}
        for file in checkpoints
    )
    assert whole.keys() == parts.keys() != set()
    for name in whole:
        np.testing.assert_array_equal(whole[name], parts[name])


@pytest.mark.parametrize("step", [1, 30])
@pytest.mark.parametrize(
    "arguments",
    [
        ["watch_gradients.py", "--epochs", 2],
        ["compare_optimizers.py", "--epochs", 2, "--out", "picture.png"],
        ["fit_parabola.py"],
        ["train_xor.py"],
        ["sigmoid_net.py"],
        ["draw_graphs.py", "sigmoid_net"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_ctrl_c_ends_what_has_no_checkpoint(
    run_script, ctrl_c, arguments, step, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    ctrl_c(SGD, step)
    run = run_script(*arguments)
    assert run.code == 130
    assert run.err == "interrupted\n"
    assert "after 2 epochs" not in run.out


@pytest.mark.parametrize("script", ["train_mnist.py", "train_text.py"])
def test_threads_without_threadpoolctl(run_script, monkeypatch, tmp_path, script):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    monkeypatch.setattr(threads, "_blas", threads._blas.__wrapped__)
    run = run_script(script, "--threads", 2, "--out", tmp_path)
    assert run.code == 1
    assert run.err == "--threads: DataParallel needs threadpoolctl: pip install threadpoolctl\n"


@pytest.mark.parametrize(
    ("script", "option", "name"),
    [
        ("train_mnist.py", "--out", "out"),
        ("train_mnist.py", "--onnx", "net.onnx"),
        ("train_vae.py", "--out", "out"),
        ("train_addition.py", "--out", "out"),
        ("train_text.py", "--out", "out"),
        ("compare_optimizers.py", "--out", "picture.png"),
        ("fit_parabola.py", "--plot", "picture.png"),
        ("watch_gradients.py", "--plot", "picture.png"),
        ("draw_graphs.py", "--out", "out"),
        ("benchmark.py", "--out", "out"),
    ],
)
def test_what_cannot_be_written_is_a_line_before_the_work(
    run_script, monkeypatch, tmp_path, script, option, name
):
    monkeypatch.chdir(tmp_path)  # where train_mnist.py makes its --out
    (tmp_path / "file").touch()
    run = run_script(script, option, tmp_path / "file" / name)
    assert run.code == 1
    assert re.fullmatch(r"(--\w+|cannot draw .+): \[Errno .+\n", run.err)
    assert not re.search("^(wrote|drew|epoch|before|Sigmoid)", run.out + run.err, re.MULTILINE)


def test_a_picture_of_no_format(run_script, tmp_path):
    run = run_script("compare_optimizers.py", "--out", tmp_path / "picture.abc")
    assert run.code == 1
    assert re.match(r"cannot draw .*picture\.abc: Format 'abc' is not supported", run.err)
    assert not run.out


def test_terms_of_too_many_digits(run_script):
    run = run_script("train_addition.py", "--digits", 19)
    assert run.code == 2
    assert "--digits: 19 is not an integer from 1 to 18" in run.err
