"""On which platforms the packages of a version can be installed."""

from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.model.model_files import LOCK
from mlflow_uv.ops.report.platforms import platforms_table
from tests.unit.core.lock_difference.locks import lock_text, package
from tests.unit.core.release.test_record import WHOLE

RECORD = replace(WHOLE, model=replace(WHOLE.model, python="3.11.9"), selection=Selection())
TARGETS = ["linux-x86_64-py3.11", "linux-aarch64-py3.11", "macos-arm64-py3.11", "windows-x86_64-py3.11"]


def written(folder: Path, text: str) -> Path:
    """A model with a lock."""
    lock = folder / LOCK
    lock.parent.mkdir(parents=True)
    lock.write_text(text)
    (lock.parent / "pyproject.toml").write_text("[project]\nname = 'wine'\nversion = '1'\n")
    return folder


def test_each_platform_has_its_packages_and_what_stops_it(tmp_path: Path) -> None:
    """
    A wheel for Linux on one machine alone fits no other; the project itself is a wheel in the model.
    """
    grape = package("grape", tag="cp311-cp311-manylinux_2_28_x86_64", size=2_000_000)
    model = written(tmp_path, lock_text(grape, package("yeast"), needs=("grape", "yeast")))

    table = platforms_table(model, RECORD)

    assert table is not None
    assert TARGETS == [row[0] for row in table.rows]
    assert ("3", "3.0 MB", "✓ from wheels") == table.rows[0][1:]
    assert {"✗ grape 1.0: cannot be installed"} == {row[3] for row in table.rows[1:]}


@pytest.mark.parametrize(
    ("sizes", "download"),
    [
        ((1_500_000, 2_000_000), "3.5 MB"),
        ((1_500_000, None), "1.5 MB, without 1 package of unknown size"),
        ((None, None), "unknown"),
    ],
)
def test_a_lock_without_sizes_has_no_number(
    tmp_path: Path, sizes: tuple[int | None, int | None], download: str
) -> None:
    """
    Some indexes give none, and nothing is not a size.
    """
    packages = [package(name, size=size) for name, size in zip(("grape", "yeast"), sizes, strict=True)]

    table = platforms_table(written(tmp_path, lock_text(*packages, needs=("grape", "yeast"))), RECORD)

    assert table is not None
    assert {download} == {row[2] for row in table.rows}


def test_a_platform_that_the_lock_leaves_out_is_unknown(tmp_path: Path) -> None:
    """
    With the key of the lock that says so.
    """
    text = lock_text(package("grape"), needs=("grape",))
    model = written(tmp_path, text.replace(">=3.10", ">=3.12"))

    table = platforms_table(model, RECORD)

    assert table is not None
    assert {("", "", "? `requires-python` of the lock is >=3.12")} == {row[1:] for row in table.rows}


def test_a_model_without_a_lock_has_no_table(tmp_path: Path) -> None:
    """
    As those that another program logged.
    """
    assert platforms_table(tmp_path, RECORD) is None


def test_a_lock_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """
    Of one kind.
    """
    with pytest.raises(ValueError, match="the lock of the model cannot be read"):
        platforms_table(written(tmp_path, "version = 9\n"), RECORD)
