"""Front matter is YAML that is read as it was meant."""

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_uv.core.card.front_matter import front_matter

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.one_of(TEXTS, st.integers(-9, 9), st.booleans(), st.floats(allow_nan=False, allow_infinity=False))


@settings(max_examples=50)
@given(text=TEXTS, items=st.lists(VALUES, min_size=1), inner=st.dictionaries(st.just("key"), VALUES, min_size=1))
def test_every_value_is_read_as_it_was_written(text: str, items: list[object], inner: dict[str, object]) -> None:
    """
    Whatever characters a text has, and however lists and mappings are nested.
    """
    values = {"text": text, "items": items, "list": [{"name": text, "inner": inner}, {"name": text, "items": items}]}

    document = front_matter(values)

    assert (True, True) == (document.startswith("---\n"), document.endswith("\n---\n"))
    assert values == yaml.safe_load(document.removeprefix("---\n").removesuffix("---\n"))
