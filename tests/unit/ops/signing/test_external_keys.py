"""Tests that nothing in the checkout signs, and that no secret is in the URI of a key."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.ops.signing.external_keys import key_elsewhere
from mlflow_uv.tools.signing.external_key import SignerProgram
from mlflow_uv.tools.toolbox import Tools

PUBLIC = "-----BEGIN PUBLIC KEY-----"


def tools(folder: Path, **variables: str) -> Tools:
    """A job in a folder, with variables."""
    host = SimpleNamespace(folder=folder, variables=variables)
    return cast("Tools", SimpleNamespace(host=host, runner=None, console=SimpleNamespace(foreign=print)))


class Packages:
    """A job that gets as far as the packages of a service."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def host(self) -> Any:
        """Where it runs; an interpreter for the packages is the first that is needed of it."""
        raise LookupError("the packages of the service")


def executable(file: Path) -> Path:
    """A program."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a project in a folder."""
    folder = tmp_path / "checkout ü"
    (folder / ".git").mkdir(parents=True)
    (folder / "wine").mkdir()
    return folder


def test_a_program_outside_of_the_checkout_signs(checkout: Path, tmp_path: Path) -> None:
    """
    By its path, or by its name on PATH; its arguments are as they were given.
    """
    program = executable(tmp_path / "bin" / "my signer")
    job = tools(checkout / "wine", PATH=f":.:{tmp_path / 'bin'}")

    found = [key_elsewhere((name, "--key", "a b"), PUBLIC, Path(), job) for name in (str(program), "my signer")]

    assert [(str(program), "--key", "a b")] * 2 == [cast("SignerProgram", one).argv for one in found]


@pytest.mark.parametrize("place", ["project", "root", "linked from it", "linked to it", "on PATH", "workspace"])
def test_a_program_of_the_checkout_is_not_started(checkout: Path, tmp_path: Path, place: str) -> None:
    """
    Also through a link, from the folder of the project, or from the workspace of the job.
    """
    inside, outside = executable(checkout / "wine" / "tools" / "signer"), executable(tmp_path / "bin" / "signer")
    (checkout / "linked").symlink_to(outside)
    (tmp_path / "linked").symlink_to(inside)
    folder = tmp_path if place == "workspace" else checkout / "wine"
    path = str(inside.parent if place == "on PATH" else outside.parent)
    names: dict[str, Any] = {
        "project": inside, "root": executable(checkout / "signer"), "linked from it": checkout / "linked",
        "linked to it": tmp_path / "linked", "on PATH": "signer", "workspace": inside,
    }  # fmt: skip
    job = tools(folder, PATH=path, GITHUB_WORKSPACE=str(checkout))

    with pytest.raises(BadInput) as raised:
        key_elsewhere((str(names[place]),), PUBLIC, Path(), job)

    assert "is in the checkout" in str(raised.value.why)


@pytest.mark.parametrize(
    "argument",
    [
        "{checkout}/wine/sign.sh",
        "{checkout}",
        "/{checkout}/missing.json",
        "--chdir={checkout}/wine",
        "-I{checkout}",
        "file://{checkout}/key.json",
        "exec '{checkout}/wine/sign.sh' --key a",
        "cd /; {outside}/linked --key a",
        "PYTHONPATH=/usr/lib:{outside}/linked",
        "{outside}/folder/../sign.sh",
        "{outside}/../checkout ü/sign.sh",
        "{outside}/through",
    ],
)
def test_no_argument_leads_into_the_checkout(checkout: Path, tmp_path: Path, argument: str) -> None:
    """
    It can be the script of a shell: as a path, in an option, in a command, through links, or not there yet.
    """
    outside = executable(tmp_path / "bin" / "signer").parent
    (outside / "linked").symlink_to(executable(checkout / "wine" / "sign.sh"))
    (outside / "folder").symlink_to(checkout / "wine")
    (checkout / "out").symlink_to(outside / "signer")
    (outside / "through").symlink_to(checkout / "out")
    word = argument.format(checkout=checkout, outside=outside)

    with pytest.raises(BadInput) as raised:
        key_elsewhere((str(outside / "signer"), "-c", word), PUBLIC, Path(), tools(checkout / "wine"))

    assert f"argument 2 of the signer is a path in the checkout {checkout}" == raised.value.what


