"""The workflows that we show to others, run as they stand."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests import checkout, traps
from tests.github.act import Consumer

# What the training child may meet on PYTHONPATH without being led astray itself: that path is the caller's own.
OURS = ("mlflow_uv", "mlflow_uv_hooks")
pytestmark = pytest.mark.engine


def example(root: Path, name: str, *, registry_host: str) -> str:
    """A workflow of ours, for the action under test, with another registry than GitHub's."""
    text = (root / "examples" / "workflows" / name).read_text().replace("org/mlflow-uv-action", "ACTION")
    return text.replace("ghcr.io", registry_host)


def unpushed(workflow: str) -> str:
    """The workflow of somebody who has no registry."""
    text = re.sub(r" +(image|push): .*\n", "", workflow)
    return re.sub(r" +- uses: docker/login-action.*\n +with:\n(?: {10}.*\n){3}", "", text)


def jobs(workflow: str) -> list[str]:
    """The names of its jobs."""
    return list(yaml.safe_load(workflow)["jobs"])


def labels(image: str) -> dict[str, str]:
    """The labels of an image."""
    argv = ("docker", "image", "inspect", "--format", "{{json .Config.Labels}}", image)
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def containers(image: str) -> str:
    """The containers of smoke tests of an image that are still there; others may test beside us."""
    wanted = ("--filter", "label=mlflow-uv.smoke-test", "--filter", f"ancestor={image}")
    argv = ("docker", "ps", "--all", "--quiet", *wanted)
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def test_one_action_releases_a_project(
    wine: Consumer, root: Path, server: str, registry_host: str, actions: tuple[str, ...]
) -> None:
    """
    The workflow of one job ends with a tested version on the server and a container that answered.
    """
    options = ("--var", f"MLFLOW_TRACKING_URI={server}", *actions)

    run = wine.run(example(root, "release.yml", registry_host=registry_host), options=options)

    assert run.ok, run.log
    outputs = run.outputs["release"]
    assert ("tested", "image", "wine") == (outputs["state"], outputs["served-by"], outputs["model-name"])
    assert (outputs["model-sha256"], outputs["image-digest"][:7]) == (
        labels(outputs["image"])["mlflow-uv.model-sha256"],
        "sha256:",
    )
    assert "| smoke-test | 1 example, " in run.summary
    # The base image is one that no registry has, or that a test pushed to a registry which is gone.
    assert {found.title for found in run.annotations} <= {"mlflow-uv base-from-engine"}, run.annotations
    assert ("", "") == (containers(outputs["image"]), checkout.git(run.workspace, "status", "--porcelain"))


@pytest.mark.extended
def test_what_was_released_is_evaluated_and_promoted_on_another_machine(
    wine: Consumer, root: Path, server: str, registry_host: str, elsewhere: str, actions: tuple[str, ...]
) -> None:
    """
    A second workflow needs nothing of the first but the two registries: its engine has no image, its home no file.

    An image that was not pushed is gone for it: the release says so, and the promotion stops with what mends it.
    """
    options = ("--var", f"MLFLOW_TRACKING_URI={server}", *actions)
    release, promote = (example(root, name, registry_host=registry_host) for name in ("release.yml", "promote.yml"))
    engines = dict.fromkeys(jobs(promote), elsewhere)

    alone = wine.run(unpushed(release), options=options)
    refused = wine.run(promote, event="workflow_dispatch", options=options, engines=engines)
    released = wine.run(release, options=options)
    run = wine.run(promote, event="workflow_dispatch", options=options, engines=engines)

    assert (True, False, True, True) == (alone.ok, refused.ok, released.ok, run.ok), (
        refused.log + released.log + run.log
    )
    # A release before this one, with the same engine, may have left an image of the same name.
    warnings = [found.message for found in alone.of("warning") if "already names another image" not in found.message]
    assert ["the image `wine"] == [message[:15] for message in warnings]
    assert any("`image` is not verified here" in found.message for found in refused.of("error")), refused.log
    assert any("not pushed to a registry" in found.message for found in refused.of("error"))
    assert ["process", "image"] == [one.outputs["evaluate"]["isolation"] for one in (refused, run)]
    assert "✓ accuracy_score" in run.outputs["promote"]["gates"]
    assert "| chain | ✓ holds |" in run.summary
    assert ("true", released.outputs["release"]["version"]) == (
        run.outputs["promote"]["promoted"],
        run.outputs["promote"]["version"],
    )


@pytest.mark.extended
def test_steps_chain_across_two_jobs(
    wine: Consumer, root: Path, server: str, registry_host: str, elsewhere: str, actions: tuple[str, ...]
) -> None:
    """
    Side doors hand the record on by outputs and, to another job, as an artifact; the second job checks all of it.
    """
    options = ("--var", f"MLFLOW_TRACKING_URI={server}", *actions)

    run = wine.run(
        example(root, "steps.yml", registry_host=registry_host), options=options, engines={"train": elsewhere}
    )

    assert run.ok, run.log
    assert run.outputs["model"]["model-sha256"] == labels(run.outputs["image"]["image"])["mlflow-uv.model-sha256"]
    assert "" == containers(run.outputs["image"]["image"])


@pytest.mark.extended
def test_nothing_of_the_caller_steers_a_release(wine: Consumer, root: Path, tmp_path: Path) -> None:
    """
    Job-wide variables that lead into other environments, Pythons and modules are neither touched nor heard.
    """
    laid = traps.lay(tmp_path / "traps", OURS)
    workflow = unpushed(example(root, "release.yml", registry_host="")).replace(
        "tracking-uri: ${{ vars.MLFLOW_TRACKING_URI }}", "embedded: true"
    )

    run = wine.run(workflow, env=laid.variables)

    assert run.ok, run.log
    assert "tested" == run.outputs["release"]["state"]
    assert ([], "") == (laid.sprung(), containers(run.outputs["release"]["image"]))
    assert any("UV_EXCLUDE_NEWER" in annotation.message for annotation in run.of("notice"))


def test_a_vanishing_store_is_an_error_on_a_runner(wine: Consumer, root: Path) -> None:
    """
    Without a tracking server nothing is trained: a release that nobody can find again should not look green.
    """
    workflow = unpushed(example(root, "release.yml", registry_host="")).replace(
        "tracking-uri: ${{ vars.MLFLOW_TRACKING_URI }}", "retrain: true"
    )

    run = wine.run(workflow)

    assert not run.ok
    assert ["no tracking server is configured"] == [found.message.partition(":")[0] for found in run.of("error")]
