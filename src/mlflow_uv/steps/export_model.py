"""Converts a version to ONNX or TFLite, measures that it computes the same, and logs and registers the result."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated

from ..command.errors import BadInput, ChainBroken
from ..command.inputs import (
    NAME,
    DryRunInputs,
    RegistryInputs,
    ServeEnvInputs,
    VersionInputs,
    VersionNumber,
)
from ..command.limits import Limits
from ..command.report import Finding, Report, Severity, Table, counted
from ..command.step import Doc, Matching, OneRun, SettingReach, Step
from ..command.wording import Wording, option, step_call
from ..core.conversion.bundle_files import CHECKSUMS, REQUESTS, checksums_text, requests_text
from ..core.conversion.formats import FORMATS
from ..core.conversion.parity import ParityBudget, parity_findings, parity_table
from ..core.release.chain import merge_checks, require_unbroken
from ..core.release.digests import sha256
from ..core.release.record import ExportedModel, Record
from ..core.security.serve_env import require_recorded, serve_variables
from ..ops.conversion.conversion import Conversion, ConversionPlan, convert_and_compare
from ..ops.conversion.exported_model import LoggedExport, ModelExport, log_export, record_export
from ..ops.image.isolation import EvaluatedVersion
from ..ops.lineage.audit import Audited, audited
from ..ops.lineage.link_report import unverified_findings
from ..ops.lineage.registry_client import RegistryClient, connect
from ..ops.lineage.version_lookup import VERSION_URI, parsed_uri, version_number
from ..ops.model.recorded_files import recorded_in
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.project.output_folder import output_folder, require_replaceable_folder
from ..tools.system.partial_folders import scratch_folder
from ..tools.system.tree_copy import copy_tree
from ..tools.toolbox import Tools

_NOT_ISOLATED = Finding(
    rule="not-isolated",
    severity=Severity.NOTICE,
    what="the model was converted in processes on this machine, with this user's access to files and network",
    why="the converters work beside the packages of the model, not in its image",
)


class ExportFormat(Enum):
    """The format of the converted model: TFLite for networks of Keras and TensorFlow, ONNX for others."""

    ONNX = "onnx"
    TFLITE = "tflite"


@lazy_dataclass
class Inputs(RegistryInputs, VersionInputs, ServeEnvInputs, DryRunInputs):
    """Inputs of export-model: the version, the format, the budget, and where the result goes."""

    export_format: Annotated[
        ExportFormat,
        OneRun(),
        Doc("Format of the converted model: `tflite` for Keras and TensorFlow, `onnx` for other flavors."),
    ] = ExportFormat.ONNX
    register: Annotated[
        str | None,
        OneRun(),
        Doc("Name of a registered model that gets the converted model as a version; without it, a tag refers to it."),
        Matching(NAME, "a name MLflow accepts (no slash, colon or shell character)"),
    ] = None
    bundle: Annotated[
        Path | None,
        OneRun(),
        SettingReach.WRITTEN,
        Doc("New folder for the edge bundle: model, signature, requests, checksums and a scorer for its runtime."),
    ] = None
    parity_tolerance: Annotated[
        float,
        Limits(below=1.0),
        Doc("Relative and absolute tolerance for numbers that the converted model computes, below 1."),
    ] = 1e-4
    max_beyond: Annotated[
        float,
        Limits(below=1.0),
        Doc("Share of the numbers of an output, below 1, that may be beyond the tolerance."),
    ] = 0.0
    max_flips: Annotated[
        int, Limits(), Doc("Number of rows to which the converted model may give another label than the original.")
    ] = 0
    sample_rows: Annotated[
        int,
        Limits(least=1, below=100_001),
        Doc("Approximate number of generated rows, half of them at the thresholds of the model's trees."),
    ] = 1000
    export_timeout: Annotated[
        float,
        Limits(least=1, below=1_000_000.0),
        Doc("Seconds, at least 1, for the conversion and for each measurement."),
    ] = 600.0


@lazy_dataclass
class Outputs:
    """Outputs of export-model: the exported model, and what was measured."""

    model_name: Annotated[str, Doc("Name of the registered model.")]
    version: VersionNumber
    exported_uri: Annotated[str, Doc("URI of the converted model; empty if it was not logged.")]
    exported_sha256: Annotated[str, Doc("SHA-256 over all files of the converted model; empty if it was not logged.")]
    compared_rows: Annotated[int, Doc("Number of rows whose predictions were compared.")]
    flips: Annotated[int, Doc("Number of rows with another label.")]
    difference: Annotated[float, Doc("Greatest absolute difference of a number.")]
    size: Annotated[int, Doc("Bytes of the converted file.")]
    row_ms: Annotated[float, Doc("Median milliseconds of a prediction for one row with the converted model.")]
    bundle: Annotated[Path | None, Doc("Folder of the edge bundle; empty if none was written.")]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Convert a version whose chain holds, compare the outputs of both models, and log the result if the budget allows it.

    Exceeding the budget is an error, and nothing is logged then. Raises BadInput, ChainBroken, NotConvertible,
    ModelUnusable, StoreUnreachable, ToolFailed.
    """
    name, number, alias = parsed_uri(inputs.version_uri)
    _require_other_name(inputs, name)
    if inputs.bundle is not None:
        require_replaceable_folder(inputs.bundle, "bundle")
    registry = connect(inputs, tools)
    version = version_number(registry, name, alias or number, VERSION_URI)
    with (
        _alone(registry, f"{name} version {version}"),
        audited(registry, name=name, version=version) as audit,
        scratch_folder() as scratch,
    ):
        unverified = tuple(_required(audit))
        conversion = convert_and_compare(_plan(inputs, audit, scratch, tools), registry)
        budget = _budget(inputs)
        shown = f"{name} version {version}"
        findings = (
            *unverified,
            _NOT_ISOLATED,
            *parity_findings(conversion.parity, budget, shown, FORMATS[inputs.export_format.value].difference),
        )
        exported: ExportedModel | None = None
        bundle = None
        if not inputs.dry_run and all(finding.severity is not Severity.ERROR for finding in findings):
            exported, recorded = _logged(inputs, audit, conversion, registry, scratch)
            findings = (*findings, *recorded)
            if inputs.bundle is not None:
                bundle = _write_bundle(conversion, inputs.bundle)
    return _report(inputs, audit, conversion, exported, findings, bundle)


