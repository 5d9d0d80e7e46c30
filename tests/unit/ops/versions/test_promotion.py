"""Only a tree that is known to have been clean is a clean one, and only licences of served packages are compared."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlflow_uv.core.model.model_files import LICENCES, LOCK
from mlflow_uv.core.promotion.promote_policy import PromotePolicy, Promotion
from mlflow_uv.core.release.commit import CHANGED, UNKNOWN, Commit
from mlflow_uv.ops.lineage.audit import Audited
from mlflow_uv.ops.versions.conditions import Condition
from mlflow_uv.ops.versions.promotion import clean, compared_licences, passed
from mlflow_uv.payloads.messages.tags import STATE
from tests.messages import VERSION
from tests.unit.core.release.test_record import WHOLE

SHA = "0123456789abcdef0123456789abcdef01234567"


def made_from(dirty: str | None) -> Commit:
    return Commit(sha=SHA, project=".", dirty=dirty)


@pytest.mark.parametrize(
    ("commit", "holds", "text"),
    [
        (made_from(None), (True, True), "commit 0123456789ab, a clean tree"),
        (made_from("8d" * 32), (False, True), "commit 0123456789ab with uncommitted changes"),
        (made_from(CHANGED), (False, True), "commit 0123456789ab with uncommitted changes"),
        (made_from(UNKNOWN), (False, True), "commit 0123456789ab, and it is unknown whether the tree was clean"),
        (None, (False, False), "no record names the commit that it was made from"),
    ],
    ids=["clean", "digested", "changed", "unknown", "no record"],
)
def test_what_is_not_known_to_be_clean_is_not_promoted_unless_allowed(
    commit: Commit | None, holds: tuple[bool, bool], text: str
) -> None:
    """
    Of a version without any record, not even that.
    """
    judged = [clean(commit, allowed=allowed) for allowed in (False, True)]

    assert holds == tuple(one.holds for one in judged)
    assert {text} == {one.text for one in judged}


@pytest.mark.parametrize(
    ("state", "holds"),
    [("tested", True), ("promoted", True), ("replaced", True), ("registered", False), ("failed", False), (None, False)],
)
def test_a_version_that_was_not_tested_is_released_again(state: str | None, *, holds: bool) -> None:
    """
    `smoke-test` continues the record of a checkout, which may be that of another version; a release finds this one.
    """
    condition = passed("7", {} if state is None else {STATE: state})

    assert (holds, "" if holds else "mlflow-uv release") == (condition.holds, str(condition.fix))


def sbom_of(_project: object, _selection: object) -> str:
    """An SBOM as uv writes it: a package for each of two systems, and one for both."""
    markers = {"grape": "", "oak": "sys_platform == 'linux'", "glass": "sys_platform == 'win32'"}
    components = [
        {"name": name, "version": "1", "bom-ref": name, "properties": [{"name": "uv:package:marker", "value": marker}]}
        for name, marker in markers.items()
    ]
    return json.dumps({"serialNumber": "1", "metadata": {}, "components": components})


def licence_conditions(folder: Path, licences: dict[str, str], *targets: str) -> list[Condition]:
    """The conditions about licences of a version with this file, where MIT is allowed."""
    lock = folder / LOCK
    lock.parent.mkdir(parents=True)
    lock.write_text("version = 1\n")
    (lock.parent / "pyproject.toml").write_text("[project]\nname = 'wine'\nversion = '1'\n")
    (folder / LICENCES).write_text(json.dumps(licences))
    record = replace(WHOLE, model=replace(WHOLE.model, python="3.11.9"))
    candidate = Audited(description=VERSION, model=folder, record=record, checks=())
    promotion = Promotion(
        policy=PromotePolicy(allowed_licences=("MIT",)), manifest=folder / "pyproject.toml", line=1, lines={}, gates=(),
        targets=targets,
    )  # fmt: skip
    tools: Any = SimpleNamespace(clock=SimpleNamespace(date_s=lambda: 0.0), uv=SimpleNamespace(sbom=sbom_of))
    return list(compared_licences(candidate, promotion, tools))


def test_a_package_of_another_platform_is_named_and_not_examined(tmp_path: Path) -> None:
    """
    Its licence is not recorded where the model trains.
    """
    allowed, left_out = licence_conditions(tmp_path, {"grape==1": "MIT", "oak==1": "MIT"})

    assert (True, "the licences of 2 packages are allowed") == (allowed.holds, allowed.text)
    targets = ", ".join(f"linux-{machine}-py3.11" for machine in ("x86_64", "aarch64"))
    expected = f"not examined, because no target ({targets}) installs them: glass 1"
    assert (True, expected) == (left_out.holds, left_out.text)


@pytest.mark.parametrize(
    ("licences", "targets", "refused"),
    [
        ({"grape==1": "MIT"}, (), "the unknown licence of oak 1 is not allowed"),
        ({"grape==1": "MIT", "oak==1": "GPL-3.0-only"}, (), "the licence `GPL-3.0-only` of oak 1 is not allowed"),
        (
            {"grape==1": "MIT", "oak==1": "MIT"},
            ("windows-x86_64-py3.12",),
            "the unknown licence of glass 1 is not allowed",
        ),
    ],
    ids=["unknown", "another", "target of the project"],
)
def test_a_package_that_is_served_counts(
    tmp_path: Path, licences: dict[str, str], targets: tuple[str, ...], refused: str
) -> None:
    """
    Whatever its licence; and a package of another platform, if the project is served there.
    """
    conditions = licence_conditions(tmp_path, licences, *targets)

    assert [refused] == [condition.text for condition in conditions if not condition.holds]
