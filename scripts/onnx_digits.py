"""Nets as ONNX models, for the MNIST scripts: a file to write, and onnxruntime to run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.datasets import batches
from chainrule.networks import Sequential
from chainrule.networks.interchange import to_onnx
from endings import one_line

try:
    import onnx
    import onnxruntime
except ModuleNotFoundError as error:
    raise SystemExit(f"ONNX files need {error.name}: pip install 'chainrule[onnx]'") from error


def save(path: Path, net: Sequential, x: NDArray[Any], data: str) -> None:
    """Export `net` to `path`, with the name of the data that it was trained on."""
    model = to_onnx(net, x)
    onnx.helper.set_model_props(model, {"data": data})
    with one_line("--onnx", OSError):
        onnx.save(model, path)
    print(f"wrote {path}")


def load(path: Path) -> tuple[onnxruntime.InferenceSession, str]:
    """Return what runs the model in `path`, and the name of the data that it was trained on."""
    try:
        session = onnxruntime.InferenceSession(path.read_bytes())
    except Exception as error:  # onnxruntime's have no common class
        raise SystemExit(f"cannot read {path}: {error}") from error
    return session, session.get_modelmeta().custom_metadata_map.get("data", "sample")


def predict(session: onnxruntime.InferenceSession, x: NDArray[Any]) -> NDArray[Any]:
    """Return the label that the model gives each image."""
    (given,) = session.get_inputs()
    x = x.reshape(-1, *given.shape[1:])
    parts = [session.run(None, {given.name: part})[0] for part in batches(x, batch_size=1000)]
    return np.concatenate(parts).argmax(axis=1)
