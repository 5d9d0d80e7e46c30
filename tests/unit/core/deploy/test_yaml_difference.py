"""What differs between two YAML texts: the expected values, and nothing else."""

import pytest

from mlflow_uv.core.deploy.yaml_difference import YamlSource, YamlValue, difference, has_value, same_values
from mlflow_uv.core.deploy.yaml_documents import YamlPath, node_at, parsed_yaml

BEFORE = "a: {b: old, c: [1, x]}\nd: e\n"
PLACE: YamlPath = (0, "a", "b")


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ("a: {b: new, c: [1, x]}\nd: e\n", None),
        ("a:\n  'b': \"new\"\n  c:\n  - 1\n  - x\nd: e # note\n", None),
        (BEFORE, "not be read back"),
        ("a: {b: newer, c: [1, x]}\nd: e\n", "not be read back"),
        ("a: {b: [new], c: [1, x]}\nd: e\n", "not be read back"),
        ("a: {c: [1, x]}\nd: e\n", "not be read back"),
        ("a: {b: new, c: [1, y]}\nd: e\n", "another value"),
        ("a: {b: new, c: ['1', x]}\nd: e\n", "another value"),
        ("a: {b: new, c: [1]}\nd: e\n", "another value"),
        ("a: {b: new, c: {1: x}}\nd: e\n", "another value"),
        ("a: {b: new}\nd: e\n", "another value"),
        ("a: {b: new, c: [1, x], f: 1}\nd: e\n", "another value"),
        ("a: {b: new, c: [1, x]}\nd: f\n", "another value"),
        ("a: {b: new, c: [1, x]}\ng: e\n", "another value"),
        ("a: [new]\nd: e\n", "become something else"),
        (f"{BEFORE}---\na: 1\n", "number of documents"),
    ],
)
def test_another_change_than_the_expected_one_is_found(after: str, why: str | None) -> None:
    """
    By what a reader gets: quotes, comments and the style of a list are no difference, the type of a value is one.
    """
    old, new = parsed_yaml(BEFORE.encode(), "f"), parsed_yaml(after.encode(), "f")

    found = difference(old, new, {PLACE: "new"})

    assert (found is None) == (why is None)
    assert (why or "") in (found or "")


@pytest.mark.parametrize("alias", ["d: *b", "d: {<<: *a}", "d: [*a]", "d: {x: {y: *c}}"])
def test_a_change_that_an_alias_takes_elsewhere_is_found(alias: str) -> None:
    """
    The text of the other place is the same, and its value is not.
    """
    texts = [f"a: &a {{b: &b {value}, c: &c {{b: {value}}}}}\n{alias}\n" for value in ("old", "new")]
    values: dict[YamlPath, YamlValue] = {PLACE: "new", (0, "a", "c", "b"): "new"}

    old, new = (parsed_yaml(text.encode(), "f") for text in texts)
    found = difference(old, new, values)

    assert "an alias or a merge" in (found or "")


def test_a_value_that_is_to_be_gone_is_a_difference_like_another() -> None:
    """
    It is expected where the other text has none.
    """
    old, new = parsed_yaml(BEFORE.encode(), "f"), parsed_yaml(b"a: {c: [1, x]}\nd: e\n", "f")

    assert difference(old, new, {PLACE: YamlSource(node=None)}) is None
    assert difference(old, old, {PLACE: YamlSource(node=None)}) is not None
    assert (False, True) == (same_values((old, PLACE), (new, PLACE)), same_values((old, (0, "d")), (new, (0, "d"))))
    assert has_value(node_at(new, PLACE), YamlSource(node=None))
