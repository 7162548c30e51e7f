"""A stand-in for the arrays of a GPU: NumPy's within, without as strict as CuPy's.

It answers NumPy's functions by the dispatch protocols, but for those alone, and with those keywords
alone, that are named here, each of which CuPy has (tests/gpu compares the names with CuPy itself).
It refuses what CuPy refuses: to become a NumPy array unasked, to work beside one, object dtypes,
``order=`` of a ufunc, a ufunc's ``at``, ``reduce`` and ``reduceat``, and SciPy's functions. Its
sums and elements are arrays of no axis, and NumPy's error states mean nothing to it.
"""

import copy

import numpy as np

UFUNCS = {
    *("add", "subtract", "multiply", "divide", "negative", "positive", "power", "matmul"),
    *("exp", "expm1", "log", "log1p", "tanh", "sqrt", "square", "sign", "absolute", "copysign"),
    *("maximum", "minimum", "isfinite", "invert", "bitwise_and", "bitwise_or", "bitwise_xor"),
    *("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"),
}

# Keywords that CuPy's functions take, of those that may dispatch on an array.
FUNCTIONS = {
    "argsort": {"axis", "kind"},
    "argwhere": set(),
    "array_equal": {"equal_nan"},
    "atleast_1d": set(),
    "bincount": {"weights", "minlength"},
    "broadcast_to": set(),
    "clip": set(),
    "concatenate": {"axis", "dtype"},
    "copy": {"order"},
    "count_nonzero": {"axis"},
    "cumsum": {"axis", "dtype"},
    "einsum": set(),
    "empty_like": {"dtype", "shape"},
    "expand_dims": {"axis"},
    "full_like": {"dtype", "shape"},
    "isneginf": set(),
    "moveaxis": set(),
    "ndim": set(),
    "ones_like": {"dtype", "shape"},
    "put_along_axis": {"axis"},
    "ravel": set(),
    "repeat": {"axis"},
    "result_type": set(),
    "shape": set(),
    "sliding_window_view": {"axis"},
    "split": {"axis"},
    "squeeze": {"axis"},
    "stack": {"axis", "dtype"},
    "sum": {"axis", "dtype", "keepdims"},
    "take_along_axis": {"axis"},
    "unique": {"return_index", "return_inverse", "return_counts"},
    "unravel_index": set(),
    "vdot": set(),
    "where": set(),
    "zeros_like": {"dtype", "shape"},
}

# Those that dispatch on ``like=``; the first three take NumPy's arrays and move them.
MOVING = {"array": {"dtype"}, "asarray": {"dtype"}, "ascontiguousarray": {"dtype"}}
CREATION = MOVING | {
    "arange": {"dtype"},
    "empty": {"dtype"},
    "full": {"dtype"},
    "ones": {"dtype"},
    "tri": {"M", "k", "dtype"},
    "zeros": {"dtype"},
}

