"""Declares what happens to models of many kinds that are converted, and renders what a run saw as documentation."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "parity.md"
KEPT = "mlflow-uv/parity"  # in pytest's cache
COMMAND = "bin/test tests/unit/payloads/conversion -k equal_or_refused --extended && python tests/parity.py"
WITHIN, BEYOND, REFUSED = "within the budget", "beyond the budget", "refused"
LONGEST_REASON = 120  # characters
HEAD = f"""\
<!-- Written by `{COMMAND}`. -->

# Parity

Each of these models was trained, converted to ONNX and run with onnxruntime, and its outputs were compared with those
of the original, for all rows of its data and for generated ones. The numbers are those of the run that wrote this
page. The budget is the default of [`export-model`](export-model.md#the-budget): numbers within 0.0001, no label that
flips.

"""
TABLE = """\
| model | result | rows | greatest difference | beyond | flips | reason |
|---|---|---:|---:|---:|---:|---|
"""
NETWORKS_HEAD = """
## Networks

Each of these networks of Keras and TensorFlow was converted to TFLite and run with ai-edge-litert. Of a network that
decides on labels, some of the generated rows are on both sides of where its label changes.

"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParityCase:
    """A model of tests/zoo, its result, and for a refusal the operator and a part of the reason."""

    name: str
    result: str
    operator: str = ""
    reason: str = ""

    @property
    def key(self) -> str:
        """Where pytest's cache keeps what a run saw."""
        return f"{KEPT}/{self.name.replace(' ', '-')}"


CASES = (
    # These three are in the core suite.
    ParityCase(name="logistic regression", result=WITHIN),
    ParityCase(name="scaler before XGBoost", result=BEYOND),
    ParityCase(
        name="function of NumPy", result=REFUSED, operator="FunctionTransformer", reason="is not supported unless"
    ),
    *(
        ParityCase(name=name, result=WITHIN)
        for name in (
            "labels as text", "matrix instead of columns", "numbers and text", "ridge regression", "forest",
            "extra trees",
            "gradient boosting", "support vectors", "nearest neighbours", "neural network", "calibrated forest",
            "stacking", "soft voting", "hard voting", "isolation forest", "XGBoost classifier", "XGBoost regressor",
            "XGBoost booster", "LightGBM classifier", "LightGBM regressor", "LightGBM booster",
            "TF-IDF that keeps capitals", "XGBoost gbtree",
        )
    ),
    *(
        ParityCase(name=name, result=BEYOND)
        for name in (
            "scaler before a forest", "quantile transformer", "ordinal bins", "dense bins", "calibrated pipeline",
        )
    ),
    ParityCase(
        name="histogram boosting", result=REFUSED, operator="HistGradientBoostingClassifier",
        reason="Unable to create node",
    ),
    ParityCase(
        name="histogram regression", result=REFUSED, operator="HistGradientBoostingRegressor",
        reason="Unable to create node",
    ),
    ParityCase(name="sparse bins", result=REFUSED, operator="KBinsDiscretizer", reason="sparse"),
    ParityCase(name="XGBoost dart", result=REFUSED, operator="XGBClassifier (dart)", reason="`gbtree`"),
    ParityCase(name="XGBoost gblinear", result=REFUSED, operator="XGBClassifier (gblinear)", reason="`gbtree`"),
    ParityCase(name="TF-IDF", result=REFUSED, operator="onnxruntime", reason="en_US.UTF-8"),
    ParityCase(name="no signature", result=REFUSED, operator="Pipeline", reason="no signature"),
    *(
        ParityCase(name=name, result=WITHIN)
        for name in ("several numbers", "an optional column")
    ),
    *(
        ParityCase(name=name, result=REFUSED, operator="RandomForestClassifier", reason="with one class")
        for name in ("one class", "one class as text")
    ),
    ParityCase(name="several labels", result=REFUSED, operator="RandomForestClassifier", reason="several labels"),
    ParityCase(name="a column of dates", result=REFUSED, operator="Pipeline", reason="has the type datetime"),
    ParityCase(name="a column of lists", result=REFUSED, operator="Pipeline", reason="has the type Array"),
    ParityCase(name="a matrix by name", result=REFUSED, operator="Pipeline", reason="with the name `wines`"),
)  # fmt: skip
CORE = CASES[:3]
# Networks of tests/zoo/networks.py, which are converted to TFLite.
NETWORKS = (
    *(
        ParityCase(name=name, result=WITHIN)
        for name in (
            "dense network", "dense network of 64-bit inputs", "two classes by a sigmoid", "regression",
            "convolution of pictures", "pictures to pictures", "LSTM", "GRU", "attention", "embedding of words",
            "two inputs by name", "flavor tensorflow", "module of TensorFlow",
        )
    ),
    ParityCase(
        name="operator of TensorFlow alone", result=REFUSED, operator="Igamma", reason="Lite has no operator",
    ),
    ParityCase(name="normalization in 64 bits", result=REFUSED, operator="BiasAdd", reason="numbers have 64 bits"),
    ParityCase(name="input of any length", result=REFUSED, operator="Sequential", reason="a shape that varies"),
    ParityCase(name="several outputs", result=REFUSED, operator="Functional", reason="several outputs"),
    ParityCase(name="texts", result=REFUSED, operator="Sequential", reason="numbers are converted"),
    ParityCase(name="network without a signature", result=REFUSED, operator="Sequential", reason="no signature"),
)  # fmt: skip


def page(seen: Mapping[str, Mapping[str, Any]]) -> str:
    """The page with a row for each case, in the order of the declaration; `seen` are results by the name of a case."""
    tables = (TABLE + "".join(f"{_row(case, seen[case.name])}\n" for case in cases) for cases in (CASES, NETWORKS))
    return HEAD + NETWORKS_HEAD.join(tables)


def rows(text: str) -> list[tuple[str, ...]]:
    """Name and result of each row of a page."""
    lines = re.findall(r"^\| (?!model )(.*) \|$", text, re.MULTILINE)
    return [tuple(line.split(" | ")[:2]) for line in lines]


def declared(cases: Iterable[ParityCase]) -> list[tuple[str, ...]]:
    """Name and result of each case as declared."""
    return [(case.name, case.result) for case in cases]


def _row(case: ParityCase, seen: Mapping[str, Any]) -> str:
    reason = " ".join(str(seen["reason"]).split()).replace("`", "'").replace("|", "\\|")
    shown = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}…"
    numbers = [str(seen[name]) for name in ("rows", "difference", "beyond", "flips")]
    return f"| {' | '.join((case.name, str(seen['result']), *numbers, f'`{shown}`' if shown else ''))} |"


def main() -> None:
    """Write the page from what the last run of each test kept. Raises FileNotFoundError if one has not run."""
    kept = ROOT / ".pytest_cache" / "v"
    PAGE.write_text(page({case.name: json.loads((kept / case.key).read_text()) for case in (*CASES, *NETWORKS)}))


if __name__ == "__main__":
    main()
