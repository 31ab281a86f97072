import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvlib.book.claims import ClaimError, find_claims, look_up_in, parse_claim

RECORD = {"accuracy": 0.84, "head_accuracy": 0.80, "gain_low": -0.02, "classes": 8}
OTHERS = {"classification/train#accuracy": 0.5, "data/how-many-images#gain": 0.25}


def check(text: str):
    return parse_claim(text).check(look_up_in(RECORD | OTHERS, "the record"))


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("accuracy > head_accuracy", True),
        ("accuracy < head_accuracy", False),
        ("classes >= 8", True),
        ("classes > 8", False),
        ("classes <= 7", False),
        ("classes == 8", True),
        ("classes != 8", False),
        ("accuracy - head_accuracy > 0.03", True),
        ("accuracy - head_accuracy > 0.05", False),
        ("2 + 3 * 4 == 14 and (2 + 3) * 4 == 20", True),
        ("1 / classes == 0.125", True),
        ("-gain_low == 0.02", True),
        ("0.8 <= head_accuracy < accuracy < 0.9", True),
        ("0.8 < head_accuracy < accuracy", False),
        ("head_accuracy < accuracy < 0.83", False),
        ("gain_low > 0 or accuracy > head_accuracy", True),
        ("gain_low > 0 and accuracy > head_accuracy", False),
        ("not gain_low > 0", True),
        ("not (gain_low < 0 or classes == 1)", False),
        ("abs(gain_low) < 0.03", True),
        ("min(accuracy, head_accuracy, 0.9) == 0.8", True),
        ("max(accuracy, head_accuracy) == 0.84", True),
        ("accuracy > classification/train#accuracy", True),
        ("data/how-many-images#gain - classification/train#accuracy < 0", True),
        ("classification/train#accuracy / data/how-many-images#gain == 2", True),
    ],
)
def test_a_claim_holds_or_is_refuted(text: str, holds: bool):
    assert check(text).holds is holds


def test_the_outcome_shows_both_sides_and_every_name_in_numbers():
    outcome = check("accuracy - head_accuracy > 0.05 or classes == 8")
    assert outcome.compared == ("0.04 > 0.05", "8 == 8")
    assert outcome.values == {"accuracy": 0.84, "head_accuracy": 0.8, "classes": 8}
    assert "0.04 > 0.05" in str(outcome) and "head_accuracy 0.8" in str(outcome)


def test_names_are_listed_once_and_functions_are_none():
    claim = parse_claim("max(a, b) > part/one#a and a > 0")
    assert sorted(claim.names) == ["a", "b", "part/one#a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("accuracy", "compares nothing"),
        ("accuracy - 0.8", "compares nothing"),
        ("", "invalid syntax"),
        ("accuracy >", "invalid syntax"),
        ("acuracy > 0.8", "no 'acuracy'; did you mean accuracy, head_accuracy"),
        ("zzz > 0.8", "no 'zzz'; it has: accuracy, head_accuracy"),
        ("accuracy > (1 / 0)", "divides by zero"),
        ("accuracy > True", "got `True`"),
        ("accuracy > 'a'", "got `'a'`"),
        ("accuracy > 1j", "got `1j`"),
        ("(accuracy > 0) + 1 > 0", "wanted a number, got `accuracy > 0`"),
        ("accuracy and classes > 1", "wanted a comparison, got `accuracy`"),
        ("not accuracy", "wanted a comparison, got `accuracy`"),
        ("accuracy in classes", "got `accuracy in classes`"),
        ("accuracy ** 99 > 0", "got `accuracy ** 99`"),
        ("classes // 3 > 0", "got `classes // 3`"),
        ("~classes > 0", "got `~classes`"),
        ("__import__('os').system('true') > 0", "got `__import__"),
        ("accuracy.real > 0", "got `accuracy.real`"),
        ("[accuracy][0] > 0", "got `[accuracy]"),
        ("(lambda: 1)() > 0", "got `"),
        ("sum(accuracy, classes) > 0", "got `sum"),
        ("abs() > 0", "got `abs"),
        ("abs(accuracy, classes) > 0", "got `abs"),
        ("max(accuracy) > 0", "got `max"),
        ("max(*accuracy, classes) > 0", "got `"),
        ("min(accuracy, classes, key=abs) > 0", "got `min"),
        ("accuracy > 0 :: 3 of 5", "after `::` stands `most seeds`, got '3 of 5'"),
        ("1 < " * 60 + "2", "longer than 200"),
        ("(" * 99 + "1 > 0" + ")" * 95, "claim `"),
    ],
)
def test_what_is_no_claim_is_an_error_that_says_what_was_wanted(text, message):
    with pytest.raises(ClaimError, match=re.escape(message)):
        check(text)


def test_a_refuted_part_does_not_hide_an_unknown_name():
    with pytest.raises(ClaimError, match="no 'zzz'"):
        check("accuracy < 0 and zzz > 0")


def test_a_claim_may_promise_most_seeds_only():
    assert not parse_claim("accuracy > 0").most_seeds
    claim = parse_claim("accuracy >\n  head_accuracy :: most seeds", line=4)
    assert claim.most_seeds and claim.line == 4
    assert claim.text == "accuracy > head_accuracy"


PAGE = """\
---
title: {claim}-less
---

It rises {claim}`a > b`, says `{claim}` or ``{claim}`not > this` ``.

```python
{claim}`nor > this`
```

```{note}
But {claim}`c
> d :: most seeds` here.
```

:::{tip}
```python
{claim}`nor > there`
```
{claim}`e > f`
:::

````{code-cell} ipython3
```
text = "{claim}`nor > that`"
````
"""


def test_claims_are_found_in_prose_at_their_line_and_not_in_code():
    assert find_claims(PAGE) == [
        ("a > b", 5),
        ("c > d :: most seeds", 12),
        ("e > f", 20),
    ]


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_claim_says_what_python_says(a: float, b: float):
    look_up = look_up_in({"a": a, "b": b}, "the record")
    text = "a - b > 0.5 * b or not abs(a) >= -b"
    assert parse_claim(text).check(look_up).holds is (
        a - b > 0.5 * b or not abs(a) >= -b
    )


@pytest.mark.slow
@given(st.text(max_size=60))
def test_no_text_does_anything_but_fail_as_a_claim(text: str):
    try:
        check(text)
    except ClaimError:
        return
