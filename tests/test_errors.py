"""What a newcomer gets wrong, and what the error says: its type, words and place in the net."""

import numpy as np
import pytest

from chainrule.layers import (
    AddLayer,
    Affine,
    BatchNorm,
    BinaryCrossEntropyLoss,
    CrossEntropyLoss,
    Layer,
    MatMul,
    MSELoss,
    MulLayer,
    ReLU,
    Softmax,
    Tanh,
    check_gradients,
    layer_laws,
    xavier_uniform,
)
from chainrule.networks import (
    SGD,
    Adam,
    Branch,
    FunctionStack,
    Parallel,
    RMSProp,
    Sequential,
    Trainer,
    accuracy,
    two_layer_net,
    value_and_grads,
)

X = np.random.default_rng(0).normal(size=(4, 3))
LABELS = np.array([0, 1, 1, 0])
MISTAKES = []


def mistake(error, says, *places):
    """Register a call, the exact type and words of its error, and where in the net it was."""

    def register(call):
        MISTAKES.append(pytest.param(call, error, says, places, id=call.__name__))
        return call

    return register


def net(hidden=5):
    rng = np.random.default_rng(0)
    return Sequential(Affine.random(3, hidden, rng), ReLU(), Affine.random(hidden, 2, rng))


def fit(x, t, **options):
    trainer = Trainer(net(), CrossEntropyLoss(), SGD(), rng=np.random.default_rng(0))
    trainer.fit(x, t, epochs=1, batch_size=2, progress=False, **options)


def after_forward(layer, *inputs):
    layer.forward(*inputs)
    return layer


# ---- Shapes --------------------------------------------------------------------------------------


@mistake(
    ValueError,
    "Affine(3 -> 5): x has shape (4, 6), expected (N, 3)",
    "in Sequential, layer 0: Affine(3 -> 5)",
)
def width_of_the_data():
    net().forward(np.ones((4, 6)))


@mistake(
    ValueError,
    "Affine(3 -> 1): x has shape (4, 2), expected (N, 3)",
    "in Sequential, layer 1: Affine(3 -> 1)",
    "in Sequential, layer 1: Sequential",
)
def width_of_a_layer_deep_inside():
    Sequential(net(), Sequential(Tanh(), Affine(np.ones((3, 1)), [0.0]))).forward(X)


@mistake(
    ValueError,
    "Affine(3 -> 5): x has shape (3,), expected (N, 3)",
    "in Sequential, layer 0: Affine(3 -> 5)",
)
def one_sample_without_a_batch():
    net().forward(X[0])


@mistake(ValueError, "CrossEntropyLoss(reduction='mean'): y has shape (3,), expected logits (N, K)")
def one_row_of_logits():
    CrossEntropyLoss().forward(X[0], 0)


@mistake(
    ValueError,
    "MSELoss(reduction='mean'): t has shape (4,), expected (4, 1), that of y",
)
def column_against_row():
    MSELoss().forward(np.ones((4, 1)), np.ones(4))


@mistake(
    ValueError,
    "MulLayer(): x has shape (4, 3) and y (2, 3), expected shapes that broadcast together",
)
def shapes_that_do_not_broadcast():
    MulLayer().forward(np.ones((4, 3)), np.ones((2, 3)))


@mistake(ValueError, "Affine(3 -> 2): b has shape (3,), expected (2,)")
def bias_of_the_wrong_length():
    Affine(np.ones((3, 2)), np.ones(3))


@mistake(
    ValueError,
    "MatMul: W has shape (3,), expected (inputs, outputs); "
    "MatMul.random(inputs, outputs, rng) draws one",
)
def flat_weights():
    MatMul(np.ones(3))


@mistake(ValueError, "Softmax(): x has shape (4, 0), expected (..., K) with at least one class")
def no_classes():
    Softmax().forward(X[:, :0])


# ---- Targets -------------------------------------------------------------------------------------


