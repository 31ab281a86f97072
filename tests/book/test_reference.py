"""The reference: every module of the package has its place on an API page."""

import ast
import inspect
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from docutils.core import publish_doctree

from cvlib.book.sphinx import _read_docstring

WORKSHOP = "cvlib/pantry"  # renders what ships; nobody imports it


def sources(root: Path) -> Iterator[Path]:
    """The files of all modules, from the root."""
    for path in sorted((root / "cvlib").rglob("*.py")):
        if not path.relative_to(root).as_posix().startswith(WORKSHOP):
            yield path.relative_to(root)


def test_every_module_is_documented_once(root: Path):
    pages = (root / "book" / "reference").glob("api*.md")
    listed = [
        module
        for page in pages
        for module in re.findall(r"automodule:: (\S+)", page.read_text("utf8"))
    ]
    parts = (path.with_suffix("").parts for path in sources(root))
    modules = [".".join(part).removesuffix(".__init__") for part in parts]
    assert sorted(listed) == sorted(modules)


def docstrings(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, text as Sphinx gets it from us) of each docstring of a public thing."""
    for node in ast.walk(ast.parse(path.read_text("utf8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text and not getattr(node, "name", "").startswith("_"):
                lines = inspect.cleandoc(text).splitlines()
                _read_docstring(None, "", "", None, None, lines)  # type: ignore[arg-type]
                yield getattr(node, "lineno", 1), lines


@pytest.mark.slow
def test_docstrings_are_what_sphinx_can_read(root: Path):
    """It would warn of the others, which fails the site."""
    for path in sources(root):
        for line, text in docstrings(root / path):
            said = io.StringIO()
            quiet = {"report_level": 2, "halt_level": 5, "warning_stream": said}
            publish_doctree("\n".join(text), settings_overrides=quiet)
            wrong = [x for x in said.getvalue().splitlines() if x]
            roles = 'No role entry|Unknown interpreted text role|Trying "py:'
            wrong = [x for x in wrong if not re.search(roles, x)]
            assert not wrong, (path, line)
