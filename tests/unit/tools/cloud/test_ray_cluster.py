"""The Ray cluster of a run: where it is, its login, and what is uploaded to it."""

from pathlib import Path
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from mlflow_uv.tools.cloud.ray_cluster import RayCluster, connect_ray
from mlflow_uv.tools.system.web import Web, WebReply, WebRequest
from tests.stand_ins.ray import TOKEN, RayApplications
from tests.stand_ins.web import StandInWeb
from tests.unit.ops.deploy.worlds import QuickClock

HERE = {"RAY_ADDRESS": "http://127.0.0.1:8265/"}


def connected(cluster: RayApplications, **variables: str) -> RayCluster:
    """A connection to a cluster."""
    return connect_ray(cast("Web", StandInWeb(cluster.answer)), QuickClock(), {**HERE, **variables})


class Uploads(StandInWeb):
    """A web client that keeps the requests with a file, and answers them with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(RayApplications().answer)
        self.status = status
        self.uploads: list[WebRequest] = []

    def send(self, request: WebRequest) -> WebReply:
        """See Web."""
        if request.upload is None:
            return super().send(request)
        self.uploads.append(request)
        return WebReply(status=self.status, headers={}, body=b"")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "RAY_API_SERVER_ADDRESS is not set"),
        ({"RAY_ADDRESS": "10.0.0.1:6379"}, "RAY_ADDRESS is neither HTTPS"),
        ({"RAY_ADDRESS": "http://ray.example.com:8265"}, "RAY_ADDRESS is neither HTTPS"),
        ({"RAY_API_SERVER_ADDRESS": "http://127.0.0.1.example.com", **HERE}, "RAY_API_SERVER_ADDRESS is neither"),
        ({"RAY_ADDRESS": "https://user:secret@ray.example.com"}, "RAY_ADDRESS is neither HTTPS"),
    ],
)
def test_a_cluster_without_an_encrypted_address_is_refused(variables: dict[str, str], message: str) -> None:
    """
    Before anything is sent; on this machine no encryption is needed.
    """
    with pytest.raises(BadInput, match=message):
        connect_ray(cast("Web", None), QuickClock(), variables)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_a_cluster_on_this_machine_needs_no_encryption(host: str) -> None:
    """
    In each form of its address, also with brackets.
    """
    cluster = connect_ray(cast("Web", None), QuickClock(), {"RAY_ADDRESS": f"http://{host}:8265"})

    assert cluster is not None


def test_the_token_of_the_environment_is_the_login() -> None:
    """
    Without one nothing is sent in its place.
    """
    cluster = RayApplications(token=TOKEN)

    assert {} == connected(cluster, RAY_AUTH_TOKEN=TOKEN).applications()["applications"]
    with pytest.raises(ToolFailed, match="set RAY_AUTH_TOKEN from a secret"):
        connected(cluster).applications()


def test_a_package_is_uploaded_once_by_its_digest(tmp_path: Path) -> None:
    """
    The cluster keeps it under the name that has the digest.
    """
    archive = tmp_path / "a.zip"
    archive.write_bytes(b"content")
    web = Uploads(200)
    there = RayApplications(packages={"_ray_pkg_" + "b" * 32 + ".zip": 1})

    uri = connect_ray(cast("Web", web), QuickClock(), HERE).upload(archive, "a" * 64)
    known = connected(there).upload(archive, "b" * 64)

    assert (f"gcs://_ray_pkg_{'a' * 32}.zip", f"gcs://_ray_pkg_{'b' * 32}.zip") == (uri, known)
    assert [("PUT", archive)] == [(request.method, request.upload) for request in web.uploads]


@pytest.mark.parametrize(("status", "message"), [(413, "RAY_DASHBOARD_CLIENT_MAX_SIZE"), (500, "status 500")])
def test_a_package_that_the_cluster_does_not_take_is_an_error(tmp_path: Path, status: int, message: str) -> None:
    """
    The dashboard has a limit, which whoever starts it can change.
    """
    archive = tmp_path / "a.zip"
    archive.write_bytes(b"content")

    with pytest.raises(ToolFailed, match=message):
        connect_ray(cast("Web", Uploads(status)), QuickClock(), HERE).upload(archive, "a" * 64)


def test_a_job_of_the_same_deployment_is_known_until_it_is_over() -> None:
    """
    That of a deployment whose name begins alike is another one.
    """
    cluster: Any = RayApplications(packages={"p.zip": 1})
    ray = connected(cluster)

    job = ray.run("mlflow-uv_prod_", "gcs://p.zip", {"action": "delete", "names": []})
    first, other = ray.running("mlflow-uv_prod_"), ray.running("mlflow-uv_prod-pr_")
    while not ray.job(job).over:
        ray.running("mlflow-uv_prod_")

    assert (job, None, None) == (first, other, ray.running("mlflow-uv_prod_"))
    assert "" == ray.job(job).failure
