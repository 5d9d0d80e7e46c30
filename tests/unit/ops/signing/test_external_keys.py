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
