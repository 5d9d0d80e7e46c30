"""The model is loaded in a thread that ends, and a failure is one sentence with the traceback of its reason."""

import sys
import threading
from pathlib import Path

import pytest

from mlflow_uv.serving.model.loading import CannotLoad, fail, imported_first, run_in_thread


def test_the_thread_that_loaded_has_ended() -> None:
    """
    Its result is returned, and nothing of it is left for a fork to lose.
    """
    before = threading.active_count()

    loader = run_in_thread(threading.current_thread)

    assert (before, False) == (threading.active_count(), loader.is_alive())


def test_an_error_of_the_thread_is_raised_here() -> None:
    """
    Also one that is no Exception, such as the exit of a model's code.
    """
    with pytest.raises(SystemExit, match="7"):
        run_in_thread(lambda: sys.exit(7))


def test_a_failure_is_one_sentence_with_a_traceback() -> None:
    """
    The lines of a message with several become one.
    """
    with pytest.raises(CannotLoad) as raised:
        fail("The model cannot be served", ValueError("a\n  b"))

    assert "The model cannot be served: ValueError: a b" == str(raised.value)
    assert "ValueError: a\n  b\n" == raised.value.trace


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("flavors:\n  sklearn:\n    code: null\n    serialization_format: skops\n", ("scipy.special", "skops.io")),
        ("flavors:\n  python_function:\n    code: code\n  sklearn:\n    serialization_format: skops\n", ()),
        ("flavors:\n  sklearn:\n    serialization_format: cloudpickle\n", ()),
        ("metadata:\n  note: |\n    serialization_format: skops, once\n", ()),
    ],
)
def test_only_a_library_that_the_model_cannot_replace_is_imported_first(
    tmp_path: Path, description: str, expected: tuple[str, ...]
) -> None:
    """
    A model with code of its own may have a module with the library's name.
    """
    (tmp_path / "MLmodel").write_text(description)

    assert expected == imported_first(tmp_path)


def test_a_model_that_cannot_be_read_imports_nothing(tmp_path: Path) -> None:
    """
    MLflow says what is wrong with it.
    """
    assert () == imported_first(tmp_path)
