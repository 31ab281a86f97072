"""What a chapter's cells take from `cvlib`: the modules behind the names they use."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Set

from cvlib import faces


def modules_named(sources: Iterable[str], modules: Set[str]) -> set[str]:
    """Those of `modules` that the cells name, in imports or as `cvlib.load` in code.

    A name that a package hands on counts as the module that defines it, so
    `cvlib.record` brings `cvlib.recording` and nothing else of `cvlib`. Not seen is
    what code makes up while it runs, such as `getattr(cvlib, name)`.
    """
    nodes = [node for source in sources for node in ast.walk(parse_cell(source))]
    bound: dict[str, str] = {}
    dotted: set[str] = set()
    for node in nodes:
        for name, meaning in _bindings(node):
            bound[name] = meaning
            dotted.add(meaning)
        if isinstance(node, ast.Import):
            dotted |= {alias.name for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.Attribute):
            first, _, rest = ast.unparse(node).partition(".")
            dotted.add(f"{bound.get(first, first)}.{rest}")
    return {module for name in dotted for module in _modules_of(name, modules)}


def parse_cell(source: str) -> ast.Module:
    """A cell's syntax tree; shell and magic lines are left out."""
    lines = source.splitlines()
    return ast.parse(
        "\n".join(x for x in lines if not x.lstrip().startswith(("%", "!")))
    )


def _bindings(node: ast.AST) -> Iterable[tuple[str, str]]:
    """(name, what it stands for) of an import: `as` gives another name."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            whole = alias.name if alias.asname else alias.name.partition(".")[0]
            yield alias.asname or whole, whole
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _modules_of(dotted: str, modules: Set[str]) -> Iterable[str]:
    """The modules on the way of a dotted name, and where its last name is defined."""
    parts = dotted.split(".")
    for end in range(1, len(parts) + 1):
        module = ".".join(parts[:end])
        if module not in modules:
            origin = _origin(".".join(parts[: end - 1]), parts[end - 1], modules)
            if origin:
                yield from _modules_of(".".join([origin, *parts[end:]]), modules)
            return
        yield module


def _origin(package: str, name: str, modules: Set[str]) -> str:
    """Where the name that a package hands on is defined; "" for one it does not."""
    origin = faces.origins(package).get(name, "") if package in modules else ""
    return origin if origin in modules else ""
