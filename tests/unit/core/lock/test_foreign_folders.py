"""The folders of others have no separators."""

from mlflow_uv.core.lock.foreign_folders import FOREIGN_FOLDERS


def test_a_name_is_one_part_of_a_path() -> None:
    """
    Paths are compared part by part.
    """
    assert not any("/" in name for name in FOREIGN_FOLDERS)
