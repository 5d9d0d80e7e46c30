"""Writes the ML-BOM (CycloneDX) and the model card of a registered version, or compares such a file with it."""

import os
from pathlib import Path
from typing import Annotated

from ..command.errors import BadInput
from ..command.inputs import ChampionInputs, RegistryInputs, VersionInputs, VersionNumber
from ..command.report import Finding, Report, Severity
from ..command.step import Doc, OneRun, SettingReach, Step
from ..command.wording import option, step_call
from ..core.card.comparison import differences
from ..core.card.description import ModelDescription
from ..core.card.ml_bom import is_ml_bom_of_version, render_ml_bom
from ..core.card.readme import is_readme_of_version, render_readme
from ..core.release.chain import merge_checks, require_unbroken
from ..core.release.training_inputs import CARD_FOLDER
from ..ops.card.described_version import describe_audited
from ..ops.lineage.audit import Audited, audited
from ..ops.lineage.link_report import unverified_findings
from ..ops.lineage.publication import card_artifact
from ..ops.lineage.registry_client import RegistryClient, connect
from ..ops.lineage.version_lookup import VERSION_URI, parsed_uri, version_number
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.project.files import absolute, bounds_of, write_atomically
from ..tools.toolbox import Tools

ML_BOM, README = "ml-bom.cdx.json", "README.md"
_OWN = {ML_BOM: is_ml_bom_of_version, README: is_readme_of_version}  # which earlier files this step wrote
_SHOWN = 20  # differences that are reported
_LIMIT = 32 << 20  # bytes of a file that is compared


@lazy_dataclass
class Inputs(RegistryInputs, VersionInputs, ChampionInputs):
    """Inputs of model-card: the version, and where its documents are written or which file is compared."""

    card_folder: Annotated[Path, SettingReach.WRITTEN, Doc(f"Folder to write `{ML_BOM}` and `{README}` to.")] = Path(
        CARD_FOLDER
    )
    check_file: Annotated[
        Path | None,
        OneRun(),
        Doc("ML-BOM or model card to compare with the version; nothing is written then, and a difference is an error."),
    ] = None
    log_card: Annotated[
        bool, OneRun(), Doc("Log both documents to the run of the version, where MLflow shows them.")
    ] = False


@lazy_dataclass
class Outputs:
    """Outputs of model-card: the version, and the files."""

    model_name: Annotated[str, Doc("Name of the registered model.")]
    version: VersionNumber
    ml_bom_file: Annotated[Path | None, Doc("File of the ML-BOM; empty if nothing was written.")]
    card_file: Annotated[Path | None, Doc("File of the model card; empty if nothing was written.")]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Describe a version whose chain holds, and write or compare the documents.

    Raises BadInput, ChainBroken, ToolFailed, StoreUnreachable.
    """
    name, number, alias = parsed_uri(inputs.version_uri)
    given = None if inputs.check_file is None else _read(inputs.check_file)
    if given is None:
        _require_own_files(inputs.card_folder)
    registry = connect(inputs, tools)
    version = version_number(registry, name, alias or number, VERSION_URI)
    with audited(registry, name=name, version=version) as audit:
        require_unbroken(audit.checks)
        described = describe_audited(audit, registry, champion=inputs.champion)
    findings = tuple(unverified_findings(merge_checks(audit.checks), Severity.NOTICE))
    documents = {ML_BOM: render_ml_bom(described), README: render_readme(described)}
    if inputs.check_file is not None and given is not None:
        return _compared(inputs.check_file, given, documents, described, findings)
    run_id = audit.description.run_id
    if inputs.log_card and not run_id:
        raise BadInput(
            what=f"{name} version {version} has no run to log the documents to",
            why="it was not registered from a run",
            fix=option("log-card", value=False),
        )
    files = {file: inputs.card_folder / file for file in documents}
    for file, path in files.items():
        write_atomically(path, documents[file].encode(), within=bounds_of(path))
    if inputs.log_card and run_id:
        _log(files, run_id, audit, registry)
    packages = len(described.packages.get("components", ()))
    return Report(
        outputs=Outputs(model_name=name, version=version, ml_bom_file=files[ML_BOM], card_file=files[README]),
        summary=f"ML-BOM and model card of {name} version {version} in {inputs.card_folder}, {packages} packages,"
        f" {len(described.metrics)} metrics",
        findings=findings,
    )


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > _LIMIT:
            raise BadInput(what=f"`{file}` is too large to compare", why=f"it has more than {_LIMIT >> 20} MB")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadInput(what=f"`{file}` cannot be read", why=why, fix=option("check-file", "FILE")) from error


def _require_own_files(folder: Path) -> None:
    """Raise BadInput for a file in the folder that this step would replace, and did not write."""
    for name, is_own in _OWN.items():
        file = folder / name
        if not os.path.lexists(file):
            continue
        try:
            own = file.stat().st_size <= _LIMIT and is_own(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeError):
            own = False
        if not own:
            raise BadInput(
                what=f"`{file}` is not replaced",
                why="this step did not write it",
                fix=option("card-folder", str(folder / CARD_FOLDER)),
            )


def _log(files: dict[str, Path], run_id: str, audit: Audited, registry: RegistryClient) -> None:
    for file, path in files.items():
        artifact = card_artifact(audit.description.model_id or "", audit.name, audit.version, file)
        registry.client.log_record(run_id, file=absolute(path), path=artifact)


def _compared(
    file: Path, given: str, documents: dict[str, str], described: ModelDescription, findings: tuple[Finding, ...]
) -> Report[Outputs]:
    shown = f"{described.name} version {described.version}"
    expected = documents[ML_BOM if given.lstrip("\ufeff \t\r\n").startswith("{") else README]
    try:
        different = tuple(differences(given, expected))
    except ValueError as error:
        raise BadInput(what=f"`{file}` is neither an ML-BOM nor a model card", why=str(error)) from error
    errors = tuple(
        Finding(
            rule="card-differs",
            severity=Severity.ERROR,
            what=f"`{place}` is not that of {shown}",
            why=f"the file has {value}, and the version has {wanted}",
            path=file,
            line=max(line, 1),
            fix=step_call("model-card", version_uri=described.uri),
        )
        for place, value, wanted, line in different[:_SHOWN]
    )
    verdict = "describes it" if not different else f"differs in {len(different)} places"
    return Report(
        outputs=Outputs(model_name=described.name, version=described.version, ml_bom_file=None, card_file=None),
        summary=f"{file} {verdict}: {shown}",
        findings=(*findings, *errors),
    )


STEP = Step(
    name="model-card",
    summary="Write the ML-BOM (CycloneDX) and the model card of a registered version, or compare a file with it.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
