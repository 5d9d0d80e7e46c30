"""What export writes, compares and prints."""

from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, BadProject, LockNotFresh
from mlflow_uv.command.report import Severity
from mlflow_uv.core.export.portability import LocalPackages
from mlflow_uv.steps import export
from mlflow_uv.tools.uv.messages import LockState
from tests import projects
from tests.unit.steps.conftest import FakeTools

FILE, PYLOCK, SBOM = Path("requirements.txt"), Path("pylock.toml"), Path("bill.cdx.json")
LOCK = """version = 1
requires-python = ">=3.11"

[[package]]
name = "core"
source = { editable = "core" }

[[package]]
name = "a"
version = "1"
source = { registry = "https://index.test/simple" }

[[package]]
name = "b"
version = "2"
source = { registry = "https://private.test/simple" }
"""
PRIVATE = '[[tool.uv.index]]\nname = "private"\nurl = "https://user:pass@private.test/simple/"\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a lock."""
    projects.project(tmp_path)
    (tmp_path / "uv.lock").write_text(LOCK.replace("private.test", "index.test"))
    return tmp_path


@pytest.fixture
def private(project: Path) -> Path:
    """The same, with a package from a private index that only serves what names it."""
    (project / "uv.lock").write_text(LOCK)
    with (project / "pyproject.toml").open("a") as file:
        file.write(f"{PRIVATE}explicit = true\n")
    return project


def test_without_a_file_the_list_is_the_result(project: Path, tools: FakeTools) -> None:
    """
    It goes to standard output, and nothing is written.
    """
    report = export.run(export.Inputs(project=project), tools())

    assert ("a==1\nb==2\n", 2, False) == (report.result, report.outputs.pins, report.outputs.changed)
    assert {"pyproject.toml", "uv.lock"} == {path.name for path in project.iterdir()}


def test_a_file_is_written_once(project: Path, tools: FakeTools) -> None:
    """
    The second time there is nothing to change.
    """
    inputs = export.Inputs(project=project, requirements_file=FILE, extras=("c",))

    first, second = (export.run(inputs, tools()) for _ in range(2))

    assert (True, False) == (first.outputs.changed, second.outputs.changed)
    assert "a==1\nb==2\nc==9\n" == (project / FILE).read_text()


def test_several_files_are_written_in_one_call_and_once(project: Path, tools: FakeTools) -> None:
    """
    Whatever uv says of time and order: each file is written the first time, and the same the second.
    """
    inputs = export.Inputs(project=project, requirements_file=FILE, pylock_file=PYLOCK, sbom_file=SBOM)

    first, second = (export.run(inputs, tools()) for _ in range(2))

    assert [str(project / name) for name in (FILE, PYLOCK, SBOM)] == list(first.outputs.written)
    assert ((), None) == (second.outputs.written, second.result)
    assert "requirements.txt unchanged, pylock.toml unchanged, bill.cdx.json unchanged (2 pins)" == second.summary


@pytest.mark.parametrize(("before", "ok"), [("a==1\nb==2\n", True), ("a==1\n", False), (None, False)])
def test_a_comparison_never_writes(project: Path, tools: FakeTools, before: str | None, ok: bool) -> None:
    """
    Equal, different or missing: with `check` the folder stays as it is.
    """
    if before is not None:
        (project / FILE).write_text(before)

    report = export.run(export.Inputs(project=project, requirements_file=FILE, check=True), tools())

    assert (ok, before) == (report.ok, (project / FILE).read_text() if before is not None else None)
    assert ([] if ok else [project / FILE]) == [finding.path for finding in report.findings]


def test_a_difference_is_told_by_package_on_its_line(project: Path, tools: FakeTools) -> None:
    """
    What has to change, the line where the file begins to differ, and the command that writes all files again.
    """
    (project / FILE).write_text("a==1\nb==1.9\nc==3\n")
    inputs = export.Inputs(project=project, requirements_file=FILE, sbom_file=SBOM, check=True)

    requirements, bill = export.run(inputs, tools()).findings

    assert ("b 1.9 → 2; − c", 2) == (requirements.why, requirements.line)
    assert ("it does not exist", 1) == (bill.why, bill.line)
    assert "mlflow-uv export --requirements-file requirements.txt --sbom-file bill.cdx.json" == requirements.fix


