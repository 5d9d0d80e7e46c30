"""How git is called for another repository: arguments, credentials, and messages of failures."""

import base64
from typing import Any

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.tools.git.remote_branch import FileChange, RemoteBranch
from tests.unit.tools.conftest import FakeRunner, completed

ADDRESS = "https://github.example/o/r.git"
CHANGE = FileChange(path="a b.yaml", before=b"old", after=b"new", message="Deploy")


def runner(**answers: Any) -> FakeRunner:
    """A git whose branch has the file."""
    known = {
        "ls-tree": completed("100755 blob abc\ta b.yaml\0"),
        "cat-file": completed("old"),
        "rev-parse": completed("1" * 40),
        "hash-object": completed("def\n"),
        "write-tree": completed("fed\n"),
        "commit-tree": completed("c0ffee\n"),
        **answers,
    }
    return FakeRunner(known)


def branch(found: FakeRunner, address: str = ADDRESS, **variables: str) -> RemoteBranch:
    """The branch main."""
    return RemoteBranch(found, variables, address, "main")


def test_a_commit_is_made_from_objects_and_pushed_without_force() -> None:
    """
    The mode of the file stays; another branch of our own is replaced.
    """
    found = runner()

    branch(found).push(CHANGE, to="main")
    branch(found).push(CHANGE, to="own")

    words = [call.argv for call in found.asked]
    (index,) = {argv[-1] for argv in words if "update-index" in argv}
    pushes = [argv[argv.index("push") :] for argv in words if "push" in argv]
    common = ("push", "--quiet", "--no-verify", "--recurse-submodules=no")
    assert "100755,def,a b.yaml" == index
    assert [
        (*common, "--", ADDRESS, "c0ffee:refs/heads/main"),
        (*common, f"--force-with-lease=refs/heads/own:{'1' * 40}", "--", ADDRESS, "c0ffee:refs/heads/own"),
    ] == pushes
    assert not [argv for argv in words if {"checkout", "switch", "reset", "clone"} & {*argv}]


@pytest.mark.parametrize(
    ("address", "server", "is_given"),
    [
        (ADDRESS, "https://github.example", True),
        ("https://GITHUB.example/o/r", "https://github.example/", True),
        (ADDRESS, "https://github.com", False),
        ("https://github.example.evil.test/o/r", "https://github.example", False),
        ("https://github.example:8443/o/r", "https://github.example", False),
        ("http://github.example/o/r", "https://github.example", False),
        ("ssh://github.example/o/r", "ssh://github.example", False),
    ],
)
def test_the_token_is_given_to_the_server_of_the_job_alone(address: str, server: str, is_given: bool) -> None:
    """
    As a header in a variable of the call, never as an argument.
    """
    found, login = runner(), base64.b64encode(b"x-access-token:t0k3n").decode()

    branch(found, address, GITHUB_SERVER_URL=server, GITHUB_TOKEN="t0k3n").read("a b.yaml")

    given = [call for call in found.asked if login in "".join(call.variables.values())]
    assert (["fetch"] if is_given else []) == [word for call in given for word in call.argv if word == "fetch"]
    assert len(given) == is_given
    assert not [word for call in found.asked for word in call.argv if login in word or "t0k3n" in word]


def test_a_refused_push_has_the_first_error_of_git_without_a_login() -> None:
    """
    The last line of git is a hint.
    """
    stderr = "remote: denied to https://user:pass@h.example/o\nhint: see the manual\n"
    found = runner(push=completed(stderr=stderr, code=1))

    with pytest.raises(ToolFailed, match="denied to") as refused:
        branch(found).push(CHANGE, to="main")

    assert "pass" not in refused.value.text.replace("password", "")


def test_a_branch_that_always_moves_is_given_up() -> None:
    """
    After four attempts.
    """
    found = runner(push=completed(stderr=" ! [rejected] x -> main (fetch first)\nerror: failed to push", code=1))

    with pytest.raises(ToolFailed, match="cannot push"):
        branch(found).push(CHANGE, to="main")

    assert 4 == sum("push" in call.argv for call in found.asked)
