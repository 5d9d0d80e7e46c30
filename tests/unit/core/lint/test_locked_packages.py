"""The lines of a lock are read as its TOML would be."""

import pytest

from mlflow_uv.core.lint.locked_packages import locked_packages
from mlflow_uv.core.lock.lockfile import read_lockfile
from tests.house.files import ROOT


@pytest.mark.parametrize("path", sorted(ROOT.glob("**/uv.lock")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_real_lock_has_the_packages_that_its_toml_has(path) -> None:
    """
    Names, versions and the range of Pythons, also with the line ends of Windows.
    """
    data = path.read_bytes()
    parsed = read_lockfile(data)

    unix = locked_packages(data.decode(), folder="")
    windows = locked_packages(data.decode().replace("\n", "\r\n"), folder="")

    versions = {name: tuple(p.version for p in packages if p.version) for name, packages in parsed.by_name.items()}
    assert (versions, parsed.requires_python) == (unix.versions, unix.requires_python)
    assert unix == windows


@pytest.mark.parametrize("text", ["", "\0", "[[package]]\n", "\n[[package]]\nname = 1\n", "<<<<<<< a\n"])
def test_any_other_text_has_none(text: str) -> None:
    """
    check-lock reports it.
    """
    assert {} == locked_packages(text, folder="").versions
