"""Packages whose files are not those that uv installed; test_edited_environment does the same with a real uv."""

from pathlib import Path

import pytest

from mlflow_uv.tools.uv.environment_state import Differences, EnvironmentState, foreign_content
from tests.unit.tools.layers.test_recorded_packages import SITE, package, signed


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment with two packages that share a folder, and a link of uv."""
    folder = tmp_path / "environment"
    package(folder, "grape", {"cellar/grape.py": b"red", "../../../bin/grape": b"#!"})
    package(folder, "plum", {"cellar/plum.py": b"blue"})
    (folder / "pyvenv.cfg").write_text("home = /usr")
    (folder / "bin" / "python").symlink_to("/usr/bin/python3")
    EnvironmentState(folder=folder).keep()
    return folder


def differences(environment: Path) -> Differences:
    return EnvironmentState(folder=environment).differences()


@pytest.mark.parametrize(
    ("path", "packages", "beyond"),
    [
        ("cellar/grape.py", ("grape", "plum"), ()),  # which of the two is not known
        ("grape-1.0.dist-info/METADATA", ("grape",), ()),
        ("../../../bin/grape", ("grape",), ()),
        ("cellar/grape.pyc", ("grape", "plum"), ()),  # imported without a source
        ("stray.pth", (), (f"{SITE}/stray.pth",)),
        ("../../../pyvenv.cfg", (), ("pyvenv.cfg",)),
        ("../../../bin/python", (), ("bin/python",)),
        ("../../../share/grape.txt", (), ()),  # neither Python nor a shell looks there
    ],
)
def test_a_change_is_one_of_packages_or_of_the_environment(
    environment: Path, path: str, packages: tuple[str, ...], beyond: tuple[str, ...]
) -> None:
    """
    A package can be installed again; anything else needs another environment.
    """
    unchanged = differences(environment)
    place = environment / SITE / path
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    place.write_text("as before")

    changed = differences(environment)

    assert Differences(known=True) == unchanged
    assert Differences(known=True, packages=packages, beyond=beyond) == changed


def test_bytecode_is_no_difference(environment: Path) -> None:
    """
    Python writes it anew.
    """
    for name in ("__pycache__/a.pyc", "cellar/__pycache__/grape.cpython-311.pyc"):
        (environment / SITE / name).parent.mkdir(exist_ok=True)
        (environment / SITE / name).write_text("new")

    assert Differences(known=True) == differences(environment)


@pytest.mark.parametrize("text", ["", "[]", "{", None])
def test_a_state_that_cannot_be_read_is_none(environment: Path, text: str | None) -> None:
    """
    Then the content is compared instead.
    """
    file = EnvironmentState(folder=environment).file
    file.write_text(text) if text is not None else file.unlink()

    assert not differences(environment).known


def test_packages_with_a_record_that_cannot_be_read_are_beyond_repair(environment: Path) -> None:
    """
    Nothing says which files are theirs.
    """
    (environment / SITE / "grape-1.0.dist-info" / "RECORD").write_text("../../../../outside,,\n")

    assert (f"{SITE}/grape-1.0.dist-info",) == differences(environment).beyond


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ("", []),
        (signed("grape.py", b"red"), []),
        (signed("grape.py", b"blue"), ["grape"]),
        (signed("missing.py", b""), ["grape"]),
        ("grape.py,,\n", []),
        ("grape.py,md5=abc,3\n", ["grape"]),
        (signed("__pycache__/grape.pyc", b"blue"), []),
        (signed("grape.pyc", b"blue"), ["grape"]),
        (signed("shared.py", b"of grape"), []),
        (signed("grape.py", b"red") + signed("grape.py", b"red"), []),
    ],
    ids=[
        "none",
        "right",
        "wrong",
        "missing",
        "unsigned",
        "unknown digest",
        "bytecode",
        "no source",
        "of another",
        "twice",
    ],
)
def test_content_is_compared_with_every_record_that_lists_a_file(tmp_path: Path, rows: str, found: list[str]) -> None:
    """
    Of two packages that bring one file, uv installs either.
    """
    package(tmp_path, "grape", {}, rows)
    package(tmp_path, "plum", {"shared.py": b"of plum"})
    for name in ("grape.py", "grape.pyc"):
        (tmp_path / SITE / name).write_text("red")

    of_all, of_plum = foreign_content(tmp_path), foreign_content(tmp_path, ("plum",))

    assert (found, ()) == ([file.package for file in of_all], of_plum)
