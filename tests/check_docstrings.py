"""Validate the docstring of every public name with numpydoc, by the rules in pyproject.toml.

numpydoc's own linter goes by files and cannot tell what a package exports. It has no check of
Raises: a function that holds a raise statement must have that section.
"""

import ast
import importlib
import inspect
import sys
import textwrap
from pathlib import Path

from numpydoc.docscrape import NumpyDocString
from numpydoc.hooks.validate_docstrings import parse_config
from numpydoc.validate import validate

PACKAGES = ["layers", "networks", "networks.estimators", "networks.interchange", "datasets"]
RULES = parse_config(Path(__file__).parents[1])["checks"]
# The class documents these: the equations, and the shapes in its Notes.
IN_THE_CLASS = {"forward", "backward", "backward_params", "expects", "output_size", "__call__"}
INHERITED = ("random", "fit")  # from bases that are not exported
IGNORED = {
    "random": {"RT01"},  # "Return a layer whose ..."
    "identity": {"RT01"},
    "Initializer": {"PR01"},  # its __call__ has the parameters, of the functions below too
    "he_normal": {"PR01", "RT01"},
    "lecun_normal": {"PR01", "RT01"},
    "xavier_normal": {"PR01", "RT01"},
    "xavier_uniform": {"PR01", "RT01"},
    "zeros": {"PR01", "RT01"},
    "ConfusionMatrix": {"PR01"},  # `confusion_matrix` makes one
    "NetClassifier": {"PR03"},  # a dataclass puts its own parameters before the inherited
    "NetRegressor": {"PR03", "PR04"},  # it refers to NetClassifier
}


def public(package):
    """Yield the dotted name and the object of what a package exports, and of its members."""
    for name in package.__all__:
        thing, path = getattr(package, name), f"{package.__name__}.{name}"
        if not inspect.ismodule(thing):
            yield path, thing
        members = dict(vars(thing)) if inspect.ismodule(thing) or inspect.isclass(thing) else {}
        members |= {name: getattr(thing, name) for name in INHERITED if hasattr(thing, name)}
        for member, value in members.items():
            function = inspect.unwrap(getattr(value, "__func__", value))  # a classmethod's
            hidden = member[:1] == "_" or member in IN_THE_CLASS
            if inspect.ismodule(thing):  # `schedules`, without what it imports
                hidden |= getattr(function, "__module__", "") != thing.__name__
            if not hidden and (inspect.isfunction(function) or type(value) is property):
                yield f"{path}.{member}", function


def raises(thing):
    """Whether a raise statement stands in a function, or in the ``__init__`` of a class."""
    function = vars(thing).get("__init__") if inspect.isclass(thing) else thing
    written = inspect.isfunction(function) and inspect.getfile(function) != "<string>"
    if not written or not function.__module__.startswith("chainrule"):
        return False  # a property, or what a dataclass or Protocol makes
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return any(isinstance(node, ast.Raise) for node in ast.walk(tree))


def faults(path, thing):
    """Yield a line for each fault."""
    for code, message in validate(path)["errors"]:
        if code in RULES - IGNORED.get(path.split(".")[-1], set()):
            yield f"{path}: {code} {message}"
    if raises(thing) and not NumpyDocString(inspect.getdoc(thing) or "")["Raises"]:
        yield f"{path}: it raises, but has no Raises section"


packages = [importlib.import_module(f"chainrule.{name}") for name in PACKAGES]
found = [pair for package in packages for pair in public(package)]
found += [("chainrule.layers.Initializer.__call__", packages[0].Initializer.__call__)]
lines = [line for path, thing in found for line in faults(path, thing)]
print(*lines, f"{len(found)} public names, {len(lines)} faults in their docstrings", sep="\n")
sys.exit(bool(lines))
