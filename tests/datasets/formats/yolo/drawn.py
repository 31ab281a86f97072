"""Small YOLO folders."""

from pathlib import Path

from tests.datasets.formats.sets import image_file


def lines(root: Path, *said: str, names: str = "[mug, jar]") -> Path:
    image_file(root / "images" / "val" / "a.jpg")
    sheet = root / "labels" / "val" / "a.txt"
    sheet.parent.mkdir(parents=True)
    sheet.write_text("\n".join(said))
    (root / "data.yaml").write_text(f"names: {names}\nval: images/val\n")
    return root


def pictures(root: Path, *names: str) -> Path:
    """Images below images/, each with a box in its text file."""
    for name in names:
        image_file(root / "images" / name)
        sheet = (root / "labels" / name).with_suffix(".txt")
        sheet.parent.mkdir(parents=True, exist_ok=True)
        sheet.write_text("0 0.5 0.5 0.5 0.5")
    return root
