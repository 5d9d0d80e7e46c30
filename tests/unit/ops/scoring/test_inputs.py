"""Which files are a table, and when one has changed."""

import os
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.scoring.manifest import Manifest
from mlflow_uv.ops.scoring.inputs import identified, input_table


def test_a_folder_is_all_its_tables(tmp_path: Path) -> None:
    """
    Below it too, without what Spark and pyarrow hide; other files are named.
    """
    for name in ("b.csv", "a/c.parquet", "_SUCCESS", ".hidden.csv", "_old/d.csv", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x\n1\n")

    table = input_table(tmp_path)

    assert (["a/c.parquet", "b.csv"], ("notes.txt",)) == (list(table.files), table.ignored)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("missing.csv", "the input `{}` does not exist"),
        ("empty", "the folder `{}` has no table"),
        ("a.xlsx", "the input `{}` is not of a supported type"),
        ("a.json", "the input `{}` is not of a supported type"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, what: str) -> None:
    """
    With the flag that names another input.
    """
    (tmp_path / "empty").mkdir()
    for file in ("a.xlsx", "a.json"):
        (tmp_path / file).write_text("{}")

    with pytest.raises(BadInput) as caught:
        input_table(tmp_path / name)

    assert what.format(tmp_path / name) == caught.value.what
    assert "--input" in caught.value.fix


def test_a_checkout_decides_by_no_link_what_is_read(tmp_path: Path) -> None:
    """
    A file of a repository that is a link out of it is refused.
    """
    (tmp_path / "secret.csv").write_text("x\n1\n")
    (tmp_path / "checkout" / ".git").mkdir(parents=True)
    (tmp_path / "checkout" / "data").mkdir()
    (tmp_path / "checkout" / "data" / "a.csv").symlink_to(tmp_path / "secret.csv")

    with pytest.raises(BadInput, match="is a link out of"):
        input_table(tmp_path / "checkout" / "data")


def test_a_file_is_read_again_only_if_its_size_or_time_changed(tmp_path: Path) -> None:
    """
    The digest of an untouched file is that of the manifest; a file that was touched is read, and found unchanged.
    """
    file = tmp_path / "a.csv"
    file.write_text("x\n1\n")
    table = input_table(file)
    (before,) = identified(table, None)
    known = Manifest(key="k", run={}, inputs=(before,))
    os.utime(file, ns=(1, 1))

    (touched,) = identified(table, known)
    file.write_text("x\n2\n")
    (changed,) = identified(table, known)

    assert (before.sha256, 1) == (touched.sha256, touched.mtime_ns)
    assert before.sha256 != changed.sha256
