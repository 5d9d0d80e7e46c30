"""What `uv lock` would change, as a patch that git applies and as suggestions of GitHub."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.lock_difference.lock_update import (
    LockUpdate,
    Suggestion,
    apply_command,
    fits,
    is_written,
    suggestions_of,
    updates_of_patch,
)

BEFORE = [f"line {number}" for number in range(40)]


def patch_between(folder: Path, before: bytes | None, after: bytes, *, path: str = "uv.lock") -> bytes:
    """The patch that check-lock writes, by git."""
    for side, data in (("a", before), ("b", after)):
        target = folder / side / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if data is not None:
            target.write_bytes(data)
    first = f"a/{path}" if before is not None else "/dev/null"
    argv = ("git", "diff", "--no-index", "--no-prefix", "--text", "--", first, f"b/{path}")
    return subprocess.run(argv, cwd=folder, capture_output=True, check=False).stdout


def text_of(lines: list[str]) -> bytes:
    """The bytes of a file."""
    return "".join(f"{line}\n" for line in lines).encode()


def after_suggestions(lines: list[str], suggestions: tuple[Suggestion, ...]) -> list[str]:
    """The lines once somebody has clicked on each suggestion."""
    result = list(lines)
    for suggestion in reversed(suggestions):
        result[suggestion.first_line - 1 : suggestion.last_line] = suggestion.lines
    return result


@given(changes=st.dictionaries(st.integers(0, 39), st.sampled_from(["", "new", "new\nnewer"]), min_size=1))
def test_suggestions_and_patch_make_the_new_lock(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[int, str]
) -> None:
    """
    Lines that are changed, added and deleted anywhere: both give what `uv lock` wrote.
    """
    folder = tmp_path_factory.mktemp("patch")
    after = [text for number, line in enumerate(BEFORE) for text in changes.get(number, line).split("\n") if text]

    (update,) = updates_of_patch(patch_between(folder, text_of(BEFORE), text_of(after)))
    suggested = after_suggestions(BEFORE, suggestions_of(update))
    (folder / "uv.lock").write_bytes(text_of(BEFORE))
    subprocess.run(["sh", "-e", "-c", apply_command(update)], cwd=folder, check=True)

    assert (after, text_of(after)) == (suggested, (folder / "uv.lock").read_bytes())
    assert (True, True) == (is_written(update), fits(update, text_of(BEFORE)))


def test_lines_that_are_only_added_come_with_a_neighbour(tmp_path: Path) -> None:
    """
    A suggestion replaces at least one line: the one before, and at the top of the file the one after.
    """
    after = ["top", *BEFORE[:20], "middle", *BEFORE[20:]]

    (update,) = updates_of_patch(patch_between(tmp_path, text_of(BEFORE), text_of(after)))

    assert [(1, 1, ("top", "line 0")), (20, 20, ("line 19", "middle"))] == [
        (each.first_line, each.last_line, each.lines) for each in suggestions_of(update)
    ]


@pytest.mark.parametrize("folder", ["", "ümläut and space", "it's $HOME"])
def test_the_commands_update_a_lock_in_a_folder_with_any_name(tmp_path: Path, folder: str) -> None:
    """
    git and the shell read the path as it is.
    """
    path = f"{folder}/uv.lock" if folder else "uv.lock"
    (update,) = updates_of_patch(patch_between(tmp_path, b"a\n", b"b\n", path=path))
    target = tmp_path / path
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(b"a\n")

    subprocess.run(["sh", "-e", "-c", apply_command(update)], cwd=tmp_path, check=True)
    shown = subprocess.run(
        ["sh", "-c", f'uv() {{ printf "%s|" "$@"; }}; {update.command}'], capture_output=True, text=True, check=True
    )

    expected = f"lock|--project|{folder}|" if folder else "lock|"
    assert (b"b\n", expected) == (target.read_bytes(), shown.stdout)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, b"new\n"),
        (b"a\r\n", b"b\r\n"),
        (b"a\n", b"b"),
        (b"a\n", b"\xff\x1b[1m\n"),
        (b"a\n", "\u202e\n".encode()),
        (b"a\n", b"b" * 2000 + b"\n"),
        (b"a\n", b"b\n" * 500),
        (b"", b"b\n"),
    ],
)
def test_an_update_that_cannot_be_shown_is_only_named(tmp_path: Path, before: bytes | None, after: bytes) -> None:
    """
    A new lock, other line ends, no line end at the end, characters that control a terminal, and what is too long.
    """
    assert (LockUpdate(path="uv.lock"),) == updates_of_patch(patch_between(tmp_path, before, after))


def test_only_locks_are_updated(tmp_path: Path) -> None:
    """
    Another file in a patch is left out, and so is everything in a text that is no patch.
    """
    other = patch_between(tmp_path, b"a\n", b"b\n", path="train.py")
    lock = patch_between(tmp_path, b"a\n", b"b\n", path="x/uv.lock")

    paths = [[update.path for update in updates_of_patch(data)] for data in (other + lock, b"", b"\0diff --git\n")]

    assert [["x/uv.lock"], [], []] == paths


def test_another_lock_does_not_fit(tmp_path: Path) -> None:
    """
    The head of a pull request may have other lines than its merge.
    """
    (update,) = updates_of_patch(patch_between(tmp_path, text_of(BEFORE), text_of(["new", *BEFORE[1:]])))

    shifted = text_of(["shifted", *BEFORE])

    assert [False, False, False] == [fits(update, data) for data in (shifted, b"", text_of(BEFORE[1:]))]
