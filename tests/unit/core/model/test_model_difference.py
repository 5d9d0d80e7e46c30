"""Two models side by side: only what differs, and whose number is which."""

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.model.model_difference import metric_table, package_changes, packages_of

OURS = """\
mlflow==3.17.0
numpy==2.2.0 ; python_full_version < "3.12"
numpy==2.3.0 ; python_full_version >= "3.12"
mlflow-uv/wheels/my_features-1.2.0-py3-none-any.whl
"""
FOREIGN = "mlflow>=3\nScikit_Learn  # whichever\n\nnumpy==2.2.0\n-r more.txt\ngit+https://h.example/x.git\n"


def test_a_list_of_ours_is_read_with_its_wheels() -> None:
    """
    Forks keep their markers, and a local package is named by its wheel.
    """
    found = packages_of(OURS)

    assert {
        "mlflow": "3.17.0",
        "numpy": '2.2.0 ; python_full_version < "3.12", 2.3.0 ; python_full_version >= "3.12"',
        "my-features": "1.2.0 (wheel)",
    } == found


def test_a_list_of_others_is_read_as_far_as_it_goes() -> None:
    """
    What MLflow guessed, or a person wrote, need not be exact.
    """
    found = packages_of(FOREIGN)

    assert {
        "mlflow": ">=3",
        "scikit-learn": "any",
        "numpy": "==2.2.0",
        "-r more.txt": "",
        "git": "+https://h.example/x.git",
    } == found


def test_only_packages_that_differ_are_told() -> None:
    """
    Added, removed, changed; everything else is the same and takes no row.
    """
    candidate = packages_of("a==1\nb==2\nc==1\n")
    champion = packages_of("a==1\nb==1\nd==1\n")

    table = package_changes(candidate, champion)

    assert (("b", "2", "1", "changed"), ("c", "1", "-", "added"), ("d", "-", "1", "removed")) == table.rows


@given(st.dictionaries(st.sampled_from("abcde"), st.sampled_from(["1", "2"])))
def test_a_model_does_not_differ_from_itself(packages: dict[str, str]) -> None:
    """
    Whatever it is made of.
    """
    table = package_changes(packages, dict(packages))

    assert () == table.rows


LARGEST = sys.float_info.max  # as which SQLite keeps infinity


def test_metrics_stand_side_by_side() -> None:
    """
    The difference has a sign, and there is none where one side has no number.
    """
    candidate = {"accuracy": 0.9556, "f1": 0.5, "new": 1.0, "odd": math.nan, "loss": LARGEST}
    champion = {"accuracy": 0.9, "f1": 0.5, "old": 2.0, "odd": 1.0, "loss": 0.5}

    table = metric_table(candidate, champion)

    assert (
        ("accuracy", "0.9556", "0.9", "↑ +0.0556"),
        ("f1", "0.5", "0.5", "0"),
        ("loss", "inf", "0.5", "-"),
        ("new", "1", "-", "-"),
        ("odd", "nan", "1", "-"),
        ("old", "-", "2", "-"),
    ) == table.rows


@pytest.mark.parametrize("champion", [None, {}, {"accuracy": 1.0}])
def test_every_row_has_a_cell_for_each_column(champion: dict[str, float] | None) -> None:
    """
    With a champion or without one.
    """
    table = metric_table({"accuracy": 1.0}, champion)

    assert {len(table.columns)} == {len(row) for row in table.rows}
