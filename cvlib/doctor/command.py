"""`cvlib doctor PATH`: the examination at the command line."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

log = logging.getLogger("cvlib")

Target = Annotated[
    Path | None, typer.Option(help="Write this file, outside the folder.")
]


app = typer.Typer(pretty_exceptions_enable=False)


@app.command("doctor")
def doctor(
    path: Annotated[
        str, typer.Argument(help="a folder, annotations, or a data set's name")
    ],
    deep: Annotated[
        bool, typer.Option(help="Ask a model which labels look wrong, too.")
    ] = False,
    json_file: Annotated[
        str | None, typer.Option("--json", help="Write JSON to a file; - prints it.")
    ] = None,
    html: Target = None,
    fix: Annotated[
        Path | None,
        typer.Option(help="Write a cleaned list of images to this new folder."),
    ] = None,
) -> None:
    """Find what is wrong with a folder of images. Nothing in it is changed.

    The exit code is 0 without errors, 1 with errors, 2 when PATH cannot be examined.
    """
    from cvlib.datasets.registry import DatasetError
    from cvlib.doctor.examine import examine

    try:
        report = examine(path, deep=deep, progress=True)
        if html is not None:
            report.write_html(html)
        if fix is not None:
            report.write_cleaned(fix)
            hint = "its names are relative to the folder that was examined"
            typer.echo(f"the cleaned list is in {fix}; {hint}", err=True)
        if json_file and json_file != "-":
            report.write_json(json_file)
    except DatasetError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    except Exception as error:  # 1 would say that the data is at fault
        log.debug("the examination failed", exc_info=True)
        said = f"{type(error).__name__}: {error}"
        typer.echo(f"error: the doctor itself failed on {path}: {said}", err=True)
        raise typer.Exit(2) from None
    if json_file == "-":
        typer.echo(json.dumps(report.as_json(), indent=1, ensure_ascii=False))
    else:
        _print(report)
    raise typer.Exit(1 if report.errors else 0)


def _print(report: object) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from cvlib.doctor.report import Report

    assert isinstance(report, Report)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(
        f"{escape(str(report.root))}: {report.images} images, {report.objects} labels, "
        f"read as {report.format}, {report.seconds:.1f} s"
    )
    table = Table("problem", "severity", "count", "for example", box=None)
    for kind, problems in report.by_kind().items():
        first = problems[0]
        colour = "red" if first.severity == "error" else "yellow"
        example = f"{report.name(first.paths[0])}: {first.message}"
        severity = f"[{colour}]{first.severity}[/{colour}]"
        table.add_row(kind, severity, str(len(problems)), escape(example))
    console.print(table if report.problems else "nothing wrong was found")
