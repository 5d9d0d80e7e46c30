"""What helps a model that its own environment cannot load or ask."""

import pytest

from mlflow_uv.core import modelhints


@pytest.mark.parametrize(
    ("reader", "text", "found"),
    [
        (modelhints.missing_variable, "the model cannot be loaded: KeyError: 'MODEL_KEY'", "MODEL_KEY"),
        (modelhints.missing_variable, "KeyError: 'a b'", ""),
        (modelhints.missing_module, "ModuleNotFoundError: No module named 'helpers.columns'", "helpers"),
        (
            modelhints.missing_library,
            "OSError: libgomp.so.1: cannot open shared object file: No such file or directory",
            "libgomp.so.1",
        ),
        (
            modelhints.untrusted_fix,
            "Root error: Untrusted types found in the file: ['sklearn.tree._tree.Tree'].\n- sklearn.tree",
            "log_model(..., skops_trusted_types=['sklearn.tree._tree.Tree']), if you trust them",
        ),
        (modelhints.untrusted_fix, "ValueError: no", ""),
        (
            modelhints.category_fix,
            "ValueError: train and valid dataset categorical_feature do not match.",
            "let its predict make the columns categories, by astype(...): JSON has text and numbers alone",
        ),
        (modelhints.category_fix, "ValueError: no", ""),
    ],
)
def test_what_a_model_died_of_tells_what_it_lacks(reader: object, text: str, found: str) -> None:
    """
    In the words of Python, of the dynamic linker, of skops and of the libraries that know categories.
    """
    assert callable(reader)

    assert found == reader(text)
