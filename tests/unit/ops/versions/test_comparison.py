"""What differs between two versions is a table each, and what is equal none."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.report import Table, TableKind
from mlflow_uv.core.release.commit import Commit
from mlflow_uv.core.release.record import Record
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.ops.versions.comparison import (
    ChampionComparison,
    ComparedVersion,
    compare_with_champion,
    difference_tables,
)
from mlflow_uv.payloads.messages.evaluation import EvaluatedModel, FoundEvaluation
from mlflow_uv.payloads.messages.registry import RegisteredName
from mlflow_uv.payloads.messages.tags import MODEL_DIGEST
from mlflow_uv.tools.toolbox import Tools
from tests.messages import VERSION
from tests.unit.core.release.test_record import WHOLE

COMMIT = Commit(sha="a" * 40, project=".")
SIZES = {"new": 742_000_000, "old": 700_000_000}
TOOLS = cast(
    "Tools",
    SimpleNamespace(
        engines=SimpleNamespace(named=lambda _: SimpleNamespace(image=lambda name: SimpleNamespace(size=SIZES[name])))
    ),
)


def version(folder: Path, pins: str, image: str, p95: float) -> ComparedVersion:
    """A version with these packages, image and latency."""
    assert WHOLE.image is not None
    folder.mkdir()
    (folder / "requirements.txt").write_text(pins)
    record: Record = replace(
        WHOLE, image=replace(WHOLE.image, kind="image", id=image), figures=(("p95-milliseconds", p95),)
    )
    return ComparedVersion(files=folder, record=record)


def test_every_subject_that_differs_has_a_table(tmp_path: Path) -> None:
    """
    Packages, signature, measured figures and image, each with both values, all of the kind that a summary shows first.
    """
    new = version(tmp_path / "new", "numpy==2.4.1\nrich==14\n", "new", 7.9)
    old = version(tmp_path / "old", "numpy==2.3.5\n", "old", 7.2)

    tables = difference_tables(new, old, (("breaking", "input `y` is new"),), TOOLS)

    assert {TableKind.CHANGES} == {table.kind for table in tables}
    assert {
        "packages that differ": (("numpy", "2.4.1", "2.3.5", "changed"), ("rich", "14", "-", "added")),
        "signature": (("input `y` is new", "breaking"),),
        "figures of the server": (("p95-milliseconds", "7.9", "7.2", "↑ +0.7"),),
        "image": (("size", "742 MB", "700 MB", "↑ +42 MB"),),
    } == {table.title: table.rows for table in tables}


def test_a_version_that_was_not_measured_has_no_figures(tmp_path: Path) -> None:
    """
    Half of a comparison is none; equal packages are no table either.
    """
    new = version(tmp_path / "new", "numpy==2.4.1\n", "new", 7.9)
    old = replace(version(tmp_path / "old", "numpy==2.4.1\n", "old", 7.2), record=None)

    assert () == difference_tables(new, old, (), TOOLS)


def test_equal_figures_and_sizes_are_no_difference(tmp_path: Path) -> None:
    """
    A release that changed nothing names no change.
    """
    new, old = (version(tmp_path / name, "numpy==2.4.1\n", "new", 7.9) for name in ("new", "old"))

    assert () == difference_tables(new, old, (), TOOLS)


@pytest.mark.parametrize(
    ("old", "new", "commits"),
    [
        (COMMIT, COMMIT, "; commit aaaaaaaaaaaa"),
        (COMMIT, replace(COMMIT, sha="b" * 40), "; commit aaaaaaaaaaaa → bbbbbbbbbbbb"),
        (COMMIT, replace(COMMIT, dirty="c"), "; commit aaaaaaaaaaaa → aaaaaaaaaaaa with uncommitted changes"),
        (None, COMMIT, ""),
    ],
    ids=["same", "other", "changed", "unknown"],
)
def test_what_is_equal_is_named_and_another_commit_is_no_equality(
    old: Commit | None, new: Commit, commits: str
) -> None:
    """
    Another program may train with the same packages and the same signature.
    """
    equal = ChampionComparison(champion="1", tables=(), commits=(old, new) if old else ())
    table = Table(title="signature", columns=("change",), rows=(("x",),))

    assert f"nothing in packages, signature and measurements{commits}" == equal.shown
    assert f"signature{commits}" == replace(equal, tables=(table,)).shown


EVALUATED = {"m-1": {"accuracy": 0.97, "loss": 0.5}, "m-2": {"accuracy": 0.983, "loss": 0.5}}


def compared(
    metrics: dict[str, dict[str, float]], *digests: str, tagged: str = ""
) -> dict[str, tuple[tuple[str, ...], ...]]:
    """
    The tables of version 2 against version 1, which have this evaluation of files with these digests.

    Both have a release record, or only a tag with the digest of their files.
    """
    versions = {
        number: replace(VERSION, name="wine", version=number, model_id=f"m-{number}", run_id="r") for number in "12"
    }
    models = {
        name: EvaluatedModel(run_id="e", model_sha256=digest, metrics=metrics[name])
        for name, digest in zip(metrics, digests, strict=True)
    }
    client = SimpleNamespace(
        describe_name=lambda _: RegisteredName(exists=True, aliases={"champion": "1"}),
        describe_version=lambda _, number: versions[number],
        download_version=lambda _, folder, **_files: folder.mkdir(),
        download_record=lambda _run, **_files: None,
        describe_signature=lambda _: SimpleNamespace(signature=None),
        find_evaluation=lambda ids, _: FoundEvaluation(evaluation="e", models=models if ids == ("m-2", "m-1") else {}),
    )
    if tagged:
        versions = {
            number: replace(version, tags={MODEL_DIGEST: tagged}, run_id=None) for number, version in versions.items()
        }
    tools = SimpleNamespace(records=SimpleNamespace(load=lambda _: replace(WHOLE, image=None)))
    registry = cast("RegistryClient", SimpleNamespace(client=client, tools=tools))
    comparison = compare_with_champion(registry, name="wine", version="2", alias="champion")
    assert comparison is not None
    return {table.title: table.rows for table in comparison.tables}


def test_metrics_of_both_versions_stand_beside_each_other_with_arrows() -> None:
    """
    Those that evaluate recorded of both, also one that is equal.
    """
    same = WHOLE.model.sha256

    tables = compared(EVALUATED, same, same)

    assert {"metrics": (("accuracy", "0.983", "0.97", "↑ +0.013"), ("loss", "0.5", "0.5", "0"))} == tables


def test_metrics_of_other_files_or_of_nothing_are_not_compared() -> None:
    """
    An evaluation of another model under the same id says nothing about the version, and equal metrics are no change.
    """
    same, other = WHOLE.model.sha256, "f" * 64
    equal = {name: {"accuracy": 0.97} for name in EVALUATED}

    tables = [
        compared(EVALUATED, other, same),
        compared(EVALUATED, same, other),
        compared({}),
        compared(equal, same, same),
    ]

    assert [{}, {}, {}, {}] == tables


def test_versions_without_a_record_are_known_by_their_tags() -> None:
    """
    One that was registered and not tested has no record; its tag has the digest of what was evaluated.
    """
    same, other = WHOLE.model.sha256, "f" * 64

    tables = [compared(EVALUATED, same, same, tagged=tag) for tag in (same, other)]

    assert [["metrics"], []] == [[*each] for each in tables]
