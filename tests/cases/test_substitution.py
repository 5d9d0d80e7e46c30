"""Every link, swapped for something plausible and wrong, stops the release at the next consumer, by its name."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .consumer import CommandResult, Consumer

RunUpTo = Callable[[str], None]
CHAIN_BROKEN = 11
LATER = pytest.mark.extended


def broken_links(result: CommandResult) -> list[str]:
    """The links that a step names as broken."""
    assert result.code == CHAIN_BROKEN, result.stderr
    error = result.answer["error"]
    return [part.strip("` ") for part in error["what"].removeprefix("the chain is broken at ").split(",")]


@LATER
def test_an_untouched_chain_holds(consumer: Consumer, run_up_to: RunUpTo) -> None:
    """
    What nobody touched is accepted by every consumer, so that the tests below refuse for their own reason.
    """
    run_up_to("log-model")

    codes = [consumer.run(step).code for step in ("register", "build-image", "smoke-test")]

    assert [0, 0, 0] == codes


@pytest.mark.extended
def test_line_ends_of_the_lock_are_not_its_content(consumer: Consumer, run_up_to: RunUpTo) -> None:
    """
    A checkout that rewrites line ends has the same lock.
    """
    run_up_to("log-model")
    lock = consumer.folder / "uv.lock"
    lock.write_bytes(lock.read_bytes().replace(b"\n", b"\r\n"))

    result = consumer.run("register")

    assert result.code == 0


def test_another_lock_is_refused(consumer: Consumer, run_up_to: RunUpTo) -> None:
    """
    A lock in which one version differs, after logging, breaks the link `lock`.
    """
    run_up_to("log-model")
    consumer.edit(consumer.folder / "uv.lock", 'name = "six"\nversion = "1.17.0"', 'name = "six"\nversion = "1.16.0"')

    result = consumer.run("register")

    assert "lock" in broken_links(result)


@pytest.mark.extended
@pytest.mark.parametrize(
    "step", [pytest.param("register", marks=LATER), pytest.param("build-image", marks=LATER), "smoke-test"]
)
def test_one_changed_pin_is_refused(consumer: Consumer, run_up_to: RunUpTo, step: str) -> None:
    """
    One pin changed in the stored model's requirements breaks `requirements`, whoever consumes it next.
    """
    before = {"register": "log-model", "build-image": "register", "smoke-test": "build-image"}[step]
    run_up_to(before)
    consumer.edit(consumer.model / "requirements.txt", "six==1.17.0", "six==1.16.0")

    result = consumer.run(step)

    assert broken_links(result)[0] == "requirements"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("six==1.17.0\n", "", id="dropped line"),
        pytest.param("six==1.17.0\n", "six==1.17.0\nsixer==1.0\n", marks=LATER, id="extra package"),
        pytest.param("six==1.17.0", "six>=1.17.0", marks=LATER, id="range"),
    ],
)
def test_other_requirements_are_refused(consumer: Consumer, run_up_to: RunUpTo, old: str, new: str) -> None:
    """
    A dropped line, an extra package and a loosened pin are other requirements.
    """
    run_up_to("log-model")
    consumer.edit(consumer.model / "requirements.txt", old, new)

    result = consumer.run("register")

    assert broken_links(result)[0] == "requirements"


def test_the_list_with_hashes_cannot_be_swapped(consumer: Consumer, run_up_to: RunUpTo) -> None:
    """
    What the image installs from is compared too: a changed hash is a changed model.
    """
    run_up_to("register")
    hashed = consumer.model / "mlflow-uv" / "requirements.txt"
    consumer.edit(hashed, "--hash=sha256:", "--hash=sha256:0000")

    result = consumer.run("build-image")

    assert broken_links(result) == ["model"]


@LATER
def test_another_model_with_the_same_signature_is_refused(consumer: Consumer, run_up_to: RunUpTo) -> None:
    """
    Weights of another training under the recorded model's id break `model`: same files, same signature, other bytes.
    """
    run_up_to("register")
    theirs = consumer.model
    record = consumer.record.read_bytes()
    consumer.edit(consumer.folder / "train.py", '"C": 0.5', '"C": 0.01')
    assert consumer.run("log-model").code == 0
    (weights,) = (path for path in consumer.model.iterdir() if path.name.startswith("model."))
    (theirs / weights.name).write_bytes(weights.read_bytes())
    consumer.record.write_bytes(record)

    result = consumer.run("build-image")

    assert broken_links(result) == ["model"]


def test_one_recorded_answer_cannot_be_changed(consumer: Consumer, run_up_to: RunUpTo) -> None:
    """
    An answer that was edited in the store breaks `answers` before anything is started.
    """
    run_up_to("build-image")
    path = consumer.model / "mlflow-uv" / "answers.json"
    answers = json.loads(path.read_text())
    answers[0]["predictions"][0] = 1 - min(1, answers[0]["predictions"][0])
    path.write_text(json.dumps(answers, indent=1))

    result = consumer.run("smoke-test")

    assert broken_links(result)[0] == "answers"


@LATER
def test_one_recorded_case_cannot_be_changed(consumer: Consumer, run_up_to: RunUpTo) -> None:
    """
    A case that was taken out breaks `answers` too: nobody gets to ask less.
    """
    run_up_to("build-image")
    (consumer.model / "mlflow-uv" / "cases.json").write_text("[]")

    result = consumer.run("smoke-test")

    assert broken_links(result)[0] == "answers"


def test_another_selection_is_refused(consumer: Consumer, run_up_to: RunUpTo) -> None:
    """
    A selection that was edited in the store breaks `selection`.
    """
    run_up_to("log-model")
    consumer.edit(consumer.model / "mlflow-uv" / "selection.json", '"extras": []', '"extras": ["gpu"]')

    result = consumer.run("register")

    assert broken_links(result)[0] == "selection"


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda record: record["answers"].update(expected="0" * 64), id="answer"),
        pytest.param(lambda record: record.update(version=None), id="version"),
        pytest.param(lambda record: record["commit"].update(sha="0" * 40, dirty=None), marks=LATER, id="commit"),
        pytest.param(lambda record: record["image"].update(id="sha256:" + "0" * 64), marks=LATER, id="image"),
        pytest.param(lambda record: record["requirements"].update(source="infer"), marks=LATER, id="policy"),
        pytest.param(lambda record: record.update(release_key="0" * 64), marks=LATER, id="key"),
    ],
)
def test_an_edited_record_is_refused(
    consumer: Consumer, run_up_to: RunUpTo, edit: Callable[[dict[str, object]], object]
) -> None:
    """
    The record is a carrier, not evidence: its digest is a tag where the registry keeps it, and an edit is found out.
    """
    run_up_to("build-image")
    record = json.loads(consumer.record.read_text())
    edit(record)
    consumer.record.write_text(json.dumps(record))

    result = consumer.run("smoke-test")

    assert "record" in broken_links(result)


@pytest.mark.extended
def test_timings_are_not_identity(consumer: Consumer, run_up_to: RunUpTo) -> None:
    """
    How long a step took may be edited: nothing depends on it.
    """
    run_up_to("build-image")
    record = json.loads(consumer.record.read_text())
    record["timings"] = []
    consumer.record.write_text(json.dumps(record))

    result = consumer.run("smoke-test")

    assert result.code == 0


@pytest.mark.extended
def test_the_record_of_another_model_is_refused(consumer: Consumer, run_up_to: RunUpTo) -> None:
    """
    A record of an older release that was put back is not the one the registry's version speaks of.
    """
    run_up_to("register")
    record = json.loads(consumer.record.read_text())
    consumer.edit(consumer.folder / "train.py", '"C": 0.5', '"C": 0.01')
    assert (consumer.run("log-model").code, consumer.run("register").code) == (0, 0)
    other = json.loads(consumer.record.read_text())
    other["model"] = record["model"]
    consumer.record.write_text(json.dumps(other))

    result = consumer.run("build-image")

    assert "record" in broken_links(result)


@pytest.mark.engine
def test_another_image_under_the_same_tag_is_refused(consumer: Consumer, run_up_to: RunUpTo) -> None:
    """
    A tag that points to another image breaks `image`; the recorded one is not quietly used instead.
    """
    run_up_to("build-image")
    image = json.loads(consumer.record.read_text())["image"]
    subprocess.run(("docker", "tag", image["base"], image["tag"]), check=True)

    result = consumer.run("smoke-test")

    subprocess.run(("docker", "tag", image["id"], image["tag"]), check=True)
    assert broken_links(result) == ["image"]


@pytest.mark.engine
def test_an_image_without_its_tag_is_refused(consumer: Consumer, run_up_to: RunUpTo) -> None:
    """
    By its id the engine still has it; who starts it by the name in the record finds nothing.
    """
    run_up_to("build-image")
    image = json.loads(consumer.record.read_text())["image"]
    other = f"{image['tag']}-other"
    subprocess.run(("docker", "tag", image["id"], other), check=True)
    subprocess.run(("docker", "image", "rm", image["tag"]), check=True)

    result = consumer.run("smoke-test")

    subprocess.run(("docker", "tag", image["id"], image["tag"]), check=True)
    subprocess.run(("docker", "image", "rm", other), check=True)
    assert broken_links(result) == ["image"]


def test_a_package_added_to_the_serving_environment_is_found(consumer: Consumer, run_up_to: RunUpTo) -> None:
    """
    An environment that got one more package after it was compared is not the one that was recorded.
    """
    run_up_to("register")
    assert consumer.run("build-image", "--engine", "none").code == 0
    environment = Path(json.loads(consumer.record.read_text())["image"]["tag"])
    (packages,) = environment.glob("lib/python*/site-packages")
    extra = packages / "sixer-1.0.dist-info"
    extra.mkdir()
    (extra / "METADATA").write_text("Metadata-Version: 2.1\nName: sixer\nVersion: 1.0\n")

    result = consumer.run("smoke-test")

    assert broken_links(result) == ["image"]


@pytest.mark.extended
@pytest.mark.engine
def test_an_image_with_another_model_is_refused(consumer: Consumer, run_up_to: RunUpTo) -> None:
    """
    An image of ours in which one file of the model differs is found out by what lies in it, not by what it says of it.
    """
    run_up_to("build-image")
    record = json.loads(consumer.record.read_text())
    image = record["image"]
    labels = [f"{name}={value}" for name, value in sorted(_labels(image["id"]).items())]
    dockerfile = f"FROM {image['tag']}\nUSER 0\nRUN echo >> /opt/model/MLmodel\nUSER 10001:10001\n"
    flags = [flag for label in labels for flag in ("--label", label)]
    subprocess.run(
        ("docker", "build", "--quiet", "--tag", image["tag"], *flags, "-"), input=dockerfile, text=True, check=True
    )

    result = consumer.run("smoke-test")

    subprocess.run(("docker", "tag", image["id"], image["tag"]), check=True)
    assert broken_links(result) == ["image"]


def _labels(image: str) -> dict[str, str]:
    argv = ("docker", "image", "inspect", "--format", "{{json .Config.Labels}}", image)
    return dict(json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout))
