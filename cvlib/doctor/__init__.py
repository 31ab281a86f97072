"""What is wrong with a data set, before a model learns it.

    from cvlib.doctor import examine

    report = examine("~/my_folder")     # or: cvlib doctor ~/my_folder

`examine` asks the others in turn: `files` looks at every image once, `duplicates`
compares them, `labels` checks the annotations; `report` says it, `command` is the
terminal's. Used in book/data/check-your-data.
"""

from cvlib.doctor.examine import examine
from cvlib.doctor.report import Report

__all__ = ["Report", "examine"]
