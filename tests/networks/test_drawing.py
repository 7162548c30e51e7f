"""Pictures: their numbers are read back, nothing overlaps, and the net stays as it was."""

import copy
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from conformance import Loop, Siamese, digits, residual

from chainrule.layers import (
    AddLayer,
    Affine,
    BatchNorm,
    CrossEntropyLoss,
    Dropout,
    Identity,
    MatMul,
    MSELoss,
    MulLayer,
    ReLU,
    Sigmoid,
    Tanh,
)
from chainrule.networks import FunctionStack, Parallel, Sequential, draw

SVG = "{http://www.w3.org/2000/svg}"


def rng(seed=0):
    return np.random.default_rng(seed)


def texts(picture, kind):
    """List the texts of a class, from left to right and from above."""
    found = [
        (float(text.get("y")), float(text.get("x")), "".join(text.itertext()))
        for text in ET.fromstring(str(picture)).iter(f"{SVG}text")
        if kind in text.get("class").split()
    ]
    return [text for _, _, text in sorted(found)]


def shop():
    fruit = Sequential(Parallel(MulLayer(), MulLayer()), AddLayer())
    return Sequential(Parallel(fruit, Identity()), MulLayer())


def test_inputs_are_named_by_their_place_in_the_nesting():
    names = texts(draw(shop(), ((100, 2), (150, 3)), 1.1), "name")
    assert set(names) == {"x1[0][0]", "x1[0][1]", "x1[1][0]", "x1[1][1]", "x2"}


def test_a_layer_is_drawn_with_its_inputs():
    with pytest.raises(TypeError, match=r"draw: the inputs are missing; give an example, as draw"):
        draw(shop())


def test_two_apples_with_tax():
    net = Sequential(Parallel(MulLayer(), Identity()), MulLayer())
    picture = draw(net, (100, 2), 1.1, names=["apple", "number", "tax", "price"])
    assert set(texts(picture, "forward")) == {"100", "2", "200", "1.1", "220"}
    assert sorted(texts(picture, "backward")) == sorted(["2.2", "110", "1.1", "200", "1"])
    assert texts(picture, "name") == ["apple", "number", "price", "tax"]
    assert texts(picture, "sign") == ["\u00d7", "\u00d7"]
    assert "apple: 100\ngradient: 2.2" in "".join(ET.fromstring(str(picture)).itertext())
    assert "110.00000000000001" in str(picture)  # all digits, on hover


def test_apples_and_oranges():
    names = ["apple", "apples", "orange", "oranges", "tax", "price"]
    picture = draw(shop(), ((100, 2), (150, 3)), 1.1, names=names)
    assert {"715", "650", "200", "450"} < set(texts(picture, "forward"))
    assert {"2.2", "110", "3.3", "165", "650"} < set(texts(picture, "backward"))


def test_a_value_used_several_times_has_the_sum_and_its_parts():
    stack = FunctionStack()
    x = stack.value(3, "x")
    y = stack.push(AddLayer(), stack.push(MulLayer(), x, x), x)
    stack.backward(y)
    picture = draw(stack)
    assert sorted(texts(picture, "backward")) == ["1", "1", "1", "3", "3", "7"]
    assert sorted(texts(picture, "forward")) == ["12", "3", "9"]
    assert x.grad == 7


def test_a_stack_that_was_not_run_back_has_no_gradients():
    stack = FunctionStack()
    stack.push(AddLayer(), stack.value(1), stack.value(2))
    assert texts(draw(stack), "backward") == []


def test_a_layer_called_twice_shows_the_gradients_of_each_call():
    stack, layer = FunctionStack(), MatMul(np.array([[2.0]]))
    x = stack.value(np.array([[3.0]]))
    stack.backward(stack.push(layer, stack.push(layer, x)))
    assert texts(draw(stack), "backward").count("[6]") == 2  # 2 * 3 and 1 * 6
    np.testing.assert_array_equal(layer.dW, [[12]])


def test_parameters_and_large_arrays():
    net = Sequential(Affine.random(784, 50, rng()), Sigmoid(), Affine.random(50, 10, rng()))
    t = rng().integers(10, size=100)
    picture = draw(net, rng().random((100, 784)).astype("f"), loss=CrossEntropyLoss(), t=t)
    shown = texts(picture, "forward")
    assert {"(100, 784)", "(784, 50)", "(50,)", "(100,)", "int64"} < set(shown)
    assert any(re.fullmatch(r"0\.\d+ ± 0\.\d+", text) for text in shown)
    nodes = {"Affine(784 -> 50)", "Affine(50 -> 10)", "Sigmoid", "CrossEntropyLoss"}
    assert set(texts(picture, "layer")) == nodes
    assert {"W", "b", "dW", "db"} <= set(shown) | set(texts(picture, "backward"))
    assert sum(text.startswith("|grad|") for text in texts(picture, "backward")) == 8
    assert set(texts(picture, "name")) == {"x", "loss", "t"}


