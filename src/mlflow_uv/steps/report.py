"""Writes the report on a registered version as one HTML file, from the registry and the release record."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

from ..command.errors import BadInput
from ..command.inputs import ChampionInputs, RegistryInputs, VersionInputs, VersionNumber
from ..command.release_inputs import LoggedReportInputs
from ..command.report import Report
from ..command.step import Doc, SettingReach, Step
from ..command.wording import option
from ..core.release.chain import LinkState
from ..core.release.training_inputs import REPORT_FILE
from ..ops.lineage.audit import audited
from ..ops.lineage.publication import report_artifact
from ..ops.lineage.registry_client import connect
from ..ops.lineage.version_lookup import VERSION_URI, parsed_uri, version_number
from ..ops.report.page import render_page
from ..ops.report.version_report import version_report
from ..ops.versions.comparison import compare_with_champion
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.project.files import absolute, bounds_of, write_atomically
from ..tools.toolbox import Tools


@lazy_dataclass
class Inputs(RegistryInputs, VersionInputs, ChampionInputs, LoggedReportInputs):
    """Inputs of report: the version, what it is compared with, and where the report is written."""

    report_file: Annotated[
        Path, SettingReach.WRITTEN, Doc("File to write the report to, a single HTML page without scripts.")
    ] = Path(REPORT_FILE)


@lazy_dataclass
class Outputs:
    """Outputs of report: the version, and the file."""

    model_name: Annotated[str, Doc("Name of the registered model.")]
    version: VersionNumber
    report_file: Annotated[Path, Doc("File of the report.")]
    broken: Annotated[tuple[str, ...], Doc("Names of the links of the chain that are broken.")]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Recompute every link of a version, compare it with the champion, and write the page.

    A broken link is shown in the page, and is no error: `audit` ends with one. Raises BadInput, ToolFailed,
    StoreUnreachable.
    """
    name, number, alias = parsed_uri(inputs.version_uri)
    registry = connect(inputs, tools)
    version = version_number(registry, name, alias or number, VERSION_URI)
    with ExitStack() as opened:
        audit = opened.enter_context(audited(registry, name=name, version=version))
        comparison = compare_with_champion(registry, name=name, version=version, alias=inputs.champion)
        report = version_report(audit, comparison, registry, alias=inputs.champion)
    run_id = audit.description.run_id
    if inputs.log_report and not run_id:
        raise BadInput(
            what=f"{name} version {version} has no run to log the report to",
            why="it was not registered from a run",
            fix=option("log-report", value=False),
        )
    document = render_page(report.page, secrets=tools.secrets)
    write_atomically(inputs.report_file, document, within=bounds_of(inputs.report_file))
    if inputs.log_report and run_id:
        path = report_artifact(audit.description.model_id or "", name, version)
        registry.client.log_record(run_id, file=absolute(inputs.report_file), path=path)
    return Report(
        outputs=Outputs(
            model_name=name, version=version, report_file=inputs.report_file, broken=report.names(LinkState.BROKEN)
        ),
        summary=f"report on {name} version {version} in {inputs.report_file}, {len(document) / 1000:.0f} kB",
        verdict=report.page.verdict,
        chain=report.chain,
        tables=report.page.changes,
        links=report.page.pages,
    )


STEP: Step[Any, Any, Any] = Step(
    name="report",
    summary="Write a report on a registered version as one HTML file: its chain, what changed since the champion, and"
    " its lineage.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
