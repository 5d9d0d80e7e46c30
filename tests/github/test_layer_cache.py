"""Layers of images that a workflow keeps between runs: restored, found where they were changed, saved by few events."""

import hashlib
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.github.act import Consumer, Run
from tests.github.test_reusable import call

pytestmark = [pytest.mark.engine, pytest.mark.extended]
PULL = {"number": 3, "head": {"sha": "b" * 40}, "base": {"sha": "a" * 40}}
PAYLOADS: dict[str, dict[str, Any]] = {"push": {}, "pull_request": {"pull_request": PULL}}


def poison(archive: Path, scratch: Path) -> None:
    """Change a byte of the largest layer in a cache."""
    with tarfile.open(archive) as tar:
        tar.extractall(scratch, filter="data")
    largest = max(scratch.rglob("blobs/*"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    subprocess.run(("tar", "-cf", archive, "-C", scratch, "."), check=True)
    shutil.rmtree(scratch)


def digests(folder: Path) -> dict[str, str]:
    """The archives of a store, and their content."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def layers_cached(run: Run) -> int:
    """How many layers of packages a release did not make."""
    (count,) = re.findall(r"layers of packages, (\d+) of them cached", run.log)
    return int(count)


def changed(run: Run) -> list[str]:
    """What a release says of layers that were changed."""
    found = [annotation.message for annotation in run.of("notice") if "image-layers-changed" in annotation.title]
    return [message.partition(":")[0] for message in found]


def test_a_changed_layer_in_the_cache_is_found_and_a_pull_request_saves_none(
    wine: Consumer, tmp_path: Path, actions: tuple[str, ...]
) -> None:
    """
    A push fills the cache. A pull request takes 42 of the 43 layers, and makes that again which is not what it was.
    """
    caches = tmp_path / "caches"
    caches.mkdir()
    layers_of_runner = wine.home / ".cache" / "mlflow-uv" / "layers"
    given = {"release": True, "lint": False, "yanked": False, "compare": False}
    workflow = call("check", **given).replace("on: workflow_dispatch", "on: [push, pull_request]")

    def run(event: str) -> Run:
        shutil.rmtree(layers_of_runner, ignore_errors=True)  # each run is on a new machine
        return wine.run(workflow, event=event, payload=PAYLOADS[event], options=actions)

    stranger = run("pull_request")
    saved_by_stranger = digests(caches)
    cold = run("push")
    saved = digests(caches)
    (layers,) = caches.glob("mlflow-uv-layers-*.tar")
    (packages,) = caches.glob("mlflow-uv-check-*.tar")
    packages.unlink()  # the jobs of one home would write the environment that the other one starts
    poison(layers, tmp_path / "scratch")
    before = digests(caches)
    poisoned = run("pull_request")

    runs = (stranger, cold, poisoned)
    assert [True] * 3 == [each.ok for each in runs], "".join(each.log[-4000:] for each in runs if not each.ok)
    assert ({}, 2, before) == (saved_by_stranger, len(saved), digests(caches))
    assert [0, 0, 42] == [layers_cached(each) for each in runs]
    notice = "a changed layer was found in the cache of this program, and not used"
    assert [[], [], [notice]] == list(map(changed, runs))
