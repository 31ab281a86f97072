"""The engine that runs, judges and shows the book. Needs the extra `cvlib-book[book]`.

    chapters   what a chapter declares: parameters, profiles, bars, sabotage
    overrides  what a reader types to change a parameter
    keys       what may change a run's numbers, as one hash
    runs       one executed notebook for each exact version of a chapter
    execute    makes a run in a process of its own, watched for time and memory
    machine    the machine that a run is made on
    bars       a run's record against the chapter's bars, and bands over seeds
    claims     sentences with a direction, checked against what was recorded
    ledger     what calibration and sabotage measured, kept beside the chapter
    site       the runs that one build shows, and the numbers that its prose cites
    report     every chapter's verdicts as rows, for the terminal and the status page
    sphinx     shows stored runs as pages, and their numbers in the prose

`BookError` is the root of everything the engine raises on purpose:

    BookError
    ├── ChapterError     a chapter's source is wrong: front matter, parameters, bars
    ├── ClaimError       a claim cannot be read, or names what no run recorded
    └── RunError         a chapter did not run to its end
"""


class BookError(Exception):
    """Something in the book is wrong; the message says what, and what to do."""


class ChapterError(BookError):
    """A chapter's source breaks the contract: front matter, parameters or bars."""


class RunError(BookError):
    """A chapter failed, took too long, or lost its kernel."""
