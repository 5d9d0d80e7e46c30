"""Contract: skops trusts the same types of a model, whether it is imported before MLflow or after it; real skops."""

import json
from pathlib import Path

import pytest

from mlflow_uv.serving.model.loading import SEARCHING
from tests.contracts.mlflow_interpreter import MlflowInterpreter

TRUSTED = """
import importlib, json, sys
for library in sys.argv[1:]:
    importlib.import_module(library)
from mlflow.pyfunc import scoring_server
from skops.io import _trusted_types as types
names = {name: sorted(map(str, kept)) for name, kept in vars(types).items() if name.isupper()}
print(json.dumps({"order": [name for name in sys.modules if name in ("mlflow", "skops")], "names": names}))
"""


@pytest.mark.extended
def test_skops_trusts_the_same_types_if_it_is_imported_first(mlflow: MlflowInterpreter, tmp_path: Path) -> None:
    """
    It looks for functions in all loaded modules, in the order in which they were imported.
    """
    first, last = (
        json.loads(mlflow.run("-I", "-c", TRUSTED, *libraries, cwd=tmp_path).stdout) for libraries in (SEARCHING, ())
    )

    assert (["skops", "mlflow"], ["mlflow", "skops"]) == (first["order"], last["order"])
    assert sum(map(len, last["names"].values())) > 100
    assert last["names"] == first["names"]