@contextmanager
def _alone(registry: RegistryClient, shown: str) -> Iterator[None]:
    """Let one export of a version at a time run on this machine: the second one finds what the first one logged."""
    tools = registry.tools
    path = tools.host.state / "exports" / sha256(f"{registry.client.store.uri}\0{shown}".encode())
    with tools.records.locked(path, waiting=lambda: tools.console.say(f"waiting for another export of {shown}")):
        yield


def _require_other_name(inputs: Inputs, name: str) -> None:
    if inputs.register == name:
        raise BadInput(
            what=f"`register` is `{name}`, the registered model that is converted",
            why="its aliases would move between models with different packages and inputs",
            fix=option("register", f"{name}-{inputs.export_format.value}"),
        )


def _required(audit: Audited) -> Iterator[Finding]:
    """Raise ChainBroken for a chain that does not hold; yield a warning for each link that is not verified here."""
    if audit.record is None:
        raise ChainBroken("record", why=f"{audit.name} version {audit.version} has no release record")
    # An export that was deleted or changed is replaced by this one.
    checks = require_unbroken(check for check in audit.checks if check.link != "exports")
    yield from unverified_findings(merge_checks(checks), Severity.WARNING)


def _subject(audit: Audited) -> EvaluatedVersion:
    assert audit.record is not None  # noqa: S101  # _required checked it
    return EvaluatedVersion(
        name=audit.name,
        version=audit.version,
        model_id=audit.description.model_id,
        run_id=audit.description.run_id,
        model=audit.model,
        sha256=audit.record.model.sha256,
    )


def _budget(inputs: Inputs) -> ParityBudget:
    return ParityBudget(tolerance=inputs.parity_tolerance, max_flips=inputs.max_flips, max_beyond=inputs.max_beyond)


def _plan(inputs: Inputs, audit: Audited, scratch: Path, tools: Tools) -> ConversionPlan:
    link = audit.record.answers if audit.record else None
    serve_env = serve_variables(inputs.serve_env, tools.host.variables)
    require_recorded(link.variables if link else (), serve_env)
    try:
        requests = recorded_in(audit.model, link)
    except ValueError as error:
        raise BadInput(
            what=f"{audit.name} version {audit.version} has no recorded requests to compare with",
            why=str(error),
            fix=Wording("log it with input_example=…, then ", step_call("log-model")),
        ) from error
    return ConversionPlan(
        subject=_subject(audit),
        format=FORMATS[inputs.export_format.value],
        requests=requests,
        budget=_budget(inputs),
        sample_rows=inputs.sample_rows,
        timeout_s=inputs.export_timeout,
        serve_env=serve_env,
        scratch=scratch,
    )


