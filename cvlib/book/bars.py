"""Bars: what a run's record must reach, and the bands that say where a bar may stand.

A bar is one-sided (`at_least` or `at_most`). A band is the spread of a metric over
seeds; `cvlib book calibrate` writes it beside the chapter as `<chapter>.bands.json`.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, model_validator

from cvlib.files import write_text


class Bar(BaseModel):
    """One side of a metric: exactly one of `at_least` and `at_most`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _is_one_sided(self) -> Bar:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("a bar takes exactly one of at_least and at_most")
        return self

    def met_by(self, value: float) -> bool:
        """Whether `value` is on the good side; the bar itself counts as met."""
        if self.at_least is not None:
            return value >= self.at_least
        assert self.at_most is not None
        return value <= self.at_most

    def __str__(self) -> str:
        return (
            f"≥ {self.at_least:g}"
            if self.at_least is not None
            else (f"≤ {self.at_most:g}")
        )


@dataclass(frozen=True)
class Verdict:
    """One bar against one run; `value` is None when the run recorded no such metric."""

    metric: str
    bar: Bar
    value: float | None

    @property
    def met(self) -> bool:
        """Whether the metric was recorded and is on the good side of its bar."""
        return self.value is not None and self.bar.met_by(self.value)

    def __str__(self) -> str:
        got = "not recorded" if self.value is None else f"{self.value:.4g}"
        verdict = "met" if self.met else "NOT MET"
        return f"{self.metric} {got}, wanted {self.bar}: {verdict}"


@dataclass(frozen=True)
class Band:
    """Spread of a metric over `seeds` runs that differ in their seed only."""

    low: float
    median: float
    high: float
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Band:
        """The band of `values`, one a seed."""
        return cls(min(values), statistics.median(values), max(values), len(values))

    def leaves_room_for(self, bar: Bar) -> bool:
        """Whether `bar` stands outside the band: no calibrated seed fails it."""
        return bar.met_by(self.low) and bar.met_by(self.high)


def judge(record: dict[str, float], bars: dict[str, Bar]) -> list[Verdict]:
    """A verdict for each bar, in the order of the front matter."""
    return [Verdict(metric, bar, record.get(metric)) for metric, bar in bars.items()]


def bands_path(chapter_path: Path) -> Path:
    """Where the bands of the chapter in `chapter_path` (`*.md`) are kept."""
    return chapter_path.with_suffix(".bands.json")


def read_bands(chapter_path: Path) -> dict[str, dict[str, Band]]:
    """Profile → metric → band; empty for a chapter never calibrated."""
    path = bands_path(chapter_path)
    if not path.is_file():
        return {}
    stored = json.loads(path.read_text("utf8"))
    return {
        profile: {metric: Band(**band) for metric, band in metrics.items()}
        for profile, metrics in stored.items()
    }


def write_bands(chapter_path: Path, profile: str, bands: dict[str, Band]) -> Path:
    """Replace the bands of one profile, leave the others, return the file."""
    stored = {**read_bands(chapter_path), profile: bands}
    path = bands_path(chapter_path)
    plain = {p: {m: vars(band) for m, band in ms.items()} for p, ms in stored.items()}
    return write_text(path, json.dumps(plain, indent=1, sort_keys=True) + "\n")
