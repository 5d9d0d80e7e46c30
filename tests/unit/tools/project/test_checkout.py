"""What a setting of the checkout may name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.step import Doc, SettingReach, settle
from mlflow_uv.tools.project.checkout import given_layer, settings_layer
from mlflow_uv.tools.project.files import read_project
from tests.runner import words


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """An input of each reach."""

    file: Annotated[Path | None, SettingReach.WRITTEN, Doc("Written.")] = None
    example: Annotated[Path | None, SettingReach.DISCLOSED, Doc("Read.")] = None
    tracking_uri: Annotated[str | None, SettingReach.SERVER, Doc("Server.")] = None
    cache_to: Annotated[str | None, SettingReach.BUILD_CACHE, Doc("Cache.")] = None
    serve_env: Annotated[tuple[str, ...], SettingReach.VARIABLES, Doc("Variables.")] = ()


def settled(
    folder: Path, setting: str, variables: Mapping[str, str] | None = None, given: Mapping[str, str] | None = None
) -> Inputs:
    """What a step gets of a project with one setting."""
    (folder / "pyproject.toml").write_text(f'[project]\nname = "wine"\n[tool.mlflow-uv]\n{setting}\n')
    project = read_project(folder)
    layers = (given_layer("--{}", given or {}, project), settings_layer(Inputs, project, variables or {}))
    return settle(Inputs, layers)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder of a project in a repository."""
    (tmp_path / "repository/.git").mkdir(parents=True)
    folder = tmp_path / "repository/project"
    folder.mkdir()
    return folder


TEAM = "https://mlflow.example.test"


@pytest.mark.parametrize(
    ("named", "setting", "used"),
    [
        ("", TEAM, TEAM),
        ("", "databricks", "databricks"),
        (TEAM, TEAM, None),
        (TEAM, f"{TEAM}/", None),
        (f"{TEAM}:443/", TEAM, None),
        (f"https://me:secret@{TEAM.removeprefix('https://')}", TEAM, None),
        (TEAM, f"{TEAM}/tenant", f"{TEAM}/tenant"),
        ("databricks", "databricks", None),
        ("postgresql://me:secret@db/mlflow", "postgresql://db/mlflow", None),
    ],
)
def test_a_checkout_names_the_server_of_the_job_or_one_where_the_job_names_none(
    project: Path, named: str, setting: str, used: str | None
) -> None:
    """
    Where both name the same address that of the job is used, because it may carry credentials.
    """
    variables = {"HOME": str(project), "MLFLOW_TRACKING_URI": named}

    found = settled(project, f'tracking-uri = "{setting}"', variables)

    assert used == found.tracking_uri


@pytest.mark.parametrize(
    ("named", "setting"),
    [
        (TEAM, "https://mlflow.example.test:8443"),
        (TEAM, "http://mlflow.example.test"),
        (TEAM, "https://mlflow.example.test.evil.test"),
        (TEAM, "databricks"),
        (TEAM, "sqlite:///own.db"),
        ("databricks", "databricks://other"),
        ("sqlite:///a.db", TEAM),
        (f"https://me:secret@{TEAM.removeprefix('https://')}", f"{TEAM}/tenant"),
        ("postgresql://me:secret@db/mlflow", "postgresql://other/mlflow"),
    ],
)
def test_a_checkout_names_no_other_server_than_the_job(project: Path, named: str, setting: str) -> None:
    """
    Scheme, host and port are compared; the message says both addresses, and no password.
    """
    with pytest.raises(BadInput) as caught:
        settled(project, f'tracking-uri = "{setting}"', {"MLFLOW_TRACKING_URI": named})

    assert (True, False) == ("(line 4 of pyproject.toml)" in str(caught.value), "secret" in str(caught.value))


@pytest.mark.parametrize(
    "uri",
    [
        "file://h/tmp/x",
        "postgresql://db/mlflow",
        "mysql+pymysql://db/x?local_infile=1",
        "databricks://other",
        "ftp://x",
    ],
)
def test_a_checkout_names_no_database_server_and_nothing_unknown(project: Path, uri: str) -> None:
    """
    What a driver does with an address is not known here: it may read files, and send them.
    """
    with pytest.raises(BadInput, match="is not an address that a checkout may name"):
        settled(project, f'tracking-uri = "{uri}"')


@pytest.mark.parametrize("setting", ["./mlruns", "file:./mlruns", "mlruns", "file:mlruns", "x/../mlruns"])
def test_a_checkout_names_a_folder_of_files_in_the_project(project: Path, setting: str) -> None:
    """
    As MLflow takes them, and relative to the project, whichever folder a step is started in.
    """
    assert (project / "mlruns").as_uri() == settled(project, f'tracking-uri = "{setting}"').tracking_uri


@pytest.mark.parametrize("setting", ["/srv/x", "file:///srv/x", "../mlruns", "file:../mlruns", "link/mlruns", ".git/x"])
def test_a_folder_of_files_lies_in_the_project(project: Path, setting: str) -> None:
    """
    Neither a path nor a link leads out of it, nor into what git keeps.
    """
    (project / "link").symlink_to(project.parent)

    with pytest.raises(BadInput, match=r"(leads out of the project|is a path inside `\.git`)"):
        settled(project, f'tracking-uri = "{setting}"')


@pytest.mark.parametrize("name", ["AWS_REGION", "AZURE_EXTENSION_DIR", "MLFLOW_UV_INPUTS", "GITHUB_TOKEN"])
def test_what_no_server_gets_does_not_stand_in_the_way(project: Path, name: str) -> None:
    """
    Only what MLflow would send is a credential here: payloads see nothing else of the environment.
    """
    found = settled(project, f'tracking-uri = "{TEAM}"', {name: "x", "HOME": str(project)})

    assert TEAM == found.tracking_uri