def test_nets_within_nets_fold_and_unfold():
    net = Sequential(residual(rng()), Sequential(residual(rng()), Identity()), Tanh())
    x = rng().normal(size=(4, 3))
    assert texts(draw(net, x), "layer").count("Tanh") == 3
    assert texts(draw(net, x, depth=1), "layer") == ["Sequential", "Sequential", "Tanh"]
    assert "38 parameters" in texts(draw(net, x, depth=1), "forward")
    assert texts(draw(net, x, depth=2), "sign") == ["+"]
    assert texts(draw(net, x, depth=0), "layer") == ["Sequential"]


def test_a_graph_is_drawn_through_its_connect():
    x = rng().normal(size=(4, 3))
    picture = draw(Siamese(rng()), x, x)
    assert texts(picture, "layer").count("Tanh") == 2
    assert texts(picture, "name") == ["x1", "x2"]


def noisy():
    return Sequential(Affine.random(3, 3, rng()), BatchNorm.identity(3), Dropout(0.5, rng(3)))


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_net_stays_as_it_was(mode):
    net, loss, x, t = noisy(), MSELoss(), rng(1).random((4, 3)), rng(2).random((4, 3))
    net.backward(net.forward(x))
    getattr(net, mode)()
    before = copy.deepcopy(net)
    stored = vars(loss).copy()
    draw(net, 2 * x, loss=loss, t=t)
    assert vars(loss) == stored
    assert [layer.training for layer in net] == [mode == "train"] * 3
    for name, array in before.state_dict().items():
        np.testing.assert_array_equal(net.state_dict()[name], array)
    for a, b in zip(net.grads, before.grads, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(net.forward(x), before.forward(x))  # the same noise


def test_a_stack_stays_as_it_was():
    stack = FunctionStack()
    x, layer = stack.value(np.ones((2, 3))), Affine.random(3, 2, rng())
    stack.backward(stack.push(layer, x))
    grad, dW = x.grad, layer.dW
    draw(stack)
    assert x.grad is grad
    assert layer.dW is dW


def wide(n):
    """A value that is used by many layers, which are added up one by one."""
    stack = FunctionStack()
    x = stack.value(np.array([0.5]), "x")
    total = x
    for out in [stack.push(Tanh(), x) for _ in range(n)]:
        total = stack.push(AddLayer(), total, out)
    stack.backward(total)
    return stack


def stacked_residuals(n):
    return Sequential(*(residual(rng(k)) for k in range(n)))


PICTURES = {
    "shop": lambda: draw(shop(), ((100, 2), (150, 3)), 1.1),
    "residual": lambda: draw(residual(rng()), rng().random((4, 3))),
    "residuals": lambda: draw(stacked_residuals(6), rng().random((2, 3))),
    "siamese": lambda: draw(Siamese(rng()), rng().random((2, 3)), rng().random((2, 3))),
    "loop": lambda: draw(Loop(rng()), rng().random((4, 3)), rng().random((4, 2))),
    "digits": lambda: draw(digits(rng()), rng().random((5, 1, 6, 6))),
    "folded": lambda: draw(stacked_residuals(6), rng().random((2, 3)), depth=1),
    "wide": lambda: draw(wide(8)),
    "long": lambda: draw(Sequential(*(ReLU() for _ in range(30))), 0.5 + np.zeros(2)),
}


def boxes(root):
    """Yield what no line may cross: the inside of nodes and the texts, rather too small."""
    (page,) = root.findall(f"{SVG}g")
    for rect in page.iter(f"{SVG}rect"):
        x, y, w, h = (float(rect.get(k)) for k in ("x", "y", "width", "height"))
        inset = 8 if rect.get("rx") == "20" else 2
        yield x + inset, y + 2, x + w - inset, y + h - 2
    for text in page.iter(f"{SVG}text"):
        x, y, kind = float(text.get("x")), float(text.get("y")), text.get("class").split()
        w = 6.5 * len(text.text)
        left = x if "start" in kind else x - w if "end" in kind else x - w / 2
        yield left, y - 9, left + w, y + 1


def points(d):
    """Yield points of a path of the kinds M, H, h and C."""
    for kind, numbers in re.findall(r"([MHhC])([^MHhC]*)", d):
        values = [float(v) for v in numbers.split()]
        if kind == "M":
            x, y = values
        elif kind == "C":
            x1, y1, x2, y2, x3, y3 = values
            for s in np.linspace(0, 1, 30):
                a, b, c, e = (1 - s) ** 3, 3 * s * (1 - s) ** 2, 3 * s * s * (1 - s), s**3
                yield a * x + b * x1 + c * x2 + e * x3, a * y + b * y1 + c * y2 + e * y3
            x, y = x3, y3
        else:
            end = values[0] + (x if kind == "h" else 0)
            yield from ((s, y) for s in np.linspace(x, end, int(abs(end - x) / 3) + 2))
            x = end


@pytest.mark.parametrize("name", PICTURES)
def test_no_line_crosses_a_box_or_a_text_and_nothing_overlaps(name):
    root = ET.fromstring(str(PICTURES[name]()))
    found = list(boxes(root))
    for path in root.iter(f"{SVG}path"):
        if "line" in path.get("class").split():
            for x, y in points(path.get("d")):
                hit = [box for box in found if box[0] < x < box[2] and box[1] < y < box[3]]
                assert not hit, f"a line at {x:.0f}, {y:.0f} crosses {hit}"
                assert 0 <= x <= float(root.get("width"))
                assert 0 <= y <= float(root.get("height"))
    for k, a in enumerate(found):
        assert a[0] > -15
        assert a[2] < float(root.get("width"))
        assert a[3] < float(root.get("height"))
        for b in found[k + 1 :]:
            inside = a[0] <= b[0] and b[2] <= a[2] and a[1] <= b[1] and b[3] <= a[3]
            within = b[0] <= a[0] and a[2] <= b[2] and b[1] <= a[1] and a[3] <= b[3]
            apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
            assert apart or inside or within, f"{a} and {b} overlap"


def test_the_rows_of_a_long_net_are_equally_long():
    root = ET.fromstring(str(PICTURES["long"]()))
    heights = [float(rect.get("y")) for rect in root.find(f"{SVG}g").iter(f"{SVG}rect")]
    assert [heights.count(y) for y in sorted(set(heights))] == [6] * 5


def test_the_lane_of_a_residual_is_straight():
    root = ET.fromstring(str(draw(residual(rng()), rng().random((4, 3)))))
    first = next(path.get("d") for path in root.iter(f"{SVG}path"))
    ends = re.findall(r"M([\d.]+) ([\d.]+)(?:C[\d. ]+)?H([\d.]+)", first)
    heights = [float(y) for _, y, _ in ends]
    assert heights.count(heights[0]) > 3, "the lane keeps the height of its start"


def test_width_height_and_colours_for_light_and_dark():
    text = str(draw(MulLayer(), 2, 3))
    root = ET.fromstring(text)
    assert float(root.get("width")) > 0
    assert float(root.get("height")) > 0
    assert "prefers-color-scheme: dark" in text
    assert texts(draw(MulLayer(), 2, 3), "name") == ["x", "y"]


def test_a_thousand_nodes_fit_into_a_megabyte():
    layers = [Affine(np.eye(3), np.zeros(3)) if k % 2 else Tanh() for k in range(1000)]
    picture = draw(Sequential(*layers), rng().random((4, 3)))
    assert texts(picture, "layer").count("Tanh") == 500
    assert len(str(picture).encode()) < 1_000_000


def test_shown_and_saved(tmp_path, monkeypatch):
    picture = draw(MulLayer(), 2, 3)
    assert picture._repr_svg_() == str(picture)
    picture.save(tmp_path / "mul.svg")
    assert (tmp_path / "mul.svg").read_text(encoding="utf-8") == str(picture)
    with pytest.raises(ValueError, match=r"ends in '\.pdf', expected \.svg or \.png"):
        picture.save(tmp_path / "mul.pdf")
    monkeypatch.setitem(sys.modules, "cairosvg", None)
    with pytest.raises(ImportError, match="needs cairosvg: pip install cairosvg"):
        picture.save(tmp_path / "mul.png")


def test_saved_as_png_with_the_extra(tmp_path, monkeypatch):
    class Converter:
        """Stands for cairosvg, which needs a library of the system."""

        @staticmethod
        def svg2png(bytestring, write_to, scale):
            Path(write_to).write_bytes(b"PNG of " + bytestring)

    monkeypatch.setitem(sys.modules, "cairosvg", Converter)
    picture = draw(MulLayer(), 2, 3)
    picture.save(tmp_path / "mul.png")
    assert (tmp_path / "mul.png").read_bytes() == b"PNG of " + str(picture).encode()


def test_odd_values_and_names():
    x = np.array([np.nan, np.inf, 1.0])
    assert "[nan, inf, 1]" in texts(draw(Tanh(), x), "forward")
    big = np.full((30, 30), np.inf)
    assert "inf ± nan" in texts(draw(Identity(), big), "forward")
    assert texts(draw(Identity(), np.zeros((0, 3)), names="<a & b>"), "name") == ["<a & b>"]


def test_what_draw_refuses():
    with pytest.raises(ValueError, match="4 names for 3 inputs and outputs"):
        draw(MulLayer(), 1, 2, names=list("abcd"))
    with pytest.raises(TypeError, match="loss and t are given both or neither"):
        draw(Tanh(), np.ones(2), loss=MSELoss())
    with pytest.raises(TypeError, match="takes no inputs"):
        draw(FunctionStack(), 1)
    with pytest.raises(ValueError, match="the function stack is empty"):
        draw(FunctionStack())
