"""What an installation holds, and what it needs: declared, small, and enough alone."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from myst_nb.core.read import read_myst_markdown_notebook

from cvlib.book.chapters import code_cells
from cvlib.book.imports import parse_cell

# Which extra a place may import from; the longest start of its path decides.
EXTRAS = {
    "cvlib/": "",
    "cvlib/training.py": "train",
    "cvlib/classification/train.py": "train",
    "cvlib/similarity/train.py": "train",
    "cvlib/search/approximate.py": "search",
    "cvlib/doctor/labels.py": "doctor",
    "cvlib/pantry/": "render",
    "cvlib/book/": "book",
    "book/": "book",
    "tests/": "test",
}
# A record is displayed where a kernel runs, and there it is.
GUARDED = {("cvlib/recording.py", "IPython")}


def declared(root: Path) -> dict[str, set[str]]:
    """Extra → the distributions it and the core ask for; "" is the core alone."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf8"))["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}

    def closure(group: str) -> set[str]:
        found: set[str] = set()
        for line in groups[group]:
            name, extras = re.match(r"([\w.-]+)(?:\[(.*?)\])?", line).groups()
            if name == project["name"]:
                found |= {d for e in extras.split(",") for d in closure(e.strip())}
            else:
                found.add(canonical(name))
        return found

    return {group: closure(group) | closure("") for group in groups}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(path: Path) -> Iterator[str]:
    """The top-level names of what a file imports, also inside functions."""
    text = path.read_text("utf8")
    page = path.suffix == ".md"
    cells = code_cells(read_myst_markdown_notebook(text)) if page else []
    sources = [cell.source for cell in cells] if page else [text]
    for node in (n for source in sources for n in ast.walk(parse_cell(source))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]


@pytest.mark.parametrize("place", ["cvlib", "book", "tests"])
def test_every_import_is_declared(place: str, root: Path):
    """What another package happens to bring may be gone with its next version."""
    known, allowed = importlib.metadata.packages_distributions(), declared(root)
    ours = {"cvlib", "tests", *sys.stdlib_module_names}
    undeclared = set()
    for path in sorted([*(root / place).rglob("*.py"), *(root / place).rglob("*.md")]):
        inside = path.relative_to(root).as_posix()
        extra = EXTRAS[max((e for e in EXTRAS if inside.startswith(e)), key=len)]
        for name in set(imported(path)) - ours:
            sources = {canonical(d) for d in known.get(name, [name])}
            if not sources & allowed[extra] and (inside, name) not in GUARDED:
                undeclared.add((inside, name, extra or "core"))
    assert not undeclared
