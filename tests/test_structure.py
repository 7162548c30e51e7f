"""Who may import whom: the rooms of the project, read from the imports of every file."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("layers", "networks", "datasets")
FOUNDATIONS = ("base", "tree", "nested", "checks", "protocols", "undeclared")
LOWEST = [
    "layers/device",
    "layers/protocols",
    "layers/checks",
    "layers/nested",
    "layers/tree",
    "layers/matched_state",
    "layers/missing_attribute",
    "layers/base",
]


def source_files():
    return {
        path.relative_to(ROOT).with_suffix("").as_posix(): path.read_text()
        for package in (*PACKAGES, "scripts")
        for path in sorted((ROOT / package).rglob("*.py"))
    }


@cache
def imports(name, text):
    """Return the module and the names of each import that runs, as paths such as layers/base."""
    tree = ast.parse(text)
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    folder = name.split("/")[:-1]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in typing_only:
            start = folder[: len(folder) - node.level + 1] if node.level else []
            module = [*start, *(node.module.split(".") if node.module else [])]
            module = module[1:] if module[:1] == ["chainrule"] else module
            found.append((module, [a.name for a in node.names]))
    return found


def arrows(files):
    """Return, for each file, the files of the project that it imports."""
    found = {}
    for name, text in files.items():
        found[name] = set()
        for module, names in imports(name, text):
            for target in ("/".join([*module, n]) for n in names):
                package = "/".join(target.split("/")[:-1])
                for candidate in (target, f"{target}/__init__", package, f"{package}/__init__"):
                    if candidate in files and candidate != name:
                        found[name].add(candidate)
                        break
    return found


def broken_rules(files):
    """Say which import breaks which rule of the house."""
    arrow = arrows(files)
    wrong = []
    for name, targets in arrow.items():
        room = name.split("/")[0]
        for target in sorted(targets):
            there = target.split("/")[0]
            text = f"{name} imports {target}"
            if there == "scripts" and room != "scripts":
                wrong.append(f"{text}: nothing imports scripts")
            if room == "layers" and there in ("networks", "datasets"):
                wrong.append(f"{text}: layers knows neither networks nor datasets")
            if room == "networks" and there == "datasets":
                wrong.append(f"{text}: networks does not know datasets")
            if room == "datasets" and there != "datasets":
                wrong.append(f"{text}: datasets knows neither of the others")
            inside = target.startswith("layers/gradient_check")
            if (
                inside
                and not name.startswith("layers/gradient_check")
                and name != "layers/__init__"
            ):
                wrong.append(f"{text}: only layers/__init__ imports the checker")
            checker = name.startswith("layers/gradient_check/") and there == "layers" and not inside
            if checker and target.split("/")[1] not in FOUNDATIONS:
                wrong.append(f"{text}: the checker knows no layer")
            if name in LOWEST and (
                target not in LOWEST or LOWEST.index(target) > LOWEST.index(name)
            ):
                wrong.append(f"{text}: it stands lower")
            optimizers = ("networks/optimizers/", "networks/protocols")
            if (
                name.startswith(optimizers)
                and there == "networks"
                and not target.startswith(optimizers)
            ):
                wrong.append(f"{text}: the optimizers know no net")
            for upper in ("training", "parallel", "interchange", "estimators"):
                from_above = any(
                    name.startswith(f"networks/{u}")
                    for u in ("training", "parallel", "interchange", "estimators", "__init__")
                )
                if target.startswith(f"networks/{upper}") and room == "networks" and not from_above:
                    wrong.append(f"{text}: nothing below imports {upper}")
    for name, text in files.items():
        for module, names in imports(name, text):
            if module[:1] and module[0] in PACKAGES and module[0] != name.split("/")[0]:
                hidden = [n for n in (*module, *names) if n[:1] == "_" and n[:2] != "__"]
                wrong += [f"{name} takes {n} from another package" for n in hidden]
    return wrong


def on_a_circle(arrow):
    """Return the files from which one comes back to them."""

    def reach(name, seen):
        for target in arrow[name] - seen:
            seen.add(target)
            reach(target, seen)
        return seen

    return sorted(name for name in arrow if name in reach(name, set()))


def test_the_rules_hold():
    assert broken_rules(source_files()) == []


def test_no_file_lies_on_a_circle():
    files = {n: t for n, t in source_files().items() if not n.endswith("__init__")}
    assert on_a_circle(arrows(files)) == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("layers/affine", "from ..networks import Sequential"),
        ("layers/checks", "from .base import Layer"),
        ("layers/affine", "from .gradient_check import layer_laws"),
        ("layers/gradient_check/laws", "from ..affine import Affine"),
        ("networks/optimizers/base", "from ..network import Network"),
        ("networks/sequential", "from .training.history import History"),
        ("networks/network", "from ..layers.activations import _one"),
        ("datasets/toy", "from ..layers import Layer"),
        ("datasets/toy", "from scripts.pictures import plt"),
    ],
)
def test_a_planted_import_is_found(name, line):
    files = source_files()
    files[name] += f"\n{line}\n"
    files.setdefault("scripts/pictures", "")
    assert broken_rules(files)


def test_a_planted_circle_is_found():
    files = source_files()
    files["layers/nested"] += "\nfrom .tree import walk\n"
    files["layers/tree"] += "\nfrom .nested import leaves\n"
    assert on_a_circle(arrows(files)) == ["layers/nested", "layers/tree"]
