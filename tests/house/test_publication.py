"""Which tags are published as releases of this project; with real git."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests import checkout
from tests.house.files import ROOT
from tests.house.programs import program_module

VERSIONED = ("pyproject.toml", "src/mlflow_uv/__init__.py")
PROGRAM = ROOT / ".ci" / "publication.py"


@pytest.fixture(scope="module")
def publication() -> ModuleType:
    """The script that the workflow runs, as a module."""
    return program_module(PROGRAM)


def versioned(folder: Path, version: str, changes: str) -> None:
    """Commit a version with its changes to the default branch, also of the remote repository."""
    (folder / "src" / "mlflow_uv").mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(f'[project]\nname = "x"\nversion = "{version}"\n')
    (folder / "src" / "mlflow_uv" / "__init__.py").write_text(f'__version__ = "{version}"\n')
    (folder / "CHANGELOG.md").write_text(f"# Changes\n\n{changes}")
    checkout.commit(folder)
    checkout.git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository in which v1.2.0 and v2.0.0 are published, and v1.3.0 is to be."""
    checkout.repository(tmp_path)
    for version in ("1.2.0", "2.0.0", "1.3.0"):
        versioned(tmp_path, version, f"## {version} (2026-11-28)\n\n- Red for {version}.\n\n## 0.9.0\n\n- White.\n")
        checkout.git(tmp_path, "tag", f"v{version}")
    return tmp_path


def test_a_newer_tag_of_a_major_version_is_published_with_its_own_changes(
    publication: ModuleType, project: Path
) -> None:
    """
    Also if a later major version is published; an annotated tag, too.
    """
    checkout.git(project, "tag", "--force", "--annotate", "--message=x", "v1.3.0")

    assert {"version": "1.3.0", "major": "v1"} == publication.check(project, "v1.3.0")
    assert "- Red for 1.3.0.\n" == publication.notes(project, "v1.3.0")


@pytest.mark.parametrize("refused", ["elsewhere", "another version", "no changes"])
def test_a_tag_that_was_refused_is_no_release(publication: ModuleType, project: Path, refused: str) -> None:
    """
    A mistaken `v1.9.0` does not keep v1.3.0 from being published.
    """
    match refused:
        case "elsewhere":
            checkout.git(project, "checkout", "--quiet", "--orphan", "other")
            versioned(project, "1.9.0", "## 1.9.0\n\n- Red.\n")
            checkout.git(project, "tag", "v1.9.0")
            checkout.git(project, "update-ref", "refs/remotes/origin/main", "v1.3.0")
            checkout.git(project, "checkout", "--quiet", "--force", "v1.3.0")
        case "another version":
            checkout.git(project, "tag", "v1.9.0")
        case "no changes":
            versioned(project, "1.9.0", "## 1.9.0\n")
            checkout.git(project, "tag", "v1.9.0")
            versioned(project, "1.3.0", "## 1.3.0\n\n- Red.\n")

    assert {"version": "1.3.0", "major": "v1"} == publication.check(project, "v1.3.0")


@pytest.mark.parametrize(
    "block",
    [
        "```markdown\n## 1.2.0\n```",
        "~~~\n## 1.2.0\n```\n## 1.1.0\n~~~~",
        "  ````\n```\n## 1.2.0\n````",
        "```\n```x\n## 1.2.0\n```",
    ],
    ids=["named", "tildes", "longer", "not its end"],
)
def test_a_heading_in_a_code_block_ends_no_section(publication: ModuleType, block: str) -> None:
    """
    Nor does it begin one.
    """
    text = (
        f"# Changes\n\n```\n## 1.3.0\n\n- In a block.\n```\n\n## 1.3.0 (2026-11-28)\n\n- Red.\n\n{block}\n\n- White.\n"
    )
    text += "Text with ```inline``` code.\n\n## 1.2.0\n\n- Old.\n"

    section = publication.section_of(text, "v1.3.0")

    assert f"- Red.\n\n{block}\n\n- White.\nText with ```inline``` code.\n" == section
    assert "- Old.\n" == publication.section_of(text, "v1.2.0")


def changed(name: str, text: str) -> Callable[[Path], None]:
    """A change of one file."""

    def change(folder: Path) -> None:
        (folder / name).write_text(text)

    return change


def newer(folder: Path) -> None:
    """A later release of the major version is published."""
    files = {name: (folder / name).read_text() for name in (*VERSIONED, "CHANGELOG.md")}
    versioned(folder, "1.10.0", "## 1.10.0\n\n- Red.\n")
    checkout.git(folder, "tag", "v1.10.0")
    for name, text in files.items():
        (folder / name).write_text(text)


def elsewhere(folder: Path) -> None:
    """The tag is at a commit that no branch has."""
    checkout.git(folder, "checkout", "--quiet", "--orphan", "other")
    checkout.commit(folder)
    checkout.git(folder, "tag", "--force", "v1.3.0")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (changed("pyproject.toml", 'version = "1.3.1"\n'), r"pyproject\.toml has the version 1\.3\.1"),
        (changed("src/mlflow_uv/__init__.py", '__version__ = "1.2.0"\n'), r"__init__\.py has the version 1\.2\.0"),
        (changed("CHANGELOG.md", "## Unreleased\n\n- Red.\n"), "nothing below `## 1.3.0`"),
        (changed("CHANGELOG.md", "## 1.3.0\n\n## 1.2.0\n\n- Red.\n"), "nothing below `## 1.3.0`"),
        (changed("CHANGELOG.md", "## 1.3.01\n\n- Red.\n"), "nothing below `## 1.3.0`"),
        (newer, "v1.10.0 is published, and newer"),
        (elsewhere, "no commit of origin/main"),
    ],
    ids=["project", "package", "no section", "empty section", "another section", "older", "elsewhere"],
)
def test_a_tag_that_does_not_fit_is_refused(
    publication: ModuleType, project: Path, change: Callable[[Path], None], why: str
) -> None:
    """
    Before anything is published.
    """
    change(project)

    with pytest.raises(publication.Refused, match=why):
        publication.check(project, "v1.3.0")


@pytest.mark.parametrize("tag", ["v1", "1.3.0", "v1.3", "v01.3.0", "v1.3.0-rc1", "v1.3.0\n", "v1.3.0;id"])
def test_another_name_is_no_release(publication: ModuleType, project: Path, tag: str) -> None:
    """
    The workflow starts for tags that look alike.
    """
    with pytest.raises(publication.Refused, match="is no release"):
        publication.check(project, tag)


def test_the_command_ends_with_an_error_for_a_version_that_this_project_has_not() -> None:
    """
    As in the job: the reason is printed, and no outputs.
    """
    done = subprocess.run((sys.executable, PROGRAM, "check", "v999.0.0"), capture_output=True, text=True, check=False)

    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("pyproject.toml has the version ")
