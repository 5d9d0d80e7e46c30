"""Registries of a company: with TLS under a CA of its own, or with plain HTTP, at an address that is not loopback."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BaseImageMissing, StepError, ToolFailed
from mlflow_uv.core.image.reference import TlsProblem
from mlflow_uv.core.release.chain import LinkState
from mlflow_uv.ops.image.composed_push import push_composed, require_push
from mlflow_uv.ops.image.recomposed import from_parts
from mlflow_uv.tools.engines.build_errors import NotPulled
from mlflow_uv.tools.oci.repository import RegistryUnanswered
from mlflow_uv.tools.toolbox import Tools
from tests.endpoints import certified
from tests.registries import PASSWORD, USER, own_address, registry
from tests.waiting import happens, listens

from .composed import push_base, tiny_release
from .conftest import name_of_image
from .images import BASE, remove_image
from .sample_project import SampleProject, error, training
from .test_composed_step import NOWHERE

# Without the proxy that leads to packages.
DIRECT = {"NO_PROXY": "*", "no_proxy": "*"}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A certificate for the address of this machine, and the CA that signed it (`ca.pem`)."""
    _, authority = certified(tmp_path / "keys", own_address())
    return authority.parent


@pytest.fixture
def with_tls(tmp_path: Path, registry_program: str, keys: Path) -> Iterator[str]:
    """A registry whose certificate nobody trusts yet."""
    with registry(tmp_path, registry_program, address=own_address(), keys=keys) as host:
        yield host


@pytest.fixture
def plain(tmp_path: Path, registry_program: str) -> Iterator[str]:
    """A registry without TLS."""
    with registry(tmp_path, registry_program, address=own_address()) as host:
        yield host


def bundle_with(authority: Path) -> Path:
    """The certificates that reach packages here, and those of an authority."""
    bundle = authority.with_name("bundle.pem")
    known = os.environ.get("SSL_CERT_FILE")
    bundle.write_text((Path(known).read_text() if known else "") + authority.read_text())
    return bundle


def test_a_registry_with_an_own_ca_is_refused_with_the_fix_and_used_with_it(
    with_tls: str, keys: Path, tmp_path: Path
) -> None:
    """
    With the CA in SSL_CERT_FILE, as the fix says, the base is read from it, the image pushed, and its digest audited.
    """
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    trusting = {**DIRECT, "SSL_CERT_FILE": str(bundle_with(keys / "ca.pem"))}
    name = f"{with_tls}/cellar/wine:7"

    with tiny_release(tmp_path / "one", variables=DIRECT) as stranger:
        with pytest.raises(ToolFailed) as unpushed:
            require_push(name, stranger.tools, engine=None)
        with pytest.raises(BaseImageMissing) as unread:
            stranger.compose(f"{with_tls}/base:1")
    with tiny_release(tmp_path / "two", variables=trusting) as tiny:
        require_push(name, tiny.tools, engine=None)
        push_base(f"{with_tls}/base:1", tmp_path / "base", tiny.tools)
        image, base = tiny.compose(f"{with_tls}/base:1")
        digest = push_composed(name, image.image, image.archives, tiny.tools)
        release = tiny.with_image(name, image, base)
        (check,) = from_parts(release, tiny.tools).checks
        assert release.record.image is not None
        moved = replace(release.record.image, digest=f"sha256:{'0' * 64}")
        (other,) = from_parts(replace(release, record=replace(release.record, image=moved)), tiny.tools).checks

    fix = f"reach {with_tls} from here by HTTPS, with the certificate of its CA in SSL_CERT_FILE"
    assert [True, True] == ["CERTIFICATE_VERIFY_FAILED" in str(error.value.why) for error in (unpushed, unread)]
    assert (fix, True) == (unpushed.value.fix, str(unread.value.fix).startswith(fix))
    assert (image.image.digest, LinkState.HOLDS, LinkState.BROKEN) == (digest, check.state, other.state)


