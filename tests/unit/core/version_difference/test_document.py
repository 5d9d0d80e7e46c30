"""The description of a version as JSON, written here and read from untrusted sources."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from mlflow_uv.core.version_difference.description import MetricSet, VersionDescription
from mlflow_uv.core.version_difference.document import (
    LARGEST_ANSWER,
    LIMIT,
    MOST_ANSWERS,
    MOST_METRICS,
    MOST_PACKAGES,
    InvalidDescription,
    description_document,
    read_description,
    signature_document,
)
from tests.unit.core.version_difference.descriptions import VERSION, answer, signature

DEEP: Any = 1
for _ in range(40):
    DEEP = [DEEP]


def changed(**parts: Any) -> bytes:
    """The document with other values at its paths, such as `answers__0__name`."""
    document = json.loads(description_document(VERSION))
    for path, value in parts.items():
        *places, last = path.split("__")
        inner = document
        for place in places:
            inner = inner[int(place) if place.isdigit() else place]
        inner[last] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize("description", [VERSION, replace(VERSION, signature=None, evaluation=None, answers=())])
def test_what_is_written_is_read_back(description: VersionDescription) -> None:
    """
    Every part, and a version that has none of the optional ones.
    """
    assert description == read_description(description_document(description))


@pytest.mark.parametrize(
    "parts",
    [
        {"schema": "mlflow-uv/version-description/2"},
        {"schema": "mlflow-uv/lock-comparison/1"},
        {"champion": {"version": "3"}},
        {"champion_metrics": {}},
        {"markdown": "x"},
        {"model_name": ""},
        {"model_name": "x" * 301},
        {"model_name": "wine\u202egnp"},
        {"model_name": "wine\ud800"},
        {"model_name": "wine\n### x"},
        {"version": ""},
        {"state": "**passed**"},
        {"served_by": "x" * 301},
        {"commit": "x" * 301},
        {"model_sha256": "1" * 63},
        {"model_sha256": "1" * 64 + "\n"},
        {"pull_request": -1},
        {"pull_request": "3"},
        {"pull_request": True},
        {"pull_request": 1 << 61},
        {"head_of_pull_request": "main"},
        {"packages": {"": "1"}},
        {"packages": {"numpy": "x" * 301}},
        {"packages": {"numpy": 2}},
        {"packages": {f"p{at}": "1" for at in range(MOST_PACKAGES + 1)}},
        {"left_out_packages": -1},
        {"left_out_answers": 1.5},
        {"evaluation__metrics": {"accuracy": math.nan}},
        {"evaluation__metrics": {"accuracy": math.inf}},
        {"evaluation__metrics": {"accuracy": "0.9"}},
        {"evaluation__metrics": {"accuracy": True}},
        {"evaluation__metrics": {"accuracy": 10**400}},
        {"evaluation__metrics": {f"m{at}": 1 for at in range(MOST_METRICS + 1)}},
        {"evaluation__metrics": {"": 1}},
        {"evaluation__metrics": {"x" * 301: 1}},
        {"evaluation__data": ["x" * 301]},
        {"evaluation__data": ["x"] * 21},
        {"evaluation__settings": "x" * 301},
        {"evaluation__left_out": -1},
        {"training": []},
        {"answers__0__request": "1"},
        {"answers__0__sha256": None},
        {"answers__0__name": "x" * 301},
        {"answers__0__status": 99},
        {"answers__0__status": 600},
        {"answers__0__answer": math.nan},
        {"answers__0__answer": {"predictions": [-math.inf]}},
        {"answers__0__answer": 10**300},
        {"answers__0__answer": DEEP},
        {"answers__0__answer": "x" * (LARGEST_ANSWER - 1)},
        {"answers__0__html": "<b>"},
        {"signature": {"inputs": "{}"}},
        {"signature": {"inputs": [{"name": "x"}]}},
        {"signature": {"inputs": [{"name": "x", "type": ["double"]}]}},
        {"signature": {"inputs": [{"name": ["x"], "type": "double"}]}},
        {"signature": {"inputs": [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": 3}}]}},
        {"signature": {"inputs": [{"name": "x", "type": "double", "default": DEEP}]}},
        {"signature": {"params": [{"name": "x", "type": "double", "default": math.nan}]}},
        {"signature": {"extra": []}},
        {"signature": {"inputs": [{"name": "x" * 50_001, "type": "double"}]}},
        {"signature": "x"},
    ],
    ids=lambda parts: f"{parts!s:.60}",
)
def test_what_is_no_description_is_refused(parts: dict[str, Any]) -> None:
    """
    Unknown parts, a champion among them, other types, numbers that are not finite, and texts that are too long.
    """
    with pytest.raises(InvalidDescription):
        read_description(changed(**parts))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"\xff", b"[" * 100_000, b"null", b" " * (LIMIT + 1), b"x" * 10_000_000,
        changed().replace(b'"accuracy": 0.98', b'"accuracy": 1e999'),
        changed().replace(b'"accuracy": 0.98', b'"accuracy": NaN'),
        changed().replace(b'"version": "1"', b'"version": "1", "version": "2"'),
    ],
    ids=len,
)  # fmt: skip
def test_what_is_no_document_is_refused(data: bytes) -> None:
    """
    Broken, deep and large documents, and numbers that JSON does not have.
    """
    with pytest.raises(InvalidDescription):
        read_description(data)


def test_a_version_of_any_size_fits_and_says_what_is_left_out() -> None:
    """
    Large answers leave their digest, a metric that is no finite number its name, and packages their number.
    """
    large = replace(
        VERSION,
        packages={f"{'p' * 250}-{at:04}": "1" * 400 for at in range(2000)},
        answers=tuple(answer(at, "x" * 1500) for at in range(150)),
        evaluation=MetricSet(metrics={f"m{at:03}": math.nan for at in range(200)}, data=("x",) * 30),
        training=MetricSet(metrics={"": 1.0, "a": -math.inf, "b": 1.5}, data=("y" * 400,)),
    )

    data = description_document(large)
    written = read_description(data)

    assert len(data) <= LIMIT
    assert (2000, 50) == (len(written.packages) + written.left_out_packages, written.left_out_answers)
    assert (MOST_ANSWERS, {None}) == (len(written.answers), {each.answer for each in written.answers})
    assert written.evaluation is not None
    assert (MOST_METRICS, {None}, (), 200 - MOST_METRICS) == (
        len(written.evaluation.metrics),
        set(written.evaluation.metrics.values()),
        written.evaluation.data,
        written.evaluation.left_out,
    )
    assert written.training == MetricSet(metrics={"a": None, "b": 1.5}, data=("y" * 300,), left_out=1)


def test_a_description_without_packages_is_shortened_too() -> None:
    """
    Names that are not ASCII take six bytes a character: answers and the signature give way then.
    """
    metrics = {f"{'ü' * 297}{at:03}": 0.5 for at in range(100)}
    large = replace(
        VERSION,
        packages={},
        answers=tuple(replace(answer(at, 1), name="ü" * 300) for at in range(100)),
        evaluation=MetricSet(metrics=metrics),
        training=MetricSet(metrics=metrics),
    )

    data = description_document(large)
    written = read_description(data)

    assert len(data) <= LIMIT
    assert (100, True) == (len(written.answers) + written.left_out_answers, written.signature_left_out)
    assert metrics == written.evaluation.metrics if written.evaluation else False


def test_what_is_wrong_with_a_description_is_named() -> None:
    """
    Its state, or what served it.
    """
    for part, why in (({"state": "x"}, "its state is unknown"), ({"served_by": "x" * 301}, "what served it")):
        with pytest.raises(InvalidDescription, match=why):
            read_description(changed(**part))


def test_an_answer_that_no_other_reader_understands_leaves_its_digest() -> None:
    """
    NaN, depth and large numbers are in the digest alone; small ones are kept.
    """
    values: tuple[Any, ...] = (math.nan, DEEP, 10**300, "x" * LARGEST_ANSWER, {"predictions": [1]})

    written = read_description(
        description_document(replace(VERSION, answers=tuple(answer(at, value) for at, value in enumerate(values))))
    )

    assert [None, None, None, None, {"predictions": [1]}] == [each.answer for each in written.answers]
    assert len(values) == len({each.sha256 for each in written.answers})


def test_a_signature_is_read_as_the_store_has_it() -> None:
    """
    Its parts are JSON texts there; one that is too large is refused, and none is none.
    """
    stored = {"inputs": json.dumps(signature("sugar")["inputs"]), "outputs": None, "params": None}

    assert (signature("sugar"), None) == (signature_document(stored), signature_document(None))
    with pytest.raises(ValueError, match="too large"):
        signature_document(signature(*(f"{at:0200}" for at in range(300))))
