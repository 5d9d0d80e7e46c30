"""Tests which models are converted within the budget, which are refused, and which differences parity finds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conversions import EDGE, ROOT, outcome, run_in
from tests.parity import CASES, CORE, ParityCase

pytestmark = pytest.mark.installs

PROGRAM = f"""
    import dataclasses, pathlib
    sys.path.insert(0, {str(ROOT / "tests" / "zoo")!r})
    portable = importlib.import_module("portable")
    names = {{"converter": "converter", "measure": "original_measure"}}
    programs = {{name: importlib.import_module(f"payloads.conversion.{{module}}") for name, module in names.items()}}
    programs["messages"] = importlib.import_module("payloads.messages.conversion")
    programs["asdict"] = dataclasses.asdict
    portable.main(programs, pathlib.Path({str(EDGE)!r}), json.loads(sys.argv[1]), pathlib.Path(sys.argv[2]))
    print("true")
"""


@pytest.fixture(scope="session")
def seen(
    converting: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Mapping[str, Mapping[str, Any]]:
    """What is seen of each model that is tested; all are converted in one process, whose imports take seconds."""
    out = tmp_path_factory.mktemp("parity") / "seen.json"
    candidates = CASES if request.config.getoption("--extended") else CORE
    selected = {item.name for item in request.session.items}
    cases = [case for case in candidates if any(name.endswith(f"[{case.name}]") for name in selected)]
    run_in(converting, PROGRAM, json.dumps([case.name for case in cases]), str(out))
    found: Mapping[str, Mapping[str, Any]] = json.loads(out.read_text())
    return found


@pytest.mark.core_variants(3)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_model_is_equal_or_refused(
    case: ParityCase, seen: Mapping[str, Mapping[str, Any]], pytestconfig: pytest.Config
) -> None:
    """
    It is converted within the budget, it is refused with operator and reason, or parity finds that it differs.
    """
    found = outcome(seen[case.name])
    if pytestconfig.cache is not None:
        pytestconfig.cache.set(case.key, found)

    assert case.result == found["result"], found
    assert found["reason"].startswith(case.operator)
    assert case.reason in found["reason"]
