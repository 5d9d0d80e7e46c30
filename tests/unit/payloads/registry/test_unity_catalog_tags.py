"""The names and values of tags in Unity Catalog, and how they are read back."""

import re

import pytest

from mlflow_uv.payloads.messages import tags as names
from mlflow_uv.payloads.registry.unity_catalog_tags import (
    LONGEST_VALUE,
    catalog_name,
    catalog_tags,
    original_name,
    original_tags,
)

OURS = sorted(value for value in vars(names).values() if isinstance(value, str) and value.startswith("mlflow-uv."))
ODD = [
    "mlflow-uv.audit.20260101T000000.000000Z-ab12", "mlflow-uv.deployment.a_b", "mlflow-uv.deployment.a-b",
    "mlflow-uv.deployment.a.b", "mlflow-uv.deployment.a--b", "mlflow-uv.deployment.a..b", "mlflow-uv.deployment.a__b",
    "mlflow-uv.deployment.a-5f", "mlflow-uv.deployment.a_-5f", "mlflow-uv.deployment.größer / =:,", "mlflow-uv.-",
    "mlflow-uv.deployment.___part1", "mlflow-uv.plugin.",
]  # fmt: skip


@pytest.mark.parametrize("name", [*OURS, *ODD])
def test_a_name_has_allowed_characters_and_is_read_back(name: str) -> None:
    """
    Letters, digits and underscores alone, for every tag of this program and for names that people choose.
    """
    there = catalog_name(name)

    assert (True, name) == (re.fullmatch(r"\w+", there, re.ASCII) is not None, original_name(there))


def test_two_names_are_never_one() -> None:
    """
    A hyphen, a dot, an underscore and several of them at one place stay different.
    """
    assert len({*OURS, *ODD}) == len({catalog_name(name) for name in {*OURS, *ODD}})


@pytest.mark.parametrize("name", ["team", "mlflow.note", "mlflow_uv", "a__b", "mlflow_uv_x"])
def test_tags_of_others_are_left_as_they_are(name: str) -> None:
    """
    Also those that the catalog refuses: its error is for whoever sets one.
    """
    long = "x" * 2000

    assert ((name, long),) == catalog_tags(name, long)
    assert {name: long} == original_tags({name: long})


@pytest.mark.parametrize("length", [0, 1, LONGEST_VALUE, LONGEST_VALUE + 1, 100_000])
def test_a_value_of_any_length_is_read_back(length: int) -> None:
    """
    In parts that the catalog accepts, of which that with the name is the last one written.
    """
    name, value = "mlflow-uv.audit.x", ("ö\n" * length)[:length]
    written = catalog_tags(name, value)

    assert {name: value} == original_tags(dict(written))
    assert (catalog_name(name), True) == (written[-1][0], max(len(part) for _, part in written) <= LONGEST_VALUE)


@pytest.mark.parametrize("change", ["lost", "other", "first", "many"])
def test_a_long_value_whose_parts_do_not_belong_together_is_not_read(change: str) -> None:
    """
    A part of another value, or none, is plausible text: what is read is the text of the first tag, which is no JSON.
    """
    name = "mlflow-uv.audit.x"
    tags = dict(catalog_tags(name, "[" + "1," * 2000 + "1]"))
    head = catalog_name(name)
    part = next(key for key in tags if key != head)
    if change == "lost":
        del tags[part]
    elif change == "other":
        tags[part] = tags[part].replace("1", "2", 1)
    else:
        digits = "mlflow-uv+1 " if change == "first" else f"mlflow-uv+{10**30} "
        tags[head] = re.sub(r"mlflow-uv\+\d+ ", digits, tags[head])

    assert {name: tags[head]} == original_tags(tags)
    assert original_tags(tags)[name].startswith("mlflow-uv+")


def test_a_short_value_after_a_long_one_is_read_without_its_parts() -> None:
    """
    The parts of the long one are still there, and are no tags of their own.
    """
    name = "mlflow-uv.reason"
    tags = {**dict(catalog_tags(name, "x" * 5000)), **dict(catalog_tags(name, "short"))}

    assert {name: "short"} == original_tags(tags)
    assert len(tags) > 1


@pytest.mark.parametrize("name", ["mlflow_uv__x___ff", "mlflow_uv__", "mlflow_uv_____", "mlflow_uv__x___fz"])
def test_any_name_can_be_read(name: str) -> None:
    """
    Who may write tags can write such a name.
    """
    assert [original_name(name)] == list(original_tags({name: "x"}))