def test_a_database_of_the_checkout_lies_in_the_project(project: Path) -> None:
    """
    A path in a setting is relative to the project, wherever the program is started.
    """
    found = settled(project, 'tracking-uri = "sqlite:///mlflow.db"')

    assert f"sqlite:///{project}/mlflow.db" == found.tracking_uri


def test_what_is_given_wins_and_is_not_held_to_the_rules_of_a_setting(project: Path) -> None:
    """
    A setting that is overruled is not even looked at.
    """
    found = settled(
        project, 'file = "../../x"\ntracking-uri = "ftp://x"', given={"file": "../../y", "tracking-uri": "ftp://y"}
    )

    assert (Path("../../y"), "ftp://y") == (found.file, found.tracking_uri)


@pytest.mark.parametrize("key", ["file", "example"])
def test_a_file_in_the_project_is_named_as_it_was(project: Path, key: str) -> None:
    """
    A path that stays inside is used as it is written.
    """
    found = settled(project, f'{key} = "sub/../list.txt"')

    assert Path("sub/../list.txt") == getattr(found, key)


def test_what_is_read_may_lie_elsewhere_in_the_repository(project: Path) -> None:
    """
    Data beside the project is in the checkout, too; a file is written in the project alone.
    """
    found = settled(project, 'example = "../data.csv"')

    assert Path("../data.csv") == found.example
    with pytest.raises(BadInput, match="leads out of the project"):
        settled(project, 'file = "../list.txt"')


def test_without_a_repository_the_project_is_the_checkout(tmp_path: Path) -> None:
    """
    An archive that was unpacked holds no `.git`.
    """
    with pytest.raises(BadInput, match="leads out of the repository"):
        settled(tmp_path, 'example = "../data.csv"')


@pytest.mark.parametrize("given", ["link", "link/secret"])
def test_a_flag_into_the_checkout_follows_no_link_out_of_it(project: Path, given: str) -> None:
    """
    Who starts the program names a file of the checkout; what that is, the checkout does not change.
    """
    (project.parent.parent / "outside").mkdir()
    (project / "link").symlink_to("../../outside")

    with pytest.raises(BadInput, match="--example leads out of the repository") as caught:
        settled(project, "", given={"example": given})

    fix = caught.value.fix.removeprefix("--example ")
    assert Path(fix) == settled(project, "", given={"example": fix}).example


@pytest.mark.parametrize(
    "value",
    ["registry.example.test:5000/cache:main", "type=registry,ref=registry.example.test/cache,mode=max", "type=inline"],
)
def test_a_checkout_names_a_build_cache_in_a_registry(project: Path, value: str) -> None:
    """
    The engine has credentials for each registry apart, and sends none to another.
    """
    assert value == settled(project, f'cache-to = "{value}"').cache_to


@pytest.mark.parametrize(
    "value",
    [
        "type=local,dest=x",
        "type=registry,ref=x,dest=/y",
        "type=registry,type=local",
        'type=registry,ref=x\\",type=local',
        "type=azblob",
        "dest=/x",
        "type=gha,token=x",
        "/x/y",
    ],
)
def test_a_checkout_names_no_other_build_cache(project: Path, value: str) -> None:
    """
    A folder of the machine and another address are for a flag.
    """
    with pytest.raises(BadInput, match="is not a build cache that a checkout may name"):
        settled(project, f'cache-to = "{value}"')


def test_a_checkout_gives_a_model_no_variable_with_rights(project: Path) -> None:
    """
    Of the names it may say all but those; the fix of the message names all of them where they may be said.
    """
    setting = 'serve-env = ["MODEL_KEY", "GITHUB_TOKEN"]'

    with pytest.raises(BadInput) as refused:
        settled(project, setting)

    flag, value = refused.value.fix.split()
    assert ("`serve-env` in [tool.mlflow-uv] names GITHUB_TOKEN, which a checkout may not pass to a model", True) == (
        refused.value.what,
        "(line 4 of pyproject.toml)" in refused.value.why,
    )
    given = settled(project, setting, given={flag.removeprefix("--"): value})
    assert ("MODEL_KEY", "GITHUB_TOKEN") == given.serve_env
    assert ("MODEL_KEY",) == settled(project, 'serve-env = ["MODEL_KEY"]').serve_env


@pytest.mark.parametrize(
    ("setting", "flag", "key"),
    [
        ('serve-env = ["GITHUB_TOKEN"]', "--serve-env GITHUB_TOKEN", "serve-env: GITHUB_TOKEN"),
        ('cache-to = "type=local,dest=/x"', "--cache-to type=local,dest=/x", "cache-to: type=local,dest=/x"),
        ('tracking-uri = "ftp://x"', "--tracking-uri ftp://x", "tracking-uri: ftp://x"),
        ('file = "/etc/motd"', "--file /etc/motd", "file: /etc/motd"),
    ],
    ids=["variable", "cache", "server", "path"],
)
def test_what_a_checkout_may_not_say_is_said_in_the_words_of_the_place(
    project: Path, setting: str, flag: str, key: str
) -> None:
    """
    A flag on a command line, a key below `with:` in a workflow.
    """
    with pytest.raises(BadInput) as caught:
        settled(project, setting, {"HOME": str(project)})

    assert flag == caught.value.fix
    assert key in words("release").text(caught.value.fix)
