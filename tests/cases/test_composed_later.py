"""What comes after a composed image: release again, verify, promote, audit, roll back and report."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.registries import digest_in, registry

from .conftest import name_of_image
from .images import BASE, remove_image
from .sample_project import SampleProject, training

pytestmark = [pytest.mark.engine, pytest.mark.extended]


@dataclass(frozen=True, kw_only=True)
class Composed:
    """A released project whose second version has a composed image, and the flags that released it."""

    sample: SampleProject
    flags: tuple[str, ...]
    image: str
    host: str

    @property
    def pushed(self) -> bool:
        """Whether a registry has the image."""
        return "--push" in self.flags


@pytest.fixture(scope="module", params=["registry", "engine"])
def composed(
    request: pytest.FixtureRequest,
    released_sample: SampleProject,
    registry_program: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Composed]:
    """Pushed to a registry that has the base, too; or loaded into an engine whose copy of the base was read."""
    released_sample.restore()
    folder = tmp_path_factory.mktemp("composed")
    sample = SampleProject(
        consumer=released_sample.consumer, temporary=released_sample.temporary, untouched=folder / "untouched"
    )
    with ExitStack() as opened:
        flags: tuple[str, ...] = ("--builder", "compose", "--engine", "docker")
        image, host = name_of_image(), ""
        if request.param == "registry":
            host = opened.enter_context(registry(folder, registry_program))
            base, image = f"{host}/base:1", f"{host}/{image}"
            subprocess.run(("docker", "tag", BASE, base), check=True)
            subprocess.run(("docker", "push", "--quiet", base), check=True, capture_output=True)
            flags += ("--push", "--base-image", base)
            opened.callback(remove_image, base)
        opened.callback(remove_image, image)
        flags += ("--image", image)
        manifest = sample.folder / "pyproject.toml"
        manifest.write_text(
            manifest.read_text() + '\n[tool.mlflow-uv.promote]\nallow-unverified = ["image"]\n'
            if request.param != "registry"
            else manifest.read_text()
        )
        sample.train_with(training(predict='return [3.0 * x for x in model_input["x"]]'))
        made = sample.run("release", *flags)
        assert (0, "2") == (made.code, made.outputs["version"]), made.stderr
        sample.keep()
        yield Composed(sample=sample, flags=flags, image=image, host=host)
    released_sample.restore()


def test_a_composed_version_is_verified_promoted_audited_rolled_back_and_reported(
    composed: Composed, tmp_path: Path
) -> None:
    """
    As a version whose image an engine built; the audit composes the image again, and its digest is the same.
    """
    composed.sample.restore()
    page = tmp_path / "report.html"

    verified = composed.sample.run("verify", "models:/wine@candidate", "--ways", "image image-v2", "--dry-run")
    moves = [composed.sample.run("promote", "--candidate", number) for number in ("2", "1")]
    back = composed.sample.run("rollback")
    audited = composed.sample.run("audit", "models:/wine@champion", "--strict")
    reported = composed.sample.run("report", "models:/wine@champion", "--report-file", str(page))

    results = (verified, *moves, back, audited, reported)
    assert [0] * 6 == [result.code for result in results], [result.stderr for result in results]
    assert (["image", "image-v2"], []) == (verified.outputs["equal"], verified.outputs["unequal"])
    assert ("2", "2", True) == (
        back.outputs["version"],
        audited.outputs["version"],
        "image" in audited.outputs["holds"],
    )
    assert ([], []) == (audited.outputs["broken"], reported.outputs["broken"])
    assert f"compose {composed.image} again" in audited.stderr
    shown = page.read_text()
    # Its engine has the layers, also of an image that was pushed.
    assert (True, True) == (composed.image in shown, '<span title="base image">' in shown)


def test_a_release_again_gives_the_same_image(composed: Composed) -> None:
    """
    Nothing is trained, and the image has the digest that it had; there is one version of it.
    """
    composed.sample.restore()
    sample = composed.sample
    before = json.loads(sample.consumer.record.read_text())["image"]

    again = composed.sample.run("release", *composed.flags)

    assert (0, True, "2") == (again.code, again.outputs["reused"], again.outputs["version"]), again.stderr
    after = json.loads(sample.consumer.record.read_text())["image"]
    assert before == after
    assert composed.pushed == bool(after["digest"])


@pytest.mark.parametrize("composed", ["registry"], indirect=True)
def test_an_image_that_took_the_place_of_a_composed_one_is_found(composed: Composed) -> None:
    """
    Whoever moves its name breaks the link; nothing is promoted then.
    """
    composed.sample.restore()
    digest = digest_in(composed.host, *composed.image.removeprefix(f"{composed.host}/").split(":"))[1]
    place = composed.image.rpartition(":")[0]
    subprocess.run(("docker", "tag", BASE, composed.image), check=True)
    try:
        subprocess.run(("docker", "push", "--quiet", composed.image), check=True, capture_output=True)
        audited = composed.sample.run("audit", "models:/wine/2")
        promoted = composed.sample.run("promote", "--candidate", "2")
    finally:
        argv = ("skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false")
        subprocess.run((*argv, f"docker://{place}@{digest}", f"docker://{composed.image}"), check=True)

    assert ([1, 1], ["image"]) == ([audited.code, promoted.code], audited.outputs["broken"]), audited.stderr
