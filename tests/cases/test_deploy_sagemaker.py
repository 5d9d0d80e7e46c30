"""A version on SageMaker whose servers are real containers: copied to its registry, started and asked as there."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.core.deploy.platform_settings import SagemakerMode
from mlflow_uv.core.deploy.running import RUNNING
from mlflow_uv.core.model.recorded_requests import RecordedRequest, RequestOrigin
from mlflow_uv.ops.deploy.rollout import Rollout
from mlflow_uv.ops.deploy.target import WantedVersion
from mlflow_uv.ops.image.serving_check import Expected
from mlflow_uv.tools.toolbox import Tools
from tests.contracts.test_sagemaker import LoopbackAccount, misshapen, tools_at
from tests.registries import PASSWORD, USER, registry
from tests.stand_ins.aws_service import aws_service
from tests.stand_ins.sagemaker import SageMakerAccount
from tests.unit.ops.deploy.test_target import roll_out
from tests.unit.ops.deploy.worlds import wanted_version
from tests.waiting import CEILING_S

from .containers import served_image_in
from .sagemaker_servers import ContainerServers, container_servers, pushed

pytestmark = [pytest.mark.engine, pytest.mark.installs, pytest.mark.extended]

PREDICTING = "int(row['x']) * int(os.environ.get('FACTOR', 2))"
EXPECTED = Expected(
    requests=tuple(
        RecordedRequest(
            name=f"example {x}",
            origin=RequestOrigin.EXAMPLE,
            body=f'{{"dataframe_records": [{{"x": {x}}}]}}',
            answer={"predictions": [2 * x]},
        )
        for x in (1, 21)
    ),
    tolerance=1e-6,
    deadline_s=60,
    network=True,
)


@dataclass
class ServedAccount:
    """An account whose servers are containers, and versions of a model: a right one, and others with a fault."""

    account: SageMakerAccount
    servers: ContainerServers
    tools: Tools
    versions: dict[str, WantedVersion]
    repository: str
    exchanges: list[dict[str, Any]]

    def deploy(self, name: str, **settings: Any) -> tuple[Rollout, LoopbackAccount]:
        """Deploy a version in a run of its own."""
        given = {"repository": self.repository, **settings}
        world = LoopbackAccount(self.account, self.tools, given, deadline_s=CEILING_S)
        target = world.target()
        done: Rollout = roll_out(target, self.versions[name], expected=EXPECTED)
        if not done.returned:
            target.settle()
        return done, world


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory, root: Path, registry_program: str) -> Iterator[ServedAccount]:
    """The versions are in a registry of their own; the one that stands for Amazon ECR has none of them."""
    scratch = tmp_path_factory.mktemp("sagemaker")
    folders = [scratch / name for name in ("public", "private", "login", "host")]
    for folder in folders:
        folder.mkdir()
    exchanges: list[dict[str, Any]] = []
    with ExitStack() as stack:
        served = stack.enter_context(served_image_in(scratch, root, predicting=PREDICTING))
        public = stack.enter_context(registry(folders[0], registry_program))
        private = stack.enter_context(registry(folders[1], registry_program, private=True))
        servers = stack.enter_context(container_servers(folders[2]))
        made = SageMakerAccount(
            pulls_from=re.escape(f"{private}/team/wine"),
            login=f"{USER}:{PASSWORD}",
            invoke=servers.invoke,
            healthy=servers.healthy,
        )
        url = stack.enter_context(aws_service(made, exchanges))
        tools = stack.enter_context(tools_at(url, folders[3]))
        versions = {}
        for number, (name, changes) in enumerate(
            (("right", ()), ("wrong", ("ENV FACTOR=3",)), ("ends", ('ENTRYPOINT ["false"]',))), start=1
        ):
            address = pushed(public, served.image, name, *changes)
            wanted = wanted_version(str(number))
            assert wanted.record.image is not None
            digest = address.rpartition("@")[2]
            wanted.record.image = replace(wanted.record.image, digest=digest)  # type: ignore[misc]  # of the tests
            versions[name] = replace(wanted, address=address)
        yield ServedAccount(made, servers, tools, versions, f"{private}/team/wine", exchanges)


def test_requests_reach_a_real_container_by_invoke_endpoint(account: ServedAccount) -> None:
    """
    A right version runs; one that answers wrong, and one whose container ends, are taken back.
    """
    first, world = account.deploy("right")
    second, _ = account.deploy("wrong")
    with pytest.raises(Exception, match="did not pass the ping health check"):
        account.deploy("ends")
    now = world.target().observe()
    containers = {image.rpartition("@")[2]: kept.inspected for image, kept in account.servers.started.items()}
    world.target().remove()

    digest = account.versions["right"].address.rpartition("@")[2]
    assert ((), True, ["answers-differ"] * 2) == (
        first.findings,
        second.returned,
        [finding.rule for finding in second.findings],
    )
    assert ("1", RUNNING, digest) == (now.version, now.facts["state"], now.facts["image"].rpartition("@")[2])
    assert (["serve"], True) == (
        containers[digest]["Config"]["Cmd"],
        "REQUEST_TIMEOUT=60" in containers[digest]["Config"]["Env"],
    )
    assert "" == misshapen(account.tools.environments.ours(), account.exchanges)


@pytest.mark.parametrize(
    "settings",
    [
        {"serverless_memory": 2048},
        {"mode": SagemakerMode.BATCH, "transform_folder": "s3://cellar/trials"},
    ],
    ids=["serverless", "batch"],
)
def test_a_real_container_answers_without_servers_of_its_own_and_in_a_job(
    account: ServedAccount, settings: dict[str, Any]
) -> None:
    """
    The same versions, in the other ways.
    """
    first, world = account.deploy("right", **settings)
    second, _ = account.deploy("wrong", **settings)
    now = world.target().observe()
    world.target().remove()

    assert ((), True, "1") == (first.findings, second.returned, now.version)
    assert ({}, {}) == (account.account.models, account.account.endpoints)
    assert {"cellar": {}} == account.account.transforms.storage.objects
