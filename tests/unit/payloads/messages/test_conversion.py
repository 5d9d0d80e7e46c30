"""Tests the messages of a conversion."""

import json
from dataclasses import asdict

import pytest

from mlflow_uv.payloads.dispatch import IDEMPOTENT
from mlflow_uv.payloads.messages.conversion import (
    ConversionRefusal,
    ConversionResult,
    ConvertModel,
    ConvertToTflite,
    MeasureOriginal,
    ModelPort,
    PortableSignature,
)
from mlflow_uv.payloads.messages.reader import read

RESULTS = (
    ConversionResult(refusal=ConversionRefusal(operator="Spline", reason="no converter")),
    ConversionResult(
        signature=PortableSignature(
            layout="columns",
            inputs=(ModelPort(name="x", type="double"),),
            outputs=(ModelPort(name="label", type="long", shape=(2, 3), activation="softmax"),),
            served=("label",),
        ),
        operators=("Cast",),
        thresholds=3,
        converters=("onnx 1.23.2",),
    ),
)


@pytest.mark.parametrize("result", RESULTS, ids=("refusal", "model"))
def test_a_result_is_read_as_it_was_sent(result: ConversionResult) -> None:
    """
    With the parts of its signature.
    """
    assert result == read(ConversionResult, json.loads(json.dumps(asdict(result))), what="it")


def test_the_verbs_that_take_minutes_run_once() -> None:
    """
    Their prefix says that they are not repeated after a lost response.
    """
    verbs = (ConvertModel.verb, ConvertToTflite.verb, MeasureOriginal.verb)

    assert ("convert", "convert-to-tflite", "measure-original") == verbs
    assert not any(verb.startswith(IDEMPOTENT) for verb in verbs)
