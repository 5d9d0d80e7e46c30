"""Messages are phrased in the terms of the surface on which they are read."""

import sys
from pathlib import Path

import pytest

from mlflow_uv.command.wording import Wording, checkout_call, local, option, step_call, worded
from mlflow_uv.surfaces.phrasing import ActionPhrasing, ActionSource, started_as

UVX = "uvx --from git+https://github.com/org/mlflow-uv-action@v1 mlflow-uv"


def action(step: str = "build-image", parts: tuple[str, ...] = ()) -> ActionPhrasing:
    """The words of a workflow whose checkout is /w/repo."""
    return ActionPhrasing(step=step, source=ActionSource(), root=Path("/w/repo"), parts=parts)


@pytest.mark.parametrize(
    ("text", "phrased"),
    [
        (option("offline"), "`offline: true`"),
        (option("hashes", value=False), "`hashes: false`"),
        (option("tracking-uri", "URI"), "`tracking-uri: URI`"),
        (option("groups", ""), "`groups`"),
        (step_call("release"), "`uses: org/mlflow-uv-action@v1`"),
        (
            step_call("evaluate", again=True, data="FILE"),
            "`uses: org/mlflow-uv-action/actions/evaluate@v1` with `again: true` and `data: FILE`",
        ),
        (step_call("build-image"), "run it again"),
        (step_call("build-image", push=True), "`push: true`"),
        (checkout_call("export", hashes=True), f"`{UVX} export --hashes` in a clone, and commit what it writes"),
        (local("git fetch --unshallow", "`fetch-depth: 0`"), "`fetch-depth: 0`"),
        (local("docker run x"), ""),
        ("uv lock", "uv lock"),
    ],
)
def test_an_action_speaks_of_keys_and_actions(text: str, phrased: str) -> None:
    """
    Not of flags, of a program that is not installed, or of a machine that is gone.
    """
    assert phrased == action().text(text)


def test_a_step_of_a_release_is_run_again_by_the_release() -> None:
    """
    Nobody has to add an action for it.
    """
    assert "run it again" == action("release", parts=("build-image",)).text(step_call("build-image"))


def test_a_step_to_run_gets_the_project_of_the_workflow() -> None:
    """
    Another action, and a command in a clone; an input of the same action keeps what is there.
    """
    phrasing = ActionPhrasing(step="export", source=ActionSource(), root=Path("/w"), project="sub")

    texts = [phrasing.text(text) for text in (step_call("log-model"), checkout_call("export"), option("hashes"))]

    assert [
        "`uses: org/mlflow-uv-action/actions/log-model@v1` with `project: sub`",
        f"`{UVX} export --project sub` in a clone, and commit what it writes",
        "`hashes: true`",
    ] == texts


@pytest.mark.parametrize(
    ("text", "phrased"),
    [
        ("`/w/repo/sub` is not a project", "`sub` is not a project"),
        ("in /w/repo: nothing", "in .: nothing"),
        ("/w/repository and /w/repo-2/x and /w/repo.git", "/w/repository and /w/repo-2/x and /w/repo.git"),
        ("file:///w/repo/x, /a/w/repo/x", "file:///w/repo/x, /a/w/repo/x"),
        ("sqlite:////w/repo/x", "sqlite:////w/repo/x"),
        ("--project=/w/repo/x", "--project=x"),
    ],
)
def test_files_are_named_as_in_the_repository(text: str, phrased: str) -> None:
    """
    Where the runner keeps the checkout says nothing to the reader of a pull request.
    """
    assert phrased == action().text(text)


def test_the_folder_of_everything_names_no_checkout() -> None:
    """
    Then every path would lose its first character.
    """
    assert "/etc/x" == ActionPhrasing(step="doctor", source=ActionSource(), root=Path("/")).text("/etc/x")


UNPACKED = Path("/runner/_actions/acme/mlflow-uv-action/v2.1.0/src/mlflow_uv/surfaces/phrasing.py")


@pytest.mark.parametrize(
    ("variables", "file", "uses"),
    [
        ({}, Path("/clone/x.py"), "org/mlflow-uv-action/actions/export@v1"),
        ({}, UNPACKED, "acme/mlflow-uv-action/actions/export@v2.1.0"),
        (
            {"GITHUB_ACTION_REPOSITORY": "", "GITHUB_ACTION_REF": ""},
            UNPACKED,
            "acme/mlflow-uv-action/actions/export@v2.1.0",
        ),
        ({"GITHUB_ACTION_REPOSITORY": "a/b", "GITHUB_ACTION_REF": "c"}, UNPACKED, "a/b/actions/export@c"),
    ],
)
def test_the_action_is_named_as_the_workflow_names_it(variables: dict[str, str], file: Path, uses: str) -> None:
    """
    A fork by its own name, at the version that runs.
    """
    assert uses == ActionSource.of(variables, file=file).uses("export")


def test_the_program_comes_from_the_forge_that_the_runner_belongs_to() -> None:
    """
    Also from one of a company.
    """
    source = ActionSource.of({"GITHUB_SERVER_URL": "https://git.example"}, file=UNPACKED)

    assert "uvx --from git+https://git.example/acme/mlflow-uv-action@v2.1.0 mlflow-uv" == source.program


@pytest.mark.parametrize(
    ("variables", "prefix", "program"),
    [
        ({}, Path(sys.prefix), "mlflow-uv"),
        ({"MLFLOW_UV_COMMAND": "bin/mlflow-uv"}, Path("/x"), "bin/mlflow-uv"),
        ({"MLFLOW_UV_COMMAND": "/a b/mlflow-uv"}, Path("/x"), "'/a b/mlflow-uv'"),
        ({}, Path("/home/me/.cache/uv/archive-v0/abc"), UVX),
    ],
)
def test_a_terminal_names_the_program_as_it_was_started(variables: dict[str, str], prefix: Path, program: str) -> None:
    """
    From a clone by its path, by uvx as a whole, installed by its name.
    """
    text = worded(Wording("x ", step_call("release")), started_as(variables, prefix=prefix))

    assert f"x {program} release" == text
