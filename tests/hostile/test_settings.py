"""Hostile settings in a checkout: where credentials are sent, and which files are written or read."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import projects
from tests.checkout import repository
from tests.hostile.listener import Listener, listening
from tests.hostile.surfaces import Ended, in_a_hook, in_an_action, on_the_command_line

CANARY = "canary-7f3a9c"
# Every step that talks to a tracking server, and the word that it cannot do without.
ASKING = {
    "audit": ("models:/wine@champion",),
    **dict.fromkeys(
        ("evaluate", "log-model", "promote", "prune", "register", "release", "rollback", "smoke-test", "build-image"),
        (),
    ),
}
CREDENTIALS = {
    "MLFLOW_TRACKING_TOKEN": CANARY,
    "MLFLOW_TRACKING_USERNAME": "robot",
    "MLFLOW_TRACKING_PASSWORD": CANARY,
    "AWS_SECRET_ACCESS_KEY": CANARY,
    "DATABRICKS_TOKEN": CANARY,
}

Call = Callable[..., Ended]


@pytest.fixture
def attacker() -> Iterator[Listener]:
    """A server that is not the team's."""
    with listening() as listener:
        yield listener


@pytest.fixture
def team() -> Iterator[Listener]:
    """The team's server."""
    with listening() as listener:
        yield listener


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A repository with a locked project that trains with what is there."""
    folder = tmp_path / "outer" / "workspace"
    wheels = folder / "dist"
    projects.wheel(wheels, "grape", "1.0")
    projects.project(folder, "grape==1.0", wheels=wheels)
    projects.lock(folder)
    repository(folder)
    return folder


def settings(folder: Path, **values: str) -> None:
    """Add settings to the manifest of a project, as whoever may change the checkout does."""
    lines = "".join(f'{name.replace("_", "-")} = "{value}"\n' for name, value in values.items())
    with (folder / "pyproject.toml").open("a") as manifest:
        manifest.write(f"\n[tool.mlflow-uv]\n{lines}")


def fix_in(output: str) -> str:
    """The fix that a message prints."""
    match = re.search(r"Fix: (.+)", output)
    assert match, output
    return match[1].strip()


# where credentials go


@pytest.mark.core_variants(4)
@pytest.mark.parametrize(
    ("call", "step"),
    [*((on_the_command_line, step) for step in ASKING), (in_an_action, "audit"), (in_an_action, "release")],
)
def test_the_checkout_sends_no_credentials_to_another_server_than_the_jobs(
    call: Call, step: str, workspace: Path, home: Path, team: Listener, attacker: Listener
) -> None:
    """
    Whatever step runs: it ends before anybody is asked, and the message names both servers and the line.
    """
    settings(workspace, tracking_uri=attacker.uri)
    variables = {**CREDENTIALS, "MLFLOW_TRACKING_URI": team.uri, "HOME": str(home)}

    ended = call(step, *ASKING[step], folder=workspace, given={}, variables=variables)

    line = (workspace / "pyproject.toml").read_text().splitlines().index(f'tracking-uri = "{attacker.uri}"') + 1
    assert (2, "") == (ended.code, attacker.everything)
    for part in (attacker.uri, team.uri, f"line {line} of pyproject.toml"):
        assert part in ended.output
    assert CANARY not in ended.output


@pytest.mark.core_variants(2)
@pytest.mark.parametrize("name", CREDENTIALS)
def test_the_checkout_sends_no_credentials_where_the_job_names_no_server(
    name: str, workspace: Path, home: Path, attacker: Listener
) -> None:
    """
    Each of them alone is enough: the job says where it goes, or it goes nowhere.
    """
    settings(workspace, tracking_uri=attacker.uri)

    ended = on_the_command_line(
        "audit",
        *ASKING["audit"],
        folder=workspace,
        given={},
        variables={name: CREDENTIALS[name], "HOME": str(home)},
    )

    assert (2, "") == (ended.code, attacker.everything)
    assert f"{name} would go to `{attacker.uri}`" in ended.output
    assert CREDENTIALS[name] not in ended.output


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".mlflow/credentials", f"[mlflow]\nmlflow_tracking_username = robot\nmlflow_tracking_password = {CANARY}\n"),
        (".netrc", f"machine 127.0.0.1 login robot password {CANARY}\n"),
        (".netrc", f"default login robot password {CANARY}\n"),
    ],
    ids=["mlflow", "host", "default"],
)
def test_the_checkout_sends_no_credentials_of_a_file(
    file: str, text: str, workspace: Path, home: Path, attacker: Listener
) -> None:
    """
    MLflow and its HTTP library read some from the home, for a server that no variable names.
    """
    settings(workspace, tracking_uri=attacker.uri)
    (home / file).parent.mkdir(exist_ok=True)
    (home / file).write_text(text)

    ended = on_the_command_line("audit", *ASKING["audit"], folder=workspace, given={}, variables={"HOME": str(home)})

    assert (2, "", True) == (ended.code, attacker.everything, "would go to" in ended.output)


@pytest.mark.core_variants(2)
@pytest.mark.parametrize(
    "disguise",
    [
        "http://{team}@{attacker}",
        "http://{attacker}\\\\@{team}",
        "http://{attacker}#@{team}",
        "https://{team}",
        "http://{team}.{attacker}",
        "HTTP://{attacker}",
        " http://{attacker}",
    ],
)
def test_an_address_that_looks_like_the_teams_is_another(
    disguise: str, workspace: Path, home: Path, team: Listener, attacker: Listener
) -> None:
    """
    Scheme, host and port decide, and what parsers read in two ways is no address.
    """
    hosts = {"team": team.uri.removeprefix("http://"), "attacker": attacker.uri.removeprefix("http://")}
    settings(workspace, tracking_uri=disguise.format(**hosts))
    variables = {**CREDENTIALS, "MLFLOW_TRACKING_URI": team.uri, "HOME": str(home)}

    ended = on_the_command_line("audit", *ASKING["audit"], folder=workspace, given={}, variables=variables)

    assert (2, "", "") == (ended.code, attacker.everything, team.everything)


@pytest.mark.extended
def test_the_fixes_of_the_message_send_credentials_where_the_job_then_says(
    workspace: Path, home: Path, attacker: Listener
) -> None:
    """
    Both are tried: the variable, and the flag.
    """
    settings(workspace, tracking_uri=attacker.uri)
    variables = {**CREDENTIALS, "HOME": str(home)}
    variables = {name: value for name, value in variables.items() if "USER" not in name and "PASS" not in name}
    refused = on_the_command_line("audit", *ASKING["audit"], folder=workspace, given={}, variables=variables)
    setting, _, flag = fix_in(refused.output).partition(", or ")
    assert (f"set MLFLOW_TRACKING_URI={attacker.uri}", f"--tracking-uri {attacker.uri}") == (setting, flag)

    on_the_command_line(
        "audit",
        *ASKING["audit"],
        folder=workspace,
        given={},
        variables={**variables, "MLFLOW_TRACKING_URI": attacker.uri},
    )
    by_variable = attacker.everything
    attacker.received.clear()
    on_the_command_line("audit", *ASKING["audit"], *shlex.split(flag), folder=workspace, given={}, variables=variables)

    expected = f"Authorization: Bearer {CANARY}"
    assert (True, True) == (expected in by_variable, expected in attacker.everything)


def test_the_address_of_the_job_keeps_its_own_credentials_beside_the_same_in_the_checkout(
    workspace: Path, home: Path, team: Listener
) -> None:
    """
    The environment's address may carry a password; the same server in the checkout does not replace it.
    """
    settings(workspace, tracking_uri=f"{team.uri}/")
    host = team.uri.removeprefix("http://")

    ended = on_the_command_line(
        "audit",
        *ASKING["audit"],
        folder=workspace,
        given={},
        variables={"MLFLOW_TRACKING_URI": f"http://robot:{CANARY}@{host}", "HOME": str(home)},
    )

    assert "Authorization: Basic" in team.everything
    assert CANARY not in ended.output


def test_a_server_that_sends_us_on_to_another_gives_it_no_credentials(
    workspace: Path, home: Path, attacker: Listener
) -> None:
    """
    The team's server, or whoever answers for it, names another origin: the token stays behind.
    """
    with listening(redirect=attacker.uri) as team:
        on_the_command_line(
            "audit",
            *ASKING["audit"],
            folder=workspace,
            given={},
            variables={"MLFLOW_TRACKING_TOKEN": CANARY, "MLFLOW_TRACKING_URI": team.uri, "HOME": str(home)},
        )

    assert (True, True, False) == (
        CANARY in team.everything,
        bool(attacker.received),
        CANARY in attacker.everything,
    )


# what is written


@pytest.fixture
def outside(workspace: Path) -> Path:
    """A folder beside the repository, with a file that somebody needs."""
    folder = workspace.parent / "secret"
    folder.mkdir()
    (folder / "precious").write_text(CANARY)
    return folder


def _plain(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes().decode(errors="replace") for path in files}


@pytest.mark.core_variants(8)
@pytest.mark.parametrize(
    ("call", "key"),
    [
        (on_the_command_line, "requirements-file"),
        (on_the_command_line, "pylock-file"),
        (on_the_command_line, "sbom-file"),
        (in_an_action, "requirements-file"),
    ],
)
@pytest.mark.parametrize(
    "place",
    ["../secret/{name}", "{outside}/{name}", "~/{name}", "link/{name}", "link/../{name}", "sub/../../secret/{name}"],
    ids=["above", "absolute", "home", "link", "above a link", "roundabout"],
)
def test_the_checkout_writes_no_file_outside_the_project(
    call: Call, key: str, place: str, workspace: Path, outside: Path, home: Path
) -> None:
    """
    Whichever way a setting takes to leave: nothing is written, there or in the project.
    """
    (workspace / "link").symlink_to("../secret")
    name = {"requirements-file": "precious", "pylock-file": "pylock.toml", "sbom-file": "precious"}[key]
    settings(workspace, **{key: place.format(outside=outside, name=name)})
    before = {folder: _plain(folder) for folder in (workspace, outside, home)}

    ended = call("export", folder=workspace, given={}, variables={"HOME": str(home)})

    assert (2, before) == (ended.code, {folder: _plain(folder) for folder in before})
    assert "leads out of the project" in ended.output


@pytest.mark.parametrize("place", [".git/config", "link/hooks/pre-push", "new/../.git/info/attributes"])
def test_the_checkout_writes_nothing_that_git_keeps(place: str, workspace: Path, home: Path) -> None:
    """
    It lies below the project and is its owner's: settings, tokens, hooks.
    """
    (workspace / "link").symlink_to(".git")
    settings(workspace, requirements_file=place)
    before = _plain(workspace)

    ended = on_the_command_line("export", folder=workspace, given={}, variables={"HOME": str(home)})

    assert (2, before, True) == (ended.code, _plain(workspace), "is a path inside `.git`" in ended.output)


def test_a_patch_is_made_without_writing_through_a_link_of_the_checkout(
    workspace: Path, outside: Path, home: Path
) -> None:
    """
    uv writes a lock where a link leads, also from a copy of the repository.
    """
    lock = workspace / "uv.lock"
    (outside / "uv.lock").write_bytes(lock.read_bytes())
    lock.unlink()
    lock.symlink_to(outside / "uv.lock")
    projects.wheel(workspace / "dist", "melon", "1.0")
    manifest = workspace / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace("grape==1.0", "melon==1.0"))
    before = _plain(outside)

    ended = on_the_command_line(
        "check-lock", folder=workspace, given={"patch": "lock.patch"}, variables={"HOME": str(home)}
    )

    assert (before, True) == (_plain(outside), "symbolic link to a path outside the repository" in ended.output)


def test_the_checkout_writes_below_the_project_as_before(workspace: Path, home: Path) -> None:
    """
    A folder that is not there yet, a link inside, an absolute path inside: all are the project's own.
    """
    (workspace / "lists").symlink_to("new")
    (workspace / "new").mkdir()
    settings(workspace, requirements_file="lists/deep/all.txt", sbom_file=str(workspace / "bill.cdx.json"))

    ended = on_the_command_line("export", folder=workspace, given={}, variables={"HOME": str(home)})

    assert (0, "grape==1.0\n", True) == (
        ended.code,
        (workspace / "new/deep/all.txt").read_text().splitlines(keepends=True)[-1],
        (workspace / "bill.cdx.json").is_file(),
    )


def test_a_flag_writes_anywhere_as_the_fix_of_the_message_says(workspace: Path, outside: Path, home: Path) -> None:
    """
    Who starts the program decides; the setting that is refused does not stand in the way.
    """
    settings(workspace, requirements_file="../secret/list.txt")
    refused = on_the_command_line("export", folder=workspace, given={}, variables={"HOME": str(home)})

    ended = on_the_command_line(
        "export", *shlex.split(fix_in(refused.output)), folder=workspace, given={}, variables={"HOME": str(home)}
    )

    assert (0, True) == (ended.code, "grape==1.0" in (outside / "list.txt").read_text())


@pytest.mark.parametrize("link", ["requirements.txt", "wheels"])
def test_a_link_of_the_checkout_leads_no_list_that_a_job_names_out(
    link: str, workspace: Path, outside: Path, home: Path
) -> None:
    """
    The job names a file of the project, and the checkout makes it a link: the file it leads to stays as it is.
    """
    target = outside / "precious" if link == "requirements.txt" else outside
    (workspace / link).symlink_to(target)
    packaged = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    if link == "wheels":
        projects.project(workspace, "grape==1.0", wheels=workspace / "dist", more=packaged)
        (workspace / "backend.py").write_text(BACKEND)
        projects.lock(workspace)
    given = {"requirements-file": "requirements.txt", "local-packages": "wheels"}

    ended = on_the_command_line("export", folder=workspace, given=given, variables={"HOME": str(home)})

    assert (2, {"precious": CANARY}) == (ended.code, _plain(outside)), ended.output


BACKEND = """
import zipfile
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "wine-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{wheel_directory}/{name}", "w") as archive:
        archive.writestr("wine.py", "")
        archive.writestr("wine-0.1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: wine\\nVersion: 0.1.0\\n")
        wheel = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        archive.writestr("wine-0.1.0.dist-info/WHEEL", wheel)
        archive.writestr("wine-0.1.0.dist-info/RECORD", "")
    return name
