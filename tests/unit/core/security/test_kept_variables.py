"""Which of the caller's variables uv gets; the tables are tested in test_child_environment."""

import pytest

from mlflow_uv.core.security.kept_variables import git_variables, steers_uv, uv_variables

CLOUD = {"AWS_SECRET_ACCESS_KEY": "s"}


@pytest.mark.parametrize(
    ("name", "steers"),
    [("UV_RESOLUTION", True), ("UV_INDEX_CORP_USERNAME", False), ("UV_CACHE_DIR", False), ("UV_PUBLISH_TOKEN", False),
     ("PATH", False), ("UV_RUN_RECURSION_DEPTH", False), ("UV_RUN_MAX_RECURSION_DEPTH", True), ("UV_TOOL_DIR", False),
     ("UV_NO_PROGRESS", False)],
)  # fmt: skip
def test_a_variable_that_changes_the_result_steers(name: str, steers: bool) -> None:
    """
    Indexes, credentials, cache, network, what uv needs to publish, and what `uv run` sets for its commands do not.
    """
    assert steers is steers_uv(name)


@pytest.mark.parametrize(
    ("helper", "kept"),
    [("credential.helper", True), ("Credential.https://a.test.helper", True), ("core.editor", False), ("", False)],
)
def test_a_credential_helper_of_git_gets_the_clouds_credentials(helper: str, kept: bool) -> None:
    """
    uv starts git, and the helper may be that of a cloud.
    """
    variables = CLOUD | {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": helper, "GIT_CONFIG_VALUE_0": "!aws"}

    assert kept is (CLOUD.items() <= uv_variables(variables, respect=False, keyring=False).items())


def test_git_does_not_get_the_folders_of_a_hook() -> None:
    """
    GIT_DIR and GIT_INDEX_FILE refer to another tree.
    """
    kept = git_variables({"GIT_DIR": "/x", "GIT_INDEX_FILE": "/y", "HOME": "/home/a", "PATH": "bin:/bin"})

    assert ("/home/a", "/bin") == (kept["HOME"], kept["PATH"])
    assert not {"GIT_DIR", "GIT_INDEX_FILE"} & kept.keys()
