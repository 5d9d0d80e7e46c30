"""Tests which models are converted within the budget, which are refused, and which differences parity finds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.core.conversion.parity import compare_outputs, parity_findings
from mlflow_uv.payloads.messages.conversion import PortableSignature
from mlflow_uv.payloads.messages.reader import read
from tests.conversions import BUDGET, EDGE, ROOT, outcome, run_in
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
    if (cache := getattr(pytestconfig, "cache", None)) is not None:  # absent without its plugin
        cache.set(case.key, found)

    assert case.result == found["result"], found
    assert found["reason"].startswith(case.operator)
    assert case.reason in found["reason"]


REFUSED = """
    import pathlib, tempfile
    import lightgbm, mlflow, numpy as np, pandas as pd, xgboost
    from mlflow.models import infer_signature
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.impute import KNNImputer, SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    converter = importlib.import_module("payloads.conversion.converter")
    messages = importlib.import_module("payloads.messages.conversion")

    def reason(model, data):
        with tempfile.TemporaryDirectory() as folder:
            options = {"serialization_format": "cloudpickle", "pip_requirements": ["scikit-learn"]}
            signature = infer_signature(data, model.predict(data))
            flavor = mlflow.sklearn
            if isinstance(model, lightgbm.LGBMRegressor):
                flavor, options = mlflow.lightgbm, {}
            flavor.save_model(model, f"{folder}/original", signature=signature, **options)
            body = json.dumps({"dataframe_split": json.loads(data[:2].to_json(orient="split", index=False))})
            pathlib.Path(folder, "out").mkdir()
            found = converter.convert(messages.ConvertModel(
                model=f"{folder}/original", destination=f"{folder}/out", requests=(body,), sample_rows=50, packages=()
            ))
        return found.refusal.reason if found.refusal else ""

    words = pd.DataFrame({"text": ["good wine", "bad wine", "good", "bad"] * 3})
    tastes, numbers = np.array([1, 0, 1, 0] * 3), np.random.default_rng(1).normal(size=(12, 2))
    alone = make_pipeline(CountVectorizer(lowercase=False), LogisticRegression()).fit(words["text"], tastes)
    column = ColumnTransformer([("text", CountVectorizer(lowercase=False), "text")])
    named = pd.DataFrame(numbers)
    texts = named.rename(columns=str)
    trees = {"n_estimators": 5, "min_child_samples": 2, "verbose": -1}
    zeros = texts.where(texts > 0, 0.0)
    gaps = texts.where(texts > 0)
    named_gaps = gaps.join(gaps.isna().astype(float).add_prefix("no "))
    empty = gaps.assign(empty=np.nan)
    ridge = lambda imputer, data: reason(make_pipeline(imputer, Ridge()).fit(data, tastes), data)
    boosted = lambda data, **more: reason(
        make_pipeline(xgboost.XGBRegressor(n_estimators=5, **more)).fit(data, tastes), data
    )
    print(json.dumps({
        "texts": reason(alone, words),
        "texts from a column": reason(make_pipeline(column, LogisticRegression()).fit(words, tastes), words),
        "numbers": reason(Ridge().fit(named.to_numpy(), tastes), named),
        "numbers as texts": reason(Ridge().fit(texts, tastes), texts),
        "zeros": reason(lightgbm.LGBMRegressor(zero_as_missing=True, **trees).fit(zeros, tastes), zeros),
        "gaps": reason(lightgbm.LGBMRegressor(**trees).fit(gaps, tastes), gaps),
        "zeros of XGBoost": boosted(zeros, missing=0.0),
        "gaps of XGBoost": boosted(gaps, missing=np.nan),
        "indicator": ridge(SimpleImputer(add_indicator=True), gaps),
        "indicator of neighbours": ridge(KNNImputer(add_indicator=True), gaps),
        "columns that indicate": ridge(SimpleImputer(add_indicator=False), named_gaps),
        "indicator of nothing": ridge(SimpleImputer(add_indicator=True), texts),
        "empty": ridge(SimpleImputer(), empty),
        "without the empty one": ridge(SimpleImputer(), gaps),
    }))
"""


INDICATOR = "it adds columns that say where numbers are missing (add_indicator=True)"


def test_what_the_message_advises_makes_a_refused_model_convertible(converting: Path) -> None:
    """
    A vectorizer takes the names of columns for its texts; columns have numbers as names; zeros mean missing numbers.

    An imputer adds columns, or leaves some out.
    """
    found = run_in(converting, REFUSED)

    assert {
        "texts": "`label` has 1 values for 4 rows",
        "texts from a column": "",
        "numbers": "column 0 has a number as its name, 0, and inputs of ONNX are named by texts",
        "numbers as texts": "",
        "zeros": "its trees take zero for a missing number (zero_as_missing)",
        "gaps": "",
        "zeros of XGBoost": "RuntimeError: Cannot convert a XGBoost model where missing values are not nan but 0.0.",
        "gaps of XGBoost": "",
        "indicator": INDICATOR,
        "indicator of neighbours": INDICATOR,
        "columns that indicate": "",
        "indicator of nothing": "",
        "empty": "it leaves out columns without a number in the data of training (keep_empty_features=False)",
        "without the empty one": "",
    } == found


# A model of numbers that 32 bits cannot hold, and the model of the same numbers, scaled.
RANGES = """
    from sklearn.linear_model import Ridge
    for name, factor in (("beyond", 1e40), ("scaled", 1.0)):
        portable.MODELS[name] = (Ridge, portable.PATIENTS * factor, portable.PROGRESS)
"""


def test_what_an_empty_comparison_advises_lets_the_recorded_requests_be_compared(
    converting: Path, tmp_path: Path
) -> None:
    """
    Numbers within the range of 32 bits, for example scaled ones, and an input example of those.
    """
    program = PROGRAM.replace("    portable.main(", f"{RANGES.strip(chr(10))}\n    portable.main(")
    run_in(converting, program, json.dumps(["beyond", "scaled"]), str(tmp_path / "seen.json"))

    findings = {}
    for name, content in json.loads((tmp_path / "seen.json").read_text()).items():
        signature = read(PortableSignature, content["signature"], what="the signature")
        parity = compare_outputs(content["original"], content["converted"], signature, BUDGET.tolerance)
        findings[name] = {each.rule: each.fix for each in parity_findings(parity, BUDGET, "it", "change it")}

    advice = "train the model with numbers within the range of 32 bits, for example scaled ones"
    assert findings["beyond"]["parity-empty"].startswith(advice)
    assert {} == findings["scaled"]
