"""Claims: sentences with a direction, checked against what the runs recorded.

    {claim}`gain_few > gain_many`                   holds, or is refuted
    {claim}`accuracy - head_accuracy >= 0.01`       arithmetic: + - * / abs min max
    {claim}`0.1 < loss <= 0.2 and not broken > 3`   chains, and, or, not
    {claim}`accuracy > similarity/train#recall`     a name of another page
    {claim}`gain > 0 :: most seeds`                 not on all seeds, but on most

A page's name holds `/` and may hold `-`: to divide by such a name, or to subtract it,
put blanks around the sign.
"""

from __future__ import annotations

import ast
import difflib
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cvlib.book import BookError

LONGEST = 200  # characters of an expression: a claim that is longer is several
MOST_SEEDS = "most seeds"

_PAGE_NAME = re.compile(r"[A-Za-z][\w-]*(?:/[\w-]+)*#([A-Za-z_]\w*)")
_ROLE = re.compile(r"(?<!`)\{claim\}`([^`]+)`")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,}|:{3,})(.*)")
_SPAN = re.compile(r"(?<!`)(`{2,})(?!`).+?(?<!`)\1(?!`)", re.S)

_COMPARISONS: dict[type[ast.cmpop], tuple[str, Callable[[float, float], bool]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
}
_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_SIGNS: dict[type[ast.unaryop], Callable[[float], float]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {"abs": abs, "max": max, "min": min}

LookUp = Callable[[str], float]


class ClaimError(BookError):
    """A claim that cannot be read, or names what no run recorded."""


@dataclass(frozen=True)
class Outcome:
    """Whether a claim held, and by what: its comparisons and its names in numbers."""

    holds: bool
    compared: tuple[str, ...]
    values: dict[str, float]

    def __str__(self) -> str:
        named = ", ".join(f"{name} {value:.4g}" for name, value in self.values.items())
        return f"{'; '.join(self.compared)}" + (f" ({named})" if named else "")


@dataclass(frozen=True)
class Claim:
    """An expression over recorded names, read and found sound; `line` is its place.

    `most_seeds` says that the sentence promises most seeds, not all of them.
    """

    text: str
    line: int = 0
    most_seeds: bool = False
    _tree: ast.expr = field(default_factory=lambda: ast.Constant(0), compare=False)
    _names: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def names(self) -> list[str]:
        """Every name in it, `part/chapter#name` for those of other pages."""
        nodes = (n for n in ast.walk(self._tree) if isinstance(n, ast.Name))
        found = [self._names.get(n.id, n.id) for n in nodes]
        return [n for n in dict.fromkeys(found) if n not in _FUNCTIONS]

    def check(self, look_up: LookUp) -> Outcome:
        """The claim against the numbers that `look_up` gives for its names.

        Errors: those of `look_up`; `ClaimError` for a division by zero.
        """
        values = {name: look_up(name) for name in self.names}
        compared: list[str] = []
        try:
            holds = _truth(self._tree, self._number_of(values), compared)
        except ZeroDivisionError:
            raise ClaimError(f"claim `{self.text}` divides by zero") from None
        return Outcome(holds, tuple(compared), values)

    def _number_of(self, values: Mapping[str, float]) -> LookUp:
        return lambda name: values[self._names.get(name, name)]


@dataclass(frozen=True)
class Checked:
    """A claim at its `place` (`file:line`): what the run and what the seeds say of it.

    `outcome` is None, and `why` says why, for one that could not be checked: it cannot
    be read (`broken`), or a page that it names was not run. `own` says that the run is
    a reader's own, of other parameters than the book's: then nothing is at fault.
    """

    text: str
    place: str
    outcome: Outcome | None
    why: str = ""
    broken: bool = False
    most_seeds: bool = False
    held: int = 0
    seeds: int = 0
    own: bool = False
    names: tuple[str, ...] = ()

    @property
    def refuted(self) -> bool:
        """Whether the run says otherwise."""
        return self.outcome is not None and not self.outcome.holds

    @property
    def fault(self) -> str:
        """What is wrong with the sentence, with its place; empty when nothing is."""
        why = self.why if self.broken else "" if self.own else self._disproof()
        return f"{self.place}: {why}" if why else ""

    def _disproof(self) -> str:
        seeds, claim = f"in {self.held} of {self.seeds} seeds", f"claim `{self.text}`"
        if self.most_seeds and self.seeds:
            few = 2 * self.held <= self.seeds
            return f"{claim} holds {seeds}: that is not most" if few else ""
        if self.refuted:
            return f"{claim} is refuted: {self.outcome}"
        if self.held < self.seeds:
            return (
                f"{claim} holds {seeds} only: word the sentence so and end the claim "
                f"with `:: {MOST_SEEDS}`, or calibrate again if the code has changed"
            )
        return ""

    @property
    def mark(self) -> str:
        """What stands after the sentence: `✓`, or `✗` or some seeds in words."""
        if self.outcome is None:
            return "(not checked)" if self.broken else "(not checked here)"
        sign = "✗" if self.refuted else "✓"
        if self.own:
            return "(✗ did not hold here)" if self.refuted else sign
        if self.held < self.seeds:
            here = " here, in" if self.refuted else " in"
            return f"({sign}{here} {self.held} of {self.seeds} seeds)"
        return "(✗ refuted)" if self.refuted else sign

    @property
    def told(self) -> str:
        """The expression with what was compared, for a tooltip."""
        return f"{self.text}: {self.outcome or self.why}"


def parse_claim(text: str, line: int = 0) -> Claim:
    """The claim in a role's `text`: an expression, perhaps `:: most seeds` after it.

    Errors: `ClaimError`, for what is no comparison of numbers.
    """
    expression, mark, seeds = (part.strip() for part in text.partition("::"))
    expression = " ".join(expression.split())
    if mark and seeds != MOST_SEEDS:
        raise ClaimError(
            f"claim `{text}`: after `::` stands `{MOST_SEEDS}`, got {seeds!r}"
        )
    if len(expression) > LONGEST:
        raise ClaimError(f"claim `{expression[:40]}…` is longer than {LONGEST}")
    names: dict[str, str] = {}
    plain = _PAGE_NAME.sub(lambda found: _stand_in(found, names), expression)
    try:
        tree = ast.parse(plain, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        why = error.msg if isinstance(error, SyntaxError) else error
        raise ClaimError(f"claim `{expression}`: {why}") from None
    if _kind(tree, expression) != "truth":
        raise ClaimError(f"claim `{expression}` compares nothing: wanted < > <= >= ==")
    return Claim(expression, line, bool(mark), tree, names)


def find_claims(text: str) -> list[tuple[str, int]]:
    """The text of each claim role of a page's source, and its line; not those in code.

    Sources of chapters and of pages without code alike.
    """
    prose = _SPAN.sub(
        lambda span: re.sub(r"[^\n]", " ", span[0]), "\n".join(_prose(text))
    )
    return [
        (" ".join(found[1].split()), prose.count("\n", 0, found.start()) + 1)
        for found in _ROLE.finditer(prose)
    ]


def look_up_in(numbers: Mapping[str, float], where: str) -> LookUp:
    """A look-up of names in `numbers`; `ClaimError` names the closest ones."""

    def look_up(name: str) -> float:
        if name in numbers:
            return numbers[name]
        close = difflib.get_close_matches(name, numbers, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(close)}?" if close else "it has: "
        known = "" if close else ", ".join(numbers) or "nothing"
        raise ClaimError(f"{where} has no {name!r}; {hint}{known}")

    return look_up


def _prose(text: str) -> Iterator[str]:
    """The lines of a page, those of code empty; the text of `{note}` is prose."""
    open_fences: list[tuple[str, bool]] = []  # each fence, and whether it holds code
    for line in text.split("\n"):
        found, in_code = _FENCE.match(line), any(code for _, code in open_fences)
        mark, info = (found[1], found[2].strip()) if found else ("", "")
        if mark and not info and open_fences and mark.startswith(open_fences[-1][0]):
            open_fences.pop()
        elif mark and not in_code:
            open_fences.append((mark, not re.match(r"\{(?!code)", info)))
        yield "" if mark or in_code else line


def _stand_in(found: re.Match[str], names: dict[str, str]) -> str:
    """A Python name for `part/chapter#name`, noted in `names`."""
    alias = next((a for a, n in names.items() if n == found[0]), f"_page_{len(names)}")
    names[alias] = found[0]
    return alias


def _kind(node: ast.expr, text: str) -> str:
    """Whether `node` is a number or a truth; `ClaimError` for all else."""
    match node:
        case ast.Name():
            return "number"
        case ast.Constant(value=int() | float() as value) if not isinstance(
            value, bool
        ):
            return "number"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _all_are("number", [left, right], "number", text)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _all_are("truth", [operand], "truth", text)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _SIGNS:
            return _all_are("number", [operand], "number", text)
        case ast.Compare(left=left, ops=ops, comparators=others) if all(
            type(op) in _COMPARISONS for op in ops
        ):
            return _all_are("number", [left, *others], "truth", text)
        case ast.BoolOp(values=values):
            return _all_are("truth", values, "truth", text)
        case ast.Call(func=ast.Name(id=name), args=[_, *_] as args, keywords=[]) if (
            name in _FUNCTIONS and (name == "abs") == (len(args) == 1)
        ):
            return _all_are("number", args, "number", text)
    raise ClaimError(
        f"claim `{text}`: wanted names, numbers, + - * /, comparisons, and, or, not, "
        f"abs(a), min(a, b), max(a, b); got `{ast.unparse(node)}`"
    )


def _all_are(wanted: str, nodes: list[ast.expr], whole: str, text: str) -> str:
    for node in nodes:
        if _kind(node, text) != wanted:
            article = "a comparison" if wanted == "truth" else "a number"
            raise ClaimError(
                f"claim `{text}`: wanted {article}, got `{ast.unparse(node)}`"
            )
    return whole


def _truth(node: ast.expr, look_up: LookUp, compared: list[str]) -> bool:
    """Whether `node` holds; every comparison in it is noted in `compared`."""
    match node:
        case ast.UnaryOp(operand=operand):
            return not _truth(operand, look_up, compared)
        case ast.BoolOp(op=op, values=values):
            truths = [_truth(value, look_up, compared) for value in values]
            return all(truths) if isinstance(op, ast.And) else any(truths)
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [_number(side, look_up) for side in (left, *others)]
            signs = [_COMPARISONS[type(op)] for op in ops]
            told = [
                f"{s} {side:.4g}" for (s, _), side in zip(signs, sides[1:], strict=True)
            ]
            compared.append(" ".join([f"{sides[0]:.4g}", *told]))
            pairs = zip(signs, sides, sides[1:], strict=False)
            return all(holds(a, b) for (_, holds), a, b in pairs)
    raise AssertionError(f"no truth: {ast.unparse(node)}")


def _number(node: Any, look_up: LookUp) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name):
            return look_up(name)
        case ast.UnaryOp(op=op, operand=operand):
            return _SIGNS[type(op)](_number(operand, look_up))
        case ast.BinOp(left=left, op=op, right=right):
            return _ARITHMETIC[type(op)](
                _number(left, look_up), _number(right, look_up)
            )
        case ast.Call(func=ast.Name(id=name), args=args):
            return _FUNCTIONS[name](*(_number(arg, look_up) for arg in args))
    raise AssertionError(f"no number: {ast.unparse(node)}")
