"""The environments on a node of a Ray cluster: made once, kept while a replica uses them, and bounded in number."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlflow_uv.ray_serve.environments import UNUSED, NodeEnvironment, environment, locked
from mlflow_uv.ray_serve.node import Unusable


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a stand-in of uv on the PATH, which fails as long as there is a file `broken`."""
    programs = tmp_path / "bin"
    programs.mkdir()
    uv = programs / "uv"
    uv.write_text(
        f'#!/bin/sh\necho "$@" >> "{tmp_path}/log"\nif [ -e "{tmp_path}/broken" ]; then echo "no wheel"; exit 2; fi\n'
        'if [ "$1" = venv ]; then for last; do :; done; rm -rf "$last"; mkdir -p "$last/bin" "$last/lib/__pycache__"\n'
        'touch "$last/bin/python"; echo 1 > "$last/lib/six.py"; ln -s lib "$last/lib64"\n'
        f'cached="{tmp_path}/cached-$(basename "$last").py"; echo 1 > "$cached"\n'
        'ln -s "$cached" "$last/lib/linked.py"; fi\n'
    )
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def of(node: Path, number: int) -> NodeEnvironment:
    """The environment of a model of this number."""
    model = node / f"model-{number}"
    model.mkdir(exist_ok=True)
    (model / "requirements.txt").write_text(f"six==1.16.{number} --hash=sha256:a\n")
    return environment(model, "requirements.txt", "3.12", node / "cache")


def calls(node: Path) -> list[str]:
    """What uv was asked."""
    return (node / "log").read_text().splitlines()


def kept(node: Path) -> set[str]:
    """The names of all environments and of the files beside them, without the suffix of these."""
    return {path.name.removesuffix(".lock") for path in (node / "cache").iterdir()}


def test_an_environment_is_made_once_and_by_the_hashes(node: Path) -> None:
    """
    A failed attempt leaves none, and the reason is what uv said.
    """
    (node / "broken").touch()

    with pytest.raises(Unusable, match="no wheel"):
        of(node, 1)
    (node / "broken").unlink()
    first = of(node, 1)
    asked = len(calls(node))
    second = of(node, 1)

    assert (first.python, asked) == (second.python, len(calls(node)))
    assert "--no-deps --require-hashes" in calls(node)[-1]


def test_environments_that_no_replica_uses_are_removed_but_for_the_last_ones(node: Path) -> None:
    """
    One that is used stays, however old; one that was used again counts from then.
    """
    used = of(node, 0)
    names = [of(node, number).python.parents[1].name for number in range(1, UNUSED + 1)]
    again = of(node, 1).python.parents[1].name
    following = of(node, UNUSED + 1).python.parents[1].name
    last = of(node, UNUSED + 2).python.parents[1].name

    assert {used.python.parents[1].name, names[2], again, following, last} == kept(node)
    assert used.python.is_file()


def test_what_is_left_of_a_removal_is_no_environment(node: Path) -> None:
    """
    A removal that is killed leaves the folder without its mark; the next replica makes it again.
    """
    folder = of(node, 1).python.parents[1]
    (folder / "complete").unlink()
    asked = len(calls(node))

    made = of(node, 1)

    assert (folder, 2) == (made.python.parents[1], len(calls(node)) - asked)
    assert (folder / "complete").is_file()


def edit(library: Path) -> None:
    """Replace a file by another one of the same size."""
    library.joinpath("six.py").unlink()
    library.joinpath("six.py").write_text("2\n")


CHANGES: dict[str, Callable[[Path], object]] = {
    "edited": edit,
    "longer": lambda library: library.joinpath("six.py").write_text("1\n2\n"),
    "through a link": lambda library: library.joinpath("linked.py").write_text("1\n2\n"),
    "added": lambda library: library.joinpath("sitecustomize.py").write_text("\n"),
    "compiled": lambda library: library.joinpath("sitecustomize.pyc").write_bytes(b""),
    "removed": lambda library: library.joinpath("six.py").unlink(),
    "link": lambda library: library.joinpath("six.pth").symlink_to("/tmp"),
    "folder": lambda library: library.joinpath("six").symlink_to(library.parent / "bin"),
    "mark": lambda library: library.with_name("complete").write_text(""),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_environment_that_was_changed_is_made_again(node: Path, change: str) -> None:
    """
    A replica runs the files that uv installed, and nothing that came later.
    """
    library = of(node, 1).python.parents[1] / "lib"
    CHANGES[change](library)
    asked = len(calls(node))

    made = of(node, 1)

    assert (library, 2) == (made.python.parents[1] / "lib", len(calls(node)) - asked)
    assert ["__pycache__", "linked.py", "six.py"] == sorted(path.name for path in library.iterdir())
    assert "1\n" == library.joinpath("six.py").read_text() == library.joinpath("linked.py").read_text()


def test_bytecode_is_no_change(node: Path) -> None:
    """
    A server reads it in a folder of its own, and who writes it elsewhere does not keep the next replica waiting.
    """
    made = of(node, 1)
    asked = len(calls(node))
    made.bytecode.mkdir()
    for folder in (made.bytecode, made.python.parents[1] / "lib" / "__pycache__"):
        folder.joinpath("six.pyc").write_bytes(b"")

    of(node, 1)

    assert asked == len(calls(node))


def test_an_environment_that_is_damaged_while_it_is_used_is_not_waited_for_without_end(node: Path) -> None:
    """
    The message names what is to be removed.
    """
    used = of(node, 1)
    folder = used.python.parents[1]

    with pytest.raises(Unusable, match=rf"{folder.name}\.lock beside it"):
        locked(folder, fcntl.LOCK_EX, within_s=0.01)
    del used

    locked(folder, fcntl.LOCK_EX, within_s=0.01).close()


def test_other_files_in_the_folder_are_left_alone(node: Path) -> None:
    """
    Also with the suffix of a lock.
    """
    (node / "cache").mkdir()
    (node / "cache" / "uv.lock").touch()
    (node / "cache" / "uv").mkdir()

    for number in range(UNUSED + 3):
        of(node, number)

    assert "uv" in kept(node)
    assert (node / "cache" / "uv").is_dir()
    assert UNUSED + 2 == len(kept(node))
