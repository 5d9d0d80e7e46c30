"""
Deploys to Ray Serve: each version is an application, and one more leads the requests of clients by shares.

The replicas of a version run the server of the release in an environment of the lock, which uv makes on their node, so
the packages of Ray are not those of the model. Jobs of the cluster make the changes, for each application alone: the
configuration that Ray's REST API takes would replace those of everybody.
"""

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from ...command.errors import BadInput, ToolFailed
from ...core.deploy.difference import Facts
from ...core.deploy.platform_settings import RaySettings
from ...core.deploy.running import RUNNING
from ...core.deploy.served_containers import SLOTS
from ...core.security.endpoint_address import NO_HEADERS, endpoint_address
from ...tools.cloud.ray_cluster import RayCluster, connect_ray
from ...tools.cloud.rest import child
from ...tools.mlflow.endpoint import Endpoint
from ...tools.toolbox import Tools
from .ray_package import UploadedPackages, UploadedVersion
from .shared_endpoint import EndpointVariant, PlatformEndpoint, SharedEndpoint
from .target import IMAGE, MODEL_DIGEST, STATE, DeploymentOptions, WantedVersion, wanted_facts

_MODEL, _ROUTER = "Model", "Router"  # the deployments in the applications
_WHOLE = 100
_RUNNING, _DELETING = "RUNNING", "DELETING"
_STARTING = frozenset({"NOT_STARTED", "DEPLOYING"})
_LONGEST_PROBLEM = 600
# No job takes longer, nor does Ray to start what leads requests again, which installs and reserves nothing.
_JOB_S, _LEAD_S = 600.0, 120.0


class Packages(Protocol):
    """Uploads what replicas and jobs run."""

    def version(self, wanted: WantedVersion) -> UploadedVersion:
        """The package of a version. Raises ChainBroken for other files than the recorded ones, BadInput, ToolFailed."""

    def program(self) -> str:
        """The URI of the package with the program alone. Raises ToolFailed."""


