"""The stand-in of tests/device_array.py offers nothing that CuPy has not: needs CuPy, no GPU."""

import inspect

import cupy
import device_array
import pytest


@pytest.mark.parametrize("name", sorted(device_array.UFUNCS))
def test_ufuncs(name):
    assert isinstance(getattr(cupy, name), cupy.ufunc | type(cupy.matmul))


@pytest.mark.parametrize(
    ("name", "options"), sorted({**device_array.FUNCTIONS, **device_array.CREATION}.items())
)
def test_functions(name, options):
    module = cupy.lib.stride_tricks if name == "sliding_window_view" else cupy
    assert options <= set(inspect.signature(getattr(module, name)).parameters)


@pytest.mark.parametrize(("name", "options"), sorted(device_array.METHODS.items()))
def test_methods(name, options):
    signature = inspect.getdoc(getattr(cupy.ndarray, name)).splitlines()[0]
    assert all(f"{option}=" in signature or option == "dtype" for option in options), signature
    assert "dtype" not in options or "dtype" in signature


@pytest.mark.parametrize("name", [*device_array.ATTRIBUTES, "T", "mT", "flags", "get", "item"])
def test_attributes(name):
    assert hasattr(cupy.ndarray, name)


@pytest.mark.parametrize("name", ["__index__", "__contains__", "__imatmul__"])
def test_what_is_missing_here_is_missing_there(name):
    assert not hasattr(cupy.ndarray, name)
    assert getattr(device_array.DeviceArray, name, None) is None
