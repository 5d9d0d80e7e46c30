"""uv gets the credentials that it gets by hand; where it has none, the server and the variable are named."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.command.host import Host
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.ops.lock.freshness import Freshness, examine
from mlflow_uv.tools.lock_toolbox import locktools
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.uv.messages import LockState
from tests import exports, indexes, projects
from tests.checkout import commit, git, repository
from tests.console import KeptConsole
from tests.indexes import guarded

# What Google's and Amazon's helpers do: without the variable they have nothing to say.
KEYRING = '#!/bin/sh\n[ -n "$GOOGLE_APPLICATION_CREDENTIALS" ] && echo correct-horse\n'
SSH = '#!/bin/sh\nwhile [ "$1" != robot@git.example.test ]; do shift; done\nshift\nexec sh -c "$*"\n'


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """An index."""
    for version in ("1.0", "1.1"):
        projects.wheel(tmp_path / "wheels", "grape", version)
    return indexes.index_of(tmp_path / "index", *(tmp_path / "wheels").iterdir())


def wine(tmp_path: Path, url: str, *, user: str = "", name: str = "corp-pi", settings: str = "") -> Path:
    """A project that was locked from an index with a password, and whose requirement has changed since."""
    folder = projects.project(tmp_path / "wine", "grape", more=f"[tool.uv]\n{settings}\n" if settings else "")
    shown = url.replace("http://", f"http://{user}@") if user else url
    named = f'name = "{name}"\n' if name else ""
    with (folder / "pyproject.toml").open("a") as file:
        file.write(f'[[tool.uv.index]]\n{named}url = "{shown}"\ndefault = true\n')
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login robot password correct-horse\n")
    lock = ["uv", "lock", "--quiet", "--no-cache", "--keyring-provider", "disabled"]
    subprocess.run(lock, cwd=folder, env={**os.environ, "NETRC": str(netrc)}, check=True)
    projects.depend_on(folder, "grape<1.1")
    return folder


def tools_in(folder: Path, **variables: Any):
    """Real tools for a caller with these variables, and nothing that was fetched before."""
    given = {**os.environ, "UV_HTTP_RETRIES": "0", "UV_CACHE_DIR": str(folder.parent / "cache"), **variables}
    return locktools(Host.of(given, folder=folder, python=Path(sys.executable)), console=KeptConsole())


def asked(folder: Path, **variables: Any) -> Freshness:
    """What is found out about a lock with a network."""
    with tools_in(folder, **variables) as tools:
        return examine(read_project(folder), tools, respect_env=False, offline=False)


def program(tmp_path: Path, name: str, text: str) -> Path:
    """A program in a folder of its own."""
    path = tmp_path / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


# a keyring


@pytest.mark.parametrize("where", ["variable", "checkout", "user"])
def test_a_keyring_helper_gets_the_variables_that_it_goes_by(tmp_path: Path, pages: Path, where: str) -> None:
    """
    The credentials of a cloud reach it wherever the provider is set, and the environment is made with them.
    """
    program(tmp_path, "keyring", KEYRING)
    variables = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "GOOGLE_APPLICATION_CREDENTIALS": "/key.json"}
    if where == "variable":
        variables["UV_KEYRING_PROVIDER"] = "subprocess"
    if where == "user":
        (tmp_path / "user" / "uv").mkdir(parents=True)
        (tmp_path / "user" / "uv" / "uv.toml").write_text('keyring-provider = "subprocess"\nresolution = "lowest"\n')
        variables["XDG_CONFIG_HOME"] = str(tmp_path / "user")
    settings = 'keyring-provider = "subprocess"' if where == "checkout" else ""
    with guarded(pages) as url:
        folder = wine(tmp_path, url, user="robot", settings=settings)

        found = asked(folder, **variables)
        projects.depend_on(folder, "grape")
        with tools_in(folder, **variables) as tools:
            tools.uv.sync(read_project(folder), Selection(), tmp_path / "environment", on_line=lambda _: None)

    assert (LockState.STALE, ("Update grape v1.1 -> v1.0",)) == (found.state, found.changes)
    assert "1.1" == exports.held(tmp_path / "environment")["grape"]


# git


def fetched(tmp_path: Path, url: str) -> tuple[Path, dict[str, str]]:
    """A project that needs a git repository, locked where git knows how to fetch it; how it knows, in variables."""
    origin = tmp_path / "origin"
    projects.project(origin, name="grape", more='[build-system]\nrequires = []\nbuild-backend = "none"\n')
    repository(origin)
    git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")
    folder = projects.project(tmp_path / "wine", f"grape @ git+{url.replace('ORIGIN', str(origin))}")
    if url.startswith("ssh"):
        ssh = program(tmp_path, "ssh-of-the-job", SSH)
        return folder, {"GIT_SSH_COMMAND": str(ssh)}
    config = {f"GIT_CONFIG_KEY_{n}": key for n, key in enumerate(("url.file://.insteadOf", "core.fsmonitor"))}
    values = {"GIT_CONFIG_VALUE_0": "https://git.example.test", "GIT_CONFIG_VALUE_1": "true"}
    return folder, {"GIT_CONFIG_COUNT": "2", **config, **values}


@pytest.mark.parametrize(
    "url", ["ssh://robot@git.example.testORIGIN", "https://git.example.testORIGIN"], ids=["ssh", "settings"]
)
def test_git_gets_the_way_to_a_source_that_the_job_names(tmp_path: Path, url: str) -> None:
    """
    `GIT_SSH_COMMAND`, and settings in `GIT_CONFIG_COUNT` and its like, before which ours go.
    """
    folder, variables = fetched(tmp_path, url)

    with tools_in(folder, **variables) as tools:
        project = read_project(folder)
        found = examine(project, tools, respect_env=False, offline=False)
        kept = tools.uv._for_project(project, respect_env=False)  # what git below it obeys
    subprocess.run(["uv", "lock", "--quiet"], cwd=folder, env={**os.environ, **variables}, check=True)

    assert LockState.MISSING is found.state
    assert LockState.FRESH is asked(folder, **variables).state
    manifest = tmp_path / "origin" / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace("0.1.0", "0.2.0"))
    commit(tmp_path / "origin")
    projects.depend_on(folder, f"grape @ git+{url.replace('ORIGIN', str(tmp_path / 'origin'))}@main")
    changed = asked(folder, **variables)
    assert (LockState.STALE, ["lock-source"]) == (changed.state, [finding.rule for finding in changed.findings])
    assert any(change.startswith("Update grape v0.1.0") for change in changed.changes)
    pairs = {
        key: kept[f"GIT_CONFIG_VALUE_{key.rpartition('_')[2]}"] for key in kept if key.startswith("GIT_CONFIG_KEY_")
    }
    last = {kept[key]: value for key, value in pairs.items()}
    assert ("false", "/dev/null") == (last["core.fsmonitor"], last["core.hooksPath"])


def test_a_git_server_that_wants_a_login_is_told_as_such(tmp_path: Path, pages: Path) -> None:
    """
    Not as a missing network; with the helper that the fix asks for, it is answered.
    """
    with guarded(pages) as url:
        server = url.removesuffix("/simple")
        folder = projects.project(tmp_path / "wine")
        projects.lock(folder)
        projects.depend_on(folder, f"grape @ git+{server}/grape.git")

        found = asked(folder, GIT_TERMINAL_PROMPT="0")

    assert (LockState.STALE, "lock-credentials") == (found.state, found.findings[-1].rule)
    assert f"`uv lock` has no credentials for `{server}/grape.git`" == found.findings[-1].what
    assert "give git a credential helper, or GIT_SSH_COMMAND, that needs no prompt" == found.findings[-1].fix


# none


@pytest.mark.parametrize("status", [401, 403])
def test_an_index_that_refuses_is_named_with_its_variables(tmp_path: Path, pages: Path, status: int) -> None:
    """
    The difference is certain, what locking would do is not; it is no matter of the requirements. The fix works.
    """
    with guarded(pages, status) as url:
        folder = wine(tmp_path, url)

        found = asked(folder)
        wrong = asked(folder, UV_INDEX_CORP_PI_USERNAME="robot", UV_INDEX_CORP_PI_PASSWORD="wrong")  # none
        right = asked(folder, UV_INDEX_CORP_PI_USERNAME="robot", UV_INDEX_CORP_PI_PASSWORD="correct-horse")  # as above

    rules = ["lock-requirement-changed", "lock-credentials"]
    assert (LockState.STALE, rules) == (found.state, [finding.rule for finding in found.findings])
    variables = "UV_INDEX_CORP_PI_USERNAME and UV_INDEX_CORP_PI_PASSWORD"
    last = found.findings[-1]
    assert f"`uv lock` has no credentials for `{url}`" == last.what
    assert f"it answered {status}; of {variables} neither is set" == last.why
    assert f"set {variables} for index `corp-pi` from a secret" == last.fix
    assert f"it answered {status}; of {variables} {variables} are set" == wrong.findings[-1].why
    assert ("Update grape v1.1 -> v1.0",) == right.changes


BUILT = '[build-system]\nrequires = ["grape"]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
BACKEND = """\
import pathlib
def prepare_metadata_for_build_wheel(folder, settings=None):
    info = pathlib.Path(folder, "wine-0.1.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.2\\nName: wine\\nVersion: 0.1.0\\nRequires-Dist: grape\\n")
    return info.name
prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
"""


def test_without_credentials_a_lock_is_unverifiable(tmp_path: Path, pages: Path) -> None:
    """
    Only a build tells the requirements, and what builds lies behind the password.
    """
    with guarded(pages) as url:
        folder = projects.project(tmp_path / "wine")
        manifest = folder / "pyproject.toml"
        text = manifest.read_text().replace("dependencies = []", 'dynamic = ["dependencies"]')
        manifest.write_text(f'{text}{BUILT}[[tool.uv.index]]\nurl = "{url}"\ndefault = true\n')
        (folder / "backend.py").write_text(BACKEND)
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login robot password correct-horse\n")
        variables = {**os.environ, "NETRC": str(netrc)}
        subprocess.run(["uv", "lock", "--quiet", "--no-cache"], cwd=folder, env=variables, check=True)

        found = asked(folder)
        right = asked(folder, NETRC=str(netrc))

    (finding,) = found.findings
    assert LockState.FRESH is right.state
    assert (LockState.UNVERIFIABLE, "lock-credentials") == (found.state, finding.rule)
    assert f"uv.lock cannot be checked without credentials for `{url}`" == finding.what
    assert "a netrc with `machine 127.0.0.1`, or a `name` for the index" == finding.fix


def test_an_environment_that_lacks_credentials_names_them(tmp_path: Path, pages: Path) -> None:
    """
    The lock is fresh, and its files lie behind the password.
    """
    with guarded(pages) as url:
        folder = wine(tmp_path, url)
        projects.depend_on(folder, "grape")
        with tools_in(folder) as tools, pytest.raises(ToolFailed) as caught:
            tools.uv.sync(read_project(folder), Selection(), tmp_path / "environment", on_line=lambda _: None)
        netrc = {"NETRC": str(tmp_path / "netrc")}
        with tools_in(folder, **netrc) as tools:
            tools.uv.sync(read_project(folder), Selection(), tmp_path / "environment", on_line=lambda _: None)

    fix = "set UV_INDEX_CORP_PI_USERNAME and UV_INDEX_CORP_PI_PASSWORD for index `corp-pi` from a secret"
    assert (fix, True) == (caught.value.fix, f"`{url}` requires credentials" in caught.value.why)
    assert "1.1" == exports.held(tmp_path / "environment")["grape"]


def test_packages_of_an_image_that_an_index_denies_name_its_variables(tmp_path: Path, pages: Path) -> None:
    """
    The index and both variables; a password that is wrong, and one in the address, are in no part of the error.
    """
    listed = tmp_path / "requirements.txt"
    listed.write_text(f"oak==1.0 --hash=sha256:{'0' * 64}\n")

    with tools_in(tmp_path, UV_INDEX_CORP_PI_PASSWORD="wrong-horse") as tools, guarded(pages) as url:
        python = tools.uv.create(tmp_path / "environment", python=sys.executable, on_line=print)
        address = url.replace("//", "//robot:battery@")
        indexes_of_model = {"UV_INDEX": f"corp-pi={address}", "UV_DEFAULT_INDEX": url}
        with pytest.raises(ToolFailed) as refused:
            tools.uv.lay_out(listed, python, platform="x86_64-manylinux_2_36", indexes=indexes_of_model, on_line=print)

    fix = "set UV_INDEX_CORP_PI_USERNAME and UV_INDEX_CORP_PI_PASSWORD for index `corp-pi` from a secret"
    assert fix == refused.value.fix
    assert f"`{url}` requires credentials: it answered 401" in refused.value.why
    assert not any(secret in str(refused.value) for secret in ("wrong-horse", "battery", "robot"))