@mistake(ValueError, "CrossEntropyLoss(reduction='mean'): label t[2] is 3, expected 0 to 2")
def label_too_great():
    CrossEntropyLoss().forward(X, np.array([0, 1, 3, 2]))


@mistake(ValueError, "CrossEntropyLoss(reduction='mean'): label t[1] is -1, expected 0 to 2")
def negative_label():
    CrossEntropyLoss().forward(X, np.array([0, -1, 2, 2]))


@mistake(
    TypeError,
    "CrossEntropyLoss(reduction='mean'): labels t are of dtype float64, expected integers",
)
def labels_of_float_kind():
    CrossEntropyLoss().forward(X, np.array([0.0, 1.0, 2.0, 2.0]))


@mistake(
    ValueError,
    "CrossEntropyLoss(reduction='mean'): t has shape (4, 1), "
    "expected labels (4,) or distributions (4, 3)",
)
def column_of_labels():
    CrossEntropyLoss().forward(X, LABELS[:, None])


@mistake(
    ValueError,
    "CrossEntropyLoss(reduction='mean'): rows of t are not probability distributions (minimum 1.0, "
    "sums from 3.0 to 3.0), expected values >= 0 with sum 1",
)
def ones_for_distributions():
    CrossEntropyLoss().forward(X, np.ones((4, 3)))


@mistake(
    ValueError, "BinaryCrossEntropyLoss(reduction='mean'): t lies in [-1.0, 1.0], expected [0, 1]"
)
def targets_of_minus_one():
    BinaryCrossEntropyLoss().forward(X[0], np.array([-1.0, 1.0, 1.0]))


@mistake(ValueError, "MSELoss: reduction is 'avg', expected 'mean' or 'sum'")
def unknown_reduction():
    MSELoss("avg")


# ---- Order of calls ------------------------------------------------------------------------------


@mistake(
    AttributeError,
    "Affine has no 'x'; if forward() sets it, call forward() first",
    "in Sequential, layer 2: Affine(5 -> 2)",
)
def backward_first():
    net().backward(np.ones((4, 2)))


@mistake(AttributeError, "MSELoss has no 'weighted'; if forward() sets it, call forward() first")
def backward_of_a_loss_first():
    MSELoss().backward()


@mistake(
    AttributeError,
    "Sequential has no 'grads'; call forward() and backward() first, or backward() does not assign "
    "it: 0, Affine(3 -> 5), has no 'dW'",
)
def gradients_before_backward():
    after_forward(net(), X).grads  # noqa: B018


@mistake(
    ValueError,
    "Affine(5 -> 2): dout has shape (4, 3), expected (4, 2), that of the output",
    "in Sequential, layer 2: Affine(5 -> 2)",
)
def dout_of_the_wrong_shape():
    after_forward(net(), X).backward(np.ones((4, 3)))


@mistake(ValueError, "MSELoss(reduction='mean'): dout has shape (4, 3), expected a number")
def array_for_the_dout_of_a_loss():
    after_forward(MSELoss(), X, X).backward(X)


# ---- Data ----------------------------------------------------------------------------------------


@mistake(ValueError, "Trainer.fit: x[2, 1] is nan, expected finite numbers")
def nan_in_the_data():
    x = X.copy()
    x[2, 1] = x[3, 0] = np.nan
    fit(x, LABELS)


@mistake(ValueError, "Trainer.fit: x[0, 2] is inf, expected finite numbers")
def infinity_in_the_data():
    x = X.copy()
    x[0, 2] = np.inf
    fit(x, LABELS)


@mistake(ValueError, "Trainer.fit: x has 4 rows and t 3, expected equal numbers")
def fewer_targets_than_inputs():
    fit(X, LABELS[:3])


@mistake(ValueError, "Trainer.fit: x has shape (0, 3), expected (N, ...) with at least one row")
def no_data():
    fit(X[:0], LABELS[:0])


@mistake(
    ValueError,
    "CrossEntropyLoss(reduction='mean'): y has shape (0, 3), "
    "expected at least one element: the batch is empty",
)
def empty_batch():
    CrossEntropyLoss().forward(X[:0], LABELS[:0])