def test_certificates_where_podman_and_docker_look_are_for_that_registry_alone(
    with_tls: str, keys: Path, tmp_path: Path
) -> None:
    """
    In the folder of the user that is called as the registry, with its port; not that of another port.
    """
    home = tmp_path / "home"
    (tmp_path / "one").mkdir()
    folder = home / ".config" / "containers" / "certs.d"
    (folder / f"{with_tls}9").mkdir(parents=True)
    shutil.copyfile(keys / "ca.pem", folder / f"{with_tls}9" / "ca.crt")

    with tiny_release(tmp_path / "one", variables={**DIRECT, "HOME": str(home)}) as tiny:
        with pytest.raises(RegistryUnanswered, match="CERTIFICATE_VERIFY_FAILED"):
            tiny.tools.registries.require_push(f"{with_tls}/wine:1")
        (folder / f"{with_tls}9").rename(folder / with_tls)
        push_base(f"{with_tls}/base:1", tmp_path / "base", tiny.tools)
        pushed = tiny.tools.registries.digest_of_tag(f"{with_tls}/base:1")

    assert pushed is not None


@pytest.mark.parametrize("named_by", ["certs.d", "SSL_CERT_FILE"])
def test_a_registry_with_tls_on_loopback_is_used(registry_program: str, tmp_path: Path, named_by: str) -> None:
    """
    Certificates for it say that it has TLS, or its response to plain HTTP does; an unknown CA is refused.
    """
    _, authority = certified(tmp_path / "keys")
    home = tmp_path / "home"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with registry(tmp_path, registry_program, keys=authority.parent) as host:
        trusting = {**DIRECT, "HOME": str(home)}
        if named_by == "SSL_CERT_FILE":
            trusting["SSL_CERT_FILE"] = str(bundle_with(authority))
        with (
            tiny_release(tmp_path / "one", variables={**DIRECT, "HOME": str(home)}) as stranger,
            pytest.raises(RegistryUnanswered, match="CERTIFICATE_VERIFY_FAILED") as refused,
        ):
            stranger.tools.registries.require_push(f"{host}/wine:1")
        if named_by == "certs.d":
            folder = home / ".config" / "containers" / "certs.d" / host
            folder.mkdir(parents=True)
            shutil.copyfile(authority, folder / "ca.crt")
        with tiny_release(tmp_path / "two", variables=trusting) as tiny:
            push_base(f"{host}/base:1", tmp_path / "base", tiny.tools)
            image, _ = tiny.compose(f"{host}/base:1")
            digest = push_composed(f"{host}/wine:1", image.image, image.archives, tiny.tools)
            pushed = tiny.tools.registries.digest_of_tag(f"{host}/wine:1")

    assert TlsProblem.UNTRUSTED is refused.value.tls
    assert (image.image.digest, image.image.digest) == (digest, pushed)


def test_a_registry_that_is_down_is_not_a_question_of_certificates(registry_program: str, tmp_path: Path) -> None:
    """
    The fix names none.
    """
    with registry(tmp_path, registry_program, address=own_address()) as host:
        pass
    with tiny_release(tmp_path, variables=DIRECT) as tiny:
        with pytest.raises(ToolFailed) as unpushed:
            require_push(f"{host}/wine:7", tiny.tools, engine=None)
        with pytest.raises(BaseImageMissing) as unread:
            tiny.compose(f"{host}/base:1")

    assert f"reach {host} from here" == unpushed.value.fix
    assert (True, False) == (str(unread.value.fix).startswith(f"reach {host} from here, or"), "CA" in unread.value.fix)


def test_a_registry_without_tls_is_refused_before_anything_is_sent(plain: str, tmp_path: Path) -> None:
    """
    The reason says that it speaks no TLS; a login would cross the network as it is.
    """
    with tiny_release(tmp_path / "one", variables=DIRECT) as tiny:
        with pytest.raises(ToolFailed) as unpushed:
            require_push(f"{plain}/wine:7", tiny.tools, engine=None)
        with pytest.raises(BaseImageMissing) as unread:
            tiny.compose(f"{plain}/base:1")

    address = plain.partition(":")[0]
    why = f"{address} does not answer: it speaks no TLS, as a server for plain HTTP"
    assert [why, why] == [unpushed.value.why, unread.value.why]
    assert str(unpushed.value.fix).startswith(f"reach {plain} from here by HTTPS")


def direct_to(address: str) -> dict[str, str]:
    """Variables by which no proxy leads to an address, beside those that need none here."""
    return {name: ",".join(filter(None, (os.environ.get(name), address))) for name in DIRECT}