class RayEndpoint:
    """See shared_endpoint.ServingPlatform."""

    place = "on this cluster"
    beside = True
    divides = True

    def __init__(self, options: DeploymentOptions, cluster: RayCluster, packages: Packages, tools: Tools) -> None:
        assert isinstance(options.settings, RaySettings)  # noqa: S101  # those of its kind
        self._settings = options.settings
        self._answer_s, self._deadline_s = options.answer_s, options.deadline_s
        self._cluster = cluster
        self._packages = packages
        self._tools = tools
        self._job: str | None = None  # of this run, until it is over
        self._since: dict[str, float] = {}  # when a job, or what leads the requests, was first seen to wait
        self._stopped: str | None = None  # a job of another run that this one stopped
        self.name = options.settings.endpoint(options.name)
        # No name of a deployment has an underscore, so it is that of no other one.
        self._jobs = f"mlflow-uv_{self.name}_"

    def look(self) -> PlatformEndpoint | None:
        """See ServingPlatform. Raises ToolFailed if a job of this run failed."""
        # The job first: it changes what is read afterwards.
        waiting = self._cluster.running(self._jobs)
        if waiting is not None and self._lasts(waiting, _JOB_S):
            self._stop(waiting)
        document = self._cluster.applications()
        applications = child(document, "applications")
        self._require_done()
        parts = {name: applications[name] for name in (self.name, *map(self._of, SLOTS)) if name in applications}
        shares = _configuration(parts.get(self.name), _ROUTER).get("shares") or {}
        ours = all(
            _configuration(part, _ROUTER if name == self.name else _MODEL).keys() & {"shares", "facts"}
            for name, part in parts.items()
        )
        # A version that starts can be deleted, and what leads to the versions is not without replicas for long.
        changed = (name for name, part in parts.items() if part.get("status") == _DELETING)
        leads = parts.get(self.name, {})
        led = (self.name,) if self._leads_soon(leads) else ()
        states = [f"{name} is {parts[name]['status']}" for name in (*changed, *led)]
        changing = ", ".join(states) or (f"the job {waiting} runs" if waiting is not None else "")
        idle = f"its endpoint is {_state(leads)}" if _leads_nowhere(leads) else ""
        if not parts:
            # An application that a job is about to make is not there yet.
            return PlatformEndpoint(variants={}, address="", changing=changing) if changing else None
        return PlatformEndpoint(
            variants={
                slot: _variant(parts[self._of(slot)], float(shares.get(self._of(slot), 0)), idle)
                for slot in SLOTS
                if self._of(slot) in parts
            },
            address=self._address(document, None),
            changing=changing,
            problem=_problem(parts.get(self.name, {})),
            ours=ours,
        )

    def facts(self, wanted: WantedVersion) -> dict[str, str]:
        """See ServingPlatform."""
        if wanted.serve_env.names and not self._settings.plain_variables:
            raise BadInput(
                what="Ray keeps the variables of a model in the clear",
                why=f"the model needs {', '.join(wanted.serve_env.names)}, and whoever reaches the cluster reads them",
                fix="plain-variables = true in the table of the deployment, if none of them is a secret",
            )
        more = {
            MODEL_DIGEST: wanted.record.model.sha256,
            "replicas": f"{self._settings.replicas}",
            "memory": f"{self._settings.memory} MiB",
            "cpus": f"{self._settings.cpus:g}",
            "request timeout": f"{self._answer_s:g} s",
            "variables": wanted.serve_env.summary,
        }
        facts = wanted_facts(wanted, "", more)
        return {name: value for name, value in facts.items() if name != IMAGE}

    def create(self, slot: str, wanted: WantedVersion) -> bool:
        """See ServingPlatform; an application that is in the way is deleted, and a first one gets no traffic yet."""
        if self._of(slot) in child(self._cluster.applications(), "applications"):
            self._run(self._packages.program(), {"action": "delete", "names": [self._of(slot)]})
            return False
        uploaded = self._packages.version(wanted)
        version = {
            "manifest": uploaded.manifest,
            "requirements": uploaded.requirements,
            "python": uploaded.python,
            "request_s": self._answer_s,
            "variables": {**wanted.serve_env.variables, "REQUEST_TIMEOUT": f"{self._answer_s:g}", "WORKERS": "1"},
        }
        request = {
            "action": "serve",
            "name": self._of(slot),
            "replicas": self._settings.replicas,
            "memory": self._settings.memory,
            "cpus": self._settings.cpus,
            "facts": {name: value for name, value in self.facts(wanted).items() if name != STATE},
            "version": version,
        }
        self._run(uploaded.uri, request)
        return True

    def route(self, slot: str, percent: int) -> bool:
        """See ServingPlatform."""
        applications = child(self._cluster.applications(), "applications")
        others = [self._of(other) for other in SLOTS if other != slot and self._of(other) in applications]
        rest = {other: _WHOLE - percent for other in others if percent < _WHOLE}
        self._lead(applications, {self._of(slot): percent, **rest})
        return not _leads_nowhere(applications.get(self.name, {}))

    def keep(self, slot: str) -> bool:
        """See ServingPlatform; requests that an application has are answered before it ends."""
        applications = child(self._cluster.applications(), "applications")
        if self._of(slot) not in applications:
            raise ToolFailed(what=f"`{slot}` of the endpoint `{self.name}` is gone", why="somebody deleted it")
        if self._lead(applications, {self._of(slot): _WHOLE}):
            return False
        others = [self._of(other) for other in SLOTS if other != slot and self._of(other) in applications]
        if others:
            self._run(self._packages.program(), {"action": "delete", "names": others})
        return True

    def replaced(self, version: str) -> str | None:
        """See ServingPlatform; an application that was replaced is gone."""

    def delete(self) -> bool:
        """See ServingPlatform; what clients ask first."""
        applications = child(self._cluster.applications(), "applications")
        names = [name for name in (self.name, *map(self._of, SLOTS)) if name in applications]
        if names:
            self._run(self._packages.program(), {"action": "delete", "names": names})
        return True

    def remnants(self) -> dict[str, Facts]:
        """See ServingPlatform; nothing is there without the application."""
        return {}

    def server(self, slot: str | None) -> Endpoint:
        """See ServingPlatform; each application has a path of its own."""
        address = endpoint_address(self._address(self._cluster.applications(), slot))
        return Endpoint(self._tools.web, address, NO_HEADERS)

    def _of(self, slot: str) -> str:
        """The name of the application of a variant."""
        return f"{self.name}_{slot}"

    def _address(self, document: Mapping[str, Any], slot: str | None) -> str:
        base = self._settings.url
        if base is None:
            host, port = urlsplit(self._cluster.root).hostname or "", child(document, "http_options", "port") or 8000
            base = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        return f"{base.rstrip('/')}/{self.name if slot is None else self._of(slot)}"

    def _lead(self, applications: Mapping[str, Any], shares: Mapping[str, int]) -> bool:
        """Give these shares of the requests; whether that is a change. What never started is made again."""
        leads, program = applications.get(self.name, {}), self._packages.program()
        if _leads_nowhere(leads):
            self._run(program, {"action": "delete", "names": [self.name]})
            return True
        if _configuration(leads, _ROUTER).get("shares") == shares:
            return False
        replicas = self._settings.replicas
        request = {"name": self.name, "replicas": replicas, "shares": dict(shares), "program": program}
        self._run(program, {"action": "lead", **request})
        return True

    def _run(self, package: str, request: Mapping[str, Any]) -> None:
        self._job = self._cluster.run(self._jobs, package, request)

    def _leads_soon(self, application: Mapping[str, Any]) -> bool:
        """Whether what leads the requests starts, and not for long."""
        if application.get("status") in _STARTING:
            return not self._lasts(self.name, _LEAD_S)
        self._since.pop(self.name, None)
        return False

    def _lasts(self, what: str, seconds: float) -> bool:
        """Whether something lasts for as long as this, or for half of the deadline, since this run saw it first."""
        now = self._tools.clock.now_s()
        return now - self._since.setdefault(what, now) >= min(seconds, self._deadline_s / 2)

    def _stop(self, job: str) -> None:
        """Stop a job that does not end. Raises ToolFailed for one of this run, and for one that goes on anyway."""
        own = job in (self._job, self._stopped)
        self._cluster.stop(job)
        self._stopped, self._since[job] = job, self._tools.clock.now_s()
        if own:
            self._job = None
            raise ToolFailed(
                what=f"a job that changes `{self.name}` does not end on the cluster",
                why=f"{job} is stopped",
                fix=f"ray job logs {job}, or ray job stop {job} if it is still there, and then run it again",
            )
        self._tools.console.say(f"  the job {job} of another run does not end: it is stopped")

    def _require_done(self) -> None:
        """Raise ToolFailed if the job of this run failed; none waits until a version runs."""
        if self._job is None:
            return
        job = self._cluster.job(self._job)
        if not job.over:
            return
        self._job = None
        if job.failure:
            raise ToolFailed(what=f"the job that changes `{self.name}` failed on the cluster", why=job.failure)