@mistake(
    TypeError,
    "Affine(3 -> 5): x is of dtype object, expected real numbers; if all of them are numbers, "
    "x.astype(float)",
    "in Sequential, layer 0: Affine(3 -> 5)",
)
def objects():
    net().forward(np.array([[1, 2, None]]))


@mistake(
    TypeError,
    "Affine(3 -> 5): x is of dtype <U3, expected real numbers",
    "in Sequential, layer 0: Affine(3 -> 5)",
)
def strings():
    net().forward(np.array([["1.0", "2.0", "3.0"]]))


@mistake(TypeError, "Affine: W is of dtype <U1, expected real numbers")
def strings_for_weights():
    Affine([["a", "b"]], [0, 0])


# ---- Building a net ------------------------------------------------------------------------------


@mistake(
    TypeError, "Sequential: layer 1 is the class ReLU, expected an instance, such as ReLU(...)"
)
def class_for_a_layer():
    Sequential(Affine(np.ones((3, 2)), np.zeros(2)), ReLU)


@mistake(
    TypeError, "Sequential: layer 0 is <ufunc 'tanh'>, expected an object with forward and backward"
)
def function_for_a_layer():
    Sequential(np.tanh)


@mistake(
    TypeError,
    "Sequential: layer 0 is [ReLU()], expected an object with forward and backward; "
    "write Sequential(*layers)",
)
def list_of_layers():
    Sequential([ReLU()])


@mistake(
    ValueError,
    "Sequential: the same ReLU() is at 0 and 1.1; "
    "a layer remembers one forward, so it may occur only once",
)
def one_layer_at_two_places():
    relu = ReLU()
    Sequential(relu, Sequential(Tanh(), relu))


@mistake(ValueError, "Parallel of 2 layers: got 3 inputs, expected 2")
def too_many_inputs_for_parallel():
    Parallel(Tanh(), ReLU()).forward(X, X, X)


@mistake(
    ValueError, "Parallel of 2 layers: got 1 inputs, expected 2", "in Sequential, layer 1: Parallel"
)
def branch_forgotten():
    Sequential(Tanh(), Parallel(Tanh(), ReLU())).forward(X)


@mistake(TypeError, "Parallel of 2 layers: got a ndarray, expected a tuple of 2 gradients")
def one_gradient_for_parallel():
    after_forward(Parallel(Tanh(), ReLU()), X, X).backward(X)


@mistake(ValueError, "Branch(2): dout is ndarray, expected a tuple of 2 gradients")
def one_gradient_for_a_branch():
    after_forward(Branch(2), X).backward(X)


@mistake(
    TypeError,
    "Affine.forward() takes 2 positional arguments but 3 were given",
    "in Sequential, layer 1: Affine(3 -> 2)",
)
def two_values_for_one_input():
    Sequential(Branch(2), Affine(np.ones((3, 2)), np.zeros(2))).forward(X)


@mistake(
    TypeError,
    "Affine.random: rng is 0, expected a numpy.random.Generator such as np.random.default_rng(0)",
)
def integer_for_a_generator():
    Affine.random(3, 2, 0, init=xavier_uniform)


@mistake(TypeError, "Trainer: optimizer is the class SGD, expected an instance, such as SGD()")
def class_for_an_optimizer():
    Trainer(net(), CrossEntropyLoss(), SGD, rng=np.random.default_rng(0))


# ---- A layer of one's own ------------------------------------------------------------------------


@mistake(AttributeError, "Scale has no 's', which the class declares: set it in __init__")
def parameter_that_was_never_set():
    class Scale(Layer):
        param_names = ("s",)

        def forward(self, x):
            return x * self.s

    Scale().forward(X)


class NoReturn(Layer):
    """Doubles x, but its forward or its backward has no return."""

    def __init__(self, missing):
        self.missing = missing

    def forward(self, x):
        return None if self.missing == "forward" else 2 * x

    def backward(self, dout):
        return None if self.missing == "backward" else 2 * dout

    def __repr__(self):
        return "NoReturn()"


