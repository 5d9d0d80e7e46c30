"""A stand-in for the REST API of a Ray cluster with Ray Serve: packages, jobs and applications in memory."""

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any

TOKEN = "ray-made-up-token"
_JOBS, _PACKAGES, _APPLICATIONS = "/api/jobs/", "/api/packages/gcs/", "/api/serve/applications/"
_LOOKS = 2  # at the list of jobs, until one is over
_UNUSABLE = "mlflow_uv_ray.node.Unusable: the server of the model ended with 3: out of memory"
_ENTRY = re.compile(
    r'python -c "import sys; from mlflow_uv_ray\.applications import main; main\(sys\.argv\[1\]\)" '
    r"(?P<argument>[A-Za-z0-9_=-]+)"
)


@dataclass
class RayApplications:
    """A cluster; `faults` are by the version that an application says it is, `shares` and `deleted` what jobs did."""

    applications: dict[str, dict[str, Any]] = field(default_factory=dict)
    packages: dict[str, int] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    shares: list[dict[str, int]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    token: str = ""
    refused: str = ""  # why the next job fails
    hangs: bool = False  # whether the next job never ends by itself
    keeps: bool = False  # applications that are deleted
    _waiting: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)

    def answer(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, Any]:
        """The status and the document of the response to a request."""
        if self.token and authorization != f"Bearer {self.token}":
            return 401, {"error": "Unauthorized"}
        if path.startswith(_PACKAGES):
            return self._package(method, path.removeprefix(_PACKAGES), body)
        if path.startswith(_JOBS):
            return self._job(method, path.removeprefix(_JOBS), body)
        if (method, path) == ("GET", _APPLICATIONS):
            options = {"http_options": {"host": "127.0.0.1", "port": 8000}} if self.applications else {}
            return 200, {**options, "applications": self.applications, "target_capacity": None}
        return 404, {"error": path}

    def invoke(self, path: str, body: bytes) -> tuple[int, Any]:
        """The response of what an application serves."""
        name, _, rest = path.lstrip("/").partition("/")
        application = self.applications.get(name)
        if application is None or application["status"] != "RUNNING" or rest != "invocations":
            return 404, {"error": path}
        if "Router" in application["deployments"]:
            shares = _configuration(application, "Router")["shares"]
            application = self.applications[max(shares, key=lambda version: shares[version])]
        try:
            value = json.loads(body)["inputs"][0]
        except (ValueError, KeyError, TypeError):
            return 400, {"message": "malformed"}
        return 200, {"predictions": [value * (3 if self._fault(application) == "wrong" else 2)]}

    def _package(self, method: str, name: str, body: bytes) -> tuple[int, Any]:
        if method == "PUT":
            self.packages[name] = len(body)
        return (200, None) if name in self.packages else (404, None)

    def _job(self, method: str, name: str, body: bytes) -> tuple[int, Any]:
        if method == "POST" and name.endswith("/stop"):
            self.jobs[name.removesuffix("/stop")]["status"] = "STOPPED"
            return 200, {"stopped": True}
        if method == "POST":
            content = json.loads(body)
            match = _ENTRY.fullmatch(content["entrypoint"])
            assert match is not None, content["entrypoint"]
            assert content["runtime_env"]["working_dir"].removeprefix("gcs://") in self.packages
            job = content["submission_id"]
            self.jobs[job] = {"submission_id": job, "status": "PENDING"}
            if not self.hangs:
                self._waiting[job] = (_LOOKS, json.loads(base64.urlsafe_b64decode(match["argument"])))
            self.hangs = False
            return 200, {"submission_id": job, "job_id": job}
        if name.endswith("/logs"):
            return 200, {"logs": f"Traceback\n{self.jobs[name.removesuffix('/logs')]['message']}\n"}
        if name:
            return (200, self.jobs[name]) if name in self.jobs else (404, {"error": name})
        for job, (looks, request) in list(self._waiting.items()):
            self._waiting[job] = (looks - 1, request)
            if looks <= 0:
                del self._waiting[job]
                self.jobs[job] |= self._done(request)
        return 200, list(self.jobs.values())

    def _done(self, request: dict[str, Any]) -> dict[str, str]:
        if self.refused:
            message, self.refused = f"RuntimeError: {self.refused}", ""
            return {"status": "FAILED", "message": message}
        if request["action"] == "delete":
            for name in request["names"]:
                if not self.keeps:
                    self.applications.pop(name, None)
                self.deleted.append(name)
            return {"status": "SUCCEEDED"}
        if request["action"] == "lead":
            self.shares.append(request["shares"])
            assert 100 == sum(request["shares"].values())
            self.applications[request["name"]] = _application("Router", {"shares": request["shares"]}, "RUNNING")
            return {"status": "SUCCEEDED"}
        fault = self.faults.get(request["facts"]["version"], "")
        facts = {**request["facts"], **({"model digest": "another"} if fault == "swapped" else {})}
        status = {"silent": "DEPLOYING", "ends": "DEPLOY_FAILED"}.get(fault, "RUNNING")
        self.applications[request["name"]] = _application("Model", {"facts": facts}, status)
        return {"status": "SUCCEEDED"}

    def _fault(self, application: dict[str, Any]) -> str:
        return self.faults.get(_configuration(application, "Model")["facts"]["version"], "")


def _application(deployment: str, configuration: dict[str, Any], status: str) -> dict[str, Any]:
    message = f"The deployment failed to start 1 times in a row. Error:\n{_UNUSABLE}\n" if "FAILED" in status else ""
    described = {"deployment_config": {"user_config": configuration}, "message": message, "status": "HEALTHY"}
    return {"status": status, "message": "", "deployments": {deployment: described}}


def _configuration(application: dict[str, Any], deployment: str) -> Any:
    return application["deployments"][deployment]["deployment_config"]["user_config"]
