"""YOLO: a text file an image, a line an object: its class, then its box or its outline.

`layout` is what data.yaml says and where images lie, `lines` the text files, `outline`
a mask as a polygon.
"""

from cvlib.datasets.formats.yolo.lines import (
    LOOKS_LIKE,
    SHEET_ENDINGS,
    read,
    recognise,
    write,
)

__all__ = ["LOOKS_LIKE", "SHEET_ENDINGS", "read", "recognise", "write"]
