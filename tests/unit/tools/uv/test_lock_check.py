"""What is asked of `uv lock --check`, and its shortest answer."""

from pathlib import Path

import pytest

from mlflow_uv.tools.uv.lock_check import lock_arguments, program_on, says_only_fresh

FRESH = "Resolved 94 packages in 13ms\n"


@pytest.mark.parametrize(
    ("code", "words", "fresh"),
    [
        (0, FRESH, True),
        (0, f"Using CPython 3.11.7 interpreter at: /x/python\n{FRESH}", True),
        (0, f"warning: Found both a `uv.toml` file and a `[tool.uv]` section\n{FRESH}", False),
        (0, "", False),
        (0, FRESH + FRESH, False),
        (1, FRESH, False),
        (0, f"{FRESH}Lockfile changes detected but not written\n", False),
        (0, "Audited\n", False),
    ],
)
def test_only_a_fresh_lock_without_a_warning_needs_no_second_look(code: int, words: str, fresh: bool) -> None:
    """
    A program that does nothing also exits with 0.
    """
    assert fresh is says_only_fresh(code, words)


def test_the_arguments_are_in_the_order_of_uv() -> None:
    """
    What is not asked for is no argument.
    """
    assert ("lock", "--check") == lock_arguments("--check", script=None, offline=False, python=None)
    assert ("lock", "--script", "a.py", "--offline", "--python", "/p") == lock_arguments(
        script="a.py", offline=True, python="/p"
    )


def test_the_first_program_of_the_path_is_chosen(tmp_path: Path) -> None:
    """
    Neither a folder of its name nor a file that nobody may run; without a PATH there is none.
    """
    for folder, mode in (("a", 0o755), ("b", 0o644), ("c", 0o755), ("d", 0o755)):
        (tmp_path / folder).mkdir()
        if folder == "a":
            (tmp_path / folder / "uv").mkdir()
        else:
            (tmp_path / folder / "uv").touch(mode)
            (tmp_path / folder / "uv").chmod(mode)
    path = ":".join(["", *(str(tmp_path / folder) for folder in "abcd")])

    assert (str(tmp_path / "c" / "uv"), None, None) == (
        program_on(path, "uv"), program_on(None, "uv"), program_on(path, "git"),
    )  # fmt: skip
