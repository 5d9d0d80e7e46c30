"""The reusable workflows, called as a user calls them, with every job on a machine of its own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_uv.core.version_difference.description import champion_artifact
from mlflow_uv.core.version_difference.document import read_description
from tests.github.act import Consumer
from tests.github_api import REPOSITORY, FakeGithub, fake_github
from tests.registries import PASSWORD, USER

pytestmark = [pytest.mark.engine, pytest.mark.extended]

CALL = """
on: workflow_dispatch
permissions: {{}}
jobs:
  call:
    permissions: {{contents: read, packages: write, issues: write}}
    uses: ACTION/.github/workflows/{name}.yml@v1
    with: {given}
    secrets:
      REGISTRY_USERNAME: {user}
      REGISTRY_PASSWORD: ${{{{ secrets.WORD }}}}
"""


def call(name: str, **given: object) -> str:
    """A workflow that calls a reusable one."""
    return CALL.format(name=name, given=json.dumps(given), user=USER)


@pytest.fixture
def github() -> Iterator[FakeGithub]:
    """The API, for the issue."""
    with fake_github() as started:
        yield started


def test_a_model_goes_from_training_to_production_and_back(  # each is a program
    wine: Consumer, server: str, registry_host: str, elsewhere: str, actions: tuple[str, ...], github: FakeGithub,
    tmp_path: Path,
) -> None:  # fmt: skip
    """
    Each job of release, promotion, check and rollback has a machine of its own; after the push, another engine.

    Each workflow hands the description of the champion over for the comments on pull requests, once there is one.
    """
    handed_over: list[str] = []
    manifest = wine.folder / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace(', "latency_p95_ms <= 2 * champion"', ""))  # other programs run
    image = f"{registry_host}/team/wine"
    common = {"tracking-uri": server, "registry": registry_host, "share-champion": True}
    apart = {
        "evaluate": elsewhere,
        "promote": elsewhere,
        "test": elsewhere,
        "check": elsewhere,
        "train": "",
        "image": "",
    }

    def run(name: str, **given: object):
        done = wine.run(
            call(name, **common, **given),
            event="workflow_dispatch",
            options=actions,
            secrets={"WORD": PASSWORD},
            env={"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": REPOSITORY},
            engines=apart,
        )
        file = tmp_path / "artifacts" / champion_artifact("wine") / "description.json"
        handed_over.append(read_description(file.read_bytes()).version if file.exists() else "")
        file.unlink(missing_ok=True)
        return done

    first = run("release", image=image)
    promoted = run("promote")
    second = run("release", image=image, retrain=True)
    again = run("promote")
    checked = run("nightly", **{"version-uri": "models:/wine@champion", "ways": "image", "issue": False})
    back = run("rollback")

    runs = (first, promoted, second, again, checked, back)
    assert [True] * 6 == [one.ok for one in runs], "\n".join(one.log[-6000:] for one in runs if not one.ok)
    assert ("tested", "image") == (first.outputs["test"]["state"], first.outputs["image"]["served-by"])
    assert (f"{image}:1", "sha256:") == (
        first.outputs["image"]["image"],
        first.outputs["image"]["image-digest"][:7],
    )
    assert ("true", "true", "[]") == (
        promoted.outputs["promote"]["promoted"],
        again.outputs["promote"]["promoted"],
        checked.outputs["audit"]["broken"],
    )
    assert ["", "1", "1", "2", "2", "1"] == handed_over
    assert ("2", "1") == (back.outputs["rollback"]["version-before"], back.outputs["rollback"]["version"])
