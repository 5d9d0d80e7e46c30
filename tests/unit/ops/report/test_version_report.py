"""The report on a version shows its links with reasons, what was measured, and who moved its aliases."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import NoEngine, ToolMissing
from mlflow_uv.command.report import Mark
from mlflow_uv.core.model.model_files import LICENCES, LOCK
from mlflow_uv.core.release.chain import LinkCheck, LinkState
from mlflow_uv.core.release.record import ImageLink, Record
from mlflow_uv.core.security.size_limits import MANIFEST_LIMIT
from mlflow_uv.ops.lineage.audit import Audited
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.ops.report.version_report import version_report
from mlflow_uv.ops.versions.comparison import ChampionComparison
from mlflow_uv.payloads.messages.registry import AliasEntry
from mlflow_uv.payloads.messages.tags import STATE
from mlflow_uv.tools.engines.engine import ImageLayer
from mlflow_uv.tools.mlflow.store import Store, StoreKind
from tests.messages import VERSION
from tests.unit.core.release.test_record import WAY, WHOLE

IMAGE = ImageLink(kind="image", id="sha256:1", tag="ghcr.io/acme/wine:4", base="python:3.12", base_digest="sha256:2",
                  engine="docker", digest="sha256:" + "ab" * 32)  # fmt: skip
RECORD = replace(
    WHOLE, image=IMAGE, timings=(("export", 0.5),), figures=(("p95-milliseconds", 7.9), ("memory-mib", 200.0)),
    latencies=((6.3, 20), (10.0, 1)),
    verification=replace(WHOLE.verification, ways=(WAY,)) if WHOLE.verification else None,
)  # fmt: skip
ENTRY = AliasEntry(action="promotion", alias="champion", before="3", after="4", previous="3", who="ada",
                   when="2026-11-26T20:12:55Z", gates=("✓ tested", "✓ accuracy 0.98"), done=True)  # fmt: skip
HOLDS = LinkCheck(link="lock", state=LinkState.HOLDS)
BROKEN = LinkCheck(link="model", state=LinkState.BROKEN, reason="the store says otherwise")


class LayeredEngine:
    """An engine with one image."""

    def image(self, _name: str) -> object:
        """See Engine."""
        return object()

    def layers(self, _image: str) -> tuple[ImageLayer, ...]:
        """See Engine."""
        made = (("", 9), ("RUN apt-get", 1), ("LABEL a=b", 0), ("RUN python3 /x/installer/install.py --no-deps", 656),
                ("RUN python3 /x/installer/install.py --more --no-deps", 57), ("ADD server.tar / # buildkit", 2),
                ("ADD model.tar / # buildkit", 3), ("RUN their own", 4))  # fmt: skip
        return tuple(ImageLayer(made_by=command, size=size * 1_000_000) for command, size in made)


def sbom_of(_project: object, _selection: object) -> str:
    """An SBOM as uv writes it, which names no licences."""
    components = [
        {"name": "numpy", "version": "2.4.1", "bom-ref": "numpy-1@2.4.1"},
        {"name": "own<b>", "version": "1", "bom-ref": "own-2@1"},
    ]
    return json.dumps({"serialNumber": "1", "metadata": {}, "components": components})


def no_sbom(_project: object, _selection: object) -> str:
    """A uv that cannot write one."""
    raise ToolMissing(what="uv 0.4 is too old", why="it cannot export CycloneDX")


def registry_with(engine: object | None, sbom: Callable[[object, object], str] = sbom_of) -> RegistryClient:
    """A registry in a database, on a machine with this engine."""

    def named(_name: str) -> Any:
        if engine is None:
            raise NoEngine(what="there is no engine", why="docker is not installed")
        return engine

    tools = SimpleNamespace(clock=SimpleNamespace(date_s=lambda: 0.0), engines=SimpleNamespace(named=named),
                            uv=SimpleNamespace(sbom=sbom))  # fmt: skip
    store = Store(uri="sqlite:///mlflow.db", kind=StoreKind.DATABASE, variables={})
    return cast("RegistryClient", SimpleNamespace(client=SimpleNamespace(store=store), tools=tools))


def audit_of(*checks: LinkCheck, record: Record | None = RECORD, model: Path = Path("/model")) -> Audited:
    """An audited version with these results."""
    description = replace(
        VERSION, name="wine", version="4", tags={STATE: "promoted"}, aliases=("champion",), entries=(ENTRY,)
    )
    return Audited(description=description, model=model, record=record, checks=checks)


def test_a_report_has_what_the_record_and_the_registry_know() -> None:
    """
    Pictures of latency, layers and times; tables of ways, figures and history; commands that need no local image.
    """
    report = version_report(
        audit_of(HOLDS), ChampionComparison(champion="3", tables=()), registry_with(LayeredEngine()), alias="champion"
    )

    page = report.page
    assert ("3", "", Mark.HOLDS) == (page.champion, page.uncompared, page.mark)
    assert {
        "Layers of the image": [
            ("large packages", "656.0 MB"),
            ("packages", "57.0 MB"),
            ("base image", "10.0 MB"),
            ("RUN their own", "4.0 MB"),
            ("model", "3.0 MB"),
            ("server", "2.0 MB"),
        ],
        "Times of the release": [("export", "0.5 s")],
    } == {chart.title: [(bar.label, bar.value) for bar in chart.bars] for chart in page.charts}
    (latency,) = page.histograms
    assert [("6.3", 100.0), ("8", 0.0), ("10", 5.0)] == [(column.label, column.share) for column in latency.columns]
    assert latency.note.startswith("21 requests; p95 7.9 ms. ")
    assert ["Ways of serving by environment", "Ways of serving", "figures of the server", "history"] == [
        table.title for table in page.tables
    ]
    assert ("2026-11-26 20:12 UTC", "✓ tested; ✓ accuracy 0.98") == (
        page.tables[-1].rows[0][0],
        page.tables[-1].rows[0][-1],
    )
    assert f"docker run --rm --publish 8080:8080 ghcr.io/acme/wine@{IMAGE.digest}" == page.commands[0].value


@pytest.mark.parametrize(
    ("alias", "reason"),
    [
        ("champion", "This version is the champion: it is compared with no other one."),
        ("best", "No version of wine is the best: there is none to compare this one with."),
    ],
)
def test_a_version_that_is_compared_with_nothing_says_why(alias: str, reason: str) -> None:
    """
    Because it has the alias itself, or because no version has it.
    """
    page = version_report(audit_of(HOLDS), None, registry_with(None), alias=alias).page

    assert ("", reason) == (page.champion, page.uncompared)


def test_a_record_without_a_histogram_still_shows_its_latencies() -> None:
    """
    Earlier releases recorded percentiles alone.
    """
    page = version_report(
        audit_of(HOLDS, record=replace(RECORD, latencies=())), None, registry_with(None), alias="champion"
    ).page

    assert () == page.histograms
    assert ("Latency under load", [("p95-milliseconds", "7.9 ms")]) in [
        (chart.title, [(bar.label, bar.value) for bar in chart.bars]) for chart in page.charts
    ]


def test_a_broken_link_is_in_the_verdict_with_its_reason_in_the_chain() -> None:
    """
    The page of a version that is not what was released says so first.
    """
    report = version_report(audit_of(HOLDS, BROKEN), None, registry_with(None), alias="champion")

    assert ("", Mark.BROKEN, ("model",)) == (report.page.champion, report.page.mark, report.names(LinkState.BROKEN))
    assert "wine version 4 (champion) is not what was released: model is broken" == report.page.verdict
    assert ["", "the store says otherwise"] == [shown.reason for shown in report.page.chain]
    assert "Layers of the image" not in {chart.title for chart in report.page.charts}


def test_a_broken_image_is_not_offered_to_be_served() -> None:
    """
    The command would start what was not released; another broken link leaves it there.
    """
    broken = (replace(BROKEN, link="image"), BROKEN)

    pages = [
        version_report(audit_of(HOLDS, check), None, registry_with(None), alias="champion").page for check in broken
    ]

    assert [False, True] == ["serve it" in {command.name for command in page.commands} for page in pages]


@pytest.mark.parametrize("record", [None, replace(RECORD, image=None)], ids=["no record", "no image"])
def test_what_a_version_does_not_have_is_left_out(record: Record | None) -> None:
    """
    No line that serves an image, and no empty picture.
    """
    report = version_report(audit_of(HOLDS, record=record), None, registry_with(LayeredEngine()), alias="champion")

    assert "serve it" not in {command.name for command in report.page.commands}
    assert all(chart.bars for chart in report.page.charts)


@pytest.fixture
def locked_model(tmp_path: Path) -> Path:
    """A downloaded model with the lock of its project."""
    folder = (tmp_path / LOCK).parent
    folder.mkdir(parents=True)
    (folder / "uv.lock").write_text("version = 1\n")
    (folder / "pyproject.toml").write_text("[project]\nname = 'wine'\nversion = '1'\n")
    (tmp_path / LICENCES).write_text('{"numpy==2.4.1": "BSD-3-Clause", "own<b>==2": "MIT"}')
    return tmp_path


def test_packages_are_listed_by_the_licence_that_is_recorded_with_the_model(locked_model: Path) -> None:
    """
    That of another version is unknown, and a model without a lock has no list.
    """
    page, bare = (
        version_report(audit_of(HOLDS, model=model), None, registry_with(None), alias="champion").page
        for model in (locked_model, locked_model / "none")
    )

    assert (
        ("BSD-3-Clause", "1", "numpy 2.4.1"), ("unknown: none is recorded with the model", "1", "own<b> 1")
    ) == page.tables[-1].rows  # fmt: skip
    assert "packages by licence" not in {table.title for table in bare.tables}


@pytest.mark.parametrize("damage", ["[]", "link", " " * (MANIFEST_LIMIT + 1)], ids=["list", "link", "too large"])
def test_licences_that_cannot_be_read_are_said_and_not_followed(locked_model: Path, damage: str) -> None:
    """
    A file of the machine that a link in a model names is not read.
    """
    file = locked_model / LICENCES
    file.unlink()
    if damage == "link":
        (locked_model / "elsewhere.json").write_text('{"numpy==2.4.1": "Secret"}')
        file.symlink_to(locked_model / "elsewhere.json")
    else:
        file.write_text(damage)

    page = version_report(audit_of(HOLDS, model=locked_model), None, registry_with(None), alias="champion").page

    ((licence, _, reason),) = page.tables[-1].rows
    assert ("unknown", True) == (licence, "cannot be listed" in reason)


def test_packages_that_cannot_be_listed_are_unknown_with_the_reason(locked_model: Path) -> None:
    """
    The rest of the page is written.
    """
    page = version_report(
        audit_of(HOLDS, model=locked_model), None, registry_with(None, no_sbom), alias="champion"
    ).page

    assert "packages by licence" == page.tables[-1].title
    ((licence, packages, reason),) = page.tables[-1].rows
    assert ("unknown", "all") == (licence, packages)
    assert "uv 0.4 is too old" in reason