@pytest.mark.extended
@pytest.mark.parametrize("named_by", ["certs.d", "SSL_CERT_FILE"])
def test_a_release_goes_through_a_registry_with_an_own_ca(
    sample: SampleProject, with_tls: str, keys: Path, tmp_path: Path, named_by: str
) -> None:
    """
    Without an engine: base, push and audit, from a command to the next; an audit without the CA verifies nothing.
    """
    direct, home = {**direct_to(own_address()), **NOWHERE}, tmp_path / "home"
    trusting = {**direct, "HOME": str(home)}
    folder = home / ".config" / "docker" / "certs.d" / with_tls
    folder.mkdir(parents=True)
    if named_by == "SSL_CERT_FILE":
        trusting["SSL_CERT_FILE"] = str(bundle_with(keys / "ca.pem"))
    else:
        shutil.copyfile(keys / "ca.pem", folder / "ca.crt")
    (tmp_path / "tiny").mkdir()
    with tiny_release(tmp_path / "tiny", variables=trusting) as tiny:
        push_base(f"{with_tls}/base:1", tmp_path / "base", tiny.tools)
    flags = ("--builder", "compose", "--engine", "none", "--base-image", f"{with_tls}/base:1", "--push")
    sample.train_with(training(predict='return [3.0 * x for x in model_input["x"]]'))

    refused = sample.run("release", *flags, "--image", f"{with_tls}/wine", variables=direct)
    released = sample.run("release", *flags, "--image", f"{with_tls}/wine", variables=trusting)
    audited = sample.run("audit", "models:/wine@candidate", "--strict", variables=trusting)
    stranger = sample.run("audit", "models:/wine@candidate", variables=direct)

    code, kind, what, fix = error(refused)
    assert (True, True) == ("certificate of its CA in SSL_CERT_FILE" in fix, with_tls in what), (code, kind)
    assert (0, 0) == (released.code, audited.code), released.stderr + audited.stderr
    assert "CERTIFICATE_VERIFY_FAILED" in stranger.stdout + stranger.stderr


@pytest.mark.engine
@pytest.mark.extended
def test_a_release_goes_through_a_registry_without_tls_at_another_address_of_loopback(
    sample: SampleProject, registry_program: str, tmp_path: Path
) -> None:
    """
    Docker reaches it by HTTP, too: the image is loaded, tested and pushed, and audited from the registry.
    """
    sample.train_with(training(predict='return [3.0 * x for x in model_input["x"]]'))
    with registry(tmp_path, registry_program, address="127.0.0.2") as host:
        base, name = f"{host}/base:1", f"{host}/{name_of_image()}"
        subprocess.run(("docker", "tag", BASE, base), check=True)
        try:
            subprocess.run(("docker", "push", "--quiet", base), check=True, capture_output=True)
            flags = ("--builder", "compose", "--engine", "docker", "--base-image", base, "--push", "--image", name)
            released = sample.run("release", *flags)
            audited = sample.run("audit", "models:/wine@candidate", "--strict")
        finally:
            remove_image(base)
            remove_image(name)

    assert (0, 0) == (released.code, audited.code), released.stderr + audited.stderr
    assert "tested" == released.outputs["state"]


@pytest.mark.engine
def test_an_engine_that_cannot_pull_says_why(with_tls: str, plain: str, registry_program: str, tmp_path: Path) -> None:
    """
    Its own reason is in the message, and the fix is for that reason; an image that the registry lacks has none.
    """
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    digest = f"sha256:{'0' * 64}"
    refused = []

    with (
        registry(tmp_path / "two", registry_program) as loopback,
        tiny_release(tmp_path / "one", variables=DIRECT) as tiny,
    ):
        for host in (with_tls, plain, loopback):
            with pytest.raises(NotPulled) as caught:
                tiny.tools.engines.named("docker").pull(f"{host}/wine@{digest}")
            refused.append(caught.value)

    untrusted, unencrypted, absent = refused
    assert [True, True] == ["x509: " in untrusted.why, "HTTP response to HTTPS client" in unencrypted.why]
    assert [
        f"put the certificate of the CA of {with_tls} into /etc/docker/certs.d/{with_tls}/ca.crt",
        f"let {plain} speak TLS, or put it into `insecure-registries` of /etc/docker/daemon.json",
        "",
    ] == [error.fix for error in (untrusted, unencrypted, absent)], [error.why for error in refused]


