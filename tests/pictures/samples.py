"""The job summary, the comment and the report of releases that went well, failed, stopped halfway or are hostile."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import starmap

from markdown_it import MarkdownIt

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.command.report import ChainLink, Finding, Mark, Report, Severity, Table, TableKind, Timing, WebLink
from mlflow_uv.core.lock_difference.changes import ChangeKind, PackageChange, PackageUse
from mlflow_uv.core.lock_difference.comment import CommentPart, comment_of
from mlflow_uv.core.lock_difference.comparison import (
    LockChange,
    LockComparison,
    RepositoryComparison,
    TargetComparison,
    TargetProblem,
)
from mlflow_uv.core.lock_difference.lock_update import LockHunk, LockUpdate
from mlflow_uv.core.model.model_difference import metric_table, package_changes
from mlflow_uv.core.release import verdict
from mlflow_uv.core.version_difference.comment import parts_of
from mlflow_uv.core.version_difference.comparison import compare_descriptions
from mlflow_uv.core.version_difference.description import AnswerSummary, MetricSet, VersionDescription
from mlflow_uv.ops.report.page import Histogram, PageFact, PageLink, ReportPage, bar_chart, histogram, render_page
from mlflow_uv.ops.report.platforms import PLATFORMS_TITLE
from tests.pictures.browser import HERE, Screen
from tests.runner import summary_for

GITHUB = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
HOSTILE = (
    "wine-with-a-name-that-" + "never-" * 12 + "ends\u202egnorw si siht\u202c **bold** <img src=x onerror=alert(1)>"
    " | cell | </details> [link](https://evil.example) @everyone #1 `code` модель نموذج"
)
NAMES = ("commit", "lock", "selection", "requirements", "model", "version", "image", "answers", "alias")
IDENTITIES = ("62d50ce", "0dae706", "", "1f136cc", "560fe2e", "wine 4", "ghcr.io/acme/wine:4-62d50ce", "", "candidate")
STEPS = ("check-lock", "check-targets", "export", "log-model", "register", "build-image", "smoke-test")
# As the steps make them.
CHANGED, METRICS, FIGURES, SIZES = (
    replace(table, kind=TableKind.CHANGES)
    for table in (
        package_changes(
            {"numpy": "2.4.6", "scikit-learn": "1.9.2", "polars": "1.31.0"},
            {"numpy": "2.4.1", "scikit-learn": "1.8.0", "joblib": "1.5.2"},
        ),
        metric_table({"accuracy_score": 0.983, "log_loss": 0.061}, {"accuracy_score": 0.979, "log_loss": 0.075}),
        replace(
            metric_table(
                {"p95-milliseconds": 7.9, "memory-mib": 204.5}, {"p95-milliseconds": 8.4, "memory-mib": 198.25}
            ),
            title="figures of the server",
            columns=("figure", "candidate", "champion", "difference"),
        ),
        Table(
            title="image",
            columns=("figure", "candidate", "champion", "difference"),
            rows=(("size", "291 MB", "282 MB", "↑ +9 MB"),),
        ),
    )
)
GATES = Table(
    title="Gates",
    columns=("Gate", "", "Numbers"),
    rows=(
        ("accuracy >= champion - 0.01", "✓ holds", "0.983 against 0.979"),
        ("latency_p95_ms <= 20", "✗ fails", "24.1 is more than 20"),
    ),
)
LAYERS = Table(
    title="Image", columns=("layer", "size"), rows=(("base image", "110.0 MB"), ("packages", "169.0 MB")),
    kind=TableKind.DETAILS,
)  # fmt: skip


def chain_of(broken: int = len(NAMES), *, name: str = "") -> tuple[ChainLink, ...]:
    """The chain up to a link that is broken; nothing is made after it."""
    marks = [Mark.HOLDS if at < broken else Mark.BROKEN if at == broken else Mark.MISSING for at in range(len(NAMES))]
    return tuple(
        ChainLink(name=link, mark=mark, identity=(name or identity) if mark is not Mark.MISSING else "")
        for link, identity, mark in zip(NAMES, IDENTITIES, marks, strict=True)
    )


def timings(number: int) -> tuple[Timing, ...]:
    """The times of the first steps."""
    return tuple(Timing(step=step, seconds=1.7 * at, summary=f"done {at}") for at, step in enumerate(STEPS[:number]))


GOOD: Report[None] = Report(
    outputs=None,
    summary="released model m-e0e01a16, version 4 of wine",
    verdict="wine version 4 is ready as candidate: served from its image, it gives the predictions of training",
    chain=chain_of(),
    findings=(
        Finding(rule="r", severity=Severity.WARNING, what="the name `wine:latest` is in use", fix="another one"),
    ),
    tables=(CHANGED, METRICS, FIGURES, SIZES, GATES, LAYERS),
    timings=timings(7),
    advice=("serve it: docker run --rm --publish 8080:8080 ghcr.io/acme/wine@sha256:0dae706c",),
    links=(
        WebLink(title="Version 4", address="https://mlflow.test/#/models/wine/versions/4"),
        WebLink(title="Run", address="https://mlflow.test/#/experiments/1/runs/ab"),
    ),
)


def failed(summary: str, broken: int, why: str) -> Report[None]:
    """What a release that stopped has done before."""
    return replace(
        GOOD, summary=summary, verdict=verdict.stopped(None, "wine version 4", why), chain=chain_of(broken),
        findings=(), tables=(LAYERS,) if broken > NAMES.index("image") else (), links=GOOD.links[:1], advice=(),
        timings=timings(broken),
    )  # fmt: skip


def of_error(summary: str, broken: int, what: str, why: str, fix: str) -> str:
    """The summary of a step that ended without a result."""
    error = ToolFailed(what=what, why=why, fix=fix)
    error.so_far = failed(summary, broken, what)
    return summary_for("release").of_error(error, {"project": "models/wine"})


def summaries() -> dict[str, str]:
    """The job summaries as Markdown."""
    hostile = replace(
        GOOD,
        verdict=HOSTILE,
        summary=HOSTILE,
        chain=chain_of(name=HOSTILE),
        findings=(Finding(rule="r", what=HOSTILE, why=HOSTILE, fix=HOSTILE, severity=Severity.WARNING),),
        tables=(replace(CHANGED, title=HOSTILE, columns=("package", HOSTILE), rows=((HOSTILE, HOSTILE),)),),
        links=(WebLink(title=HOSTILE, address="https://mlflow.test/"),),
        advice=(HOSTILE,),
    )
    return {
        "good": summary_for("release").of_report(GOOD, {"project": "models/wine"}),
        "failed": of_error(
            "the release stopped at smoke-test",
            7,
            "the image predicts otherwise than training",
            "request 3 of 42: `quality` is 5.21 instead of 5.94, which is more than the tolerance of 1e-06",
            "mlflow-uv verify models:/wine/4",
        ),
        "half": of_error(
            "the release stopped at build-image", 6, "the base image `python:3.11-slim` cannot be pulled",
            "registry-1.docker.io does not respond", "run it again: what was made before is used",
        ),
        "hostile": summary_for("release").of_report(hostile, {"project": HOSTILE}),
    }  # fmt: skip


def released() -> Iterator[CommentPart]:
    """What a comment says of a version that a pull request released, and that was measured as the champion was."""
    signature = {"inputs": [{"name": name, "type": "double"} for name in ("alcohol", "acidity")]}
    requests = [("recorded request 1", 0.5), ("recorded request 2", 0.75), ("alcohol at its largest value", 0.25)]
    champion = VersionDescription(
        model_name="wine", version="3", state="promoted", served_by="image", commit="a" * 40, model_sha256="",
        lock_sha256="", requirements_sha256="", packages={"numpy": "2.4.1"}, signature=signature,
        evaluation=MetricSet(metrics={"accuracy_score": 0.979, "f1_score": 0.97, "log_loss": 0.075}, data=("rows",)),
        training=MetricSet(metrics={"rmse": 0.41}, data=("training 0123",)),
        answers=tuple(
            AnswerSummary(name=name, request=name, status=200, sha256=str(value), answer={"predictions": [value]})
            for name, value in requests
        ),
    )  # fmt: skip
    version = replace(
        champion, version="1", state="tested", commit="b" * 40, pull_request=3, head_of_pull_request="b" * 40,
        packages={"numpy": "2.4.6"},
        evaluation=MetricSet(metrics={"accuracy_score": 0.983, "f1_score": 0.97, "log_loss": 0.061}, data=("rows",)),
        training=MetricSet(metrics={"rmse": 0.38}, data=("training 4567",)),
        answers=(replace(champion.answers[0], sha256="", answer={"predictions": [0.625]}), *champion.answers[1:]),
    )  # fmt: skip
    return parts_of(compare_descriptions(version, champion), "as run 4711 of `main` described it")


def comments() -> dict[str, str]:
    """The comments on pull requests as Markdown."""
    packages = (
        PackageChange(name="numpy", kind=ChangeKind.UPDATED, before="2.4.1", after="2.4.6", use=PackageUse.SERVED),
        PackageChange(name="polars", kind=ChangeKind.ADDED, after="1.31.0", use=PackageUse.SERVED),
        PackageChange(name="joblib", kind=ChangeKind.REMOVED, before="1.5.2", use=PackageUse.SERVED),
        PackageChange(name="pytest", kind=ChangeKind.ADDED, after="9.2.0", use=PackageUse.DEVELOPMENT),
    )
    target = TargetComparison(
        target="linux-x86_64-py3.11", packages_before=86, packages_after=87,
        bytes_before=271_000_000, bytes_after=303_400_000,
    )  # fmt: skip
    lock = LockComparison(path="models/wine/uv.lock", change=LockChange.CHANGED, packages=packages, targets=(target,))
    good = RepositoryComparison(
        base="a" * 40, head="b" * 40, pull_request=3, head_of_pull_request="b" * 40, yanked_checked=True,
        vulnerable_checked=True, locks=(lock,),
    )  # fmt: skip
    hunk = LockHunk(first_line=41, lines=(' name = "numpy"', '-version = "2.4.1"', '+version = "2.4.6"'))
    moved = replace(packages[0], kind=ChangeKind.INDEX, source_before="https://a.test", source_after="https://b.test")
    problem = TargetProblem(package="numpy", version="2.4.6", method="built from source")
    known = "GHSA-3mc7-4q67-w48m (CVE-2026-1234), high, fixed in 1.31.1"
    warned = replace(lock, packages=(moved, replace(packages[1], yanked=True, vulnerabilities=(known,))),
                     targets=(replace(target, problems=(problem,)),))  # fmt: skip
    reason = "the lock of the head cannot be compared: it is not TOML (line 7)"
    unreadable = replace(lock, change=LockChange.UNREADABLE, packages=(), targets=(), note=reason)
    hostile = replace(lock, path=HOSTILE, note=HOSTILE, moved_from=HOSTILE, settings=(HOSTILE,),
                      packages=(replace(moved, source_after=HOSTILE),))  # fmt: skip
    return {
        "good": comment_of(good),
        "released": comment_of(replace(good, locks=(replace(lock, packages=packages[:1]),)), released()),
        "failed": comment_of(replace(good, locks=(warned,))),
        "half": comment_of(replace(good, locks=(unreadable,), updates=(LockUpdate(path="uv.lock", hunks=(hunk,)),))),
        "hostile": comment_of(replace(good, locks=(hostile,))),
    }


LATENCIES = (2, 41, 160, 320, 271, 154, 98, 61, 37, 22, 14, 9, 5, 3, 0, 0, 1, 0, 1)


LICENCES = (("BSD-3-Clause", 31), ("MIT", 27), ("Apache-2.0", 19), ("Apache Software License", 4), ("PSF-2.0", 2))
SECONDS = (0.1, 0.1, 0.2, 86.5, 0.8, 92.8, 18.2)
WRONG = ("the registry has sha256:9c1f instead of sha256:0dae706c", "mlflow-uv build-image --push")
IMAGE = "ghcr.io/acme/wine@sha256:" + "ab" * 32


def checked_chain(broken: str, *, whole: bool, text: str) -> Iterator[PageLink]:
    """The links that were recomputed: those that the version has, of which an unfinished one lacks the last."""
    for at, link in enumerate(chain_of(name=text)):
        if link.name == broken:
            yield PageLink(link=replace(link, mark=Mark.BROKEN), reason=text or WRONG[0], fix=text or WRONG[1])
        elif not whole and not at:
            yield PageLink(link=replace(link, mark=Mark.UNVERIFIED), reason="this clone has no commit 62d50ce")
        elif whole or at <= NAMES.index("version"):
            yield PageLink(link=link)


def report_of(*, broken: str = "", whole: bool = True, text: str = "") -> ReportPage:
    """The page about a version with a broken link, an unfinished one, or one with a text in place of every other."""
    steps = STEPS if whole else STEPS[: STEPS.index("build-image")]
    times = [(step, seconds, f"{seconds:.1f} s") for step, seconds in zip(steps, SECONDS, strict=False)]
    state = "tested" if whole else "registered"
    layers = [(text or "packages", 169.0), ("base image", 110.0), ("model", 2.9), ("server", 0.4)]
    sizes = bar_chart("Layers of the image", [(layer, size, f"{size} MB") for layer, size in layers])
    facts = (
        PageFact(name="registered", value="2026-11-26 20:11 UTC", code=False),
        PageFact(name="state", value=state, code=False),
        PageFact(name="commit", value="62d50ce" * 6),
        PageFact(name="uv.lock", value="0dae706c" * 8),
        PageFact(name="Python, MLflow, uv", value="3.11.7, 3.17.2, 0.13.8"),
        *((PageFact(name="image", value=text or IMAGE),) if whole else ()),
    )
    serving = PageFact(name="serve it", value=f"docker run --rm --publish 8080:8080 {text or IMAGE}")
    wrong, unknown = (broken,) if broken else (), () if whole else ("commit",)
    result = verdict.audited("wine version 4", (), state, wrong, unknown)
    return ReportPage(
        title=f"Release report: {text or 'wine version 4'}",
        verdict=text or result,
        mark=verdict.mark_of_audited(state, wrong, unknown),
        chain=tuple(checked_chain(broken, whole=whole, text=text)),
        champion="3" if whole else "",
        uncompared="" if whole else "No version of wine is the champion: there is none to compare this one with.",
        changes=(CHANGED, METRICS, FIGURES, SIZES) if whole and not text else (),
        histograms=(_latency_histogram(text),) if whole else (),
        charts=(*((sizes,) if whole else ()), bar_chart("Times of the release", times)),
        tables=tuple(_results(text)) if whole else (),
        facts=facts,
        pages=(
            WebLink(title=text or "Version 4", address="https://mlflow.test/#/models/wine/versions/4"),
            WebLink(title="Run", address="https://mlflow.test/#/experiments/1/runs/ab"),
        ),
        commands=(
            *((serving,) if whole and not broken else ()),
            PageFact(name="load it", value="mlflow.pyfunc.load_model('models:/wine/4')"),
        ),
        written="2026-11-26 20:13 UTC",
    )


def _latency_histogram(text: str) -> Histogram:
    bounds = [1.26**at for at in range(len(LATENCIES))]
    note = text or "1199 requests; p50 2.6 ms; p95 7.9 ms; p99 14.2 ms. Each column is a range of latencies in ms."
    columns = [(f"{bound:.3g}", number, f"{number}") for bound, number in zip(bounds, LATENCIES, strict=True)]
    return histogram("Latency under load", note, columns)


def _results(text: str) -> Iterator[Table]:
    ways = (("image", "✓ equal", "3.4"), ("virtualenv", "✗ different", text or "41.2"), ("conda", "? unavailable", ""))
    yield Table(title="ways of serving", columns=("way", "result", "seconds"), rows=ways)
    platforms = (
        ("linux-x86_64-py3.11", "86", "271.0 MB", "✓ from wheels"),
        ("macos-arm64-py3.11", "84", "214.5 MB", "✓ from wheels"),
        ("windows-x86_64-py3.11", "88", "259.1 MB", f"✗ {text or 'cork 2.0: built from source'}"),
    )
    who = (
        text or "promotion",
        text or "champion",
        "3 → 4",
        text or "ada",
        text or "✓ version 4 is tested; ✓ accuracy 0.983",
    )
    columns = ("when", "what", "alias", "version", "who", "gates")
    yield Table(title="history", columns=columns, rows=(("2026-11-26 20:12 UTC", *who),))
    yield Table(title=PLATFORMS_TITLE, columns=("target", "packages", "download", "installs"), rows=platforms)
    rows = tuple(starmap(_licence_row, LICENCES))
    yield Table(title="packages by licence", columns=("licence", "packages", "names"), rows=rows)


def _licence_row(licence: str, number: int) -> tuple[str, str, str]:
    names = [f"package-{licence[:3].lower()}-{at} {at}.{at + 1}.0" for at in range(number)]
    return licence, str(number), ", ".join(names)


def page_of_markdown(text: str) -> str:
    """Markdown as a page that looks like GitHub."""
    html = GITHUB.render(text)
    for kind, title in (("caution", "Caution"), ("warning", "Warning")):
        shown = f'<blockquote class="{kind}"><p><b>{title}</b><br>'
        html = re.sub(rf"<blockquote>\s*<p>\[!{kind.upper()}\]", shown, html)
    style = (HERE / "github.css").read_text()
    return f"<!doctype html><meta charset=utf-8><style>{style}</style>{html}"


def pages() -> dict[str, tuple[str, Screen]]:
    """Every page with what it is shown on, by the name of its picture."""
    found = {f"summary-{name}": (page_of_markdown(text), Screen()) for name, text in summaries().items()}
    found |= {f"comment-{name}": (page_of_markdown(text), Screen()) for name, text in comments().items()}
    reports = {
        "good": report_of(), "failed": report_of(broken="image"), "half": report_of(whole=False),
        "hostile": report_of(broken="image", text=HOSTILE),
    }  # fmt: skip
    rendered = {name: render_page(page, secrets=()).decode() for name, page in reports.items()}
    found |= {f"report-{name}": (page, Screen()) for name, page in rendered.items()}
    phone = Screen(width=390)
    return found | {
        "report-good-dark": (rendered["good"], Screen(dark=True)),
        "report-good-phone": (rendered["good"], phone),
        "report-good-print": (rendered["good"], Screen(paper=True)),
        "report-hostile-phone": (rendered["hostile"], phone),
    }
