"""Where packages are reached through a company's own network, they are installed, and nothing of it is in the image."""

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.tools.engines.docker import Docker
from mlflow_uv.tools.engines.engine import Build
from mlflow_uv.tools.engines.podman import Podman
from mlflow_uv.tools.system.process import SystemRunner
from mlflow_uv.tools.uv.network import build_secrets
from tests import projects
from tests.conftest import missing
from tests.corporate_network import CorporateNetwork, corporate_network_at
from tests.indexes import index_of

from .images import ImageBuilder, address_of_this_machine, digest_of, image_builder_in, leaks, remove_image, run_in
from .podman_storage import podman_storage_in

pytestmark = pytest.mark.engine
PASSWORD, AUTHORITY = f"pr0xy/{secrets.token_hex(8)}", f"Company {secrets.token_hex(8)}"


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageBuilder]:
    """Tools as a surface would make them."""
    with image_builder_in(tmp_path_factory.mktemp("builder")) as made:
        yield made


@pytest.fixture(scope="module")
def corporate_network(tmp_path_factory: pytest.TempPathFactory, engine_complaint: str) -> Iterator[CorporateNetwork]:
    """A network that is left by its proxy alone, and reaches nothing but an index."""
    if engine_complaint or shutil.which("openssl") is None:
        missing(engine_complaint or "openssl is not installed: apt-get install openssl")
    scratch = tmp_path_factory.mktemp("corporate")
    with corporate_network_at(address_of_this_machine(), scratch, name=AUTHORITY, password=PASSWORD) as found:
        yield found


@pytest.fixture
def wheel(corporate_network: CorporateNetwork, tmp_path: Path) -> Path:
    """A package of that index, which no cache has."""
    made = projects.wheel(tmp_path / "wheel", f"plum{secrets.token_hex(8)}", "1.0")
    index_of(corporate_network.pages, made)
    return made


@pytest.fixture(params=["docker", pytest.param("podman", marks=pytest.mark.extended)])
def name(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Each engine that we know; Podman's settings are those of everybody who starts it until the test ends."""
    if request.param == "docker":
        yield request.param
        return
    with podman_storage_in(tmp_path, request.getfixturevalue("podman_program")) as settings:
        os.environ.update(settings)
        yield request.param


def context_for(builder: ImageBuilder, name: str, wheel: Path, **recipe: Any) -> Path:
    """A folder to build from whose one requirement is in the company's index."""
    plum = f"{name_of(wheel)}=={wheel.name.split('-')[1]} --hash=sha256:{digest_of(wheel)}\n"
    return builder.context(name, builder.model(f"{name}-model"), requirements=plum, **recipe)


def name_of(wheel: Path) -> str:
    """The name of the package in a wheel."""
    return wheel.name.partition("-")[0]


def variables_in(corporate_network: CorporateNetwork, **instead: str) -> dict[str, str]:
    """What somebody in the company has set, and nothing else that leads to a network."""
    kept = ("PATH", "HOME", "DOCKER_", "CONTAINERS_", "XDG_")
    machine = {name: value for name, value in os.environ.items() if name.startswith(kept)}
    known = {
        "HTTPS_PROXY": corporate_network.proxy,
        "SSL_CERT_FILE": str(corporate_network.bundle),
        "UV_DEFAULT_INDEX": corporate_network.index,
    }
    return {**machine, **known, **instead}


def test_a_proxy_and_its_certificates_are_used_and_nowhere_to_be_found(
    builder: ImageBuilder, corporate_network: CorporateNetwork, wheel: Path, tmp_path: Path, name: str
) -> None:
    """
    The package came through them; no file, no word of the image and no line of the log holds password or authority.
    """
    lines: list[str] = []
    variables = variables_in(corporate_network)
    context = context_for(builder, f"through-{name}", wheel)
    kind = Podman if name == "podman" else Docker
    engine = kind(SystemRunner(), variables=variables, on_line=lines.append)

    image = engine.build(Build(context=context, secrets=build_secrets(tmp_path, variables, {})))
    try:
        found = leaks(image.id, tmp_path / "saved", *secrets_of(corporate_network), engine=name)
        words = ("-c", f"import {name_of(wheel)}; print('here')")
        installed = run_in(image.id, "/opt/venv/bin/python", *words, engine=name)
    finally:
        remove_image(image.id, name)

    assert ("here\n", True) == (installed, f"/simple/{name_of(wheel)}/{wheel.name}" in corporate_network.paths)
    assert (set(), []) == (
        found,
        [line for line in lines for secret in secrets_of(corporate_network) if secret in line],
    )


@pytest.mark.parametrize(
    ("lacking", "why", "fix"),
    [
        ("authority", "UnknownIssuer", "SSL_CERT_FILE"),
        pytest.param("password", "proxy authorization required", "HTTPS_PROXY", marks=pytest.mark.extended),
        pytest.param("proxy", "does not resolve", "HTTPS_PROXY", marks=pytest.mark.extended),
    ],
)
def test_without_one_of_them_it_is_said_which(
    builder: ImageBuilder,
    corporate_network: CorporateNetwork,
    wheel: Path,
    tmp_path: Path,
    lacking: str,
    why: str,
    fix: str,
) -> None:
    """
    The reason is the network's, not the engine's own, and what mends it is a variable.
    """
    instead = {
        "authority": {"SSL_CERT_FILE": ""},
        "password": {"HTTPS_PROXY": f"http://{corporate_network.address}"},
        "proxy": {"HTTPS_PROXY": ""},
    }[lacking]
    variables = variables_in(corporate_network, **instead)
    context = context_for(builder, f"without-{lacking}", wheel)
    engine = Docker(SystemRunner(), variables=variables, on_line=print)

    with pytest.raises(ToolFailed) as caught:
        engine.build(Build(context=context, secrets=build_secrets(tmp_path, variables, {})))

    assert (True, True) == (why in caught.value.why, fix in caught.value.fix), str(caught.value)


def test_a_package_that_was_published_a_moment_ago_is_found(
    builder: ImageBuilder, corporate_network: CorporateNetwork, wheel: Path, tmp_path: Path
) -> None:
    """
    What uv remembers of an index from the last build does not hide what the index has now.
    """
    variables = variables_in(corporate_network)
    newer = projects.wheel(tmp_path / "newer", name_of(wheel), "2.0")
    context = context_for(builder, "published", newer, crossing=True)  # which is sooner done
    engine = Docker(SystemRunner(), variables=variables, on_line=print)
    build = Build(context=context, secrets=build_secrets(tmp_path, variables, {}))
    with pytest.raises(ToolFailed, match="the image cannot be built") as before:
        engine.build(build)

    index_of(corporate_network.pages, newer)
    after = engine.build(build)
    remove_image(after.id)

    assert "there is no version of" in before.value.why


def secrets_of(corporate_network: CorporateNetwork) -> tuple[str, ...]:
    """What must be nowhere: the password, the authority's name, and a line of its certificate."""
    return PASSWORD, AUTHORITY, corporate_network.bundle.read_text().splitlines()[5]
