"""What changed in a model's folder is listed once, without what installing and importing leave."""

from pathlib import Path

from mlflow_uv.command.report import Severity
from mlflow_uv.ops.model.folder_changes import changed_files, changes_reason, file_digests, folder_findings


def test_files_that_were_added_changed_or_removed_are_listed_once(tmp_path: Path) -> None:
    """
    A changed file has two digests and one path; the rest is not listed.
    """
    (tmp_path / "code").mkdir()
    for name in ("MLmodel", "kept.txt", "gone.txt", "code/state.txt"):
        (tmp_path / name).write_text(name)
    before = file_digests(tmp_path)

    (tmp_path / "code" / "state.txt").write_text("other")
    (tmp_path / "new.txt").write_text("new")
    (tmp_path / "gone.txt").unlink()

    assert ("code/state.txt", "gone.txt", "new.txt") == changed_files(before, tmp_path)


def test_bytecode_and_the_list_of_packages_are_no_change_of_the_model(tmp_path: Path) -> None:
    """
    They are left by Python and by this program, not by the model.
    """
    (tmp_path / "MLmodel").write_text("")
    before = file_digests(tmp_path)

    (tmp_path / "model.pyc").write_text("")
    (tmp_path / "mlflow-uv-install.txt").write_text("")

    assert () == changed_files(before, tmp_path)


def test_the_first_changes_are_named_and_the_others_counted() -> None:
    """
    A model may unpack thousands of files.
    """
    names = tuple(f"{number}.txt" for number in range(7))

    assert changes_reason(names).endswith(": 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 2 more")
    assert changes_reason(names[:1]).endswith(": 0.txt")


def test_a_finding_names_what_a_model_changed_and_there_is_none_without(tmp_path: Path) -> None:
    """
    The version does not pass with it.
    """
    (tmp_path / "MLmodel").write_text("")
    before = file_digests(tmp_path)

    none = list(folder_findings(before, tmp_path))
    (tmp_path / "state.txt").write_text("")
    (finding,) = folder_findings(before, tmp_path)

    assert ([], "model-changed", Severity.ERROR) == (none, finding.rule, finding.severity)
    assert "the model changed files of its own folder: state.txt" == finding.what
