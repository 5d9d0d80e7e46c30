"""What an edit leaves as it is."""

from pathlib import Path

from mlflow_uv.core.lint.rule import Edit, LintProblem, LintRule
from mlflow_uv.ops.lint.check import BrokenRule
from mlflow_uv.ops.lint.fix import corrected, edited
from mlflow_uv.ops.lint.folder import CheckedFolder

RULE = LintRule("x", "", "")


def broken(path: str, *edits: Edit) -> BrokenRule:
    """A problem with edits."""
    return BrokenRule(RULE, path, LintProblem(1, "", "", "", edits))


def test_edits_are_applied_once_from_the_front() -> None:
    """
    Of two that overlap, the first.
    """
    edits = (Edit(3, 5, "X"), Edit(0, 1, "Y"), Edit(4, 6, "Z"), Edit(0, 1, "Y"))

    assert "Y12X56" == edited("0123456", edits)


def test_everything_else_of_a_file_stays(tmp_path: Path) -> None:
    """
    The byte-order mark, bytes that are not UTF-8, line ends and the mode.
    """
    file = tmp_path / "a b"
    file.write_bytes(b"\xef\xbb\xbf\xffa\r\nb")
    file.chmod(0o751)

    changed = corrected((broken("a b", Edit(1, 2, "ü")), broken("a b")), CheckedFolder(str(tmp_path)))

    assert (("a b",), b"\xef\xbb\xbf\xff\xc3\xbc\r\nb", 0o751) == (
        changed,
        file.read_bytes(),
        file.stat().st_mode & 0o777,
    )


def test_nothing_outside_is_written(tmp_path: Path) -> None:
    """
    A file that is a link by now is not read again.
    """
    (tmp_path / "secret").write_text("a")
    (tmp_path / "p").mkdir()
    (tmp_path / "p/a").symlink_to("../secret")

    assert () == corrected((broken("a", Edit(0, 1, "b")),), CheckedFolder(str(tmp_path / "p")))
    assert "a" == (tmp_path / "secret").read_text()
