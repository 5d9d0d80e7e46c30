"""Caches and local files that somebody changes between the signing of a version and the step that uses them next."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.core.release.digests import canonical, sha256
from mlflow_uv.core.release.record import from_json
from tests.signers import Signers

from .sample_project import SampleProject
from .signed_versions import VERSION, signed, stored_record, trust

pytestmark = pytest.mark.extended

CHAIN_BROKEN = 11
# What this program keeps of images, beside environments and uv's own cache.
CACHES = ("base-facts", "base-layers", "layers", "shared-libraries")


def spoil(file: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.fixture
def cache(sample: SampleProject) -> Iterator[Path]:
    """The cache of the sample project, whose layers are removed afterwards: it is not restored as its store is."""
    folder = sample.consumer.home / "cache"
    yield folder
    shutil.rmtree(folder / "layers")


@pytest.mark.engine
def test_a_poisoned_cache_of_layers_does_not_pass_for_the_signed_image(
    sample: SampleProject, signers: Signers, image: str, cache: Path
) -> None:
    """
    Changed files are not used. With digests that agree, as whoever writes there can make them, audit names the image.

    A build that would use such a layer ends, too: it lacks what the layer should have.
    """
    trusted, build = trust(signers, "first"), ("build-image", "--engine", "docker", "--builder", "compose")
    built = sample.run(*build, "--image", image)
    tested = sample.run("smoke-test")
    signed(sample, signers)
    again = sample.run(*build, "--image", image)
    files = [file for name in CACHES for file in (cache / name).rglob("*") if file.is_file()]
    for file in files:
        spoil(file)

    spoilt = sample.run("audit", VERSION, variables=trusted)
    swap_layers(cache / "layers" / "keys")
    poisoned = sample.run("audit", VERSION, variables=trusted)
    rebuilt = sample.run(*build, "--image", image)

    assert [0, 0, 0, 0] == [one.code for one in (built, tested, again, spoilt)], f"{again.stderr}{spoilt.stderr}"
    assert {"image", "signature"} <= {*spoilt.outputs["holds"]}, spoilt.stderr
    assert (True, "image-layers-changed" in spoilt.rules) == (len(files) > len(CACHES), True), files
    assert (1, ["image"]) == (poisoned.code, poisoned.outputs["broken"]), poisoned.stderr
    assert "composed again, it has the digest" in poisoned.stderr
    assert (CHAIN_BROKEN, True) == (rebuilt.code, "six is not installed" in rebuilt.stderr), rebuilt.stderr


def swap_layers(keys: Path) -> None:
    """Let the layer with `six` be another one, with a description whose digest agrees."""
    described = {file: json.loads(file.read_text()) for file in keys.iterdir()}
    (victim,) = (
        file for file, content in described.items() if any("/six.py" in path for path in content["files"])
    )  # fmt: skip
    other = next(
        content for file, content in described.items() if file != victim and content["files"]
        and not any("/six.py" in path for path in content["files"])
    )  # fmt: skip
    parts = [victim.stem, *(other[name] for name in ("layer", "files", "replaced", "libraries"))]
    victim.write_text(json.dumps({**other, "sha256": sha256(canonical(parts))}))


@pytest.mark.parametrize("step", ["smoke-test", "build-image"])
def test_a_record_that_was_changed_on_this_machine_is_refused_by_the_step_that_reads_it(
    sample: SampleProject, signers: Signers, step: str
) -> None:
    """
    Its digest is not that in the tags of the version; with the record as sign left it, the step passes.

    What reads the record of the store is not affected.
    """
    options = ("--engine", "none") if step == "build-image" else ()
    signed(sample, signers)
    file = sample.consumer.record
    assert from_json(json.loads(file.read_text())) == stored_record(sample)
    passed = sample.run(step, *options)
    record = from_json(json.loads(file.read_text()))
    assert record.image is not None
    forged = replace(record, image=replace(record.image, id="sha256:" + "0" * 64))
    file.write_text(json.dumps(forged.to_json()))

    refused = sample.run(step, *options)
    audited = sample.run("audit", VERSION, variables=trust(signers, "first"))

    assert passed.code == 0, passed.stderr
    assert (CHAIN_BROKEN, True) == (refused.code, "broken at `record`" in refused.stderr), refused.stderr
    assert (0, []) == (audited.code, audited.outputs["broken"]), audited.stderr
