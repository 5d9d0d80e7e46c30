"""Integer columns with missing values cost a model its signature or its answer; the printed line mends both."""

import re

import pytest

from mlflow_uv.command.errors import ModelUnusable

from .in_process import InProcessProject

TRAINING = """\
import mlflow
import pandas as pd
from mlflow.models import infer_signature
from sklearn.ensemble import HistGradientBoostingRegressor

X = pd.DataFrame({{"rooms": pd.array([1, None, 3, 4] * 10, dtype="Int64"), "size": [1.0, 2.0, 3.0, 4.0] * 10}})
y = X["size"] * 2
{floats}
model = HistGradientBoostingRegressor().fit(X, y)
with mlflow.start_run():
    mlflow.sklearn.log_model(
        model, name="gap", serialization_format="cloudpickle", input_example=X.head(3), {signature}
    )
"""
INFERRED = "signature=infer_signature(X, y)"


@pytest.mark.extended
def test_the_line_that_is_printed_makes_floats_of_integers_with_gaps(project: InProcessProject) -> None:
    """
    Without a signature it is a warning, with the inferred one an error; both print the line, and with it both are gone.
    """

    def train(name: str, **parts: str) -> tuple[str, ...]:
        (project.folder / name).write_text(TRAINING.format(**{"floats": "", "signature": "", **parts}))
        project.sample.commit()
        return ("python", name)

    without = project.log(train=train("without.py"))
    with pytest.raises(ModelUnusable) as caught:
        project.log(train=train("inferred.py", signature=INFERRED))
    (line,) = {re.sub(r".*: (X = )", r"\1", fix) for fix in (without.findings[0].fix, caught.value.fix)}
    mended = project.log(train=train("mended.py", signature=INFERRED, floats=line))

    assert ["no-signature"] == [finding.rule for finding in without.findings]
    assert ("X = X.astype({'rooms': 'float64'})", ()) == (line, mended.findings)
