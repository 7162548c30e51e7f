"""Weights in PyTorch's names and layouts, without PyTorch; tests/peers compares with it."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from chainrule.layers import (
    Affine,
    BatchNorm,
    Convolution,
    ConvolutionTranspose,
    Flatten,
    GroupNorm,
    Layer,
    LayerNorm,
    MatMul,
    ReLU,
)
from chainrule.networks import Sequential
from chainrule.networks.interchange import from_torch, to_torch, torch_names


def net(seed=0):
    rng = np.random.default_rng(seed)
    net = Sequential(
        *(Convolution.random(1, 4, 3, rng), BatchNorm.identity(4), ReLU()),
        Sequential(ConvolutionTranspose.random(4, 2, 3, rng), GroupNorm.identity(2, 1)),
        *(Flatten(), Affine.random(128, 5, rng), LayerNorm.identity(5), MatMul.random(5, 3, rng)),
    )
    for array in net.params:
        array += rng.normal(size=array.shape)
    net.forward(rng.normal(size=(4, 1, 8, 8)))  # running averages
    return net


SHAPES = {  # what torch.nn.Sequential of the same modules has, in its order
    "0.weight": (4, 1, 3, 3),
    "0.bias": (4,),
    "1.weight": (4,),
    "1.bias": (4,),
    "1.running_mean": (4,),
    "1.running_var": (4,),
    "1.num_batches_tracked": (),
    "3.0.weight": (4, 2, 3, 3),
    "3.0.bias": (2,),
    "3.1.weight": (2,),
    "3.1.bias": (2,),
    "5.weight": (5, 128),
    "5.bias": (5,),
    "6.weight": (5,),
    "6.bias": (5,),
    "7.weight": (3, 5),
}


def assert_equal(state, other):
    assert list(state) == list(other)
    for name, array in state.items():
        np.testing.assert_array_equal(array, other[name])


def test_names_shapes_and_layouts():
    ours = net()
    state = to_torch(ours)
    assert {name: array.shape for name, array in state.items()} == SHAPES
    np.testing.assert_array_equal(state["5.weight"], ours[5].W.T)
    for array in state.values():
        assert array.flags.c_contiguous
        assert not any(np.shares_memory(array, param) for param in ours.params)


def test_there_and_back():
    ours, other = net(), net(1)
    from_torch(other, to_torch(ours))
    assert_equal(other.state_dict(), ours.state_dict())


def test_the_names_of_another_model():
    ours, other = net(), net(1)
    names = {
        key: f"body.{'abcdefgh'[int(key[0])]}.{key.rpartition('.')[2]}"
        for key in SHAPES
        if key[:2] != "3."
    }
    names |= {f"3.{i}.{n}": f"up.{i}.{n}" for i in "01" for n in ("weight", "bias")}
    like = {names[key]: np.zeros(shape, np.float32) for key, shape in SHAPES.items()}
    like["body.b.num_batches_tracked"] = np.array(7)
    state = to_torch(ours, like)
    assert list(state) == list(like)
    assert state["body.b.num_batches_tracked"] == 7
    from_torch(other, state)
    assert_equal(other.state_dict(), ours.state_dict())


def test_safetensors_files(tmp_path):
    ours, other = net(), net(1)
    ours[5].W = np.asfortranarray(ours[5].W)
    save_file(to_torch(ours), tmp_path / "net.safetensors")
    from_torch(other, load_file(tmp_path / "net.safetensors"))
    assert {k: a.tolist() for k, a in other.state_dict().items()} == {
        k: a.tolist() for k, a in ours.state_dict().items()
    }


def test_modules_of_one_shape_keep_their_order():
    rng = np.random.default_rng(0)
    ours = Sequential(Affine.random(3, 3, rng), Affine.random(3, 2, rng), Affine.random(3, 3, rng))
    state = to_torch(ours)
    head = {key: state.pop(key) for key in ("1.weight", "1.bias")}
    first = state["0.weight"].T.copy()
    from_torch(ours, {**head, **state})
    np.testing.assert_array_equal(ours[0].W, first)


def test_a_module_without_bias():
    ours = Sequential(Affine([[1.0, 2]], [3.0, 4]), ReLU())
    from_torch(ours, {"fc.weight": np.array([[5.0], [6]])})
    np.testing.assert_array_equal(ours[0].W, [[5, 6]])
    np.testing.assert_array_equal(ours[0].b, [0, 0])
    assert list(to_torch(ours, {"fc.weight": np.zeros((2, 1))})) == ["fc.weight"]
    ours[0].b[0] = 1
    with pytest.raises(ValueError, match=r"to_torch: 0\.bias is not zero, but fc has no bias"):
        to_torch(ours, {"fc.weight": np.zeros((2, 1))})


def test_a_bias_before_a_norm_becomes_part_of_its_mean():
    rng = np.random.default_rng(0)
    ours = Sequential(Convolution.random(1, 2, 3, rng), BatchNorm.identity(2))
    like = {key: array for key, array in to_torch(ours).items() if key != "0.bias"}
    ours[0].b[...] = 3, -4
    x = rng.normal(size=(2, 1, 5, 5)).astype(np.float32)
    before = ours.predict(x)
    with pytest.raises(ValueError, match="subtract the bias from its running_mean and set it to 0"):
        to_torch(ours, like)
    ours[1].running_mean -= ours[0].b
    ours[0].b[...] = 0
    np.testing.assert_allclose(ours.predict(x), before, atol=1e-6)
    assert to_torch(ours, like)["1.running_mean"].tolist() == [-3, 4]


def test_a_dtype_that_numpy_does_not_have():
    class Half:
        def __array__(self, dtype=None, copy=None):
            raise TypeError("Got unsupported ScalarType BFloat16")

    with pytest.raises(TypeError, match=r"'0.weight' is no NumPy array: .*; tensor.float\(\) has"):
        from_torch(net(), {"0.weight": Half()})


def test_what_does_not_fit_is_listed_and_nothing_is_changed():
    ours = net()
    before, state = ours.state_dict(), to_torch(net(1))
    state["5.weight"] = np.zeros((6, 128))
    state["extra.bias"] = np.zeros(2)
    with pytest.raises(ValueError, match="from_torch: the model does not match the net") as error:
        from_torch(ours, state)
    assert str(error.value).splitlines()[1:] == [
        "  layers without a module:",
        "    5 Affine(128 -> 5): weight (5, 128), bias (5,)",
        "  modules without a layer:",
        "    5: weight (6, 128), bias (5,)",
        "    extra: bias (2,)",
    ]
    assert_equal(ours.state_dict(), before)
    with pytest.raises(ValueError, match="to_torch: the model does not match the net"):
        to_torch(ours, state)


def test_no_mapping():
    with pytest.raises(TypeError, match=r"state_dict is a list, expected .* model\.state_dict\(\)"):
        from_torch(net(), [np.zeros(3)])


def test_a_layer_without_names():
    class Plain:
        def __init__(self):
            self.params, self.grads = [np.zeros(2)], [np.zeros(2)]

        def forward(self, x):
            return x + self.params[0]

        def backward(self, dout):
            return dout

    with pytest.raises(TypeError, match=r"Plain.* at '0' is not a Layer"):
        to_torch(Sequential(Plain()))


def test_layers_of_your_own():
    class Scale(Layer):
        param_names = ("s",)

        def __init__(self):
            self.s = np.array([2.0, 3])

    assert list(to_torch(Sequential(Scale()))) == ["0.s"]
    from_torch(Sequential(Scale()), {"0.s": np.zeros(2)})

    @torch_names.register
    def _(layer: Scale):
        return {"s": "weight"}

    assert list(to_torch(Sequential(Scale()))) == ["0.weight"]