FORWARD = "NoReturn(): forward returned None; is a return missing?"
BACKWARD = "NoReturn(): backward returned None; is a return missing?"


@mistake(TypeError, FORWARD, "in Sequential, layer 1: NoReturn()")
def forward_without_a_return():
    Sequential(net(), NoReturn("forward")).forward(X)


@mistake(TypeError, FORWARD, "in Parallel, layer 1: NoReturn()", "in Sequential, layer 1: Parallel")
def forward_without_a_return_beside_others():
    Sequential(Branch(2), Parallel(ReLU(), NoReturn("forward"))).forward(X)


@mistake(TypeError, FORWARD)
def forward_without_a_return_on_the_stack():
    stack = FunctionStack()
    stack.push(NoReturn("forward"), stack.push(ReLU(), stack.value(X)))


@mistake(
    TypeError,
    BACKWARD,
    "in Sequential, layer 0: NoReturn()",
    "in Sequential, layer 1: Sequential",
)
def backward_without_a_return():
    loss, deep = CrossEntropyLoss(), Sequential(NoReturn("backward"), ReLU())
    value_and_grads(Sequential(net(), deep), loss, X, LABELS)


@mistake(TypeError, BACKWARD, "in Sequential, layer 0: NoReturn()")
def backward_without_a_return_of_the_first_layer():
    after_forward(Sequential(NoReturn("backward"), ReLU()), X).backward(X)


@mistake(
    TypeError, BACKWARD, "in Parallel, layer 1: NoReturn()", "in Sequential, layer 2: Parallel"
)
def backward_without_a_return_beside_others():
    below = Sequential(net(), Branch(2), Parallel(ReLU(), NoReturn("backward")), AddLayer())
    value_and_grads(below, CrossEntropyLoss(), X, LABELS)


@mistake(TypeError, BACKWARD, "in call 1 of the function stack: NoReturn()")
def backward_without_a_return_on_the_stack():
    stack = FunctionStack()
    y = stack.push(NoReturn("backward"), stack.push(ReLU(), stack.value(X)))
    stack.backward(stack.push(ReLU(), y))


@mistake(TypeError, "Wrong(): backward returned None; is a return missing?")
def loss_whose_backward_has_no_return():
    class Wrong(MSELoss):
        def backward(self, dout=1.0):
            super().backward(dout)

        def __repr__(self):
            return "Wrong()"

    value_and_grads(net(), Wrong(), X, np.zeros((4, 2)))


@mistake(NotImplementedError, "Half has no backward()")
def backward_that_was_never_written():
    class Half(Layer):
        def forward(self, x):
            return x / 2

    after_forward(Half(), X).backward(X)


@pytest.mark.parametrize(("call", "error", "says", "places"), MISTAKES)
def test_the_error_says_what_came_what_was_expected_and_where(call, error, says, places):
    with pytest.raises(Exception) as caught:  # noqa: PT011  # the exact type is compared below
        call()
    assert type(caught.value) is error
    assert str(caught.value) == says
    assert tuple(getattr(caught.value, "__notes__", ())) == places


# ---- Mistaken for something else -----------------------------------------------------------------


def trainer(net, loss):
    return Trainer(net, loss, SGD(), rng=np.random.default_rng(0))


@mistake(
    AttributeError, "Affine has no 'shape': it is a layer, not an array; its arrays are in params"
)
def layer_for_an_array():
    Affine([[1.0]], [0.0]).shape  # noqa: B018


@mistake(AttributeError, "Affine has no 'T': it is a layer, not an array; its arrays are in params")
def layer_for_a_matrix():
    Affine([[1.0]], [0.0]).T  # noqa: B018


@mistake(TypeError, "MSELoss is not callable: use its forward(...) or predict(...)")
def loss_for_a_function():
    MSELoss()(X, X)


@mistake(
    TypeError,
    "layer_laws: got Tanh(), expected a function that makes a layer, such as lambda: Tanh(...)",
)
def layer_for_a_factory():
    layer_laws(Tanh(), X)


