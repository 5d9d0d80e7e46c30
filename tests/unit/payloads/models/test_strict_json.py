"""JSON of which every parser gets the same values."""

import pytest

from mlflow_uv.core.security.documents import parse_json
from mlflow_uv.core.security.toml_documents import Unparsable
from mlflow_uv.payloads.models.strict_json import RepeatedName, strict_json


def test_an_object_with_a_name_twice_is_refused_as_where_the_server_is_asked() -> None:
    """
    Otherwise training takes a prediction that the comparison with the server's response calls malformed.
    """
    text = '{"predictions": [{"1": 2.0, "1": 3.0}]}'

    with pytest.raises(RepeatedName, match="has the name '1' twice"):
        strict_json(text)
    with pytest.raises(Unparsable, match="has the name '1' twice"):
        parse_json(text)


def test_any_other_document_is_read_as_it_is() -> None:
    """
    The same name may be in two objects, and numbers may be what JSON does not have.
    """
    document = strict_json('{"predictions": [{"a": 1, "b": {"a": NaN}}, {"a": 2}]}')

    assert [1, 2] == [row["a"] for row in document["predictions"]]
