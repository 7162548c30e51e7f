"""The figures of the articles, whose numbers are read back, and the picture of the README."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SVG = "{http://www.w3.org/2000/svg}"

FIGURES = {
    "apple": {"forward": "100 2 200 1.1 220", "backward": "2.2 110 1.1 200 1"},
    "apple_orange": {
        "forward": "100 2 150 3 200 450 650 1.1 715",
        "backward": "2.2 110 3.3 165 1.1 1.1 1.1 650 1",
    },
    "neuron": {"forward": "1 0.5 2 -0.25 0.5 -0.5 0", "backward": "0.5 1 -0.25 2 1 1 1"},
    "parabola": {  # dloss/dy = 2 (7 - 9) = -4; of x: -4 (2 w1 x + w2) = -20
        "forward": "1 2 1 1 9 4 4 2 6 7 4",
        "backward": "-16 -20 -8 -4 -8 -8 -4 -4 -4 -4 -4 -4 1",
    },
    "square_plus_x": {"forward": "3 9 12", "backward": "7 3 3 1 1 1"},
    "add_node": {"forward": "10 5 15", "backward": "1.3 1.3 1.3"},
    "multiply_node": {"forward": "10 5 50", "backward": "6.5 13 1.3"},
    "branch_node": {"forward": "10", "backward": "3.3 1.3 2"},
}


def texts(path, kind):
    found = ET.parse(path).getroot().iter(f"{SVG}text")
    return [text.text for text in found if kind in text.get("class").split()]


@pytest.fixture
def drawn(run_script, tmp_path):
    def draw(*names):
        run = run_script("draw_graphs.py", *names, "--out", tmp_path)
        assert run.code == 0, run.err
        return tmp_path

    return draw


def test_the_numbers_of_the_figures(drawn):
    folder = drawn(*FIGURES)
    for name, expected in FIGURES.items():
        for kind, numbers in expected.items():
            assert sorted(texts(folder / f"{name}.svg", kind)) == sorted(numbers.split()), name


def test_nodes_of_arrays(drawn):
    folder = drawn("repeat_node", "sum_node", "matmul_node")
    assert "[9, 12]" in texts(folder / "repeat_node.svg", "backward")
    assert texts(folder / "sum_node.svg", "backward").count("[10, 20]") == 4
    matmul = texts(folder / "matmul_node.svg", "backward")
    assert matmul == ["[-2, -2]", "[1, 0, -1]", "dW", "[1, 0, -1]", "[2, 0, -2]"]


def test_nets(drawn):
    folder = drawn("sigmoid_net", "digits", "digits_hidden")
    assert {"[9.67]", "[-0.208]", "[-4.63]"} < set(texts(folder / "sigmoid_net.svg", "forward"))
    assert texts(folder / "digits.svg", "layer") == ["Affine(784 -> 10)", "CrossEntropyLoss"]
    assert len(texts(folder / "digits_hidden.svg", "layer")) == 4


def test_the_picture_of_the_readme_is_up_to_date(drawn):
    folder = drawn("apple")
    (name,) = re.findall(r"!\[.*\]\((docs/\S+)\)", (ROOT / "README.md").read_text())
    assert (ROOT / name).read_text() == (folder / "apple.svg").read_text()


def test_a_figure_that_is_not_there(run_script):
    run = run_script("draw_graphs.py", "banana")
    assert run.code == 2
    assert "no such figure: banana; there are apple, apple_orange" in run.err
