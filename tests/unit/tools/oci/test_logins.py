"""Where the credentials for a registry are found."""

import base64
import json
from pathlib import Path

import pytest

from mlflow_uv.core.image.reference import image_reference
from mlflow_uv.tools.oci.logins import Login, Logins
from mlflow_uv.tools.system.process import SystemRunner
from tests.unit.tools.conftest import FakeRunner

ALICE = {"user": "alice", "password": "pass:word"}
TEAM = {"user": "team", "password": "2"}
SAFE = {"user": "alice", "password": "s3cret"}
ROBOT = {"user": "robot", "password": "1"}
HUSH = {"user": "alice", "password": "hush", "identity": "hush"}


def auth(user: str, password: str) -> dict[str, str]:
    """An entry as `docker login` writes it."""
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def login_for(name: str, folder: Path, config: object, **variables: str) -> Login | None:
    """The credentials for an image, with this configuration in HOME."""
    (folder / ".docker").mkdir()
    (folder / ".docker" / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    logins = Logins(SystemRunner(), variables={"HOME": str(folder), "PATH": str(folder), **variables})
    return logins.of(image_reference(name))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("ghcr.io/team/wine:1", "ghcr.io"),
        ("ghcr.io/team/wine:1", "https://ghcr.io"),
        ("ghcr.io/team/wine:1", "ghcr.io/team"),
        ("127.0.0.1:5000/wine", "127.0.0.1:5000"),
        ("team/wine", "https://index.docker.io/v1/"),
    ],
)
def test_a_login_is_found_by_each_of_its_names(tmp_path: Path, name: str, key: str) -> None:
    """
    Docker writes a host, or an address for its own registry; Podman may have one for a folder.
    """
    found = login_for(name, tmp_path, {"auths": {key: auth("alice", "pass:word")}})

    assert Login(**ALICE) == found


def test_the_login_for_a_folder_goes_before_that_for_its_host(tmp_path: Path) -> None:
    """
    A robot of one team may not read another team's images.
    """
    auths = {"quay.io": auth("all", "1"), "quay.io/team": auth("team", "2")}

    found = login_for("quay.io/team/wine", tmp_path, {"auths": auths})

    assert Login(**TEAM) == found


@pytest.mark.parametrize(
    "config",
    [
        "{",
        [],
        {"auths": []},
        {"auths": {"ghcr.io": "alice"}},
        {"auths": {"ghcr.io": {"auth": "\u2713"}}},
        {"auths": {"ghcr.io": {}}},
        {"auths": {"ghcr.io.evil.example": auth("alice", "x")}},
        {"auths": {"quay.io": auth("alice", "x")}},
        {"credsStore": "../../bin/harm"},
        {"credsStore": "absent"},
    ],
    ids=str,
)
def test_what_holds_no_login_gives_none(tmp_path: Path, config: object) -> None:
    """
    A broken file, another host's login, or a helper that is not there is no reason to fail: it is asked as anybody.
    """
    assert login_for("ghcr.io/team/wine", tmp_path, config) is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"Username": "alice", "Secret": "s3cret"}, Login(**SAFE)),
        ({"Username": "<token>", "Secret": "s3cret"}, Login(identity="s3cret")),
    ],
)
def test_a_helper_is_asked_for_the_host(tmp_path: Path, answer: dict[str, str], expected: Login) -> None:
    """
    It reads the host from its standard input, and gives a password or an identity token.
    """
    helper = tmp_path / "docker-credential-safe"
    helper.write_text(f"#!/bin/sh\nread -r host\ntest \"$1 $host\" = 'get ghcr.io' && echo '{json.dumps(answer)}'\n")
    helper.chmod(0o755)

    found = login_for("ghcr.io/team/wine", tmp_path, {"credHelpers": {"ghcr.io": "safe"}})

    assert expected == found


def test_the_file_that_a_variable_names_goes_first(tmp_path: Path) -> None:
    """
    REGISTRY_AUTH_FILE is what Podman and Skopeo read.
    """
    named = tmp_path / "auth.json"
    named.write_text(json.dumps({"auths": {"ghcr.io": auth("robot", "1")}}))

    found = login_for("ghcr.io/a/b", tmp_path, {"auths": {"ghcr.io": auth("me", "2")}}, REGISTRY_AUTH_FILE=str(named))

    assert Login(**ROBOT) == found


def test_no_secret_shows_in_what_is_printed(tmp_path: Path) -> None:
    """
    Neither a login nor the command that asked for it has the secret in its text.
    """
    runner = FakeRunner()
    Logins(runner, variables={"HOME": str(tmp_path)}).of(image_reference("ghcr.io/a/b"))

    assert "hush" not in repr(Login(**HUSH))
