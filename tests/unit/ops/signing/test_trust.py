"""Tests from where it is read whom a project trusts."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.host import Host
from mlflow_uv.core.signing.trust_policy import TrustLevel
from mlflow_uv.ops.signing.trust import signing_call, trust_in_key, trust_of
from mlflow_uv.tools.project.files import Project, read_project
from mlflow_uv.tools.toolbox import Tools

KEY = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"


def tools(folder: Path, variable: str | None = None) -> Tools:
    """A host with a variable of the job, or without it."""
    variables = {} if variable is None else {"MLFLOW_UV_TRUST": variable}
    host = Host.of(variables, folder=folder, python=Path(sys.executable))
    return cast("Tools", SimpleNamespace(host=host))


def project(folder: Path, *lines: str) -> Project:
    """A project with these lines in its table."""
    table = "[tool.mlflow-uv.trust]\n" if lines else ""
    text = '[project]\nname = "wine"\nversion = "1"\n' + table + "".join(f"{line}\n" for line in lines)
    (folder / "pyproject.toml").write_text(text)
    return read_project(folder)


def test_nobody_is_asked_without_settings(tmp_path: Path) -> None:
    """
    A project that never heard of signatures works as before, with and without a checkout.
    """
    found = [trust_of(one, tools(tmp_path)).policy.policy for one in (None, project(tmp_path))]

    assert [TrustLevel.OFF] * 2 == found


def test_keys_are_files_of_the_project_or_texts(tmp_path: Path) -> None:
    """
    A path is relative to the manifest.
    """
    (tmp_path / "release.pub").write_text(KEY)

    found = trust_of(project(tmp_path, f'keys = ["release.pub", """{KEY}"""]'), tools(Path("/")))

    assert (KEY, KEY) == found.keys.keys
    assert TrustLevel.REQUIRE is found.policy.policy


@pytest.mark.parametrize("lines", [(), ('policy = "off"',)], ids=["none", "own"])
def test_the_root_of_a_workspace_decides_for_its_members(tmp_path: Path, lines: tuple[str, ...]) -> None:
    """
    Whichever way a member is named: it has no table, or one that is weaker. Without one in the root it has its own.
    """
    (tmp_path / "release.pub").write_text(KEY)
    (tmp_path / "m").mkdir()
    workspace = '[tool.uv.workspace]\nmembers = ["m"]\n'
    (tmp_path / "pyproject.toml").write_text(f'{workspace}[tool.mlflow-uv.trust]\nkeys = ["release.pub"]\n')
    member = project(tmp_path / "m", *lines)

    found = trust_of(member, tools(tmp_path))
    (tmp_path / "pyproject.toml").write_text(workspace)
    own = trust_of(member, tools(tmp_path))

    assert (TrustLevel.REQUIRE, (KEY,), "[tool.mlflow-uv.trust] of pyproject.toml") == (
        found.policy.policy, found.keys.keys, found.origin,
    )  # fmt: skip
    assert TrustLevel.OFF is own.policy.policy


def test_the_variable_of_the_job_replaces_what_a_checkout_says(tmp_path: Path) -> None:
    """
    A pull request that turns the policy off, or adds its own key, changes nothing then.
    """
    checkout = project(tmp_path, 'policy = "off"')

    found = trust_of(checkout, tools(tmp_path, f'policy = "warn"\nkeys = ["""{KEY}"""]'))

    assert (TrustLevel.WARN, (KEY,), "MLFLOW_UV_TRUST") == (found.policy.policy, found.keys.keys, found.origin)


def test_a_job_says_that_the_checkout_decides(tmp_path: Path) -> None:
    """
    With a word, where a workflow sets the variable in any case; an empty one could be a name that is misspelt.
    """
    checkout = project(tmp_path, 'policy = "warn"', f'keys = ["""{KEY}"""]')

    found = trust_of(checkout, tools(tmp_path, "checkout\n"))

    assert (TrustLevel.WARN, (KEY,)) == (found.policy.policy, found.keys.keys)


@pytest.mark.parametrize(
    ("variable", "lines", "message"),
    [
        ("keys = [", (), "MLFLOW_UV_TRUST is not TOML: line 1"),
        ('keys = ["release.pub"]', (), "a path is absolute there"),
        ('keys = ["/nowhere/release.pub"]', (), "`/nowhere/release.pub` is not read"),
        ("", (), "MLFLOW_UV_TRUST is empty"),
        (" \n", ('keys = ["release.pub"]',), "MLFLOW_UV_TRUST is empty"),
        (None, ('keys = ["../outside.pub"]',), "it leads out of the repository"),
        (None, ('keys = ["link.pub"]',), "it leads out of the repository"),
        (None, ('keys = ["pyproject.toml"]',), "has no key or certificate"),
        (None, ('keys = ["none.pub"]',), "No such file"),
    ],
)
def test_what_cannot_be_read_is_an_error_and_not_an_absence(
    tmp_path: Path, variable: str | None, lines: tuple[str, ...], message: str
) -> None:
    """
    A policy that cannot be read does not count as one that is off.
    """
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "outside.pub").write_text(KEY)
    (folder / "link.pub").symlink_to(tmp_path / "outside.pub")

    with pytest.raises(BadInput) as raised:
        trust_of(project(folder, *lines), tools(folder, variable))

    assert message in f"{raised.value.what}: {raised.value.why}"


def test_a_key_that_is_cut_off_is_named(tmp_path: Path) -> None:
    """
    Such as one that is being written.
    """
    (tmp_path / "release.pub").write_text(KEY[:40])

    with pytest.raises(BadInput, match=r"release\.pub` has no whole key or certificate in PEM: .* cut off"):
        trust_in_key(tmp_path / "release.pub")


def test_one_key_may_be_named_for_one_run(tmp_path: Path) -> None:
    """
    It is trusted alone.
    """
    (tmp_path / "release.pub").write_text(KEY)

    found = trust_in_key(tmp_path / "release.pub")

    assert ((KEY,), (), TrustLevel.REQUIRE) == (found.keys.keys, found.keys.authorities, found.policy.policy)
    assert {KEY: f"`keys` in `{tmp_path}/release.pub`"} == found.keys.shown


_IDENTITIES = 'repositories = ["org/wine"]\nrefs = ["refs/heads/main"]\n'


@pytest.mark.parametrize(
    ("trust", "variables", "inputs"),
    [
        (f'keys = ["""{KEY}"""]', {}, " --signing-key FILE"),
        (f'keys = ["""{KEY}"""]', {"MLFLOW_UV_SIGNING_KEY": KEY}, ""),
        (f'sigstore = "public"\n{_IDENTITIES}', {"MLFLOW_UV_SIGNING_KEY": KEY}, " --sigstore public"),
        (f'sigstore = "{{}}"\n{_IDENTITIES}', {}, " --sigstore FILE"),
        (f'keys = ["""{KEY}"""]\nsigstore = "public"\n{_IDENTITIES}', {}, " --signing-key FILE"),
    ],
    ids=["key", "key in a variable", "public", "private", "both"],
)
def test_a_version_is_signed_as_somebody_who_is_trusted(
    tmp_path: Path, trust: str, variables: dict[str, str], inputs: str
) -> None:
    """
    A key in a variable is in no file, and a private Sigstore has a client trust configuration of its own.
    """
    host = Host.of({"MLFLOW_UV_TRUST": trust, **variables}, folder=tmp_path, python=Path(sys.executable))
    settings = trust_of(None, cast("Tools", SimpleNamespace(host=host)))

    assert f"mlflow-uv sign --version-uri models:/wine/1{inputs}" == signing_call("models:/wine/1", settings, host)
