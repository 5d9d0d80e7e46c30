"""What a model requires is read from its files, and what is wrong with it is named."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.core.export.requirements import Requirements, parse_requirements
from mlflow_uv.core.lock.targets import parse_target
from mlflow_uv.ops.diagnosis.requirements import (
    ModelRequirements,
    environment_differences,
    inferred_findings,
    local_findings,
    model_requirements,
    target_findings,
    uv_platform,
)
from mlflow_uv.ops.image.environment import needs_in
from mlflow_uv.tools.toolbox import Tools

LISTED = """\
--extra-index-url https://user:secret@pypi.corp.example/simple
mlflow==3.17.2
scikit-learn>=1.5  # from imports
-e ./lib
/home/me/wheels/own-1.0-py3-none-any.whl
Typing_Extensions
"""


def required(folder: Path, text: str = LISTED) -> ModelRequirements:
    """The requirements of a model that MLflow logged alone."""
    (folder / "requirements.txt").write_text(text)
    (folder / "python_env.yaml").write_text("python: 3.11.7\n")
    return model_requirements(needs_in(folder))


def test_a_list_without_a_lock_is_read_line_by_line(tmp_path: Path) -> None:
    """
    Indexes have no credentials; what is on another machine, and what has no exact version, is known.
    """
    found = required(tmp_path)

    assert ("https://pypi.corp.example/simple",) == found.indexes
    assert ("-e ./lib", "/home/me/wheels/own-1.0-py3-none-any.whl") == found.local
    assert ("scikit-learn>=1.5", "Typing_Extensions") == tuple(line for line in found.loose if line not in found.local)
    rules = [finding.rule for finding in (*local_findings(found), *inferred_findings(found))]
    assert ["model-local-requirement", "model-local-requirement", "model-without-lock"] == rules


def test_an_environment_differs_by_what_the_list_names(tmp_path: Path) -> None:
    """
    An exact version must be there; a package without one may have any.
    """
    inventory = {
        "python": "3.11.7",
        "marker_environment": {"python_version": "3.11", "sys_platform": sys.platform},
        "installed": [["mlflow", "3.16.0"], ["typing-extensions", "4.0"], ["rich", "14.0"]],
    }

    found = environment_differences(required(tmp_path), inventory, None)

    assert [
        ("scikit-learn", "any version", None), ("rich", None, "14.0"), ("mlflow", "3.17.2", "3.16.0"),
    ] == [(item.name, item.required, item.installed) for item in found]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "platform"),
    [
        ("linux-x86_64-py3.11", "x86_64-manylinux_2_36"),
        ("linux-aarch64-glibc2.28-py3.12", "aarch64-manylinux_2_28"),
        ("linux-aarch64-musl1.2-py3.12", "aarch64-unknown-linux-musl"),
        ("macos-arm64-py3.12", "aarch64-apple-darwin"),
        ("windows-amd64-py3.12", "x86_64-pc-windows-msvc"),
    ],
)
def test_a_target_has_a_platform_of_uv(target: str, platform: str) -> None:
    """
    The names are those of uv's `--python-platform`.
    """
    assert platform == uv_platform(parse_target(target))


def test_a_list_names_no_files_and_no_names_of_indexes(tmp_path: Path) -> None:
    """
    uv would read the files, and send an index the credentials that the caller has for its name.
    """
    listed = (
        "-r /etc/passwd\n-c constraints.txt\n-i https://pypi.test/simple\n--extra-index-url corp=https://x.test\nrich\n"
    )
    found = required(tmp_path, listed)
    calls: list[tuple[str, object]] = []

    def resolve(source: Path, **words: object) -> Requirements:
        calls.append((source.read_text(), words["indexes"]))
        return parse_requirements("")

    tools = SimpleNamespace(uv=SimpleNamespace(resolve=resolve), host=SimpleNamespace(variables={}))
    target_findings(found, parse_target("linux-x86_64-py3.11"), cast("Tools", tools), tmp_path / "out.txt")

    assert [("rich\n", {"UV_INDEX": "https://pypi.test/simple"})] == calls


def test_the_list_of_a_lock_is_written_anew(tmp_path: Path) -> None:
    """
    Without its options, and without files that are not wheels of the model.
    """
    wheel = "mlflow-uv/wheels/own-1.0-py3-none-any.whl"
    (tmp_path / "mlflow-uv").mkdir()
    (tmp_path / "mlflow-uv/requirements.txt").write_text(
        "-c /etc/passwd\n--index-url https://x.test\n--find-links /etc\n"
        f"rich==14.0 \\\n    --hash=sha256:aa\n{wheel} \\\n    --hash=sha256:bb\n"
    )
    found = required(tmp_path, f"rich==14.0\n{wheel}\n../elsewhere.whl\n")

    target_findings(found, parse_target("linux-x86_64-py3.11"), cast("Tools", None), tmp_path / "out.txt")

    expected = f"rich==14.0 \\\n    --hash=sha256:aa\n{wheel} \\\n    --hash=sha256:bb\n"
    assert expected == (tmp_path / "out.txt").read_text()


def test_constraints_of_the_model_apply(tmp_path: Path) -> None:
    """
    Those of its own files; nothing but versions is taken from them.
    """
    (tmp_path / "outside.txt").write_text("rich==1.0\n")
    model = tmp_path / "model"
    model.mkdir()
    (model / "link.txt").symlink_to("../outside.txt")
    (model / "constraints.txt").write_text(
        "Rich==14.0  # pinned\nnumpy<2 ; python_version < '3.12'\n-r /etc/passwd\nx @ file:///etc/passwd\nplain\n"
    )
    found = required(model, "-c constraints.txt\n-c link.txt\n--constraint=../outside.txt\nrich\nnumpy\n")
    sources: list[str] = []

    def resolve(source: Path, **_: object) -> Requirements:
        sources.append(source.read_text())
        return parse_requirements("")

    tools = SimpleNamespace(uv=SimpleNamespace(resolve=resolve), host=SimpleNamespace(variables={}))
    target_findings(found, parse_target("linux-x86_64-py3.11"), cast("Tools", tools), tmp_path / "out.txt")

    assert ["-c constraints.txt\nrich\nnumpy\n"] == sources
    assert 'rich==14.0\nnumpy<2 ; python_version < "3.12"\n' == (tmp_path / "constraints.txt").read_text()
