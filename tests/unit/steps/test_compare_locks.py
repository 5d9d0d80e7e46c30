"""The commits that compare-locks chooses, and what it reports and writes."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Report, Severity
from mlflow_uv.core.lock_difference.comment import MARKER
from mlflow_uv.core.lock_difference.document import read_comparison
from mlflow_uv.steps.compare_locks import Inputs, Outputs, run
from mlflow_uv.surfaces.terminal import terminal
from mlflow_uv.tools.lock_toolbox import locktools
from tests import checkout
from tests.runner import words
from tests.stand_ins.osv import osv
from tests.unit.core.lock_difference.locks import lock_text, package

ONE = lock_text(package("grape"), needs=("grape",))
TWO = lock_text(package("grape", "2.0"), needs=("grape",))
THREE = lock_text(package("grape", "2.0", tag="cp311-cp311-win_amd64"), package("yeast"), needs=("grape",))


@dataclass
class Clone:
    """A clone with a base branch `main` and a branch `topic`, and the workflow that runs in it."""

    folder: Path
    event: Path

    def write(self, text: str) -> str:
        """Commit a lock."""
        (self.folder / "uv.lock").write_text(text)
        return checkout.commit(self.folder)

    def run(self, *, number: int = 0, author: str = "", tip: str = "", **inputs) -> Report[Outputs]:
        """Run the step, in the workflow of a pull request if it has a number."""
        variables = {**os.environ, "GITHUB_EVENT_PATH": str(self.event)}
        if number:
            variables |= {"GITHUB_EVENT_NAME": "pull_request"}
            event = {"pull_request": {"number": number, "head": {"sha": author}, "base": {"sha": tip}}}
            self.event.write_text(json.dumps(event))
        host = Host.of(variables, folder=self.folder, python=Path(sys.executable))
        with locktools(host, console=terminal(words())) as tools:
            return run(Inputs(project=self.folder, **inputs), tools)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone with a lock on its base branch."""
    folder = tmp_path / "clone"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "wine"\nversion = "0.1.0"\n')
    (folder / "uv.lock").write_text(ONE)
    checkout.repository(folder)
    return Clone(folder, tmp_path / "event.json")


def test_a_branch_is_compared_with_what_it_began_from(clone: Clone) -> None:
    """
    What the base branch changed since then is no difference of this branch.
    """
    checkout.git(clone.folder, "switch", "--quiet", "--create", "topic")
    (clone.folder / "README.md").write_text("x")
    checkout.commit(clone.folder)
    checkout.git(clone.folder, "switch", "--quiet", "main")
    clone.write(TWO)
    checkout.git(clone.folder, "switch", "--quiet", "topic")

    assert () == clone.run(base="main").outputs.locks
    assert ("uv.lock",) == clone.run(base="topic", head="main").outputs.locks


def test_a_workflow_compares_the_merge_with_its_base(clone: Clone) -> None:
    """
    The checkout of a pull request is a merge, whose first parent is the base, however old the event's is.
    """
    old = checkout.git(clone.folder, "rev-parse", "HEAD")
    checkout.git(clone.folder, "switch", "--quiet", "--create", "topic")
    (clone.folder / "README.md").write_text("x")
    topic = checkout.commit(clone.folder)
    checkout.git(clone.folder, "switch", "--quiet", "main")
    clone.write(TWO)
    checkout.git(clone.folder, "merge", "--quiet", "--no-edit", "topic")

    report = clone.run(number=3, author=topic, tip=old)

    assert ((), True) == (report.outputs.locks, report.summary.startswith("no lock changes, between "))


def test_without_a_pull_request_the_base_must_be_named(clone: Clone) -> None:
    """
    The fix is the input.
    """
    with pytest.raises(BadInput, match="no commit to compare with") as caught:
        clone.run()

    assert "--base origin/main" == caught.value.fix


@pytest.mark.parametrize("base", ["0" * 40, "--all", "no/branch", "HEAD~99"])
def test_a_commit_that_the_clone_lacks_is_an_error(clone: Clone, base: str) -> None:
    """
    A shallow clone has no base; what looks like an option is a name, and there is none of it.
    """
    with pytest.raises(BadInput, match="is not in this clone"):
        clone.run(base=base)


