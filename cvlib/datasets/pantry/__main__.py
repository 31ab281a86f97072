"""`python -m cvlib.datasets.pantry`: render the image set, or a part of it again."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from cvlib.datasets.pantry import generate


def main(
    out: Annotated[Path, typer.Option(help="The image folder.")] = generate.FOLDER,
    jobs: Annotated[int, typer.Option(help="Processes side by side.")] = 1,
    only: Annotated[
        list[str] | None, typer.Option(help="Names or their beginnings: can-03-07.")
    ] = None,
    size: Annotated[int, typer.Option(help="Pixels a side.")] = generate.SIZE,
    samples: Annotated[int, typer.Option(help="Paths a pixel.")] = generate.SAMPLES,
    light: Annotated[
        Path | None, typer.Option(help="Keep linear images here, and use them again.")
    ] = None,
) -> None:
    """Make the pictures that are missing in the folder, then its table."""
    starts = tuple(only or [""])
    wanted = [shot for shot in generate.shots() if shot.name.startswith(starts)]
    missing = [shot for shot in wanted if not (out / shot.path).exists()]
    made = generate.make_all(
        missing, out, jobs=jobs, size=size, samples=samples, light=light
    )
    for _ in track(made, description="Rendering", total=len(missing)):
        pass
    generate.write_table(out)


if __name__ == "__main__":
    typer.run(main)
