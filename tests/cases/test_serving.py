"""A model that is served wrongly, late or not at all is not tested: its version says so, and no alias moves."""

import json

import pytest

from .sample_project import SampleProject, error, training

FINDINGS, NO_BASE, NO_ENGINE, NOT_SERVING = 1, 12, 13, 15
IN_SERVING = "in_serving()"
HANGS = training(load=f"time.sleep(3600 if {IN_SERVING} else 0)")
CANNOT_LOAD = training(load=f"[][1 if {IN_SERVING} else slice(1)]")
ANSWERS_OTHERWISE = training(predict=f'return [(3.0 if {IN_SERVING} else 2.0) * x for x in model_input["x"]]')
NOWHERE = {"DOCKER_HOST": "unix:///nonexistent.sock", "CONTAINER_HOST": "unix:///nonexistent.sock"}


def release(sample: SampleProject, program: str, *flags: str) -> tuple[dict[str, str], str]:
    """Register the model of a program and build what serves it; what was said of it is the caller's to ask for."""
    sample.train_with(program)
    result = sample.run("release", "--steps", "log-model register build-image", *flags)
    assert result.code == 0, result.stderr
    return sample.store.aliases, result.outputs["version"]


@pytest.mark.extended
def test_a_server_that_never_becomes_healthy_is_stopped_in_time(sample: SampleProject) -> None:
    """
    After the deadline the server is ended, the version is failed with the reason, and the candidate stays.
    """
    aliases, version = release(sample, HANGS, "--engine", "none")

    result = sample.run("smoke-test", "--deadline", "3")

    code, kind, sentence, fix = error(result)
    assert (NOT_SERVING, "NotServing") == (code, kind)
    assert "not healthy within 3 s" in sentence
    assert "--deadline" in fix
    tags = sample.store.tags(version)
    assert ("failed", True, aliases) == (
        tags["state"],
        "not healthy within 3 s" in tags["reason"],
        sample.store.aliases,
    )
    assert "tested" == sample.store.tags("1")["state"]


@pytest.mark.extended
def test_a_model_that_does_not_load_is_told_with_the_servers_log(sample: SampleProject) -> None:
    """
    A server that ends is not waited for, and its log, with the line that says why, is shown.
    """
    aliases, version = release(sample, CANNOT_LOAD, "--engine", "none")

    result = sample.run("smoke-test", "--deadline", "100", traceback=True)

    code, kind, sentence, _ = error(result)
    assert (NOT_SERVING, "NotServing") == (code, kind)
    assert "IndexError" in sentence
    assert "log of the server" in result.stderr
    assert ("failed", aliases) == (sample.store.tags(version)["state"], sample.store.aliases)


@pytest.mark.extended
def test_another_answer_than_in_training_is_a_finding(sample: SampleProject) -> None:
    """
    A server that is healthy and answers differently fails the version with the difference as the reason.
    """
    aliases, version = release(sample, ANSWERS_OTHERWISE, "--engine", "none")

    result = sample.run("smoke-test")

    finding, isolation = result.answer["findings"]
    assert (FINDINGS, "answers-differ") == (result.code, finding["rule"])
    assert ("not-isolated", "notice") == (isolation["rule"], isolation["severity"])
    assert "is 3.0, expected is 2.0" in finding["why"]
    tags = sample.store.tags(version)
    assert ("failed", True, aliases) == (tags["state"], "expected is 2.0" in tags["reason"], sample.store.aliases)


@pytest.mark.extended
@pytest.mark.engine
def test_an_image_that_answers_otherwise_is_a_finding_too(sample: SampleProject, image: str) -> None:
    """
    In a container as in a process: the version is failed, the container is removed; that it had a network is said.
    """
    aliases, version = release(sample, ANSWERS_OTHERWISE, "--engine", "any", "--image", image)

    result = sample.run("smoke-test")
    connected = sample.run("smoke-test", "--serve-network")

    assert (FINDINGS, ["answers-differ"]) == (result.code, result.rules)
    assert (FINDINGS, ["answers-differ", "serve-network"]) == (connected.code, connected.rules)
    assert ("failed", aliases) == (sample.store.tags(version)["state"], sample.store.aliases)


@pytest.mark.engine
def test_a_base_image_that_is_nowhere_is_named(sample: SampleProject) -> None:
    """
    A base image that cannot be had ends with its name and a fix; the version stays registered.
    """
    result = sample.run("build-image", "--base-image", "no/such:thing")

    code, kind, sentence, fix = error(result)
    assert (NO_BASE, "BaseImageMissing") == (code, kind)
    assert "`no/such:thing`" in sentence
    assert fix.endswith("--base-image NAME")


def test_an_engine_that_was_asked_for_and_does_not_answer_is_an_error(sample: SampleProject) -> None:
    """
    Who asks for an engine gets one, or the reason why not.
    """
    result = sample.run("build-image", "--engine", "any", variables=NOWHERE)

    code, kind, sentence, fix = error(result)
    assert (NO_ENGINE, "NoEngine") == (code, kind)
    assert sentence
    assert "Docker" in fix


def test_without_an_engine_the_model_is_served_in_a_process_and_that_is_loud(sample: SampleProject) -> None:
    """
    Where none was asked for, a process takes its place: a warning says so, and the record.
    """
    result = sample.run("build-image", variables=NOWHERE)

    (finding,) = result.answer["findings"]
    image = json.loads(sample.consumer.record.read_text())["image"]
    assert (0, "no-image", "warning") == (result.code, finding["rule"], finding["severity"])
    assert ("process", True) == (image["kind"], bool(image["reason"]))
    assert finding["why"] == image["reason"]
