"""Tests which networks are converted to TFLite within the budget, and which are refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conversions import EDGE, ROOT, network_python, outcome, run_in
from tests.kept_figures import keep
from tests.parity import NETWORKS, ParityCase
from tests.sharing import SharedFolder

pytestmark = [pytest.mark.installs, pytest.mark.extended]

PROGRAM = f"""
    import dataclasses, os, pathlib
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.path.insert(0, {str(ROOT / "tests" / "zoo")!r})
    networks = importlib.import_module("networks")
    names = {{"converter": "network_converter", "measure": "original_measure"}}
    programs = {{name: importlib.import_module(f"payloads.conversion.{{module}}") for name, module in names.items()}}
    programs["messages"] = importlib.import_module("payloads.messages.conversion")
    programs["asdict"] = dataclasses.asdict
    networks.main(programs, pathlib.Path({str(EDGE)!r}), json.loads(sys.argv[1]), pathlib.Path(sys.argv[2]))
    print("true")
"""


@pytest.fixture(scope="session")
def networking(shared: SharedFolder) -> Path:
    """See network_python."""
    return network_python(shared)


@pytest.fixture(scope="session")
def seen(
    networking: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Mapping[str, Mapping[str, Any]]:
    """What is seen of each network that is tested; all are converted in one process, whose imports take seconds."""
    out = tmp_path_factory.mktemp("networks") / "seen.json"
    selected = {item.name for item in request.session.items}
    names = [case.name for case in NETWORKS if any(name.endswith(f"[{case.name}]") for name in selected)]
    run_in(networking, PROGRAM, json.dumps(names), str(out))
    found: Mapping[str, Mapping[str, Any]] = json.loads(out.read_text())
    return found


@pytest.mark.parametrize("case", NETWORKS, ids=lambda case: case.name)
def test_a_network_is_equal_or_refused(
    case: ParityCase, seen: Mapping[str, Mapping[str, Any]], pytestconfig: pytest.Config
) -> None:
    """
    It is converted within the budget, or refused with operator and reason.

    Of a network that decides on labels, rows on both sides of where its label changes are compared, too.
    """
    content = seen[case.name]
    found = outcome(content)
    keep(pytestconfig, case.key, found)

    assert case.result == found["result"], found
    assert found["reason"].startswith(case.operator)
    assert case.reason in found["reason"]
    if "signature" in content:
        assert bool(content["signature"]["outputs"][0]["activation"]) == ("thresholds" in content["origins"])


def test_inputs_that_a_device_cannot_get_are_refused(converting: Path) -> None:
    """
    Columns, texts and lengths that vary, and a model without a signature; a tensor and tensors by name are accepted.
    """
    found = run_in(
        converting,
        """
    import numpy as np
    from types import SimpleNamespace as Part
    from mlflow.types import ColSpec, Schema, TensorSpec
    converter = importlib.import_module("payloads.conversion.network_converter")
    def inputs(*specs):
        try:
            layout, ports = converter.inputs_of(Schema(list(specs)) if specs else None, Part(operator="Sequential"))
        except converter.Inconvertible as error:
            return error.reason
        return [layout, [[port.name, port.type, list(port.shape)] for port in ports]]
    def tensor(kind, shape, name=None):
        return TensorSpec(np.dtype(kind), shape, name)
    print(json.dumps([
        inputs(tensor("float64", (-1, 6))),
        inputs(tensor("uint8", (-1, 2, 3), "b"), tensor("int64", (-1, 4), "a")),
        inputs(ColSpec("double", "x")), inputs(tensor("str", (-1, 1))), inputs(tensor("float32", (-1, -1, 3))),
        inputs(),
    ]))
    """,
    )

    single, named, *refused = found
    assert ["tensor", [["input_0", "double", [6]]]] == single
    assert ["tensors", [["b", "uint8", [2, 3]], ["a", "long", [4]]]] == named
    reasons = ("columns", "numbers are converted", "a shape that varies", "no signature")
    assert [True] * 4 == [reason in text for reason, text in zip(reasons, refused, strict=True)]