@mistake(
    AttributeError,
    "Sequential has no 'parameters': its trained arrays are in params, all arrays by name in "
    "state_dict()",
)
def parameters_of_pytorch():
    net().parameters()


@mistake(
    AttributeError,
    "Affine has no 'zero_grad': backward() assigns the gradients, so there is nothing to set to "
    "zero",
)
def zero_grad_of_pytorch():
    Affine([[1.0]], [0.0]).zero_grad()


@mistake(
    TypeError,
    "Adam: lr is a list, expected a number; parameters are passed to step(params, grads)",
)
def parameters_to_the_optimizer():
    Adam(net().params)


@mistake(
    TypeError,
    "Sequential: its layers are fixed when it is made, such as Sequential(*net[:-1], layer)",
)
def another_last_layer():
    net()[-1] = ReLU()


@mistake(TypeError, "Tanh(): inputs[0] is a torch.Tensor, expected a NumPy array or a number")
def tensor_of_another_library_to_check_with():
    tensor = type("Tensor", (), {"__module__": "torch", "__array__": lambda self: X})
    check_gradients(Tanh(), tensor())


@mistake(
    AttributeError,
    "Sequential has no 'append': its parts are fixed when it is made, such as "
    "Sequential(*layers, another)",
)
def net_for_a_list():
    net().append(ReLU())


@mistake(
    TypeError, "Named: param_names is the string 'Wx', expected a tuple: param_names = ('Wx',)"
)
def string_for_a_tuple_of_names():
    class Named(Layer):
        param_names = "Wx"


@mistake(
    TypeError, "0, Named(): param_names is the string 'W', expected a tuple: param_names = ('W',)"
)
def string_for_a_tuple_of_names_in_a_plain_class():
    class Named:
        param_names = "W"

        def __init__(self):
            self.W = np.ones(3)

        def __repr__(self):
            return "Named()"

        def forward(self, x):
            return x * self.W

        def backward(self, dout):
            return dout * self.W

    Sequential(Named())


@mistake(TypeError, "two_layer_net: activation is 'relu', expected a layer class such as ReLU")
def name_for_an_activation():
    two_layer_net(3, 4, 2, np.random.default_rng(0), activation="relu")


@mistake(TypeError, "two_layer_net: activation is ReLU(), expected a layer class such as ReLU")
def instance_for_an_activation():
    two_layer_net(3, 4, 2, np.random.default_rng(0), activation=ReLU())


@mistake(TypeError, "Trainer: net is the loss MSELoss(reduction='mean'); are net and loss swapped?")
def net_and_loss_swapped():
    trainer(MSELoss(), net())


@mistake(ValueError, "Trainer: '0.W' of the net is read-only; train a copy of it")
def weights_that_are_read_only():
    W = np.ones((3, 2))
    W.flags.writeable = False
    trainer(Sequential(Affine(W, np.zeros(2))), MSELoss())


@mistake(
    TypeError,
    "CrossEntropyLoss(reduction='mean'): t is of dtype <U3, expected real numbers; "
    "labels as integers: classes, t = np.unique(t, return_inverse=True)",
)
def names_for_labels():
    CrossEntropyLoss().forward(X, np.array(["cat", "dog", "cat", "dog"]))


@mistake(
    TypeError,
    "Trainer.fit: t is of dtype object, expected real numbers; "
    "labels as integers: classes, t = np.unique(t, return_inverse=True)",
)
def names_for_labels_as_tables_hold_them():
    fit(X, np.array(["cat", "dog", "cat", "dog"], dtype=object))


@mistake(
    TypeError,
    "Affine(3 -> 5): x is a masked array, whose mask would be ignored; fill it first",
    "in Sequential, layer 0: Affine(3 -> 5)",
)
def masked_data():
    net().forward(np.ma.masked_values([[1.0, -999.0, 3.0]], -999.0))


