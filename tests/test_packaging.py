"""What the wheel says of itself, and that no room of the house is left out of it."""

import re
from configparser import ConfigParser
from importlib import resources
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("layers", "networks", "datasets")


def setup():
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_find_the_annotations(package):
    assert resources.files(f"chainrule.{package}").joinpath("py.typed").is_file()
    data = setup()["options.package_data"][f"chainrule.{package}"]
    assert "py.typed" in re.split(r"[,\s]+", data)


def test_every_room_is_in_the_wheel():
    options = setup()["options"]
    rooms = {
        ".".join(("chainrule", *found.parent.relative_to(ROOT).parts))
        for package in PACKAGES
        for found in (ROOT / package).rglob("__init__.py")
    }
    assert set(re.split(r"[,\s]+", options["packages"].strip())) == rooms


def test_the_citation_names_the_version():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {setup()['metadata']['version']}\n" in citation


def test_extras_named_in_errors_exist():
    extras = set(setup()["options.extras_require"])
    sources = [p for package in PACKAGES for p in (ROOT / package).rglob("*.py")]
    named = {
        name
        for path in sources
        for names in re.findall(r"chainrule\[([\w,]+)\]", path.read_text())
        for name in names.split(",")
    }
    assert named
    assert named <= extras