@pytest.mark.parametrize("program", ["folder/../signer", "through", "folder/out"])
def test_no_link_on_the_way_to_a_program_is_in_the_checkout(checkout: Path, tmp_path: Path, program: str) -> None:
    """
    Whoever changes the link chooses the program, wherever it leads now.
    """
    outside = executable(tmp_path / "bin" / "signer").parent
    (outside / "folder").symlink_to(checkout / "wine")
    executable(checkout / "signer")
    (checkout / "wine" / "out").symlink_to(outside / "signer")
    (outside / "through").symlink_to(checkout / "wine" / "out")

    with pytest.raises(BadInput) as raised:
        key_elsewhere((str(outside / program),), PUBLIC, Path(), tools(checkout / "wine"))

    assert "is in the checkout" in str(raised.value.why)


def test_arguments_that_lead_elsewhere_are_passed_on(checkout: Path, tmp_path: Path) -> None:
    """
    Paths beside the checkout, relative ones, addresses, what only looks like a path; also in a folder of no project.
    """
    program, keys = executable(tmp_path / "bin" / "signer"), tmp_path / "home" / "keys"
    arguments = (
        "--key", "/run/keys/release.pem", "wine/keys", "tools/signer", f"{checkout}-keys/release.pem",
        f"{checkout}/../keys", f"https://vault.example{checkout}/key", f"vault:/{checkout}", f"projects{checkout}/1",
        "/",
    )  # fmt: skip

    found = key_elsewhere((str(program), *arguments), PUBLIC, Path(), tools(checkout / "wine"))
    home = key_elsewhere((str(program), str(keys / "release.pem")), PUBLIC, Path(), tools(tmp_path / "home"))

    assert [(str(program), *arguments), (str(program), str(keys / "release.pem"))] == [
        cast("SignerProgram", one).argv for one in (found, home)
    ]


@pytest.mark.parametrize(
    "uri",
    [
        "hsm:2?pin-value=1234", "hsm:2?label=a&PIN=1234", "hsm:id=%01;pin-source=file:/1234", "hsm:2?pin%2Dvalue=1234",
        "awskms:alias/release?secret=1234", "gcpkms:key?token=1234", "azurekms://me:1234@vault.azure.net/keys/a/1",
    ],
)  # fmt: skip
def test_a_secret_in_a_uri_is_refused_by_the_name_of_its_attribute(checkout: Path, uri: str) -> None:
    """
    However it is written, and without showing it.
    """
    with pytest.raises(BadInput) as raised:
        key_elsewhere((uri,), PUBLIC, Path(), tools(checkout))

    assert (True, False) == ("has a secret" in raised.value.what, "1234" in str(raised.value))


@pytest.mark.parametrize(
    "uri",
    [
        "awskms:alias/shipping-release", "awskms:alias/pinot-noir", "gcpkms:projects/mapping/cryptoKeyVersions/1",
        "azurekms://secrets-team.vault.azure.net/keys/token/1", "hsm:2?label=pin",
    ],
)  # fmt: skip
def test_a_name_that_has_a_word_for_secrets_in_it_is_no_secret(checkout: Path, uri: str) -> None:
    """
    Nothing refuses it before the packages of the service are looked for.
    """
    with pytest.raises(LookupError, match="the packages of the service"):
        key_elsewhere((uri,), PUBLIC, Path(), cast("Tools", Packages(checkout)))


@pytest.mark.parametrize(
    ("signer", "what"),
    [
        (("./signer",), "the signer `./signer` cannot be started"),
        (("no-such-signer",), "the signer `no-such-signer` cannot be started"),
        (("/etc/passwd",), "the signer `/etc/passwd` cannot be started"),
        (("/",), "the signer `/` cannot be started"),
        (("gcloudkms:key",), "the signer `gcloudkms:` is not known"),
        (("file:/etc/key.pem",), "the signer `file:` is not known"),
        (("hsm:2?pin-value=1234",), "the URI of the signer `hsm:` has a secret"),
    ],
)
def test_what_is_no_signer_is_named(checkout: Path, signer: tuple[str, ...], what: str) -> None:
    """
    Without the secret that somebody put into it.
    """
    executable(checkout / "signer")

    with pytest.raises(BadInput) as raised:
        key_elsewhere(signer, PUBLIC, Path(), tools(checkout, PATH="/usr/bin:/bin"))

    assert (what, False) == (raised.value.what, "1234" in str(raised.value))
