"""What a program wrote into the files that a runner obeys is taken out again, and named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mlflow_uv.surfaces.commandfiles import CommandFiles


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """A runner's variables, and its files, of which one holds a line already."""
    named = {name: str(tmp_path / name.lower()) for name in ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")}
    for path in named.values():
        Path(path).touch()
    Path(named["GITHUB_STEP_SUMMARY"]).write_text("before\n")
    return named


def append(path: Path) -> None:
    """Add a line."""
    with path.open("a") as file:
        file.write("LD_PRELOAD=/evil.so\n")


def link(path: Path) -> None:
    """Put another file in its place."""
    path.unlink()
    (path.parent / "other").write_text("LD_PRELOAD=/evil.so\n")
    path.symlink_to(path.parent / "other")


@pytest.mark.parametrize("spoil", [append, link, Path.unlink], ids=["written", "replaced", "removed"])
@pytest.mark.parametrize(("name", "content"), [("GITHUB_ENV", ""), ("GITHUB_STEP_SUMMARY", "before\n")])
def test_a_changed_file_is_put_back_and_named(
    variables: dict[str, str], spoil: Callable[[Path], None], name: str, content: str
) -> None:
    """
    The runner finds what was there before; the error says which of its files it was.
    """
    files = CommandFiles.of(variables, train_env=())
    spoil(Path(variables[name]))

    (finding,) = files.restored()

    assert (content, False) == (Path(variables[name]).read_text(), Path(variables[name]).is_symlink())
    assert ("runner-files-written", "error") == (finding.rule, finding.severity.value)
    assert name in finding.what
    assert () == files.restored()


def test_what_nobody_changed_is_no_finding(variables: dict[str, str]) -> None:
    """
    Most programs know nothing of a runner.
    """
    assert () == CommandFiles.of(variables, train_env=()).restored()


def test_what_training_was_handed_is_its_own(variables: dict[str, str]) -> None:
    """
    Who names the summary lets training write one.
    """
    files = CommandFiles.of(variables, train_env=("GITHUB_STEP_SUMMARY",))
    append(Path(variables["GITHUB_STEP_SUMMARY"]))

    assert () == files.restored()


def test_no_runner_no_files() -> None:
    """
    On a laptop there is nothing to look after.
    """
    assert () == CommandFiles.of({"PATH": "/bin"}, train_env=()).restored()
