"""A refused index is named with the credentials that it needs, and never with those that it got."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from mlflow_uv.tools.project.files import Project, read_project
from mlflow_uv.tools.uv.index_logins import Refusal, refusal_in, refused_install

MANIFEST = """
[project]
name = "wine"
[[tool.uv.index]]
name = "corp-pi"
url = "https://user:key@corp.test/simple/"
[[tool.uv.index]]
url = "https://other.test/simple"
"""
NAMES = "UV_INDEX_CORP_PI_USERNAME and UV_INDEX_CORP_PI_PASSWORD"
CORP_FIX = f"set {NAMES} for index `corp-pi` from a secret"
GIT = """\
error: Git operation failed
  cause: process: git fetch --force 'https://robot:key@git.test/hop' (exit 128)
  fatal: could not read Username for 'https://git.test': terminal prompts disabled
"""
NETRC = "a netrc with `machine {}`, or a `name` for the index"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with an index that has a name, and one that has none."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "pyproject.toml").write_text(MANIFEST)
    return read_project(tmp_path)


def queried(url: str) -> str:
    """What uv says of an index that wants credentials."""
    return f"error: An index URL ({url}) could not be queried due to a lack of valid authentication credentials (401)."


@pytest.mark.parametrize(
    ("output", "variables", "refusal"),
    [
        ("error: No solution found", {}, None),
        (
            queried("https://corp.test/simple"),
            {},
            Refusal(
                address="https://corp.test/simple/",
                why=f"it answered 401; of {NAMES} neither is set",
                fix=CORP_FIX,
            ),
        ),
        (
            queried("https://corp.test/simple"),
            {"UV_INDEX_CORP_PI_USERNAME": "robot"},
            Refusal(
                address="https://corp.test/simple/",
                why=f"it answered 401; of {NAMES} UV_INDEX_CORP_PI_USERNAME is set",
                fix=CORP_FIX,
            ),
        ),
        (
            "error: An index (`https://corp.test/simple`) returned a 403 Forbidden error.",
            {"UV_INDEX_CORP_PI_USERNAME": "robot", "UV_INDEX_CORP_PI_PASSWORD": "k"},
            Refusal(
                address="https://corp.test/simple/",
                why=f"it answered 403; of {NAMES} {NAMES} are set",
                fix=CORP_FIX,
            ),
        ),
        (
            "HTTP status client error (403 Forbidden) for url (https://corp.test/files/x.whl)",
            {},
            Refusal(
                address="https://corp.test/simple/",
                why=f"it answered 403; of {NAMES} neither is set",
                fix=CORP_FIX,
            ),
        ),
        (
            queried("https://other.test/simple"),
            {},
            Refusal(address="https://other.test/simple", why="it answered 401", fix=NETRC.format("other.test")),
        ),
        (
            queried("https://robot:key@caller.test/simple/"),
            {"UV_DEFAULT_INDEX": "https://caller.test/simple"},
            Refusal(
                address="https://caller.test/simple/",
                why="it answered 401",
                fix="put the user and the password into UV_DEFAULT_INDEX",
            ),
        ),
        (
            GIT,
            {},
            Refusal(
                address="https://git.test/hop",
                why="fatal: could not read Username for 'https://git.test': terminal prompts disabled",
                fix="give git a credential helper, or GIT_SSH_COMMAND, that needs no prompt",
            ),
        ),
        (
            "Permission denied (publickey).\n",
            {},
            Refusal(
                address="a git source",
                why="Permission denied (publickey).",
                fix="give git a credential helper, or GIT_SSH_COMMAND, that needs no prompt",
            ),
        ),
    ],
    ids=[
        *("no refusal", "named", "one variable", "both variables", "a file of it", "without a name", "of the caller"),
        *("git", "ssh"),
    ],
)
def test_a_refusal_names_the_server_and_what_it_needs(
    project: Project, output: str, variables: Mapping[str, str], refusal: Refusal | None
) -> None:
    """
    An index with its variables, which are set or not; git with a helper.
    """
    found = refusal_in(output, project, variables)

    assert refusal == found
    assert "key" not in str(found).replace("publickey", "")


def test_the_index_of_a_workspace_member_is_known(tmp_path: Path) -> None:
    """
    A lock covers all members.
    """
    member = tmp_path / "packages" / "oak"
    member.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["packages/*"]\n')
    (member / "pyproject.toml").write_text(MANIFEST.replace("wine", "oak"))

    found = refusal_in(queried("https://corp.test/simple"), read_project(tmp_path), {})

    assert found is not None
    assert found.fix == CORP_FIX


def test_an_installation_names_the_index_of_its_variables() -> None:
    """
    As for the packages of an image, which no project has; an address never with its login.
    """
    variables = {"UV_INDEX": "other=https://other.test/simple corp-pi=https://robot:key@corp.test/simple/"}
    output = f"error: No solution found\n\nhint: {queried('https://corp.test/simple')}"

    found = refused_install("uv pip install", output, variables)

    assert found is not None
    why = f"`https://corp.test/simple/` requires credentials: it answered 401; of {NAMES} neither is set"
    assert ("`uv pip install` failed", why, CORP_FIX) == (found.what, found.why, found.fix)
    assert refused_install("uv pip install", "error: Hash mismatch", variables) is None
