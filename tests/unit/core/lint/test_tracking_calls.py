"""Which lines set a literal tracking URI."""

import pytest

from mlflow_uv.core.lint.tracking_calls import literal_tracking_uris


def test_lines_are_in_their_order() -> None:
    """
    Nested calls included.
    """
    calls = ('MlflowClient("http://a.test")', 'set_tracking_uri("mlruns")', 'set_tracking_uri("./a")')
    text = f"def f():\n    {calls[0]}\n{calls[1]}\nif env.config:\n    {calls[2]}\n"

    assert [2, 3] == list(literal_tracking_uris(text))


def test_a_text_of_another_python_has_none() -> None:
    """
    Nor does one with a NUL.
    """
    assert [[], []] == [list(literal_tracking_uris(text)) for text in ("print 1", "\0")]


@pytest.mark.parametrize("test", ["+".join(["a"] * 2_000), f"0x{'F' * 9_000}"], ids=["deep", "large"])
def test_any_condition_is_read(test: str) -> None:
    """
    One that cannot be written back as text, too.
    """
    assert [2] == list(literal_tracking_uris(f'if {test}:\n    set_tracking_uri("http://a.test")\n'))