def test_a_file_that_is_no_list_is_told_by_its_lines(project: Path, tools: FakeTools) -> None:
    """
    What cannot be read as pins, a merge conflict for one, is shown as text.
    """
    (project / FILE).write_text("a==1\n<<<<<<< HEAD\n")

    (finding,) = export.run(export.Inputs(project=project, requirements_file=FILE, check=True), tools()).findings

    assert ("--- requirements.txt\n+++ uv.lock\n-<<<<<<< HEAD\n+b==2", 2) == (finding.why, finding.line)


# local packages


@pytest.mark.parametrize("file", [None, FILE])
def test_a_local_package_is_refused(project: Path, tools: FakeTools, file: Path | None) -> None:
    """
    A path means nothing elsewhere: nothing is printed or written, and the finding stands where the lock names it.
    """
    tools = tools.with_export("a==1\n./core\n")

    report = export.run(export.Inputs(project=project, requirements_file=file), tools())

    (finding,) = report.findings
    assert (None, False, project / "uv.lock", 4) == (report.result, report.ok, finding.path, finding.line)
    assert "`core` (./core) cannot be listed" == finding.what
    assert {"--local-packages", "wheels,", "omit"} <= set(finding.fix.split())
    assert not (project / FILE).exists()


def test_a_local_package_is_left_out_and_said(project: Path, tools: FakeTools) -> None:
    """
    Where that was chosen, the list is made without it, and a notice names it.
    """
    tools = tools.with_export("a==1\n./core\n")

    report = export.run(export.Inputs(project=project, local_packages=LocalPackages.OMIT), tools())

    (finding,) = report.findings
    assert ("a==1\n", Severity.NOTICE) == (report.result, finding.severity)
    assert "`core` (./core) left out of the list" == finding.what


def test_wheels_need_a_file_to_lie_beside(project: Path, tools: FakeTools) -> None:
    """
    A printed list has no folder: local packages are refused there.
    """
    tools = tools.with_export("a==1\n./core\n")

    report = export.run(export.Inputs(project=project, local_packages=LocalPackages.WHEELS), tools())

    assert (None, False) == (report.result, report.ok)
    assert "--requirements-file FILE --local-packages wheels" in report.findings[0].fix


def test_a_bill_names_local_packages(project: Path, tools: FakeTools) -> None:
    """
    A bill of materials installs nothing, so that nothing is refused.
    """
    tools = tools.with_export("a==1\n./core\n")

    report = export.run(export.Inputs(project=project, sbom_file=SBOM), tools())

    assert ((), True) == (report.findings, (project / SBOM).is_file())


# indexes


def test_an_explicit_index_is_refused_without_hashes(private: Path, tools: FakeTools) -> None:
    """
    A requirements file cannot say which index alone may serve a package: named with its line, and with what helps.
    """
    report = export.run(export.Inputs(project=private, requirements_file=FILE), tools())

    (finding,) = report.findings
    assert ("export-explicit-index", private / "uv.lock", 13) == (finding.rule, finding.path, finding.line)
    assert "b must come from `private` (https://private.test/simple/) alone" == finding.what
    assert "mlflow-uv export --requirements-file requirements.txt --hashes" == finding.fix


def test_an_explicit_index_is_named_where_hashes_decide(private: Path, tools: FakeTools) -> None:
    """
    With hashes the list names the index, and nobody's password.
    """
    tools = tools.with_export("a==1 --hash=sha256:aa\nb==2 --hash=sha256:bb\n")

    report = export.run(export.Inputs(project=private, hashes=True), tools())

    listed = (
        "--extra-index-url https://private.test/simple/\na==1 \\\n    --hash=sha256:aa\nb==2 \\\n    --hash=sha256:bb\n"
    )
    assert ((), listed) == (report.findings, report.result)


def test_hashes_that_the_lock_does_not_have_decide_nothing(private: Path, tools: FakeTools) -> None:
    """
    A package of an explicit index without a hash stays refused.
    """
    tools = tools.with_export("a==1 --hash=sha256:aa\nb==2\n")

    report = export.run(export.Inputs(project=private, hashes=True), tools())

    assert ["export-explicit-index", "export-unhashed"] == [finding.rule for finding in report.findings]
    assert "the lock has no hashes of them" in report.findings[0].why


def test_the_digest_of_the_record_knows_neither_options_nor_hashes(private: Path, tools: FakeTools) -> None:
    """
    It is over the normal form, whatever a file says beside it.
    """
    hashed = tools.with_export("a==1 --hash=sha256:aa\nb==2 --hash=sha256:bb\n")

    plain = export.run(export.Inputs(project=private, sbom_file=SBOM), tools()).outputs
    dressed = export.run(export.Inputs(project=private, requirements_file=FILE, hashes=True), hashed()).outputs

    assert plain.requirements_sha256 == dressed.requirements_sha256


