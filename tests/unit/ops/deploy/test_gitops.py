"""A deployment by a commit: what is written, shown, proposed, returned and waited for."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput, NotServing, PlanOutdated, ToolFailed
from mlflow_uv.ops.deploy.gitops import RepositoryDeployment, open_target
from mlflow_uv.ops.deploy.rollout import RecordedRuns, RolloutChecks, carry_out, plan_changes
from mlflow_uv.ops.deploy.target import PartOfOthers
from mlflow_uv.tools.git.remote_branch import FileChange
from mlflow_uv.tools.github.pull_requests import NewPullRequest, PullRequests
from tests.console import KeptConsole

from .repositories import MANIFEST, KeptBranch, RepositoryWorld, repository_world
from .test_target import KILLED, begin, deploy, nothing
from .worlds import EXPECTED, digest_of, rollout_plan, tools_of_tests, wanted_version


class KeptPullRequests:
    """Pull requests that are kept in memory."""

    def __init__(self) -> None:
        self.opened: list[NewPullRequest] = []

    def propose(self, wanted: NewPullRequest) -> str:
        """See PullRequests."""
        self.opened.append(wanted)
        return "https://git.example/o/r/pull/1"


def lines_of(world: RepositoryWorld, version: str) -> list[str]:
    """The lines that the plan of a version prints."""
    tools = tools_of_tests()
    RepositoryDeployment(world.options, world.branch, None, tools).plan(wanted_version(version))
    return cast("KeptConsole", tools.console).lines


def test_only_the_lines_of_the_version_change_and_the_plan_shows_them() -> None:
    """
    The comment of the line stays.
    """
    world = repository_world()
    deploy(world, "1")

    shown = lines_of(world, "2")

    assert [
        f"-          image: {digest_of('1')}  # replaced",
        f"+          image: {digest_of('2')}  # replaced",
    ] == [line.removeprefix("  ") for line in shown if "image:" in line]
    assert world.branch.messages == [f"Deploy wine version 1 as prod\n\n{digest_of('1')}\n"]


def test_a_return_is_a_commit_with_the_file_as_it_was() -> None:
    """
    The history keeps what was tried.
    """
    world = repository_world()

    begin(world.target(), wanted_version("1")).undo()

    assert MANIFEST == world.branch.history[0] == world.branch.history[2] != world.branch.history[1]
    assert "Return prod to what was before version 1\n" == world.branch.messages[-1]


def test_a_change_of_somebody_else_is_neither_overwritten_nor_returned_from() -> None:
    """
    Before the push the plan is outdated; after it the return is refused.
    """
    world = repository_world()
    target = begin(world.target(), wanted_version("1"), up_to="ask")
    theirs = MANIFEST.replace(b"old", b"theirs")
    world.branch.history.append(theirs)

    with pytest.raises(PlanOutdated):
        target.shift()
    target.undo()

    assert theirs == world.branch.history[-1]
    later = begin(world.target(), wanted_version("1"))
    world.branch.history.append(theirs.replace(b"theirs", b"another"))
    with pytest.raises(ToolFailed, match="changed by somebody else"):
        later.undo()


def test_a_pull_request_leaves_the_branch_as_it_is() -> None:
    """
    The rollout ends with its address; once it is merged, a run asks the endpoint and changes nothing.
    """
    pull_requests = KeptPullRequests()
    world = repository_world(pull_requests=cast("PullRequests", pull_requests))
    target = world.target()
    plan = rollout_plan(target, wanted_version("1"))

    rollout = carry_out(plan, EXPECTED, RolloutChecks(unchanged=nothing, renew=nothing), tools_of_tests())

    assert "https://git.example/o/r/pull/1" == rollout.proposed
    (branch,) = world.branch.proposed
    assert "mlflow-uv/prod-" == branch[:15]
    assert [(branch, "main", "Deploy wine version 1 as prod")] == [
        (new.branch, new.base, new.title) for new in pull_requests.opened
    ]
    assert [MANIFEST] == world.branch.history
    world.branch.history.append(world.branch.proposed[branch])
    assert () == world.target().plan(wanted_version("1"))


def test_what_a_pull_request_brought_is_not_returned_from_by_a_push() -> None:
    """
    Who may merge decides.
    """
    world = repository_world()
    deploy(world, "1")
    deploy(world, "2")
    world.pull_requests = cast("PullRequests", KeptPullRequests())
    target = world.target()
    target.plan(wanted_version("2"))

    with pytest.raises(ToolFailed, match="does not return"):
        target.undo()

    assert not world.target().restore("1")
    assert 3 == len(world.branch.history)


def test_a_file_that_is_missing_or_a_service_that_others_wrote_is_not_made_and_not_removed() -> None:
    """
    The messages say where to do it.
    """
    world = repository_world()
    deploy(world, "1")

    target = world.target()
    assert isinstance(target, PartOfOthers)
    for refused in (target.remove, target.require_removable):
        with pytest.raises(BadInput, match="is not removed"):
            refused()
    world.branch.is_there = False
    world.target().remove()
    with pytest.raises(BadInput, match="is not on `main`"):
        world.target().plan(wanted_version("2"))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, ""),
        ({"repository": "https://git.example/o/r"}, "no pull request can be opened for https://git.example/o/r"),
        ({"branch": "mlflow-uv/prod-12345678"}, "pull requests are made from branches below"),
    ],
)
def test_a_pull_request_is_for_a_repository_and_a_branch_that_can_have_one(settings: dict[str, str], why: str) -> None:
    """
    A server beside GitHub has none of this API, and a branch of proposals is none that a cluster applies.
    """
    tools = cast("Any", tools_of_tests())
    tools.host, tools.runner = SimpleNamespace(variables={"GITHUB_TOKEN": "x"}), None
    given: dict[str, Any] = {"repository": "https://github.com/o/r", "pull_request": True, **settings}
    options = repository_world(**given).options

    if why:
        with pytest.raises(BadInput, match=why):
            open_target(options, tools)
    else:
        assert open_target(options, tools).proposed is None


def test_an_image_that_is_in_no_registry_is_refused() -> None:
    """
    No cluster could pull it.
    """
    wanted = wanted_version("1")
    assert wanted.record.image is not None
    record = cast("Any", wanted.record)
    record.image = replace(wanted.record.image, digest="")

    with pytest.raises(BadInput, match="in no registry"):
        repository_world().target().plan(wanted)


def others(data: bytes) -> bytes:
    """The file with a commit of somebody else, which changes what is not ours and sits next to it."""
    return data.replace(b"# ours", b"# security fix").replace(b"name: prod\n", b"name: prod\n  labels: {count: '9'}\n")


def test_a_return_keeps_what_others_changed_in_the_file_after_the_push() -> None:
    """
    It takes back the values alone, on the file as it is by then.
    """
    world = repository_world()
    deploy(world, "1")
    before = world.branch.history[-1]
    target = begin(world.target(), wanted_version("2"))
    world.branch.history.append(others(world.branch.history[-1]))

    target.undo()

    assert others(before) == world.branch.history[-1]
    assert others(before) != before


def test_a_change_of_others_during_the_return_is_kept() -> None:
    """
    The commit is made anew on theirs.
    """

    class Busy(KeptBranch):
        def push(self, change: FileChange, *, to: str) -> str:
            if change.message.startswith("Return") and b"security" not in self.history[-1]:
                self.history.append(others(self.history[-1]))
            return super().push(change, to=to)

    world = repository_world()
    world.branch = Busy()

    begin(world.target(), wanted_version("1")).undo()

    assert others(MANIFEST) == world.branch.history[-1]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(digest_of("2").encode(), digest_of("7").encode()),
        lambda data: data.replace(b"wine/2", b"wine/1"),
        lambda data: data.replace(b"wine/2", b"other/2"),
        lambda data: data.replace(b"name: image", b"name: another"),
        lambda data: data + b"metadata: {}\n",
    ],
    ids=["image", "version", "model", "place", "twice"],
)
def test_a_change_of_the_values_after_the_push_is_theirs(change: Callable[[bytes], bytes]) -> None:
    """
    Nothing is pushed, and the return fails.
    """
    world = repository_world()
    deploy(world, "1")
    target = begin(world.target(), wanted_version("2"))
    theirs = change(world.branch.history[-1])
    world.branch.history.append(theirs)

    with pytest.raises((ToolFailed, BadInput)):
        target.undo()

    assert theirs == world.branch.history[-1]


def test_somebody_who_returned_by_hand_is_not_in_the_way() -> None:
    """
    The values are those from before already; nothing is pushed.
    """
    world = repository_world()
    deploy(world, "1")
    before = world.branch.history[-1]
    target = begin(world.target(), wanted_version("2"))
    world.branch.history.append(others(before))

    target.undo()

    assert (others(before), 2) == (world.branch.history[-1], len(world.branch.messages))


@pytest.mark.parametrize("version", ["2", "3"])
def test_after_a_killed_run_the_values_alone_are_those_of_the_proven_version(version: str) -> None:
    """
    What others changed in the file since then stays.
    """
    world = repository_world()
    deploy(world, "1")
    proven = world.branch.history[-1]
    begin(world.target(), wanted_version("2"))
    world.branch.history.append(others(world.branch.history[-1]))
    target = world.target()

    if plan_changes(target, wanted_version(version), KILLED, tools_of_tests()):
        begin(target, wanted_version(version))
    target.undo()

    assert others(proven) == world.branch.history[-1]


@pytest.mark.parametrize("version", ["3", "4"])
def test_nothing_is_pushed_for_a_file_that_somebody_wrote_by_hand_before_the_plan_shows_it(version: str) -> None:
    """
    Version 3 is proven, and the file names version 2: the plan says so, and a failure returns to that.
    """
    world = repository_world()
    deploy(world, "2")
    deploy(world, "3")
    theirs = others(world.branch.history[-2])
    world.branch.history.append(theirs)
    target = world.target()

    changes = plan_changes(
        target, wanted_version(version), RecordedRuns(proven="3", interrupted=None), tools_of_tests()
    )
    seen = world.branch.history[-1]
    begin(target, wanted_version(version))
    deployed = world.branch.history[-1]
    target.undo()

    assert ("2", version) == next((change.now, change.then) for change in changes if change.part == "version")
    assert theirs == seen == world.branch.history[-1]
    assert deployed == theirs.replace(b"wine/2", f"wine/{version}".encode()).replace(
        digest_of("2").encode(), digest_of(version).encode()
    )


@contextmanager
def metadata(versions: list[list[str] | None]) -> Iterator[str]:
    """The URL of a server whose metadata has these versions, one list for each request, the last one for all others."""

    class Model(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen = versions.pop(0) if len(versions) > 1 else versions[0]
            body = json.dumps({} if seen is None else {"versions": seen}).encode()
            self.send_response(200 if self.path == "/v2/models/wine" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("versions", [[None, ["1"], ["2"]], [["1"], ["wine/2"]]])
def test_the_endpoint_is_asked_once_it_says_the_version(versions: list[list[str] | None]) -> None:
    """
    By its number, or with the model as in the annotation.
    """
    with metadata(versions) as url:
        target = begin(repository_world(url=url).target(), wanted_version("2"))
        with target.live() as endpoint:
            assert endpoint == url


@pytest.mark.parametrize(("versions", "why"), [([["1"]], "has 1"), ([None], "no version"), ([["22"]], "has 22")])
def test_an_endpoint_that_does_not_say_the_version_is_not_taken_for_it(
    versions: list[list[str] | None], why: str
) -> None:
    """
    However well it answers.
    """
    with metadata(versions) as url:
        target = begin(repository_world(url=url).target(), wanted_version("2"))

        with pytest.raises(NotServing, match=why), target.live():
            pass
