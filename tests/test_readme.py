"""The README's Python blocks run, in order, as one program in an empty folder."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

import chainrule.datasets
import chainrule.layers
import chainrule.networks

ROOT = Path(__file__).parents[1]


DOCUMENTS = [
    "README.md",
    "README.zh.md",
    "CONTRIBUTING.md",
    "docs/from-pytorch.md",
    "docs/from-the-book.md",
    "docs/parallel.md",
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_code_blocks_run(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / document).read_text()
    blocks = list(re.finditer(r"^( *)```python\n(.*?)^\1```", text, flags=re.M | re.S))
    assert blocks
    namespace = {"__name__": "readme"}
    for block in blocks:
        lines_above = "\n" * text[: block.start(2)].count("\n")
        code = compile(lines_above + dedent(block[2]), str(ROOT / document), "exec")
        exec(code, namespace)


@pytest.mark.parametrize("document", ["README.md", "README.zh.md"])
def test_the_links_of_the_readme_lead_somewhere(document):
    text = (ROOT / document).read_text()
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_public_name_is_in_the_readme():
    text = (ROOT / "README.md").read_text()
    packages = chainrule.layers, chainrule.networks, chainrule.datasets
    names = [name for package in packages for name in package.__all__]
    assert [name for name in names if f"`{name}" not in text] == []


def test_the_code_of_the_chinese_page_is_that_of_the_readme():
    blocks, ours = (
        re.findall(r"^```python\n.*?^```", (ROOT / name).read_text(), flags=re.M | re.S)
        for name in ("README.zh.md", "README.md")
    )
    assert blocks
    assert [block for block in ours if block in blocks] == blocks