def test_a_clone_without_the_common_commit_is_an_error(clone: Clone, tmp_path: Path) -> None:
    """
    The base's tip has changes of others; a deeper clone has the commit where the branch began.
    """
    checkout.git(clone.folder, "switch", "--quiet", "--create", "topic")
    clone.write(TWO)
    checkout.git(clone.folder, "switch", "--quiet", "main")
    clone.write(THREE)
    shallow = tmp_path / "shallow"
    argv = ("--quiet", "--depth=1", "--no-single-branch", "--branch=topic", f"file://{clone.folder}", str(shallow))
    checkout.git(tmp_path, "clone", *argv)
    other = Clone(shallow, clone.event)

    with pytest.raises(BadInput, match="have no commit in common") as caught:
        other.run(base="origin/main")
    program, *fix = str(caught.value.fix).split()
    checkout.git(shallow, *fix)

    assert ("git", 1) == (program, other.run(base="origin/main").outputs.changed_packages)
    checkout.git(shallow, "switch", "--quiet", "--orphan", "alone")
    (shallow / "uv.lock").write_text(ONE)
    checkout.commit(shallow)
    with pytest.raises(BadInput, match="have no commit in common") as unrelated:
        other.run(base="origin/main")
    assert "" == unrelated.value.fix


def test_a_lock_that_cannot_be_read_fails_the_comparison(clone: Clone) -> None:
    """
    Nobody knows what changed, on whichever side it is.
    """
    good = checkout.git(clone.folder, "rev-parse", "HEAD")
    bad = clone.write("<<<<<<< ours\n")

    reports = [clone.run(base=good, head=bad), clone.run(base=bad, head=clone.write(TWO))]

    assert [(False, "1 lock cannot be compared")] * 2 == [
        (report.ok, report.summary.partition(",")[0]) for report in reports
    ]


def test_what_changed_is_reported_and_written(clone: Clone, tmp_path: Path) -> None:
    """
    A table, a warning where a wheel is missing, the document for post-comment, and the Markdown.
    """
    base = checkout.git(clone.folder, "rev-parse", "HEAD")
    head = clone.write(THREE)

    report = clone.run(
        number=3,
        author=head,
        tip=base,
        targets=("linux-x86_64-py3.11",),
        comparison_file=tmp_path / "out" / "c.json",
        markdown_file=tmp_path / "out" / "c.md",
    )

    assert (("uv.lock",), 2, 1, True) == (
        report.outputs.locks,
        report.outputs.changed_packages,
        report.outputs.served_packages,
        report.ok,
    )
    assert [("`grape` 2.0 has no wheel for linux-x86_64-py3.11: cannot be installed", Severity.WARNING)] == [
        (finding.what, finding.severity) for finding in report.findings
    ]
    assert ("grape", "updated", "1.0", "2.0", "served") == report.tables[0].rows[0]
    written = read_comparison((tmp_path / "out" / "c.json").read_bytes())
    assert (3, head, head, base) == (written.pull_request, written.head_of_pull_request, written.head, written.base)
    assert (tmp_path / "out" / "c.md").read_text().startswith(MARKER)


def test_outside_of_a_repository_there_is_nothing_to_compare(tmp_path: Path) -> None:
    """
    Two commits are compared.
    """
    with pytest.raises(BadInput, match="is not in a git repository"):
        Clone(tmp_path, tmp_path / "event.json").run(base="main")


def test_a_lock_that_is_not_committed_is_said(clone: Clone) -> None:
    """
    Whoever changed it would expect to see that here; another head is not what is on disk.
    """
    (clone.folder / "uv.lock").write_text(TWO)

    reports = [clone.run(base="main", head=head) for head in ("HEAD", "main")]
    clone.write(TWO)

    advice = "`uv.lock` has changes that are not committed: only commits are compared"
    assert [(advice,), (), ()] == [report.advice for report in (*reports, clone.run(base="main"))]


