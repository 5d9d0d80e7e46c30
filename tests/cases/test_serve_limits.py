"""What the tested container may use: too little memory is named as such, and a file is only there if it is mounted."""

import json
from pathlib import Path

import pytest

from .sample_project import SampleProject, error, training

FINDINGS, BAD_INPUT = 1, 2
# In a container it holds memory that is written to, and reads a file that the image does not have.
PREDICT = """import pathlib
        factor = float(pathlib.Path({file!r}).read_text())
        held = b"x" * (700 << 20) if in_serving() else b""
        return [factor * x for x in model_input["x"] if len(held) >= 0]"""


@pytest.mark.engine
def test_memory_and_mounts_of_the_container_are_those_of_the_inputs(
    sample: SampleProject, image: str, tmp_path: Path
) -> None:
    """
    One version is tested without the mount, with another file, with too little memory, and as it should be.

    The record has what passed. In a container as in a process, an answer that differs fails the version.
    """
    file = tmp_path / "größe.txt"
    file.write_text("2.0")
    sample.train_with(training(predict=PREDICT.format(file=str(file))))
    words = ("--image", image, "--engine", "docker", "--steps", "log-model register build-image")
    released = sample.run("release", *words)
    assert 0 == released.code, released.stderr
    mounted = ("--serve-mounts", str(file))

    unmounted = sample.run("smoke-test", traceback=True)
    file.write_text("3.0")
    otherwise = sample.run("smoke-test", *mounted, "--serve-network")
    state = sample.store.tags(released.outputs["version"])["state"]
    file.write_text("2.0")
    small = sample.run("smoke-test", *mounted, "--serve-memory", "500", traceback=True)
    missing = sample.run("smoke-test", "--serve-mounts", f"{file}.txt")
    enough = sample.run("smoke-test", *mounted, "--serve-memory", "2000", "--serve-cpus", "1.5")

    assert (FINDINGS, True) == (unmounted.code, "case-refused" in unmounted.rules)
    assert (FINDINGS, ["answers-differ", "serve-network"], "failed") == (otherwise.code, otherwise.rules, state)
    assert (FINDINGS, "memory-limit") == (small.code, small.rules[0]), small.stderr
    assert "--serve-memory 1000" in small.answer["findings"][0]["fix"]
    assert (BAD_INPUT, True) == (missing.code, "neither a file nor a folder" in error(missing)[2])
    assert 0 == enough.code, enough.stderr
    link = json.loads(sample.consumer.record.read_text())["answers"]
    assert (["memory 2000 MiB", "cpus 1.5"], [str(file)]) == (link["limits"], link["mounts"])