def _logged(
    inputs: Inputs, audit: Audited, conversion: Conversion, registry: RegistryClient, scratch: Path
) -> tuple[ExportedModel, tuple[Finding, ...]]:
    assert audit.record is not None  # noqa: S101  # _required checked it
    export = ModelExport(
        folder=conversion.model,
        format=inputs.export_format.value,
        file_sha256=conversion.file_sha256,
        name=inputs.register or _earlier_name(audit.record, conversion.file_sha256),
    )
    logged = log_export(export, _subject(audit), registry, scratch)
    exported = logged.exported
    findings = (_at_once(logged, exported.uri),) if logged.instead_of else ()
    return exported, (*findings, *record_export(exported, _subject(audit), inputs.project, registry))


def _at_once(logged: LoggedExport, uri: str) -> Finding:
    return Finding(
        rule="export-at-once",
        severity=Severity.NOTICE,
        what=f"another export of the same version was logged first: {uri} is the exported model",
        why=f"both were converted to the same file; {logged.instead_of}, which this run logged, is not used",
    )


def _earlier_name(record: Record, file_sha256: str) -> str | None:
    """The name under which the same file was registered by an earlier run."""
    models = record.exports.models if record.exports else ()
    return next((model.name for model in models if model.file_sha256 == file_sha256 and model.name), None)


def _write_bundle(conversion: Conversion, folder: Path) -> Path:
    """Write the bundle into a new folder: beside it first, so that it is complete or not there."""
    text = requests_text(conversion.original, conversion.converted, conversion.signature)
    staged = conversion.bundle
    (staged / REQUESTS).write_text(text, encoding="utf-8")
    files = {file.name: file.read_bytes() for file in staged.iterdir() if file.is_file()}
    (staged / CHECKSUMS).write_text(checksums_text(files), encoding="utf-8")
    with output_folder(folder, "bundle", "the bundle") as copy:
        copy_tree(staged, copy, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    return folder


def _report(  # noqa: PLR0913, PLR0917  # what a report is about
    inputs: Inputs,
    audit: Audited,
    conversion: Conversion,
    exported: ExportedModel | None,
    findings: tuple[Finding, ...],
    bundle: Path | None,
) -> Report[Outputs]:
    parity, shown = conversion.parity, f"{audit.name} version {audit.version}"
    compared = f"{counted(parity.rows, 'row')} compared, at most {parity.absolute:.2g} off"
    if exported is not None:
        summary = f"{shown}: {inputs.export_format.value} as {exported.uri}, {compared}"
    elif any(finding.severity is Severity.ERROR for finding in findings):
        summary = f"{shown}: not exported, {compared}, {counted(parity.flips, 'label')} flipped"
    else:
        summary = f"{shown}: would be exported, {compared}"
    return Report(
        outputs=Outputs(
            model_name=audit.name,
            version=audit.version,
            exported_uri=exported.uri if exported else "",
            exported_sha256=exported.sha256 if exported else "",
            compared_rows=parity.rows,
            flips=parity.flips,
            difference=parity.absolute,
            size=conversion.after.size,
            row_ms=conversion.after.row_s * 1000,
            bundle=bundle,
        ),
        summary=summary,
        findings=findings,
        tables=(parity_table(parity), _figures(conversion)),
    )


def _figures(conversion: Conversion) -> Table:
    before, after = conversion.before, conversion.after
    return Table(
        title="Original and converted",
        columns=("", "Size", "One row (p50)", "Memory"),
        rows=tuple(
            (label, f"{figures.size / 1e3:,.1f} kB", f"{figures.row_s * 1e3:.3f} ms", f"{figures.memory / 1e6:.0f} MB")
            for label, figures in (
                ("original, with MLflow", before),
                (f"converted, with {conversion.runtime}", after),
            )
        ),
    )


STEP = Step(
    name="export-model",
    summary="Convert a registered version to ONNX or TFLite, measure that it computes the same, and log the result.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
