"""compare_optimizers.py: a line for each optimizer, and one picture."""

import re


def test_all_optimizers_in_one_picture(run_script, tmp_path):
    run = run_script("compare_optimizers.py", "--epochs", 2, "--out", tmp_path / "new" / "all.png")
    assert run.code == 0
    losses = re.findall(r"^(\w+) +lr \S+ +loss (\S+) after 2 epochs$", run.out, re.MULTILINE)
    assert [name for name, _ in losses] == [
        *("SGD", "momentum", "Nesterov", "AdaGrad", "RMSProp", "Adam", "AdamW")
    ]
    assert all(float(loss) < 2 for _, loss in losses)
    assert (tmp_path / "new" / "all.png").read_bytes().startswith(b"\x89PNG")
