"""Where the scripts train: on the CPU with NumPy's arrays, or on a GPU with CuPy's."""

from __future__ import annotations

from typing import Any


def cupy() -> Any:
    """Return the module cupy, if there is a GPU that it can use; else stop and say why."""
    try:
        import cupy
    except ImportError:
        raise SystemExit(
            "--device gpu needs CuPy: pip install cupy-cuda12x, or cupy-cuda13x with CUDA 13"
        ) from None
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise SystemExit(f"--device gpu: CuPy finds no device: {error}") from None
    return cupy