def test_a_lock_that_moved_is_compared_with_itself(clone: Clone) -> None:
    """
    Its project has the same name; a lock of another project is new.
    """
    base = checkout.git(clone.folder, "rev-parse", "HEAD")
    (clone.folder / "uv.lock").unlink()
    for name, text in (("wine", TWO), ("other", TWO.replace('"wine"', '"beer"'))):
        (clone.folder / "models ü" / name).mkdir(parents=True)
        (clone.folder / "models ü" / name / "uv.lock").write_text(text)
    checkout.commit(clone.folder)

    report = clone.run(base=base)

    assert ("models ü/other/uv.lock", "models ü/wine/uv.lock") == report.outputs.locks
    assert [2, 1] == [len(table.rows) for table in report.tables if table.title.startswith("Packages")]


def test_the_patch_of_a_lock_that_is_out_of_date_is_part_of_the_comparison(clone: Clone, tmp_path: Path) -> None:
    """
    A lock that the head has with other lines is only named: its patch is about the merge.
    """
    checkout.git(clone.folder, "switch", "--quiet", "--create", "topic")
    head = clone.write(TWO)
    patch = tmp_path / "lock.patch"
    lines = TWO.splitlines()
    patch.write_text(f"diff --git a/uv.lock b/uv.lock\n--- a/uv.lock\n+++ b/uv.lock\n@@ -1 +1 @@\n-{lines[0]}\n+new\n")
    fitting = clone.run(base="main", lock_patch=patch, comparison_file=tmp_path / "one.json")
    patch.write_text(patch.read_text().replace(f"-{lines[0]}", "-another line"))
    clone.run(base="main", lock_patch=patch, comparison_file=tmp_path / "two.json")

    (one,), (two,) = (read_comparison((tmp_path / name).read_bytes()).updates for name in ("one.json", "two.json"))

    assert ("uv.lock", ("-" + lines[0], "+new"), ()) == (one.path, one.hunks[0].lines, two.hunks)
    assert fitting.summary.startswith("1 lock is out of date; 1 package changed (1 updated)"), head


def test_a_new_version_with_a_vulnerability_is_a_warning(clone: Clone, tmp_path: Path) -> None:
    """
    What is asked about are the versions that the head brings; without `vulnerable` nobody is asked.
    """
    clone.write(lock_text(package("grape"), package("oak", "2.0"), needs=("grape", "oak")))
    base = checkout.git(clone.folder, "rev-parse", "HEAD")
    clone.write(lock_text(package("grape"), package("oak"), package("yeast"), needs=("grape", "oak", "yeast")))
    markdown = tmp_path / "comment.md"

    with osv() as service:
        inputs: Any = {"base": base, "vulnerability_service": service.url, "markdown_file": markdown}
        silent = clone.run(**inputs)
        asked_before = list(service.asked)
        before = markdown.read_text()
        warned = clone.run(vulnerable=True, **inputs)

    assert ([], ()) == (asked_before, silent.findings)
    assert {("oak", "1.0"), ("yeast", "1.0")} == set(service.asked)
    assert [(Severity.WARNING, "`oak` 1.0 has PYSEC-2026-3, unknown severity")] == [
        (finding.severity, finding.what) for finding in warned.findings
    ]
    assert ("releases and vulnerabilities were not looked up" in before, "PYSEC-2026-3" in before) == (True, False)
    assert "<code>oak</code> 1.0 has PYSEC-2026-3, unknown severity" in markdown.read_text()
    assert "vulnerabilities were not looked up" not in markdown.read_text()


def test_a_service_that_fails_is_a_warning(clone: Clone, tmp_path: Path) -> None:
    """
    The comment says that nothing is known.
    """
    base = checkout.git(clone.folder, "rev-parse", "HEAD")
    clone.write(TWO)
    markdown = tmp_path / "comment.md"

    with osv() as service:
        service.status = 503
        report = clone.run(base=base, vulnerable=True, vulnerability_service=service.url, markdown_file=markdown)

    assert [("whether new versions have known vulnerabilities is unknown", "127.0.0.1 answers with status 503")] == [
        (finding.what, finding.why) for finding in report.findings
    ]
    assert "vulnerabilities were not looked up" in markdown.read_text()
