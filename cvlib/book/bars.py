"""Bars: what a run's record must reach, and the bands that say where a bar may stand.

A bar is one-sided (`at_least` or `at_most`). A band is the spread of a metric over
seeds; `cvlib book calibrate` measures it and the chapter's ledger keeps it. A bar
stands outside its band, by a margin of a tenth of the band's width at least. A run
outside a band is news; further outside than the band is wide, the band is stale.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, model_validator

MARGIN = 0.1  # of a band's width, between the band and a bar

# Times, rates and memory are the machine's: no band holds them on another one.
_OF_THE_MACHINE = re.compile(
    r"(?:^|_)(?:seconds?|ms|milliseconds|minutes|latency|memory|speed(?:_?up)?)(?:_|$)"
    r"|^rate_"
)


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

    @property
    def width(self) -> float:
        """From low to high; nought where no seed changes the metric."""
        return self.high - self.low

    def leaves_room_for(self, bar: Bar) -> bool:
        """Whether `bar` stands outside the band, by a tenth of its width or more."""
        room = MARGIN * self.width
        return bar.met_by(self.low - room) and bar.met_by(self.high + room)

    def distance(self, value: float) -> float:
        """How far `value` is outside the band; nought within it."""
        away = max(self.low - value, value - self.high, 0.0)
        # The last digits are another processor's order of adding up, and no news.
        return 0.0 if away <= 1e-5 * max(abs(self.low), abs(self.high)) else away

    def is_stale_by(self, value: float) -> bool:
        """Whether `value` is further outside than the band is wide.

        A band that no seed widens is taken to be two percent of its median wide.
        """
        return self.distance(value) > max(self.width, 0.02 * abs(self.median))


@dataclass(frozen=True)
class Stray:
    """A metric of a run that is outside its band; `stale` when far outside."""

    metric: str
    value: float
    band: Band

    @property
    def stale(self) -> bool:
        """Whether the band is stale, or the result is news."""
        return self.band.is_stale_by(self.value)

    def __str__(self) -> str:
        text = f"{self.metric} {self.value:.4g}, band {self.band.low:.4g} to "
        text += f"{self.band.high:.4g}: "
        return text + ("stale band, or news" if self.stale else "outside")


def find_strays(record: dict[str, float], bands: dict[str, Band]) -> list[Stray]:
    """What a run measured outside its bands; times are not judged so."""
    return [
        Stray(metric, record[metric], band)
        for metric, band in bands.items()
        if metric in record
        and not is_of_the_machine(metric)
        and band.distance(record[metric])
    ]


def is_of_the_machine(metric: str) -> bool:
    """Whether a metric is a time, a rate or memory, by its name: `train_seconds`.

    A name of parts that hold `seconds`, `ms`, `minutes`, `latency`, `memory` or
    `speed`, `speedup`, `speed_up`; or one that begins with `rate_`.
    """
    return _OF_THE_MACHINE.search(metric) is not None


def judge(record: dict[str, float], bars: dict[str, Bar]) -> list[Verdict]:
    """A verdict for each bar, in the order of the front matter."""
    return [Verdict(metric, bar, record.get(metric)) for metric, bar in bars.items()]
