"""The example that deploys to Amazon SageMaker, as it stands: its hosts are led to a stand-in and a real registry."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import checkout
from tests.cases.images import BASE
from tests.cases.sagemaker_servers import container_servers
from tests.github.act import Consumer
from tests.github.other_actions import aws_logins
from tests.registries import PASSWORD, registry
from tests.stand_ins.aws_service import aws_service
from tests.stand_ins.sagemaker import SageMakerAccount
from tests.tunnels import certificates_for, proxy_to

pytestmark = [pytest.mark.engine, pytest.mark.extended]

ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
ROLE = "arn:aws:iam::123456789012:role/deploys"
SECRET = "wJalrXUtnFEMI-made-up-secret"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDMADEUP", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": "made-up"}
TRUSTED = [Path(name) for name in ("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem")]
NO_ENGINE = "unix:///nonexistent.sock"
TABLE = f"""
[tool.mlflow-uv.deploy.prod]
target = "sagemaker"
prefix = "wine-"
role = "arn:aws:iam::123456789012:role/wine-serving"
repository = "{ECR}/wine"
"""


@dataclass
class Cloud:
    """An account, the registry that its ECR is, how a machine reaches both, and the login that a release has."""

    account: SageMakerAccount
    network: dict[str, str]
    login: Path

    def images(self) -> list[str]:
        """The images of the models that the account created, one after the other."""
        return [given["PrimaryContainer"]["Image"] for name, given in self.account.calls if name == "create_model"]

    def endpoint(self) -> str:
        """The image that the servers of the only endpoint run."""
        (endpoint,) = self.account.endpoints.values()
        (variant,) = self.account.configs[endpoint.config]["ProductionVariants"]
        return str(self.account.models[variant["ModelName"]]["PrimaryContainer"]["Image"])


def log_in(folder: Path, *hosts: str) -> Path:
    """Write a login as `docker login` does."""
    folder.mkdir()
    word = base64.b64encode(f"AWS:{PASSWORD}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": word} for host in hosts}}))
    return folder


@pytest.fixture
def cloud(tmp_path: Path, registry_program: str) -> Iterator[Cloud]:
    """The servers of the account pull from the registry by its address on this machine; it also has a base image."""
    for name in ("ecr", "servers"):
        (tmp_path / name).mkdir()
    certificates = certificates_for(tmp_path / "keys", ECR)
    with ExitStack() as stack:
        local = stack.enter_context(
            registry(tmp_path / "ecr", registry_program, private=True, keys=certificates.key.parent)
        )
        login = log_in(tmp_path / "logins", ECR, local)
        for argv in (("tag", BASE, f"{local}/base:1"), ("--config", login, "push", "--quiet", f"{local}/base:1"),
                     ("image", "rm", "--no-prune", f"{local}/base:1")):  # fmt: skip
            subprocess.run(("docker", *argv), check=True, capture_output=True)
        servers = stack.enter_context(container_servers(tmp_path / "servers"))
        account = SageMakerAccount(
            login=f"AWS:{PASSWORD}",
            invoke=lambda image, *rest: servers.invoke(image.replace(ECR, local), *rest),
            healthy=lambda image, variables: servers.healthy(image.replace(ECR, local), variables),
        )
        url = stack.enter_context(aws_service(account, []))
        proxy = stack.enter_context(proxy_to({ECR: int(local.rpartition(":")[2])}, leads_on=True))
        bundle = tmp_path / "bundle.pem"
        trusted = next(path for path in TRUSTED if path.exists())
        bundle.write_text(trusted.read_text() + certificates.authority.read_text())
        network = {
            "AWS_ENDPOINT_URL": url,
            "HTTPS_PROXY": proxy,
            "NO_PROXY": "127.0.0.1,localhost",
            "SSL_CERT_FILE": str(bundle),
        }
        yield Cloud(account, network, login)


def release(small: Consumer, server: str, image: str, cloud: Cloud) -> str:
    """Release a version without an engine, push its image, make it the champion, and return the image's digest."""
    checkout.repository(small.folder)
    home = small.folder.parent / "releases"
    variables = {
        **os.environ, **cloud.network, "MLFLOW_UV_HOME": str(home), "MLFLOW_TRACKING_URI": server,
        "DOCKER_HOST": NO_ENGINE, "CONTAINER_HOST": NO_ENGINE, "DOCKER_CONFIG": str(cloud.login),
    }  # fmt: skip
    outputs: dict[str, Any] = {}
    pushed = ("--push", "--image", image, "--base-image", f"{ECR}/base:1")
    for words in (("release", *pushed), ("promote",)):
        argv = (sys.executable, "-I", "-m", "mlflow_uv", *words, "--format", "json")
        done = subprocess.run(argv, cwd=small.folder, env=variables, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-6000:]
        outputs |= json.loads(done.stdout)["outputs"]
    return str(outputs["image-digest"])


def test_the_example_deploys_the_champion_wherever_its_image_is(
    small: Consumer,
    root: Path,
    tmp_path: Path,
    server: str,
    registry_program: str,
    cloud: Cloud,
    actions: tuple[str, ...],
) -> None:
    """
    An image of another registry is copied to Amazon ECR, one that is there is used; no engine answers in the job.

    A job of another role gets no credentials, and nothing is created.
    """
    manifest = small.folder / "pyproject.toml"
    manifest.write_text(manifest.read_text() + TABLE)
    text = (root / "examples/workflows/deploy-sagemaker.yml").read_text().replace("org/mlflow-uv-action", "ACTION")
    logins = aws_logins(tmp_path, role=ROLE, variables=CREDENTIALS, host=ECR, login=f"AWS:{PASSWORD}")
    options = ("--var", f"MLFLOW_TRACKING_URI={server}", *actions, *logins)

    def deploy(role: str):
        return small.run(
            text,
            event="workflow_dispatch",
            options=("--var", f"DEPLOY_ROLE={role}", *options),
            env=cloud.network,
            engines={"deploy": NO_ENGINE},
        )

    (tmp_path / "public").mkdir()
    with registry(tmp_path / "public", registry_program) as public:
        elsewhere = release(small, server, f"{public}/team/wine", cloud)
        refused = deploy("arn:aws:iam::123456789012:role/another")
        before = list(cloud.account.calls)
        copied = deploy(ROLE)
    first = cloud.endpoint()
    program = small.folder / "train.py"
    program.write_text(program.read_text().replace("2.0 *", "3.0 *"))
    there = release(small, server, f"{ECR}/wine", cloud)
    used = deploy(ROLE)

    assert (False, [], True, True) == (refused.ok, before, copied.ok, used.ok), copied.log[-6000:] + used.log[-6000:]
    expected = [f"{ECR}/wine@{digest}" for digest in (elsewhere, there)]
    assert (expected, expected) == ([first, cloud.endpoint()], cloud.images())
    assert ("copying the image" in copied.log, "copying the image" in used.log) == (True, False)
    assert [("1", ""), ("2", "1")] == [
        (run.outputs["3"]["version"], run.outputs["3"]["deployed-before"]) for run in (copied, used)
    ]
    assert [] == [word for word in (SECRET, PASSWORD) if word in copied.log + used.log]
