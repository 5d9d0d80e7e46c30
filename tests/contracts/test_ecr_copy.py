"""Contract: the copy of an image to a registry that asks for a password, as Amazon ECR does with its token."""

import json
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.image.composition import CONFIG_TYPE, GZIP_TYPE, MANIFEST_TYPE, Blob
from mlflow_uv.core.image.reference import image_reference
from mlflow_uv.ops.deploy.target import WantedVersion
from mlflow_uv.tools.oci.repository import Repository
from mlflow_uv.tools.oci.uploads import BlobUploads
from mlflow_uv.tools.system.web import Web
from mlflow_uv.tools.toolbox import Tools
from tests.registries import PASSWORD, USER, registry
from tests.stand_ins.aws_service import aws_service
from tests.stand_ins.sagemaker import SageMakerAccount
from tests.unit.ops.deploy.test_target import begin
from tests.unit.ops.deploy.worlds import wanted_version
from tests.unit.tools.oci.registryserver import digest_of
from tests.unit.tools.oci.test_registries import Hasty

from .test_registry_uploads import Line, through
from .test_sagemaker import LoopbackAccount, misshapen, tools_at

pytestmark = pytest.mark.installs

LAYERS = (b"first" * 200_000, b"second" * 200_000)
CONFIG = b'{"architecture": "amd64"}'


@dataclass
class Copying:
    """A registry with an image, one that stands for Amazon ECR behind a line, and an account that has its password."""

    source: Path
    wanted: WantedVersion
    place: str
    line: Line
    account: SageMakerAccount
    tools: Tools
    exchanges: list[dict[str, Any]]

    def deploy(self) -> None:
        """Begin a deployment of the image."""
        world = LoopbackAccount(self.account, self.tools, {"repository": self.place})
        begin(world.target(), self.wanted, up_to="apply")

    def manifest(self, which: str, password: str) -> bytes:
        """What the registry has under a tag or digest."""
        host, _, name = self.place.partition("/")
        login = b64encode(f"{USER}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Accept": MANIFEST_TYPE}
        request = urllib.request.Request(f"http://{host}/v2/{name}/manifests/{which}", headers=headers)
        with urllib.request.urlopen(request) as reply:
            return bytes(reply.read())


def pushed(host: str, folder: Path) -> str:
    """Push an image, and return its digest."""
    repository = Repository(Web({}), Hasty(), image_reference(f"{host}/wine:1"), None, rights="pull,push")
    blobs = {}
    for number, content in enumerate((CONFIG, *LAYERS)):
        file = folder / f"blob-{number}"
        file.write_bytes(content)
        kind = GZIP_TYPE if number else CONFIG_TYPE
        blobs[Blob(media_type=kind, digest=digest_of(content), size=len(content))] = file
    BlobUploads(repository, {}).send(blobs)
    config, *layers = ({"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size} for blob in blobs)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": layers}
    body = json.dumps(manifest).encode()
    repository.put_manifest("1", body, kind=MANIFEST_TYPE)
    return digest_of(body)


@pytest.fixture
def copying(tmp_path: Path, registry_program: str) -> Iterator[Copying]:
    """An image that is not in Amazon ECR yet."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    exchanges: list[dict[str, Any]] = []
    with ExitStack() as stack:
        host = stack.enter_context(registry(source, registry_program))
        private = stack.enter_context(registry(target, registry_program, private=True))
        line = Line({})
        address = stack.enter_context(through(line, int(private.rpartition(":")[2])))
        account = SageMakerAccount(pulls_from=r"127\.0\.0\.1:\d+/team/wine", login=f"{USER}:{PASSWORD}")
        url = stack.enter_context(aws_service(account, exchanges))
        tools = stack.enter_context(tools_at(url, tmp_path))
        digest = pushed(host, tmp_path)
        wanted = wanted_version("1")
        assert wanted.record.image is not None
        wanted.record.image = replace(wanted.record.image, digest=digest)  # type: ignore[misc]  # of the tests
        wanted = replace(wanted, address=f"{host}/wine@{digest}")
        yield Copying(source, wanted, f"{address}/team/wine", line, account, tools, exchanges)


def test_an_image_is_copied_with_the_token_of_the_account_by_its_digest(copying: Copying) -> None:
    """
    Every byte of the manifest is the same; without the token, the registry shows nothing.
    """
    copying.deploy()

    digest = copying.wanted.address.rpartition("@")[2]
    manifest = copying.manifest(digest, PASSWORD)
    (model,) = copying.account.models.values()
    assert (digest, manifest) == (digest_of(manifest), copying.manifest(digest.replace(":", "-"), PASSWORD))
    assert f"{copying.place}@{digest}" == model["PrimaryContainer"]["Image"]
    with pytest.raises(HTTPError, match="401"):
        copying.manifest(digest, "another")
    assert "GetAuthorizationToken" in [exchange["operation"] for exchange in copying.exchanges]
    assert "" == misshapen(copying.tools.environments.ours(), copying.exchanges)


def test_a_copy_that_was_interrupted_sends_what_is_missing_alone(copying: Copying) -> None:
    """
    The second layer could not be read the first time; a third run sends no layer at all.
    """
    name = digest_of(LAYERS[1]).partition(":")[2]
    (blob,) = copying.source.glob(f"registry/**/blobs/sha256/*/{name}/data")
    blob.rename(copying.source / "away")
    with pytest.raises(ToolFailed, match="cannot be copied"):
        copying.deploy()
    first = copying.line.passed
    assert {} == copying.account.models
    (copying.source / "away").rename(blob)

    copying.deploy()
    second = copying.line.passed - first
    for kept in (copying.account.endpoints, copying.account.configs, copying.account.models):
        kept.clear()  # so that the image is copied again
    copying.deploy()
    third = copying.line.passed - first - second

    assert len(LAYERS[0]) <= first
    assert len(LAYERS[1]) <= second < len(LAYERS[1]) + 100_000
    assert 0 < third < 50_000


def test_a_token_that_is_not_accepted_is_an_error_without_it(copying: Copying) -> None:
    """
    No model is made.
    """
    copying.account.login = f"{USER}:not-the-password"

    with pytest.raises(ToolFailed, match=r"denies the push to team/wine.*Fix: create the repository") as caught:
        copying.deploy()

    assert {} == copying.account.models
    assert "not-the-password" not in caught.value.text
    assert b64encode(copying.account.login.encode()).decode() not in caught.value.text
