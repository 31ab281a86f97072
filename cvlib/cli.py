"""The `cvlib` command: mounts the rooms' own commands, each imported when it is called.

So `cvlib doctor` works in a core install, which has none of the book's packages.
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import NoReturn

import typer
from rich.console import Console

from cvlib.book import BookError
from cvlib.datasets.registry import DatasetError

# Name → the module whose `app` it is, and its line in the help.
ROOMS = {
    "book": ("cvlib.book.command", "Run, judge and build the chapters."),
    "doctor": ("cvlib.doctor.command", "Find what is wrong with a folder of images."),
}
# All that follows a room's name is for the room, its --help too.
HAND_ON = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}
errors = Console(stderr=True, highlight=False, soft_wrap=True)
app = typer.Typer(
    help="Computer-vision best practices: a book whose chapters are tests.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _mount(name: str) -> None:
    module, line = ROOMS[name]

    @app.command(name, help=line, context_settings=HAND_ON)
    def enter(ctx: typer.Context) -> None:
        import_module(module).app(ctx.args, prog_name=f"cvlib {name}")


for room in ROOMS:
    _mount(room)


def main() -> None:
    """Entry point: errors in plain words, exit code 1; Ctrl-C and SIGTERM clean up."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except (BookError, DatasetError) as error:
        _refuse(str(error))
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("cvlib"):
            raise
        _refuse(_what_to_install(error))


def _refuse(said: str) -> NoReturn:
    errors.print("[red]error:[/red]", end=" ")
    errors.print(said, markup=False)
    sys.exit(1)


def _what_to_install(error: ModuleNotFoundError) -> str:
    """What the error itself says; else the book's extra, which has all that is left."""
    if "pip install" in str(error):
        return str(error)
    return f"{error.name} is not installed: pip install 'cvlib-book[book]'"


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
