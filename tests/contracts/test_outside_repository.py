"""What uv reads from outside of a repository makes no lock look stale; what it inherits above a project counts."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Severity
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.ops.lock.freshness import Freshness, examine
from mlflow_uv.tools.lock_toolbox import locktools
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.uv.messages import LockState
from tests import exports, indexes, projects
from tests.checkout import repository
from tests.console import KeptConsole

DEAD = "http://127.0.0.1:9/simple"
INHERITED = '[[{table}index]]\nname = "beside"\nurl = "{url}"\nformat = "flat"\ndefault = true\n'


def tools_in(folder: Path, **variables: str):
    """Real tools for a caller with these variables."""
    host = Host.of({**os.environ, **variables}, folder=folder, python=Path(sys.executable))
    return locktools(host, console=KeptConsole())


def asked(folder: Path, *, respect_env: bool = False, **variables: Any) -> Freshness:
    """What is found out about a lock without a network."""
    with tools_in(folder, **variables) as tools:
        return examine(read_project(folder), tools, respect_env=respect_env, offline=True)


def plain(folder: Path, **variables: str) -> int:
    """How `uv lock --check` itself ends."""
    argv = ["uv", "lock", "--check", "--offline", "--quiet"]
    return subprocess.run(argv, cwd=folder, env={**os.environ, **variables}, check=False).returncode


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """Packages."""
    for version in ("1.0", "1.1"):
        projects.wheel(tmp_path / "wheels", "grape", version)
    return tmp_path / "wheels"


@pytest.fixture
def served(tmp_path: Path, wheels: Path) -> Iterator[Path]:
    """A repository whose lock was made for the public index; its files are served from loopback."""
    with indexes.served(indexes.index_of(tmp_path / "index", *wheels.iterdir())) as url:
        folder = projects.project(tmp_path / "repository", "grape")
        subprocess.run(["uv", "lock", "--quiet", "--default-index", url], cwd=folder, check=True)
        lock = folder / "uv.lock"
        lock.write_text(lock.read_text().replace(f'"{url}"', '"https://main.example.test/simple"'))
        repository(folder)
        yield folder


def configuration(tmp_path: Path, text: str, where: str) -> dict[str, Any]:
    """Variables that lead uv to a uv.toml of the user or of the machine."""
    file = tmp_path / where / "uv" / "uv.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return {"XDG_CONFIG_HOME" if where == "user" else "XDG_CONFIG_DIRS": str(tmp_path / where)}


@pytest.mark.parametrize(
    ("where", "key", "text"),
    [
        ("user", "index-url", f'index-url = "{DEAD}"'),
        ("user", "index", f'[[index]]\nname = "mirror"\nurl = "{DEAD}"\ndefault = true'),
        ("machine", "no-index", "no-index = true"),
    ],
)
def test_an_index_of_the_users_configuration_does_not_make_a_lock_stale(
    served: Path, tmp_path: Path, where: str, key: str, text: str
) -> None:
    """
    uv itself calls the lock stale; it was made for another index, and the notice has the file and the key.
    """
    variables = configuration(tmp_path, f"{text}\n", where)
    file = tmp_path / where / "uv" / "uv.toml"

    found = asked(served, **variables)

    assert (LockState.FRESH, 1) == (found.state, plain(served, **variables) and 1)
    (finding,) = found.findings
    assert (Severity.NOTICE, f"`{file}` makes uv.lock look out of date") == (finding.severity, finding.what)
    assert f"remove `{key}` from {file}" == finding.fix
    file.write_text("")
    assert (LockState.FRESH, ()) == ((again := asked(served, **variables)).state, again.findings)


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("user", 'resolution = "lowest"'),
        ("machine", 'exclude-newer = "2031-01-01T00:00:00Z"'),
        ("user", 'exclude-newer-package = { grape = "2031-01-01T00:00:00Z" }'),
    ],
)
def test_a_mode_of_the_users_configuration_does_not_steer(served: Path, tmp_path: Path, where: str, text: str) -> None:
    """
    As with a variable: set aside, unless the caller wants it to count, and then named.
    """
    variables = configuration(tmp_path, f"{text}\n", where)
    file = tmp_path / where / "uv" / "uv.toml"

    ignored, respected = asked(served, **variables), asked(served, respect_env=True, **variables)

    assert (LockState.FRESH, ()) == (ignored.state, ignored.findings)
    assert LockState.STALE is respected.state
    assert f"`{file}` makes uv.lock look out of date" == respected.findings[0].what


def test_a_lock_that_was_made_with_the_users_index_is_fresh_with_it(tmp_path: Path, wheels: Path) -> None:
    """
    Indexes are left out only where the lock is not fresh with them.
    """
    text = f"find-links = ['{wheels}']\nno-index = true\n"
    variables = configuration(tmp_path, text, "user")
    folder = projects.project(tmp_path / "wine", "grape")
    subprocess.run(["uv", "lock", "--quiet"], cwd=folder, env={**os.environ, **variables}, check=True)

    assert (LockState.FRESH, ()) == ((found := asked(folder, **variables)).state, found.findings)


def test_what_transports_stays_where_modes_are_set_aside(served: Path, tmp_path: Path) -> None:
    """
    Of the same file the keyring and the certificates are followed, and other programs find their own settings.
    """
    text = 'resolution = "lowest"\nkeyring-provider = "subprocess"\nallow-insecure-host = ["a.test", "b"]\n'
    variables = configuration(tmp_path, text, "user")
    (tmp_path / "user" / "git").mkdir()
    (tmp_path / "user" / "git" / "config").write_text("[user]\nname = somebody\n")

    with tools_in(served, **variables) as tools:
        past = tools.uv.machine.overrides(read_project(served), modes=True)

    folder = Path(past["XDG_CONFIG_HOME"])
    kept = '"keyring-provider" = "subprocess"\n"allow-insecure-host" = ["a.test", "b"]\n'
    assert kept == (folder / "uv" / "uv.toml").read_text()
    assert "somebody" in (folder / "git" / "config").read_text()
    assert 0o600 == (folder / "uv" / "uv.toml").stat().st_mode & 0o777


@pytest.mark.parametrize("text", [f'index-url = "{DEAD}"', 'resolution = "lowest"'])
def test_settings_above_the_repository_do_not_make_a_lock_stale(served: Path, text: str) -> None:
    """
    A uv.toml in a folder of the user's that holds repositories, which uv takes for a project without settings.
    """
    (served.parent / "uv.toml").write_text(f"{text}\n")

    found = asked(served)

    assert (LockState.FRESH, True) == (found.state, plain(served) != 0)


@pytest.mark.parametrize("where", ["user", "variable"])
def test_an_environment_is_made_although_an_index_from_outside_hides_the_lock(
    served: Path, tmp_path: Path, where: str
) -> None:
    """
    `uv sync --locked` would refuse the lock that check-lock calls fresh.
    """
    variables = (
        configuration(tmp_path, f'index-url = "{DEAD}"\n', "user") if where == "user" else {"UV_DEFAULT_INDEX": DEAD}
    )
    with tools_in(served, UV_HTTP_RETRIES="0", **variables) as tools:
        project = read_project(served)

        python = tools.uv.sync(project, Selection(), tmp_path / "environment", on_line=lambda _: None)
        drift = tools.uv.drift(project, Selection(), tmp_path / "environment")

    assert (True, None) == (python.exists(), drift)
    assert ["grape"] == [name for name in exports.held(tmp_path / "environment") if name == "grape"]


# what is inherited


@pytest.fixture(params=["uv.toml", "pyproject.toml"])
def inner(request: pytest.FixtureRequest, tmp_path: Path, wheels: Path) -> Path:
    """A project without settings in a repository whose top has them: the index, and how to choose."""
    top = tmp_path / "repository"
    folder = projects.project(top / "services" / "wine", "grape")
    table, file = ("", "uv.toml") if request.param == "uv.toml" else ("tool.uv.", "pyproject.toml")
    text = (
        'resolution = "lowest"\n'
        if not table
        else '[project]\nname = "top"\nversion = "1"\n[tool.uv]\nresolution = "lowest"\n'
    )
    (top / file).write_text(text + INHERITED.format(table=table, url=os.path.relpath(wheels, top)))
    projects.lock(folder)
    repository(top)
    return folder


def test_a_setting_that_is_inherited_is_no_difference(inner: Path) -> None:
    """
    What uv takes from above is what the lock was made with; a change of it is told at its line there.
    """
    (top,) = (folder for folder in inner.parents if (folder / ".git").exists())
    file = next(path for path in (top / "uv.toml", top / "pyproject.toml") if path.exists())
    fresh = asked(inner)
    projects.depend_on(inner, "grape<1.1")
    changed = asked(inner)
    projects.depend_on(inner, "grape")
    file.write_text(file.read_text().replace('"lowest"', '"lowest-direct"'))
    mode = asked(inner)

    assert (LockState.FRESH, ()) == (fresh.state, fresh.findings)
    assert ["lock-requirement-changed"] == [finding.rule for finding in changed.findings]
    (finding,) = mode.findings
    assert finding.path is not None
    row = file.read_text().splitlines()[finding.line - 1]
    assert ("lock-option", file, 'resolution = "lowest-direct"') == (
        finding.rule,
        Path(os.path.normpath(finding.path)),
        row,
    )


def test_an_export_names_the_index_that_is_inherited(inner: Path, tmp_path: Path, wheels: Path) -> None:
    """
    Without it the list would install from elsewhere; with it, it installs what the lock says.
    """
    report = exports.exported(inner, requirements_file=Path("requirements.txt"))

    text = (inner / "requirements.txt").read_text()
    assert (True, f"--no-index\n--find-links {os.path.relpath(wheels, inner)}\ngrape==1.0\n") == (report.ok, text)
    held = exports.installed(inner / "requirements.txt", tmp_path / "environment", *exports.UV_PIP)
    assert "1.0" == held["grape"]


def test_the_uv_that_is_inherited_as_required_is_taken(inner: Path) -> None:
    """
    `required-version` stands above the project, and no uv satisfies it.
    """
    (top,) = (folder for folder in inner.parents if (folder / ".git").exists())
    file = next(path for path in (top / "uv.toml", top / "pyproject.toml") if path.exists())
    file.write_text(file.read_text().replace("resolution =", 'required-version = ">=99"\nresolution ='))

    with tools_in(inner) as tools, pytest.raises(Exception, match=r'satisfies `required-version = ">=99"`'):
        tools.uv.program(read_project(inner))
