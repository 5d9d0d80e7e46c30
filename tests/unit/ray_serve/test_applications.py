"""The applications on Ray Serve, over stand-ins of its libraries: which version gets a request, and what a job does."""

import base64
import importlib
import json
import sys
from collections import Counter
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

NAME = "mlflow_uv.ray_serve.applications"


class Serve:
    """What the module calls of `ray.serve`; `calls` is what a job did, `state` that of every application."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.state, self.message = "RUNNING", ""

    def deployment(self, kind: type) -> SimpleNamespace:
        """A deployment of a class."""

        def options(**given: Any) -> SimpleNamespace:
            made = SimpleNamespace(kind=kind.__name__, **given)
            made.bind = lambda *_: made
            return made

        return SimpleNamespace(options=options)

    def run_many(self, targets: list[Any], *, wait_for_applications_running: bool) -> None:
        """Run applications."""
        assert not wait_for_applications_running
        for item in targets:
            version = getattr(item.target, "_version", None)
            shown = (item.target.kind, item.target.user_config, *((version,) if version else ()))
            self.calls.append((f"{item.name} at {item.route_prefix}", shown))

    def status(self) -> Any:
        """What runs: every application of the calls."""
        deployments = {"Router": SimpleNamespace(message=self.message)}
        found = SimpleNamespace(status=SimpleNamespace(value=self.state), deployments=deployments, message="")
        return SimpleNamespace(applications={call[0].partition(" ")[0]: found for call in self.calls})

    def delete(self, name: str) -> None:
        """Delete an application."""
        self.calls.append((name, "deleted"))

    def get_deployment_handle(self, deployment: str, *, app_name: str) -> str:
        """A handle, which is its name here."""
        return f"{app_name}/{deployment}"

    RunTarget = SimpleNamespace


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """The libraries of a Ray cluster, which are not installed here."""
    serve = Serve()
    for name, parts in (
        ("aiohttp", {}),
        ("ray", {"serve": serve}),
        ("starlette", {}),
        ("starlette.requests", {"Request": object}),
        ("starlette.responses", {"Response": object}),
    ):
        module = ModuleType(name)
        vars(module).update(parts)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    return serve


def work(serve: Serve, **request: Any) -> Any:
    """What a job with a request did."""
    argument = base64.urlsafe_b64encode(json.dumps(request).encode()).decode()
    importlib.import_module(NAME).main(argument)
    return serve.calls


def test_requests_are_divided_by_the_shares(serve: Serve) -> None:
    """
    A version without a share gets none.
    """
    del serve
    router = importlib.import_module(NAME).Router()

    router.reconfigure({"shares": {"prod_blue": 75, "prod_green": 25, "prod_old": 0}})
    counted = Counter(router.chosen() for _ in range(4000))

    assert {"prod_blue/Model", "prod_green/Model"} == {*counted}
    assert 800 < counted["prod_green/Model"] < 1200


def test_a_version_is_made_with_what_describes_it(serve: Serve) -> None:
    """
    Of its variables only the names are kept there.
    """
    calls = work(
        serve, action="serve", name="prod_blue", replicas=2, memory=512, cpus=0.5,
        facts={"version": "1"}, version={"variables": {"API_KEY": "corked-bottle"}},
    )  # fmt: skip

    assert [("prod_blue at /prod_blue", ("Model", {"facts": {"version": "1"}, "variables": ["API_KEY"]}))] == calls


def test_shares_are_changed_without_another_version_of_the_router(serve: Serve) -> None:
    """
    Ray would replace its replicas otherwise.
    """
    shares = {"prod_blue": 100}

    calls = work(serve, action="lead", name="prod", replicas=1, shares=shares, program="p1")

    assert [("prod at /prod", ("Router", {"shares": shares}, "p1"))] == calls


@pytest.mark.parametrize(
    ("state", "message", "why"),
    [
        ("DEPLOYING", "no node has\n memory", "is DEPLOYING: no node has memory"),
        ("DEPLOY_FAILED", "", "is DEPLOY_FAILED"),
    ],
)
def test_a_job_ends_if_what_leads_the_requests_does_not_run(serve: Serve, state: str, message: str, why: str) -> None:
    """
    A job that waits for it without end would be in the way of the next run.
    """
    applications = importlib.import_module(NAME)
    serve.calls, serve.state, serve.message = [("prod at /prod", None)], state, message

    with pytest.raises(RuntimeError, match=f"prod {why}"):
        applications.require_running("prod", 0)
    with pytest.raises(RuntimeError, match="other is gone: Ray gives no reason"):
        applications.require_running("other", 0)


def test_applications_are_deleted_in_the_given_order(serve: Serve) -> None:
    """
    What clients ask is the first one.
    """
    calls = work(serve, action="delete", names=["prod", "prod_blue"])

    assert [("prod", "deleted"), ("prod_blue", "deleted")] == calls


def test_headers_of_one_connection_are_not_passed_on(serve: Serve) -> None:
    """
    Those of the content are.
    """
    del serve
    headers = {"Content-Type": "application/json", "Host": "a", "Connection": "close", "Content-Length": "3"}

    assert {"Content-Type": "application/json"} == importlib.import_module(NAME).passed(headers)
