"""Files that appear whole or not at all.

What is written here is made in a hidden folder beside its place and renamed: a reader
never meets half a file, a crash leaves what was there before, and writers at work on
one file do not meet.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A place of the same name, to write a file or a folder to; it becomes `path`.

    It does so when the block ends; when the block raises, nothing has happened. Parent
    folders are made. A file may stand at `path` before, or an empty folder; raises
    OSError for a folder that is not empty, and for a place that cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".cvlib-") as workspace:
        partial = Path(workspace) / path.name
        yield partial
        if path.is_dir():
            path.rmdir()  # Windows renames nothing onto a folder
        partial.replace(path)


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write a file whole or not at all; returns its path.

    Raises OSError for a place that cannot be written.
    """
    with replacing(path) as partial:
        partial.write_bytes(content)
    return Path(path)


def write_text(path: str | Path, text: str, *, errors: str = "strict") -> Path:
    r"""Write UTF-8 whole or not at all, `\n` as it stands on every system.

    errors: what becomes of a name that is not UTF-8, as in `str.encode`.

    Raises OSError for a place that cannot be written, and, before anything is touched,
    UnicodeEncodeError for such a name.
    """
    return write_bytes(path, text.encode("utf8", errors))
