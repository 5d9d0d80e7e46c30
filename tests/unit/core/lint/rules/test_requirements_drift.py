"""Which lists differ from the lock beside them."""

import pytest


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("mlflow==3.4.0\n", []),
        ("# comment\n--index-url https://index.test\n-e .\nmlflow[extras]==3.4 ; python_version > '3'  # why\n", []),
        ("mlflow==3.4.0+local\n", []),
        ("mlflow>=3,<4\nruff~=0.14.0\nruff!=0.1\nruff==0.14.*\n", []),
        ("mlflow>=3rc1\nmlflow===weird\n", [2]),
        ("ruff==0.14.2\r\nMLflow == 2.9.1\r\n", [2]),
        ("mlflow<3\n", [1]),
        ("mlflow==2.9.1 \\\n    --hash=sha256:00\n", [1]),
        ("streamlit\n", [1]),
        ("./wheels/x.whl\nhttps://a.test/b.whl\n\0\n@@@\n", []),
    ],
)
def test_a_difference_is_found_at_its_line(find, text: str, lines: list[int]) -> None:
    """
    The first of them, in one finding; what cannot be compared is no difference.
    """
    found = find("requirements-drift", {"requirements.txt": text})

    assert lines == [line for _, line, _ in found]


def test_a_list_of_another_folder_is_not_compared(find) -> None:
    """
    A service may have packages of its own; a list for one purpose need not be complete.
    """
    files = {"web/requirements.txt": "mlflow==1\n", "requirements-docs.txt": "mkdocs\n"}

    assert [] == find("requirements-drift", files)
