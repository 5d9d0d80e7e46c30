"""Which of the caller's environment variables each child process gets."""

import pytest

from mlflow_uv.core.security.child_environment import (
    ChildEnvironment,
    for_engine,
    for_git,
    for_kubectl,
    for_model,
    for_payload,
    for_server,
    for_source_build,
    for_training,
    for_uv,
)

CALLER = {
    "PATH": "/usr/bin",
    "HOME": "/home/me",
    "LC_ALL": "de_DE.UTF-8",
    "https_proxy": "http://proxy.test:3128",
    "SSL_CERT_FILE": "/ca.pem",
    "UV_INDEX_URL": "https://index.test/simple",
    "UV_INDEX_COMPANY_PASSWORD": "hunter22",
    "UV_CACHE_DIR": "/cache",
    "UV_EXCLUDE_NEWER": "2020-01-01",
    "UV_FROZEN": "1",
    "UV_PYTHON": "3.9",
    "UV_PROJECT_ENVIRONMENT": "/theirs",
    "UV_SOMETHING_NEW": "1",
    "VIRTUAL_ENV": "/theirs",
    "PYTHONPATH": "/traps",
    "PYTHONHOME": "/nowhere",
    "PIP_TARGET": "/elsewhere",
    "GIT_DIR": "/other/.git",
    "GIT_SSH_COMMAND": "a program",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
    "GITHUB_TOKEN": "ghs_secret",
    "GH_TOKEN": "ghp_secret",
    "ACTIONS_RUNTIME_TOKEN": "runtime-secret",
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://oidc.test",
    "GITHUB_ENV": "/runner/set_env",
    "GITHUB_PATH": "/runner/add_path",
    "GITHUB_OUTPUT": "/runner/set_output",
    "GITHUB_STATE": "/runner/save_state",
    "GITHUB_STEP_SUMMARY": "/runner/step_summary",
    "UV_PUBLISH_TOKEN": "publish-secret",
    "UV_GITHUB_TOKEN": "uv-secret",
    "SSH_AUTH_SOCK": "/agent.sock",
    "ALL_PROXY": "http://me:pa55word@proxy.test",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "7",
    "MLFLOW_TRACKING_USERNAME": "promoter",
    "DOCKER_HOST": "unix:///engine.sock",
    "MLFLOW_TRACKING_TOKEN": "tracking-secret",
    "MLFLOW_TRACKING_URI": "http://elsewhere.test",
    "MLFLOW_RUN_ID": "someone-else's",
    "MLFLOW_UV_INPUTS": "{}",
    "AWS_SECRET_ACCESS_KEY": "aws-secret",
    "DATABRICKS_TOKEN": "dapi-secret",
    "DATA_FOLDER": "/data",
}
MODELS = {"PATH", "HOME", "LC_ALL", "https_proxy", "SSL_CERT_FILE"}
MACHINE = MODELS | {"SSH_AUTH_SOCK", "ALL_PROXY"}
INDEX = {"UV_INDEX_URL", "UV_INDEX_COMPANY_PASSWORD", "UV_CACHE_DIR"}
FETCHING = {"GIT_SSH_COMMAND", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"}
STEERING = {"UV_EXCLUDE_NEWER", "UV_FROZEN", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT", "UV_SOMETHING_NEW"}
STORE = {
    "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_HTTP_REQUEST_TIMEOUT", "AWS_SECRET_ACCESS_KEY",
    "DATABRICKS_TOKEN",
}  # fmt: skip
RIGHTS = {
    "GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "UV_PUBLISH_TOKEN",
    "UV_GITHUB_TOKEN",
}  # fmt: skip
RUNNER = {"GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"}
TRAINING = CALLER.keys() - {"VIRTUAL_ENV", "PYTHONHOME", "MLFLOW_RUN_ID", "MLFLOW_UV_INPUTS"} - RIGHTS - RUNNER


@pytest.mark.parametrize(
    ("partition", "kept"),
    [
        (for_uv(CALLER, respect=False), MACHINE | INDEX | FETCHING),
        (for_uv(CALLER, respect=True), MACHINE | INDEX | FETCHING | STEERING),
        (for_uv(CALLER, respect=False, keyring=True), MACHINE | INDEX | FETCHING | {"AWS_SECRET_ACCESS_KEY"}),
        (for_payload(CALLER), MACHINE | STORE),
        (for_engine(CALLER), MACHINE | {"DOCKER_HOST"}),
        (for_git(CALLER), MACHINE | {"GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"}),
        (for_server(CALLER), {"PATH"}),
        (for_model(CALLER), MODELS | {"MLFLOW_HTTP_REQUEST_TIMEOUT"}),
        (for_training(CALLER, respect=False), TRAINING - STEERING),
        (for_training(CALLER, respect=True), TRAINING),
        (
            for_training(CALLER, respect=True, allowed=("GITHUB_TOKEN", "GITHUB_STEP_SUMMARY", "NOT_THERE")),
            TRAINING | {"GITHUB_TOKEN", "GITHUB_STEP_SUMMARY"},
        ),
    ],
    ids=[
        "uv",
        "uv respecting",
        "uv with a keyring",
        "payload",
        "engine",
        "git",
        "server",
        "model",
        "training",
        "training respecting",
        "training handed",
    ],
)
def test_every_child_gets_its_row_of_the_table(partition: ChildEnvironment, kept: set[str]) -> None:
    """
    Which of the caller's variables a child sees is the table "Whose environment" of the record.
    """
    ours = {"LC_ALL", *(name for name in CALLER if partition.variables.get(name) == CALLER[name])}
    found = ours & partition.variables.keys()

    assert kept == found


@pytest.mark.parametrize(
    "variables",
    [
        {"UV_KEYRING_PROVIDER": "subprocess"},
        {"UV_S3_ENDPOINT_URL": "https://s3.test"},
        {"UV_GCS_ENDPOINT_URL": "https://gcs.test"},
        {"GIT_CONFIG_KEY_0": "credential.https://git.test.helper", "GIT_CONFIG_VALUE_0": "!aws codecommit"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_credentials_of_a_cloud_reach_uv_where_it_has_a_use_for_them(variables: dict[str, str]) -> None:
    """
    And otherwise not: uv hands its variables on to build backends.
    """
    cloud = {"AWS_SECRET_ACCESS_KEY": "x", "AZURE_CLIENT_SECRET": "y", "GOOGLE_APPLICATION_CREDENTIALS": "/z"}

    used, unused = for_uv({**cloud, **variables}, respect=False), for_uv(cloud, respect=False)
    disabled = for_uv({**cloud, "UV_KEYRING_PROVIDER": "disabled"}, respect=False)

    assert cloud.keys() <= used.variables.keys()
    assert set() == cloud.keys() & (unused.variables.keys() | disabled.variables.keys())


def test_what_was_set_aside_is_named() -> None:
    """
    A variable that could have changed the answer is named, in order, also one that this version does not know.
    """
    found = for_uv(CALLER, respect=False).set_aside

    assert tuple(sorted(STEERING)) == found


def test_what_is_respected_is_not_set_aside() -> None:
    """
    `respect-env` lets all of them steer, so there is nothing to name.
    """
    found = for_uv(CALLER, respect=True).set_aside

    assert () == found


@pytest.mark.parametrize(
    "path", [":/usr/bin", "/usr/bin:", "/usr/bin::", ".:/usr/bin", "bin:/usr/bin:../x", "/usr/bin"]
)
def test_no_program_is_found_in_the_folder_where_a_child_runs(path: str) -> None:
    """
    An empty or relative part of PATH means the folder where a program is started: the checkout, or what it holds.
    """
    partitions = (for_uv({"PATH": path}, respect=True), for_git({"PATH": path}), for_payload({"PATH": path}))

    found = [partition.variables["PATH"] for partition in partitions]

    assert ["/usr/bin"] * 3 == found


def test_a_path_that_leads_nowhere_else_is_none() -> None:
    """
    An empty PATH would mean that very folder again; without one a program is looked for where the system has them.
    """
    found = for_git({"PATH": ".:"}).variables

    assert "PATH" not in found


@pytest.mark.parametrize("partition", [for_uv(CALLER, respect=False), for_payload(CALLER)], ids=["uv", "payload"])
def test_a_git_below_a_child_takes_no_folder_of_the_tree_for_a_repository(partition: ChildEnvironment) -> None:
    """
    Build backends and MLflow ask git too: the settings that guard ours reach theirs, after those of the job.
    """
    variables = partition.variables

    count = int(variables["GIT_CONFIG_COUNT"])
    found = {variables[f"GIT_CONFIG_KEY_{number}"]: variables[f"GIT_CONFIG_VALUE_{number}"] for number in range(count)}

    assert ("explicit", "false", "/dev/null") == (
        found["safe.bareRepository"], found["core.fsmonitor"], found["core.hooksPath"]
    )  # fmt: skip
    assert (partition == for_uv(CALLER, respect=False)) is ("safe.directory" in found)


def test_git_speaks_english_and_leaves_the_index_alone() -> None:
    """
    A question to git takes no lock in the repository, and its messages are the ones we know.
    """
    variables = for_git(CALLER).variables

    assert ("0", "C") == (variables["GIT_OPTIONAL_LOCKS"], variables["LC_ALL"])


def test_what_was_withheld_from_training_is_named() -> None:
    """
    Who misses a token learns its name; the runner's files are nothing that anybody misses.
    """
    withheld = for_training(CALLER, respect=False, allowed=("GH_TOKEN",)).withheld

    assert tuple(sorted(RIGHTS - {"GH_TOKEN"})) == withheld


def test_no_child_gets_the_key_that_signs() -> None:
    """
    Not even a training that is given it by name: the one process that needs it reads it from its standard input.
    """
    names = ("MLFLOW_UV_SIGNING_KEY", "MLFLOW_UV_SIGNING_PIN", "MLFLOW_UV_IDENTITY_TOKEN")
    caller = CALLER | dict.fromkeys(names, "signing-secret")
    children = [
        for_uv(caller, respect=True),
        for_payload(caller),
        for_model(caller),
        for_training(caller, respect=True, allowed=names),
        for_engine(caller),
        for_kubectl(caller),
        for_git(caller),
        for_server(caller),
    ]

    assert [] == [child for child in children if "signing-secret" in child.variables.values()]


def test_a_build_of_a_source_distribution_gets_no_credentials_and_another_home() -> None:
    """
    Proxies stay, also one with a password: compilers of other languages download with it.
    """
    of_uv = {**for_uv(CALLER, respect=False, keyring=True).variables, "UV_INDEX_COMPANY_USERNAME": "me"}

    found = for_source_build(
        {**of_uv, "NETRC": "/netrc", "XDG_CONFIG_HOME": "/home/me/.config"}, home="/empty"
    ).variables

    assert {"HOME": "/empty", "ALL_PROXY": CALLER["ALL_PROXY"]}.items() <= found.items()
    assert {"PATH", "SSL_CERT_FILE", "UV_CACHE_DIR", "UV_INDEX_URL"} <= found.keys()
    kept_back = {"NETRC", "SSH_AUTH_SOCK", "UV_INDEX_COMPANY_PASSWORD", "UV_INDEX_COMPANY_USERNAME", "XDG_CONFIG_HOME"}
    assert set() == kept_back & found.keys()
    assert not any(name.startswith(("AWS_", "GIT_SSH", "GITHUB_", "DOCKER_")) for name in found)