def test_an_address_with_a_password_is_refused(project: Path, tools: FakeTools) -> None:
    """
    A direct URL is written as the lock says it, and so must not be secret; an account of ssh is not.
    """
    tools = tools.with_export("a @ https://me:secret@x.test/a.whl\nb @ git+ssh://git@x.test/b@v1\n")

    report = export.run(export.Inputs(project=project), tools())

    assert ["export-credentials"] == [finding.rule for finding in report.findings]
    assert "the address of a carries credentials" == report.findings[0].what
    assert "secret" not in report.findings[0].text


# one target


def test_a_target_leaves_what_is_installed_there(project: Path, tools: FakeTools) -> None:
    """
    Markers are answered and gone; the record's digest stays that of the whole list.
    """
    tools = tools.with_export("a==1 ; sys_platform == 'win32'\nb==2 ; sys_platform == 'linux'\n")

    everywhere = export.run(export.Inputs(project=project), tools())
    linux = export.run(export.Inputs(project=project, target="linux-x86_64-py3.11"), tools())

    assert "b==2\n" == linux.result
    assert everywhere.outputs.requirements_sha256 == linux.outputs.requirements_sha256


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"target": "linux-x86_64-py3.9"}, "the lock does not cover this target"),
        ({"target": "amiga-py3.11"}, "is not a target"),
        ({"target": "linux-x86_64-py3.11", "pylock_file": PYLOCK}, "exclude each other"),
        ({"pylock_file": Path("locked.toml")}, r"pylock\.NAME\.toml"),
    ],
)
def test_what_cannot_be_asked_for_is_bad_input(
    project: Path, tools: FakeTools, inputs: dict[str, object], words: str
) -> None:
    """
    A Python that the lock is not for, no target at all, two answers at once, a name that installers do not know.
    """
    with pytest.raises(BadInput, match=words):
        export.run(replace(export.Inputs(project=project), **inputs), tools())  # type: ignore[arg-type]


# inside a release, and in trouble


def test_inside_a_release_a_list_that_nobody_gets_stops_nothing(private: Path, tools: FakeTools) -> None:
    """
    Local packages and explicit indexes are a matter of the list: where none goes out, they are no finding.
    """
    tools = tools.with_export("a==1\nb==2\n./core\n")

    alone = export.run(export.Inputs(project=private), tools())
    within = export.run(export.Inputs(project=private, silent=True), tools())
    filed = export.run(export.Inputs(project=private, requirements_file=FILE, silent=True), tools())

    assert (False, True, False) == (alone.ok, within.ok, filed.ok)
    assert (alone.outputs, ()) == (within.outputs, within.findings)


def test_the_command_that_mends_asks_for_the_same(project: Path, tools: FakeTools) -> None:
    """
    With all that was asked for, and from where the caller stands.
    """
    tools = replace(tools, host=replace(tools.host, folder=project.parent))
    inputs = export.Inputs(
        project=project, requirements_file=FILE, hashes=True, local_packages=LocalPackages.OMIT, check=True
    )

    (finding,) = [one for one in export.run(inputs, tools()).findings if one.rule == "export-differs"]

    flags = f"--project {project.name} --requirements-file {FILE} --hashes --local-packages omit"
    assert f"mlflow-uv export {flags}" == finding.fix


def test_nothing_is_made_from_a_stale_lock(project: Path, tools: FakeTools) -> None:
    """
    Requirements of a lock that is not true would be believed.
    """
    tools = tools.with_lock(LockState.STALE)

    with pytest.raises(LockNotFresh):
        export.run(export.Inputs(project=project, requirements_file=FILE), tools())

    assert not (project / FILE).exists()


def test_a_lock_that_cannot_be_read_is_the_project_s_trouble(project: Path, tools: FakeTools) -> None:
    """
    A lock that uv accepts and we cannot read is said to be so, with the line.
    """
    (project / "uv.lock").write_text("version = 1\n<<<<<<< HEAD\n")
    tools = tools.with_export("a==1\n./core\n")

    with pytest.raises(BadProject, match="cannot be read") as caught:
        export.run(export.Inputs(project=project), tools())

    assert "line 2: it holds merge conflict markers" == caught.value.why