def pull_fixes(tools: Tools, name: str) -> tuple[str, str]:
    """The fixes that are printed if Docker cannot pull an image of a record, or a base image; empty if it can."""
    fixes = []
    docker = tools.engines.named("docker")
    for pull in (docker.pull, docker.fetch):
        try:
            pull(name)
            fixes.append("")
        except StepError as failed:
            fixes.append(str(failed.fix))
        finally:
            remove_image(name)
    return fixes[0], fixes[1]


def docker_with(folder: Path, *argv: str) -> None:
    """Run Docker with a configuration of its own and the password of the private registry."""
    variables = {**os.environ, "DOCKER_CONFIG": str(folder)}
    subprocess.run(("docker", *argv), input=PASSWORD, text=True, check=True, capture_output=True, env=variables)


@pytest.mark.engine
@pytest.mark.extended
def test_the_certificate_where_the_message_says_lets_the_engine_pull(with_tls: str, keys: Path, tmp_path: Path) -> None:
    """
    Without TLS, Docker reads its configuration anew only when it is started again, which a test does not do.
    """
    variables = {**DIRECT, "SSL_CERT_FILE": str(bundle_with(keys / "ca.pem"))}
    with tiny_release(tmp_path / "release", variables=variables) as tiny:
        push_base(f"{with_tls}/base:1", tmp_path / "base", tiny.tools)
        untrusted = pull_fixes(tiny.tools, f"{with_tls}/base:1")
        file = Path(untrusted[0].rpartition(" into ")[2])
        file.parent.mkdir(parents=True)
        try:
            shutil.copyfile(keys / "ca.pem", file)
            trusted = pull_fixes(tiny.tools, f"{with_tls}/base:1")
        finally:
            shutil.rmtree(file.parent)
            with suppress(OSError):  # others are in it
                file.parents[1].rmdir()

    assert ("ca.crt", f"{untrusted[0]}, or --base-image NAME", ("", "")) == (file.name, untrusted[1], trusted)


@pytest.mark.engine
@pytest.mark.extended
def test_the_login_that_the_message_prints_lets_the_engine_pull(registry_program: str, tmp_path: Path) -> None:
    """
    For an image of a record and for a base image.
    """
    config, login = tmp_path / "docker", ("--username", USER, "--password-stdin")
    variables = {**DIRECT, "DOCKER_CONFIG": str(config)}
    (tmp_path / "registry").mkdir()
    with (
        registry(tmp_path / "registry", registry_program, private=True) as host,
        tiny_release(tmp_path / "release", variables=variables) as tiny,
    ):
        docker_with(config, "login", *login, host)
        push_base(f"{host}/base:1", tmp_path / "base", tiny.tools)
        docker_with(config, "logout", host)
        denied = pull_fixes(tiny.tools, f"{host}/base:1")
        docker_with(config, *denied[0].split()[1:], *login)
        allowed = pull_fixes(tiny.tools, f"{host}/base:1")

    assert (f"docker login {host}", f"docker login {host}, or --base-image NAME") == denied
    assert ("", "") == allowed


@pytest.mark.engine
@pytest.mark.extended
def test_a_registry_that_is_there_again_lets_the_engine_pull(registry_program: str, tmp_path: Path) -> None:
    """
    What a registry does not have, another name of a base has, and no network.
    """
    folder = tmp_path / "registry"
    folder.mkdir()
    with tiny_release(tmp_path / "release", variables=DIRECT) as tiny:
        with registry(folder, registry_program) as host:
            push_base(f"{host}/base:1", tmp_path / "base", tiny.tools)
            absent = pull_fixes(tiny.tools, f"{host}/other:1")
        down = pull_fixes(tiny.tools, f"{host}/base:1")
        with subprocess.Popen((registry_program, "serve", folder / "config.yml"), stderr=subprocess.DEVNULL) as again:
            try:
                listening = happens(lambda: listens(int(host.partition(":")[2]), "127.0.0.1"))
                reached = pull_fixes(tiny.tools, f"{host}/base:1")
            finally:
                again.terminate()

    assert (True, ("", "--base-image NAME")) == (listening, absent)
    assert f"reach {host} from the machine of docker" == down[0]
    assert (f"{down[0]}, or --base-image NAME", ("", "")) == (down[1], reached)