def _configuration(application: Any, deployment: str) -> Mapping[str, Any]:
    """What a job of this program wrote of an application; empty for one of somebody else."""
    found = child(application, "deployments", deployment, "deployment_config", "user_config")
    return found if isinstance(found, Mapping) else {}


def _gives_up(application: Mapping[str, Any]) -> bool:
    """Whether a replica failed to start, after which Ray tries again what fails again."""
    deployment = child(application, "deployments", _MODEL)
    return "failed to start" in str(child(deployment, "message"))


def _leads_nowhere(application: Mapping[str, Any]) -> bool:
    """Whether what leads the requests is there, and has no replica that answers one."""
    replicas = child(application, "deployments", _ROUTER, "replicas") or ()
    running = application.get("status") == _RUNNING or any(part.get("state") == _RUNNING for part in replicas)
    return bool(application) and not running


def _state(application: Mapping[str, Any]) -> str:
    return str(application.get("status", "")).lower().replace("_", " ")


def _variant(application: Mapping[str, Any], share: float, idle: str) -> EndpointVariant:
    """An application of a version; `idle` says why it gets no requests although it has a share of them."""
    facts = {str(name): str(value) for name, value in (_configuration(application, _MODEL).get("facts") or {}).items()}
    status = str(application.get("status", ""))
    state = RUNNING if status == _RUNNING else _state(application)
    starting = state if status in _STARTING and not _gives_up(application) else ""
    if share and idle and state == RUNNING:
        state = idle
    return EndpointVariant(facts={**facts, STATE: state}, share=share, problem=_problem(application), starting=starting)


def _problem(application: Mapping[str, Any]) -> str:
    """The last line of what Ray says of an application that is not healthy, which is that of an exception."""
    deployments = child(application, "deployments").values()
    texts = [*(str(child(part, "message") or "") for part in deployments), str(application.get("message") or "")]
    lines = [" ".join(line.split()) for text in texts for line in text.splitlines() if line.strip()]
    named = [line for line in lines if "Unusable: " in line]
    return (named or lines or [""])[-1].rpartition("Unusable: ")[2][:_LONGEST_PROBLEM]


def open_target(options: DeploymentOptions, tools: Tools) -> SharedEndpoint:
    """See target.OpenTarget. Raises BadInput without the address of a cluster in the environment."""
    cluster = connect_ray(tools.web, tools.clock, tools.host.variables)
    return SharedEndpoint(options, RayEndpoint(options, cluster, UploadedPackages(options, cluster), tools), tools)
