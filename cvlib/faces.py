"""Faces of packages: names that are imported when somebody asks for them.

A package's `__init__.py` lists what it hands on as imports for type checkers, under
`if TYPE_CHECKING`, and ends with `__getattr__, __dir__ = face(__name__)`, which makes
the same list work when the program runs. So `import cvlib` costs milliseconds, and
what a package promises stands in one place.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any


def face(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A package's `__getattr__` and `__dir__`: its names and modules, imported late."""

    def get(name: str) -> Any:
        value = _find(package, name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        special = {n for n in vars(sys.modules[package]) if n.startswith("__")}
        return sorted({*special, *_public(package)})

    return get, names


@cache
def origins(package: str) -> dict[str, str]:
    """Name → module it is defined in, of all that a package's face hands on.

    Read off the imports under `if TYPE_CHECKING`; the package's own modules, which
    need no origin, are left out. Nothing is imported. Empty for a plain module.
    """
    import ast

    file = Path(__file__).parents[1].joinpath(*package.split("."), "__init__.py")
    if not file.is_file():
        return {}
    tree = ast.parse(file.read_text("utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    handed = [n for b in blocks for n in b.body if isinstance(n, ast.ImportFrom)]
    return {
        alias.name: str(node.module)
        for node in handed
        for alias in node.names
        if node.module != package
    }


def _find(package: str, name: str) -> Any:
    """What `package.name` is; AttributeError, with the closest name, for nothing."""
    if not name.startswith("_"):
        origin = origins(package).get(name)
        if origin:
            return getattr(import_module(origin), name)
        module = f"{package}.{name}"
        try:
            return import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
    raise AttributeError(_refusal(package, name))


def _refusal(package: str, name: str) -> str:
    from difflib import get_close_matches

    text = f"module {package!r} has no attribute {name!r}"
    close = get_close_matches(name, _public(package), n=1)
    if close:
        return f"{text}; did you mean {close[0]!r}?"
    house = package.partition(".")[0]
    if package != house and name in _public(house):
        return f"{text}; there is {house}.{name}"
    return text


def _public(package: str) -> list[str]:
    """The names that a package promises."""
    return list(getattr(sys.modules[package], "__all__", []))