METHODS = {
    "all": {"axis", "keepdims"},
    "any": {"axis", "keepdims"},
    "argmax": {"axis", "keepdims"},
    "argmin": {"axis", "keepdims"},
    "argsort": {"axis", "kind"},
    "astype": {"dtype", "order", "copy"},
    "copy": {"order"},
    "cumsum": {"axis", "dtype"},
    "dot": set(),
    "flatten": set(),
    "max": {"axis", "keepdims"},
    "mean": {"axis", "dtype", "keepdims"},
    "min": {"axis", "keepdims"},
    "ravel": set(),
    "repeat": {"axis"},
    "reshape": set(),
    "squeeze": {"axis"},
    "sum": {"axis", "dtype", "keepdims"},
    "swapaxes": set(),
    "take": {"axis"},
    "transpose": set(),
}
ATTRIBUTES = ("dtype", "shape", "ndim", "size", "strides", "itemsize", "nbytes")


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array that lies on a device; `asarray` makes one and `asnumpy` copies it back."""

    __slots__ = ("_host",)
    __imatmul__ = None

    def __init__(self, host):
        if host.dtype.kind not in "fiub":
            raise TypeError(f"Unsupported dtype {host.dtype}")
        self._host = host

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed: use get()")

    def get(self):
        return self._host.copy(order="K")

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if method != "__call__" or ufunc.__name__ not in UFUNCS or ufunc is not named(ufunc):
            return NotImplemented
        check_options(ufunc.__name__, options, {"out", "dtype", "casting"})
        out = options.pop("out", None)
        if out is not None:
            options["out"] = inner(out)
        with np.errstate(all="ignore"):
            result = ufunc(*inner(inputs), **options)
        return outer(result) if out is None else out[0]

    def __array_function__(self, function, types, args, options):
        if not all(issubclass(kind, DeviceArray | np.ndarray) for kind in types):
            return NotImplemented
        name = function.__name__
        if name in CREATION and function is getattr(np, name):
            check_options(name, options, CREATION[name])
            if name in MOVING:
                return moved(function, *args, **options)
            return outer(function(*inner(args), **options))
        if name not in FUNCTIONS:
            return NotImplemented
        check_options(name, options, FUNCTIONS[name])
        if options.get("shape") == ():
            raise TypeError(f"{name}: CuPy takes an empty shape for none")
        with np.errstate(all="ignore"):
            result = function(*inner(args), **inner(options))
        return result if name in ("ndim", "shape", "result_type") else outer(result)

    def __getitem__(self, index):
        return outer(self._host[inner_index(index)])

    def __setitem__(self, index, value):
        self._host[inner_index(index)] = inner(value)

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __len__(self):
        return len(self._host)

    def __bool__(self):
        return bool(self._host)

    def __int__(self):
        return int(self._host)

    def __float__(self):
        return float(self._host)

    def __repr__(self):
        return f"DeviceArray({self._host!r})"

    def __str__(self):
        return str(self._host)

    def __format__(self, spec):
        return format(self._host, spec)

    def __copy__(self):
        return DeviceArray(self._host.copy())

    def __deepcopy__(self, memo):
        return DeviceArray(copy.deepcopy(self._host, memo))

    def __reduce__(self):
        return asarray, (self._host,)

    def item(self):
        return self._host.item()

    def tolist(self):
        return self._host.tolist()

    def fill(self, value):
        self._host.fill(inner(value))

    @property
    def T(self):  # noqa: N802
        return DeviceArray(self._host.T)

    @property
    def mT(self):  # noqa: N802
        return DeviceArray(self._host.mT)

    @property
    def flags(self):
        return Flags(self._host.flags)


class Flags:
    """Three flags: a device's arrays can all be written to."""

    def __init__(self, flags):
        self.c_contiguous, self.f_contiguous = flags.c_contiguous, flags.f_contiguous
        self.owndata = flags.owndata


def asarray(array):
    """Move an array to the device, as ``cupy.asarray`` does."""
    return array if isinstance(array, DeviceArray) else DeviceArray(np.array(array, order="K"))


def asnumpy(array):
    """Copy an array to NumPy's, as ``cupy.asnumpy`` does."""
    return array.get() if isinstance(array, DeviceArray) else np.asarray(array)


def moved(function, array, *args, **options):
    host = array._host if isinstance(array, DeviceArray) else array
    result = function(host, *args, **options)
    if isinstance(array, DeviceArray):
        return array if result is host else DeviceArray(result)
    return DeviceArray(np.array(result, order="K"))


def named(ufunc):
    """Return NumPy's ufunc of this name: SciPy's are none of them."""
    return getattr(np, ufunc.__name__, None)


def check_options(name, options, allowed):
    if wrong := set(options) - allowed:
        raise TypeError(f"{name}: Wrong arguments {sorted(wrong)}")


def inner(value):
    """Return what NumPy computes with: of a device array that within it; NumPy's are refused."""
    if isinstance(value, DeviceArray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, tuple | list):
        return type(value)(map(inner, value))
    if isinstance(value, dict):
        return {key: inner(part) for key, part in value.items()}
    return value


def inner_index(index):
    return tuple(map(inner, index)) if isinstance(index, tuple) else inner(index)


def outer(value):
    """Return a result as device arrays, a number as one of no axis."""
    if isinstance(value, np.ndarray | np.generic):
        return DeviceArray(np.asarray(value))
    if isinstance(value, tuple | list):
        return type(value)(map(outer, value))
    return value


def method(name):
    def call(self, *args, **options):
        check_options(name, options, METHODS[name])
        with np.errstate(all="ignore"):
            result = getattr(self._host, name)(*inner(args), **options)
        return self if result is self._host else outer(result)

    call.__name__ = name
    return call


for _name in METHODS:
    setattr(DeviceArray, _name, method(_name))
for _name in ATTRIBUTES:
    setattr(DeviceArray, _name, property(lambda self, name=_name: getattr(self._host, name)))
