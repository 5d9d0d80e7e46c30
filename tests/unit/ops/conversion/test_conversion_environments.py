"""Tests what is installed to convert a model."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from packaging.markers import default_environment

from mlflow_uv.core.conversion.formats import ONNX, TFLITE
from mlflow_uv.ops.conversion.conversion_environments import conversion_interpreter, runtime_interpreter
from mlflow_uv.ops.image.environment import Needs
from mlflow_uv.tools.toolbox import Tools
from tests.environment_folders import folders_in

PYTHON = Path("/model/bin/python")


@dataclass
class Uv:
    """Keeps the lists that it was to install."""

    lists: list[tuple[str, bool]] = field(default_factory=list)

    def install(self, requirements: Path, environment: Path, *, hashed: bool, **_: Any) -> Path:
        """See Uv."""
        (environment / "bin").mkdir(parents=True)
        (environment / "bin" / "python").touch()
        self.lists.append((requirements.read_text(), hashed))
        return environment / "bin" / "python"


@pytest.fixture
def tools(tmp_path: Path, root: Path) -> Tools:
    """Tools for a model that has mlflow, numpy and scikit-learn."""
    inventory = {
        "installed": [["mlflow", "3.17.2"], ["numpy", "2.3.1"], ["scikit-learn", "1.5.2"]],
        "marker_environment": dict(default_environment()),
        "python": "3.11.9",
    }

    class Quiet:
        """A console that prints nothing."""

        def group(self, title: str) -> Any:
            """See Console."""
            from contextlib import nullcontext  # noqa: PLC0415

            return nullcontext(title)

        def foreign(self, line: str) -> None:
            """See Console."""

    return cast(
        "Tools",
        SimpleNamespace(
            servers=SimpleNamespace(inventory=lambda _python: json.dumps(inventory)),
            environments=SimpleNamespace(serving=folders_in(tmp_path / "cache")),
            host=SimpleNamespace(ours=root, variables={}),
            uv=Uv(),
            console=Quiet(),
        ),
    )


def test_the_converters_of_our_lock_come_beside_the_packages_of_the_model(tmp_path: Path, tools: Tools) -> None:
    """
    What the model has is not installed again, and each environment is made once.
    """
    (tmp_path / "mlflow-uv-install.txt").write_text("scikit-learn==1.5.2\n")
    needs = Needs(model=tmp_path, requirements=None, wheels=(), python="3.11")

    first, packages = conversion_interpreter(needs, PYTHON, ONNX, tools)
    again, _ = conversion_interpreter(needs, PYTHON, ONNX, tools)

    ((text, hashed),) = cast("Uv", tools.uv).lists
    names = [line.partition("==")[0] for line in text.splitlines()]
    assert (first, False, "scikit-learn") == (again, hashed, names[0])
    assert {"skl2onnx", "onnxmltools", "onnx", "onnxruntime"} <= set(names)
    assert 1 == names.count("scikit-learn")
    assert {"mlflow", "numpy"} <= set(packages)
    assert ["mlflow-uv-install.txt"] == [path.name for path in tmp_path.iterdir() if path.suffix == ".txt"]


def test_the_runtime_is_installed_by_hashes_alone(tools: Tools) -> None:
    """
    Nothing of the model is in it.
    """
    _, version = runtime_interpreter(PYTHON, ONNX, tools)

    ((text, hashed),) = cast("Uv", tools.uv).lists
    assert hashed
    assert f"onnxruntime=={version}" in text
    assert "mlflow" not in text
    assert text.count("==") == text.replace("\\\n", "").count("\n")
    assert text.count("==") <= text.count("--hash=sha256:")


def test_a_model_with_another_package_of_tensorflow_keeps_it(tmp_path: Path, tools: Tools) -> None:
    """
    Ours has the same files under another name.
    """
    (tmp_path / "mlflow-uv-install.txt").write_text("tensorflow==2.21.0\n")
    inventory = json.loads(tools.servers.inventory(PYTHON))
    inventory["installed"].append(["tensorflow", "2.21.0"])
    servers = SimpleNamespace(inventory=lambda _python: json.dumps(inventory))
    beside = cast("Tools", SimpleNamespace(**{**vars(tools), "servers": servers}))

    conversion_interpreter(Needs(model=tmp_path, requirements=None, wheels=(), python="3.11"), PYTHON, TFLITE, beside)

    ((text, _),) = cast("Uv", tools.uv).lists
    names = [line.partition("==")[0] for line in text.splitlines()]
    assert ["tensorflow"] == [name for name in names if name.startswith("tensorflow")]
    assert "ai-edge-litert" in names
