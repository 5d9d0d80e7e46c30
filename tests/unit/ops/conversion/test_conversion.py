"""Tests the error for a model that is not converted."""

from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import ModelUnusable, NotConvertible
from mlflow_uv.core.conversion.formats import ONNX, TFLITE, ModelFormat
from mlflow_uv.core.release.digests import sha256
from mlflow_uv.ops.conversion.conversion import refused, require_flavor, require_measured, require_plain
from mlflow_uv.ops.image.isolation import EvaluatedVersion

SUBJECT = EvaluatedVersion(name="wine", version="7", model_id="m-1", run_id="r-1", model=Path("model"), sha256="a")


def test_a_refusal_has_the_operator_the_reason_and_what_helps() -> None:
    """
    And an exit code of its own.
    """
    error = refused(SUBJECT, "FunctionTransformer", "FunctionTransformer is not supported", ONNX)

    assert (
        24, "wine version 7 cannot be converted: `FunctionTransformer`", "FunctionTransformer is not supported", True,
    ) == (error.exit_code, error.what, error.why, "before the model" in error.fix)  # fmt: skip


@pytest.mark.parametrize(
    ("loader", "wanted", "fix"),
    [
        ("mlflow.keras", ONNX, "--export-format tflite"),
        ("mlflow.xgboost", TFLITE, "--export-format onnx"),
        ("mlflow.pyfunc.model", TFLITE, "mlflow.keras"),
    ],
)
def test_a_flavor_that_another_format_has_is_refused_with_that_format(
    tmp_path: Path, loader: str, wanted: ModelFormat, fix: str
) -> None:
    """
    Before an environment is made; a flavor that none has gets the flavors that the format has.
    """
    (tmp_path / "MLmodel").write_text(f"flavors:\n  python_function:\n    loader_module: {loader}\n")

    with pytest.raises(NotConvertible) as raised:
        require_flavor(replace(SUBJECT, model=tmp_path), wanted)

    assert f"`{loader}`" in raised.value.what
    assert fix in str(raised.value.fix)


def test_a_link_in_a_converted_model_is_refused(tmp_path: Path) -> None:
    """
    Also below a folder: what it leads to is not logged.
    """
    (tmp_path / "model" / "data").mkdir(parents=True)
    (tmp_path / "model" / "MLmodel").touch()
    require_plain(tmp_path)
    (tmp_path / "model" / "data" / "key").symlink_to("/etc/passwd")

    with pytest.raises(ModelUnusable, match="model/data/key"):
        require_plain(tmp_path)


def test_only_the_file_that_was_measured_is_logged(tmp_path: Path) -> None:
    """
    Something that the model's packages started may write another one afterwards.
    """
    file = tmp_path / ONNX.logged
    file.write_bytes(b"measured")
    require_measured(tmp_path, ONNX, sha256(b"measured"))
    file.write_bytes(b"another one")

    with pytest.raises(ModelUnusable, match="changed after it was measured"):
        require_measured(tmp_path, ONNX, sha256(b"measured"))
