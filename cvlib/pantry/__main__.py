"""`python -m cvlib.pantry`: render an image set, or a part of it again."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from cvlib.pantry import generate

app = typer.Typer(help="Render the images of the pantry.", no_args_is_help=True)
Jobs = Annotated[int, typer.Option(help="Processes side by side.")]
Only = Annotated[
    list[str] | None, typer.Option(help="Names or their beginnings: can-03-07.")
]
Samples = Annotated[int, typer.Option(help="Paths a pixel.")]
Light = Annotated[
    Path | None, typer.Option(help="Keep linear images here, and use them again.")
]


@app.command()
def products(
    out: Annotated[Path, typer.Option(help="The image folder.")] = generate.FOLDER,
    jobs: Jobs = 1,
    only: Only = None,
    samples: Samples = generate.SAMPLES,
    light: Light = None,
) -> None:
    """Make the pictures of `pantry/products` that are missing, then their table."""
    _make(generate.shots(), out, only, jobs, generate.SIZE, samples, light)
    generate.write_table(out)


@app.command()
def shelves(
    out: Annotated[Path, typer.Option(help="The folder.")] = generate.SHELF_FOLDER,
    jobs: Jobs = 1,
    only: Only = None,
    samples: Samples = generate.SAMPLES,
    light: Light = None,
) -> None:
    """Make the pictures of `pantry/shelves` that are missing, then all annotations."""
    shots = generate.shelf_shots()
    _make(shots, out, only, jobs, generate.SHELF_SIZE, samples, light)
    if only is None:
        written = generate.write_truth(out, jobs=jobs)
        for _ in track(written, description="Annotating", total=len(shots)):
            pass


def _make(
    shots: list[generate.P],
    out: Path,
    only: list[str] | None,
    jobs: int,
    size: int,
    samples: int,
    light: Path | None,
) -> None:
    wanted = [shot for shot in shots if shot.name.startswith(tuple(only or [""]))]
    missing = [shot for shot in wanted if not (out / shot.path).exists()]
    made = generate.make_all(
        missing, out, jobs=jobs, size=size, samples=samples, light=light
    )
    for _ in track(made, description="Rendering", total=len(missing)):
        pass


if __name__ == "__main__":
    app()
