"""What a fit records shows itself in a fresh notebook, with no magic command."""

import base64

import nbclient
import nbformat

PREPARE = """
import numpy as np
from chainrule.layers import Affine, CrossEntropyLoss
from chainrule.networks import (
    SGD, Sequential, Trainer, confusion_matrix, gradient_flow, learning_rate_range,
)
rng = np.random.default_rng(0)
x, t = rng.normal(size=(20, 3)), np.arange(20) % 2
net = Sequential(Affine.random(3, 2, rng, dtype=np.float64))
trainer = Trainer(net, CrossEntropyLoss(), SGD(), rng)
history = trainer.fit(x, t, epochs=2, validation=(x, t), progress=False)
"""
PICTURES = [
    "history.plot()",
    "confusion_matrix(net.predict(x), t)",
    "gradient_flow(net, trainer.loss, x, t).plot()",
    "learning_rate_range(trainer, x, t, batch_size=5)",
]


def test_pictures_and_tables_show_themselves(tmp_path, monkeypatch):
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    cells = [PREPARE, *PICTURES, "net.summary(x)"]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = [cell.outputs for cell in notebook.cells]
    assert shown[0] == []
    for source, (output,) in zip(PICTURES, shown[1:-1], strict=True):
        png = base64.b64decode(output.data["image/png"])
        assert png.startswith(b"\x89PNG"), source
    assert "Affine(3 -> 2)  (20, 2)" in shown[-1][0].data["text/plain"]
