"""What is said where a registry refuses a composed image, and when an engine may push one instead."""

import shutil
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.image.composition import ZSTD_TYPE, BaseLayers, Blob, LayerBlob, composed
from mlflow_uv.core.image.reference import image_reference, reach_fix
from mlflow_uv.ops.image.builders import NotComposable, RegistryNotReached
from mlflow_uv.ops.image.composed_push import push_composed, require_push
from mlflow_uv.tools.engines.engine import Engine
from mlflow_uv.tools.oci.repository import RegistryUnanswered, Repository
from mlflow_uv.tools.system.clock import SystemClock
from mlflow_uv.tools.system.web import Web
from mlflow_uv.tools.toolbox import Tools
from tests.console import KeptConsole
from tests.endpoints import EndpointReply, certified, fake_endpoint

ENGINE = cast("Engine", SimpleNamespace(name="docker"))


def tools_of(folder: Path, *, denied: bool) -> Tools:
    """The tools with a registry that refuses everything."""

    def refuse(*_: object, **__: object) -> None:
        raise RegistryUnanswered("it says no", denied=denied)

    registries = SimpleNamespace(push=refuse, require_push=refuse)
    return cast(
        "Tools", SimpleNamespace(registries=registries, console=KeptConsole(), host=SimpleNamespace(cache=folder))
    )


@pytest.mark.parametrize(
    ("denied", "fix"),
    [(True, "docker login r.example"), (False, reach_fix("r.example/wine", None))],
)
def test_a_refused_push_names_the_fix(tmp_path: Path, denied: bool, fix: str) -> None:
    """
    A login, or the way to the registry.
    """
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}
    image = composed(BaseLayers(config=config, layers=()), (), {})

    with pytest.raises(ToolFailed, match="it says no") as refused:
        push_composed("r.example/wine:1", image, {}, tools_of(tmp_path, denied=denied))

    assert fix == str(refused.value.fix)


def test_a_refused_push_of_layers_of_zstd_names_the_other_compression(tmp_path: Path) -> None:
    """
    Not every registry takes their type; a missing login is still the reason that it is.
    """
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}
    blob = Blob(media_type=ZSTD_TYPE, digest="sha256:1", size=1)
    image = composed(BaseLayers(config=config, layers=()), (LayerBlob(name="x", blob=blob, diff_id="sha256:2"),), {})

    fixes = []
    for denied in (False, True):
        with pytest.raises(ToolFailed, match="it says no") as refused:
            push_composed("r.example/wine:1", image, {}, tools_of(tmp_path, denied=denied))
        fixes.append(str(refused.value.fix))

    assert fixes == [
        "--compression gzip, if the registry does not take layers that zstd compressed", "docker login r.example",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("denied", "engine", "kind"),
    [(False, ENGINE, RegistryNotReached), (False, None, ToolFailed), (True, ENGINE, ToolFailed)],
    ids=["an engine may reach it", "nothing else pushes", "denied"],
)
def test_only_a_registry_without_a_response_is_left_to_the_engine(
    tmp_path: Path, denied: bool, engine: Engine | None, kind: type[ToolFailed]
) -> None:
    """
    An engine may be set up for it, as one without TLS or behind a proxy; a denied login is denied there, too.
    """
    with pytest.raises(ToolFailed, match="it says no") as refused:
        require_push("r.example/wine:1", tools_of(tmp_path, denied=denied), engine=engine)

    assert (kind, kind is RegistryNotReached) == (type(refused.value), isinstance(refused.value, NotComposable))
    assert "ToolFailed" == refused.value.kind


def test_a_registry_that_takes_the_push_is_no_reason() -> None:
    """
    It is asked for the name that is pushed, once.
    """
    asked: list[str] = []
    tools = cast("Tools", SimpleNamespace(registries=SimpleNamespace(require_push=asked.append)))

    require_push("r.example/wine:1", tools, engine=ENGINE)

    assert ["r.example/wine:1"] == asked


