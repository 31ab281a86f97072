"""What a reader sees while chapters run: one line a chapter."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from cvlib.book.runs import Job


class RunProgress:
    """A live line for each chapter on a terminal; elsewhere a line when one ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: dict[str, TaskID] = {}
        columns = [
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
        ]
        self._progress = Progress(*columns, console=console)

    def __enter__(self) -> RunProgress:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, job: Job, state: str) -> None:
        """Show that `job` is in `state`: `cell 3 of 20`, `stored`, `failed`…"""
        line, running = f"{job.chapter.name} [{job.profile}]", state.startswith("cell")
        if not self._console.is_terminal:
            if not running:
                self._console.print(f"{line}: {state}", markup=False)
            return
        if line not in self._lines:
            self._lines[line] = self._progress.add_task("", total=1)
        text = escape(f"{line}: {state}")
        self._progress.update(
            self._lines[line], description=text, completed=not running
        )
