"""Issues, through a stand-in of GitHub's API."""

from mlflow_uv.tools.github.issues import Issues
from tests.github_api import FakeGithub
from tests.unit.tools.github.conftest import MARKER, api


def test_an_issue_is_opened_found_changed_and_closed(github: FakeGithub) -> None:
    """
    It is found by its first line while it is open.
    """
    issues = Issues(api(github))

    url = issues.open("title", f"{MARKER}\none")
    known = issues.own(MARKER)
    assert known is not None
    issues.update(known, f"{MARKER}\ntwo")
    issues.close(known, "works")

    (kept,) = github.issues
    assert (url, f"{MARKER}\ntwo", "closed", ["works"], None) == (
        known.address,
        kept["body"],
        kept["state"],
        github.bodies(kept["number"]),
        issues.own(MARKER),
    )


def test_only_an_issue_of_ours_is_found(github: FakeGithub) -> None:
    """
    Not one of another author who wrote the marker, and no pull request, which GitHub lists among the issues.
    """
    github.issue(MARKER, author="mallory", kind="User")
    github.issue(MARKER)["pull_request"] = {}
    ours = github.issue(MARKER)

    found = Issues(api(github)).own(MARKER)

    assert found is not None
    assert ours["number"] == found.number
