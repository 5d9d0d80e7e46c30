"""What helps a model that its own environment cannot load or ask."""

import pytest

from mlflow_uv.core.model import error_hints


@pytest.mark.parametrize(
    ("reader", "text", "found"),
    [
        (error_hints.missing_module, "ModuleNotFoundError: No module named 'helpers.columns'", "helpers"),
        (
            error_hints.missing_library,
            "OSError: libgomp.so.1: cannot open shared object file: No such file or directory",
            "libgomp.so.1",
        ),
        (
            error_hints.untrusted_fix,
            "Root error: Untrusted types found in the file: ['sklearn.tree._tree.Tree'].\n- sklearn.tree",
            "log_model(..., skops_trusted_types=['sklearn.tree._tree.Tree']), if you trust them",
        ),
        (error_hints.untrusted_fix, "ValueError: no", ""),
        (
            error_hints.category_fix,
            "ValueError: train and valid dataset categorical_feature do not match.",
            "convert the columns with astype(...) in the model's predict: JSON has only text and numbers",
        ),
        (error_hints.category_fix, "ValueError: no", ""),
        (
            error_hints.answer_fix,
            "request 1: TypeError: Object of type set is not JSON serializable",
            "convert the set in the model's predict, as by list(...), float(...) or str(...): JSON has no such type",
        ),
        (error_hints.answer_fix, "TypeError: no", ""),
    ],
)
def test_what_a_model_died_of_tells_what_it_lacks(reader: object, text: str, found: str) -> None:
    """
    In the words of Python, of the dynamic linker, of skops and of the libraries that know categories.
    """
    assert callable(reader)

    assert found == reader(text)


@pytest.mark.parametrize(
    ("text", "reason", "names"),
    [
        ("KeyError: 'first'\nKeyError: 'MODEL_KEY'", "KeyError: 'MODEL_KEY'", ("MODEL_KEY", "first")),
        ("KeyError: 'a b'", "KeyError: 'a b'", ()),
        ("", "OpenAIError: pass api_key or set the OPENAI_API_KEY environment variable", ("OPENAI_API_KEY",)),
        ("FLAG_OF_A_TRACEBACK", "ValueError: HTTP and JSON", ()),
    ],
)
def test_a_variable_that_a_model_misses_is_found_by_its_name(text: str, reason: str, names: tuple[str, ...]) -> None:
    """
    The key of the last KeyError comes first; a library may ask for a variable in words of its own.
    """
    found = error_hints.variables_in(text, reason)

    assert names == found
