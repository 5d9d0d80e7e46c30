"""Files that git tracks but that are not checked out are told from removed ones, and the fix brings them back."""

from pathlib import Path

import pytest

from tests import checkout, projects
from tests.contracts.lock_checks import carry_out, check

MEMBERS = '[tool.uv.workspace]\nmembers = ["packages/*"]\n'


@pytest.fixture
def workspace(tmp_path: Path) -> tuple[Path, Path]:
    """A repository, and in it a workspace of two members, locked and committed."""
    top = tmp_path / "repo"
    root = projects.project(top / "models", name="cellar", more=MEMBERS)
    for name in ("barrel", "cork"):
        projects.project(root / "packages" / name, name=name)
    projects.lock(root)
    checkout.repository(top)
    return top, root


def members_of(root: Path) -> list[str]:
    """The packages on disk."""
    return sorted(path.parent.name for path in root.glob("packages/*/pyproject.toml"))


@pytest.mark.parametrize("mode", ["--cone", "--no-cone"])
def test_a_member_that_a_sparse_checkout_leaves_out_is_no_removed_one(workspace, mode: str) -> None:
    """
    `uv lock` would delete it from the lock of everybody: it is brought here first.
    """
    top, root = workspace
    inside = root.relative_to(top)
    kept = [str(inside / "packages/barrel")] if mode == "--cone" else ["/*", f"!{inside / 'packages/cork'}/"]
    checkout.git(top, "sparse-checkout", "set", mode, *kept)
    assert ["barrel"] == members_of(root)
    answer = check(top)

    carry_out(answer.error.fix, top)

    assert ("unverifiable", "lock-absent") == (answer.verdict, answer.error.rule)
    assert f"git sparse-checkout add {inside / 'packages/cork'}" == answer.error.fix
    assert (["barrel", "cork"], "fresh") == (members_of(root), check(top).verdict)


def test_the_advice_holds_where_it_is_read(workspace) -> None:
    """
    Somebody who stands in a folder of the repository gets a command for that folder.
    """
    top, root = workspace
    checkout.git(top, "sparse-checkout", "set", "--cone", str(root.relative_to(top) / "packages/barrel"))
    here = root / "packages" / "barrel"
    answer = check(here)

    carry_out(answer.error.fix, here)

    assert (["barrel", "cork"], "fresh") == (members_of(root), check(here).verdict)


def test_a_lock_that_a_sparse_checkout_leaves_out_is_not_missing(workspace) -> None:
    """
    `uv lock` would write another one over it.
    """
    top, root = workspace
    lock = (root / "uv.lock").relative_to(top)
    checkout.git(top, "sparse-checkout", "set", "--no-cone", "/*", f"!{lock}")
    assert not (top / lock).exists()
    answer = check(top, root.relative_to(top))

    carry_out(answer.error.fix, top)

    assert ("unverifiable", f"git sparse-checkout add {lock}") == (answer.verdict, answer.error.fix)
    assert "fresh" == check(top).verdict


def test_a_file_that_git_was_told_to_skip_is_brought_back(workspace) -> None:
    """
    Without a sparse checkout there is nothing to add to: git is told not to skip it any more.
    """
    top, root = workspace
    manifest = root / "packages" / "cork" / "pyproject.toml"
    checkout.git(top, "update-index", "--skip-worktree", str(manifest.relative_to(top)))
    manifest.unlink()
    answer = check(top)

    carry_out(answer.error.fix, top)

    assert ("unverifiable", "lock-absent") == (answer.verdict, answer.error.rule)
    assert (["barrel", "cork"], "fresh") == (members_of(root), check(top).verdict)


def test_a_member_that_was_removed_is_one(workspace) -> None:
    """
    Its files are gone and git says so: that is a change, which `uv lock` follows.
    """
    top, root = workspace
    (root / "packages" / "cork" / "pyproject.toml").unlink()
    answer = check(top)

    carry_out(answer.error.fix, top)

    assert ("stale", "lock-member", "fresh") == (answer.verdict, answer.error.rule, check(top).verdict)


@pytest.mark.parametrize("how", ["member", "path", "inside"])
def test_a_submodule_that_is_not_initialised_is_named(tmp_path: Path, how: str) -> None:
    """
    A member, a path dependency, or a folder inside of it.
    """
    library = tmp_path / "library"
    name = "cork" if how != "inside" else "cork/python"
    projects.project(library / ("python" if how == "inside" else "."), name="cork")
    checkout.repository(library)
    source = "workspace = true" if how == "member" else f'path = "packages/{name}"'
    more = f"[tool.uv.sources]\ncork = {{ {source} }}\n" + (MEMBERS if how == "member" else "")
    origin = projects.project(tmp_path / "origin" / "models", "cork", name="cellar", more=more)
    checkout.git(origin.parent, "init", "--quiet", "--initial-branch=main")
    allow = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add")
    checkout.git(origin.parent, *allow, str(library), "models/packages/cork")
    projects.lock(origin)
    checkout.commit(origin.parent)
    clone = tmp_path / "clone"
    checkout.git(tmp_path, "clone", "--quiet", str(origin.parent), str(clone))
    answer = check(clone)

    carry_out(answer.error.fix, clone)

    assert ("unverifiable", "lock-absent") == (answer.verdict, answer.error.rule), answer.error
    assert "git submodule update --init -- models/packages/cork" == answer.error.fix
    assert "fresh" == check(clone).verdict