class Registry:
    """A registry with TLS on loopback that requires a client certificate, and the files of a user who has none."""

    def __init__(self, folder: Path, *, newest: ssl.TLSVersion) -> None:
        self.home, self.keys = folder / "home", folder / "keys"
        self.context, self.authority = certified(self.keys)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.load_verify_locations(self.authority)
        self.context.maximum_version = newest
        certified(folder / "others")

    def place(self, host: str) -> Path:
        """The folder with the certificates for the registry, which has its CA."""
        folder = self.home / ".config" / "containers" / "certs.d" / host
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.authority, folder / "ca.crt")
        return folder

    def push(self, host: str) -> None:
        """What a step does before it composes an image."""

        def begin(tag: str) -> None:
            Repository(Web({"HOME": str(self.home)}), SystemClock(), image_reference(tag), None).begin_upload()

        tools = cast("Tools", SimpleNamespace(registries=SimpleNamespace(require_push=begin)))
        require_push(f"{host}/wine:1", tools, engine=None)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("fault", ["no key", "another key", "no certificate", "of another CA"])
def test_the_fix_for_a_client_certificate_makes_the_registry_answer(
    tmp_path: Path, fault: str, newest: ssl.TLSVersion
) -> None:
    """
    It names the files that the user has, or where they belong; what is done here is what it says.
    """
    registry = Registry(tmp_path, newest=newest)
    with fake_endpoint(lambda _: EndpointReply(status=202), context=registry.context) as endpoint:
        host = f"127.0.0.1:{endpoint.port}"
        folder = registry.place(host)
        pair = tmp_path / ("others" if fault == "of another CA" else "keys")
        if fault != "no certificate":
            shutil.copyfile(pair / "host.pem", folder / "client.cert")
        if fault == "another key":
            shutil.copyfile(tmp_path / "others" / "host.key", folder / "client.key")
        elif fault == "of another CA":
            shutil.copyfile(pair / "host.key", folder / "client.key")
        with pytest.raises(ToolFailed) as refused:
            registry.push(host)
        fix = str(refused.value.fix)
        if fault in {"no key", "another key"}:
            expected = (
                f"put the key of that certificate there, without a password, or remove both if {host} requires none"
            )
            assert (True, expected) == (f"{folder}/client.key" in refused.value.why, fix)
        else:
            expected = (
                f"~/.config/containers/certs.d/{host}/client.cert and its key into client.key, in place of any other"
            )
            assert fix.endswith(expected), refused.value.why
            shutil.copyfile(registry.keys / "host.pem", folder / "client.cert")
        shutil.copyfile(registry.keys / "host.key", folder / "client.key")

        registry.push(host)

    assert "/v2/wine/blobs/uploads/" in [request.path for request in endpoint.requests]


@pytest.mark.parametrize("fault", ["no key", "another key"])
def test_a_registry_that_requires_no_client_certificate_answers_once_an_unusable_one_is_removed(
    tmp_path: Path, fault: str
) -> None:
    """
    As the other half of the fix says.
    """
    registry = Registry(tmp_path, newest=ssl.TLSVersion.TLSv1_3)
    registry.context.verify_mode = ssl.CERT_NONE
    with fake_endpoint(lambda _: EndpointReply(status=202), context=registry.context) as endpoint:
        host = f"127.0.0.1:{endpoint.port}"
        folder = registry.place(host)
        shutil.copyfile(registry.keys / "host.pem", folder / "client.cert")
        if fault == "another key":
            shutil.copyfile(tmp_path / "others" / "host.key", folder / "client.key")
        with pytest.raises(ToolFailed) as refused:
            registry.push(host)
        for name in ("client.cert", "client.key"):
            (folder / name).unlink(missing_ok=True)

        registry.push(host)

    assert str(refused.value.fix).endswith(f"or remove both if {host} requires none")