build_editable = build_wheel
"""


def test_a_link_of_the_checkout_leads_no_hook_out(workspace: Path, outside: Path, home: Path) -> None:
    """
    A hook writes requirements.txt where nothing names another file.
    """
    (workspace / "requirements.txt").symlink_to(outside / "precious")

    ended = in_a_hook("export", "uv.lock", folder=workspace, variables={"HOME": str(home)})

    assert (2, {"precious": CANARY}) == (ended.code, _plain(outside))
    assert CANARY not in ended.output


def test_a_comparison_shows_nothing_of_a_file_that_a_link_leads_to(workspace: Path, outside: Path, home: Path) -> None:
    """
    `--check` reads what it compares, and says how it differs.
    """
    (workspace / "requirements.txt").symlink_to(outside / "precious")
    given = {"requirements-file": "requirements.txt"}

    ended = on_the_command_line("export", "--check", folder=workspace, given=given, variables={"HOME": str(home)})

    assert (2, False) == (ended.code, CANARY in ended.output)


def test_a_link_of_the_checkout_leads_no_patch_out(workspace: Path, outside: Path, home: Path) -> None:
    """
    The job names a patch in its workspace, and the checkout has a link of that name.
    """
    projects.wheel(workspace / "dist", "grape", "2.0")
    projects.depend_on(workspace, "grape==2.0")
    (workspace / "lock.patch").symlink_to(outside / "precious")

    ended = on_the_command_line(
        "check-lock", folder=workspace, given={"patch": "lock.patch"}, variables={"HOME": str(home)}
    )

    assert (2, {"precious": CANARY}) == (ended.code, _plain(outside))


@pytest.mark.parametrize("uri", ["sqlite:///../secret/precious", "sqlite:///link/new.db", "sqlite:///sub/new.db"])
def test_the_checkout_makes_no_database_outside_the_project(
    uri: str, workspace: Path, outside: Path, home: Path
) -> None:
    """
    Neither the file of the database nor the folder of its artifacts beside it.
    """
    (workspace / "link").symlink_to("../secret")
    (workspace / "sub").mkdir()
    (workspace / "sub/mlruns").symlink_to("../../secret")
    settings(workspace, tracking_uri=uri)

    ended = on_the_command_line("log-model", folder=workspace, given={}, variables={"HOME": str(home)})

    assert (2, {"precious": CANARY}) == (ended.code, _plain(outside))
    assert "leads out of the project" in ended.output


# what is read and leaves


@pytest.mark.core_variants(5)
@pytest.mark.parametrize(
    ("call", "step", "key"),
    [
        (on_the_command_line, "log-model", "input-example"),
        (on_the_command_line, "log-model", "cases"),
        (on_the_command_line, "log-model", "model"),
        (on_the_command_line, "evaluate", "data"),
        (in_an_action, "release", "input-example"),
    ],
)
@pytest.mark.parametrize("place", ["../secret/precious", "link/precious", "~/precious"])
@pytest.mark.usefixtures("outside")
def test_the_checkout_discloses_no_file_outside_the_repository(
    call: Call, step: str, key: str, place: str, workspace: Path, home: Path
) -> None:
    """
    What a setting names is uploaded, or a model is asked with it: a secret of the runner is not.
    """
    (workspace / "link").symlink_to("../secret")
    (home / "precious").write_text(CANARY)
    settings(workspace, **{key: place})

    ended = call(
        step, folder=workspace, given={}, variables={"HOME": str(home), "MLFLOW_TRACKING_URI": "http://[::1]:1"}
    )

    assert (2, True) == (ended.code, "leads out of the repository" in ended.output)


def test_a_model_folder_takes_nothing_along_that_its_links_lead_to(workspace: Path, outside: Path, home: Path) -> None:
    """
    Also where the job names the folder: what lies in it is the checkout's.
    """
    (workspace / "saved").mkdir()
    (workspace / "saved/MLmodel").write_text("flavors: {}\n")
    (workspace / "saved/weights").symlink_to(outside / "precious")

    ended = on_the_command_line("log-model", folder=workspace, given={"model": "saved"}, variables={"HOME": str(home)})

    assert (2, True) == (ended.code, "`weights`" in ended.output)


@pytest.mark.core_variants(2)
@pytest.mark.parametrize(
    "value",
    ["type=local,dest=/home/somebody", "type=s3,bucket=x,endpoint_url=http://127.0.0.1:1", "type=gha,url=http://x"],
)
@pytest.mark.parametrize("key", ["cache-from", "cache-to"])
def test_the_checkout_names_no_build_cache_in_a_folder_or_behind_another_address(
    key: str, value: str, workspace: Path, home: Path
) -> None:
    """
    A reference in a registry it may name: the engine has credentials for each registry apart.
    """
    settings(workspace, **{key: value})

    ended = on_the_command_line("build-image", folder=workspace, given={}, variables={"HOME": str(home)})

    assert (2, True) == (ended.code, f"not a build cache that a checkout may name: it is `{value}`" in ended.output)
