"""What is wrong with a data set."""

from pathlib import Path

from cvlib.datasets.problems import Problem


def test_a_problem_is_an_error_of_the_whole_image_unless_it_says_otherwise():
    found = Problem("truncated", (Path("a.jpg"),), "is cut short")
    assert (found.severity, found.index) == ("error", None)


def test_the_same_problem_twice_is_one():
    once = Problem("tiny", (Path("a.jpg"),), "is 20 × 20 pixels", "warning")
    again = Problem("tiny", (Path("a.jpg"),), "is 20 × 20 pixels", "warning")
    assert len({once, again}) == 1