@mistake(TypeError, "Affine: W is a masked array, whose mask would be ignored; fill it first")
def masked_weights():
    Affine(np.ma.masked_values([[1.0, -999.0]], -999.0), np.zeros(2))


@mistake(
    TypeError, "BatchNorm.identity: dtype is int64, expected a floating dtype such as np.float32"
)
def integers_for_a_scale():
    BatchNorm.identity(3, dtype=np.int64)


@mistake(TypeError, "Affine.random: dtype is int64, expected a floating dtype such as np.float32")
def integers_for_weights():
    Affine.random(3, 2, np.random.default_rng(0), dtype=np.int64)


@mistake(
    TypeError,
    "Affine(3 -> 5): x is of dtype object, expected real numbers (a csr_matrix; x.toarray())",
    "in Sequential, layer 0: Affine(3 -> 5)",
)
def sparse_matrix():
    from scipy.sparse import csr_matrix

    net().forward(csr_matrix(X))


@mistake(TypeError, "Sequential is not callable: use its forward(...) or predict(...)")
def net_for_a_function():
    net()(X)


@mistake(
    ValueError,
    "W of 0, Affine(3 -> 3) and W of 1, Affine(3 -> 3) share memory without being one array, so "
    "that each would be updated separately; give both layers the same array (Affine has "
    "transposed=True)",
)
def transposed_view_for_shared_weights():
    W = np.eye(3)
    Sequential(Affine(W, np.zeros(3)), Affine(W.T, np.zeros(3)))


@mistake(FileNotFoundError, "the path is '', expected the name of a file")
def empty_name_for_a_checkpoint():
    fit(X, LABELS, checkpoint="")


@mistake(
    FloatingPointError,
    "RMSProp(lr=0.01, rho=0.99, eps=1e-08, weight_decay=0.0): gradient 0 holds 1e+20, whose square "
    "is too large for float32; is the loss too large? Trainer clips with max_norm",
)
def gradient_whose_square_overflows():
    RMSProp().step([np.ones(2, np.float32)], [np.full(2, 1e20, np.float32)])


SGD_01 = "SGD(lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0)"


@mistake(TypeError, f"{SGD_01}: params is [1.0], expected a list of arrays")
def numbers_for_parameters():
    SGD().step([1.0], [0.1])


@mistake(TypeError, f"{SGD_01}: grads is [None], expected a list of arrays")
def none_for_a_gradient():
    SGD().step([np.ones(2)], [None])


@mistake(TypeError, f"{SGD_01}: params is array([1., 1.]), expected a list of arrays")
def array_for_a_list_of_parameters():
    SGD().step(np.ones(2), np.ones(2))


@mistake(TypeError, f"{SGD_01}: parameter 0 is a number, expected an array")
def numpy_number_for_a_parameter():
    SGD().step([np.float64(1)], [np.float64(1)])


@mistake(ValueError, f"{SGD_01}: parameter 1 is read-only; train a copy of it")
def read_only_parameter():
    fixed = np.ones(2)
    fixed.flags.writeable = False
    SGD().step([np.ones(2), fixed], [np.ones(2), np.ones(2)])


@mistake(
    ValueError,
    "parameter 1 and parameter 0 share memory without being one array, so that each would be "
    "updated separately; give both layers the same array (Affine has transposed=True)",
)
def array_shared_after_the_net_was_made():
    W = np.ones((4, 3))
    SGD().step([W[1:], W[:3]], [W[1:], W[:3]])


@mistake(
    TypeError,
    "Trainer: loss is MSELoss() of PyTorch, expected a layer such as MSELoss(), with "
    "forward(y, t) and backward(dout)",
)
def loss_of_another_library():
    kind = type("MSELoss", (), {"__module__": "torch.nn", "__repr__": lambda self: "MSELoss()"})
    trainer(net(), kind())


@mistake(TypeError, "Trainer: schedule returned None, expected a number")
def schedule_without_a_return():
    rng = np.random.default_rng(0)
    Trainer(net(), MSELoss(), SGD(), rng=rng, schedule=lambda step: None)


@mistake(
    ValueError,
    "Trainer.fit: validation is 0.1, a fraction of arrays, but x is batches already",
)
def fraction_of_batches():
    trainer(net(), CrossEntropyLoss()).fit([(X, LABELS)], epochs=1, validation=0.1)


@mistake(TypeError, "Trainer.fit: batch_size is for arrays, but x is batches already")
def size_of_batches_that_are_given():
    trainer(net(), CrossEntropyLoss()).fit([(X, LABELS)], epochs=1, batch_size=2)


@mistake(UserWarning, "Trainer: x holds bytes (uint8) beyond 1; scale them, x / np.float32(255)")
def images_of_bytes():
    trainer(net(), CrossEntropyLoss()).train_step(np.full((4, 3), 255, np.uint8), LABELS)


@mistake(UserWarning, "Trainer.train_step: the net is in evaluation mode; call net.train()")
def training_in_evaluation_mode():
    evaluated = net()
    evaluated.eval()
    trainer(evaluated, CrossEntropyLoss()).train_step(X, LABELS)


@mistake(TypeError, "accuracy: t is a masked array, whose mask would be ignored; fill it first")
def masked_labels():
    accuracy(X, np.ma.masked_equal(LABELS, 1))


@mistake(
    TypeError,
    "Sequential: state '0.W' is a masked array, whose mask would be ignored; fill it first",
)
def masked_state():
    ours = net()
    ours.load_state_dict({k: np.ma.masked_equal(a, 0) for k, a in ours.state_dict().items()})


@mistake(
    TypeError,
    "Sequential: the state is a str, expected a dict of arrays such as state_dict() returns; "
    "net.load(path) reads a file",
)
def a_path_as_state():
    net().load_state_dict("weights.npz")


# ---- Files of weights ----------------------------------------------------------------------------


def saved(tmp_path):
    path = tmp_path / "weights.npz"
    net().save(path)
    return path


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)


def hide_a_pickle(path):
    np.savez(path, **{"0.W": np.array([{"a": 1}], dtype=object)})


@pytest.mark.parametrize(
    ("harm", "other", "says"),
    [
        (cut_short, net, "{path} is not a whole .npz: it is another file, or cut short"),
        (
            lambda path: path.write_text("weights"),
            net,
            "{path} is not a whole .npz: it is another file, or cut short",
        ),
        (
            flip_a_bit,
            net,
            "{path} is not a whole .npz of plain arrays: '0.W': Bad CRC-32 for file '0.W.npy'",
        ),
        (
            hide_a_pickle,
            net,
            "{path} is not a whole .npz of plain arrays: '0.W': its header is "
            "\"{{'descr': '|O', 'fortran_order': False, 'shape': (1,), }}\", not of a plain array",
        ),
        (
            lambda path: None,
            lambda: net(hidden=4),
            "Sequential: state '0.W' is float32 of shape (3, 5), expected float32 of shape (3, 4)",
        ),
        (
            lambda path: None,
            lambda: Sequential(Affine(np.ones((3, 5)), np.zeros(5))),
            "Sequential: the state does not match: missing [], unexpected ['2.W', '2.b']",
        ),
        (
            lambda path: None,
            lambda: Sequential(net(), ReLU()),
            "Sequential: the state does not match: "
            "missing ['0.0.W', '0.0.b', '0.2.W', '0.2.b'], unexpected ['0.W', '0.b', '2.W', '2.b']",
        ),
    ],
    ids=["cut short", "text", "damaged", "pickle", "other widths", "fewer layers", "deeper"],
)
def test_a_file_that_does_not_fit_changes_nothing(tmp_path, harm, other, says):
    path, loader = saved(tmp_path), other()
    harm(path)
    before = loader.state_dict()
    with pytest.raises(ValueError, match=r".") as caught:
        loader.load(path)
    assert str(caught.value) == says.format(path=path)
    assert (str(path) in says.format(path=path)) != hasattr(caught.value, "__notes__")  # named once
    for name, array in loader.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
