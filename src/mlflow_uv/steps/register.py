"""Which version of the registered model is this model?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from ..command.errors import ChainBroken
from ..command.inputs import (
    Embedded,
    ModelName,
    ProjectPath,
    RecordFile,
    RecordPath,
    TrackingUri,
    UvProgram,
    VersionNumber,
)
from ..command.report import Finding, Report, Severity
from ..command.step import Doc, Step
from ..command.wording import Wording, option, step_call
from ..core.release.record import Record, VersionLink
from ..ops.lineage.publication import StoreAccess, publish
from ..ops.lineage.recompute import holding
from ..tools.toolbox import Tools

READY_S = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What to register, under which name."""

    project: ProjectPath = Path()
    record: RecordPath = None
    model_name: ModelName = None
    tracking_uri: TrackingUri = None
    embedded: Embedded = False
    uv: UvProgram = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """The version."""

    record: RecordFile
    model_name: Annotated[str, Doc("Name of the registered model.")]
    version: VersionNumber
    version_uri: Annotated[str, Doc("Model URI of the version, models:/NAME/NUMBER.")]
    created: Annotated[
        bool, Doc("Whether a new version was created; false if an existing version of the same model was reused.")
    ]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Find the version of the recorded model, or make it; wait until it is ready; tag it. No alias moves.

    Raises ChainBroken, StoreUnreachable, BadInput.
    """
    with holding(inputs, tools) as found:
        record = found.record
        name = inputs.model_name or (found.project.name if found.project else record.model.name)
        made = tools.mlflow.ask(
            found.python,
            found.store,
            "find-or-create-version",
            name=name,
            model_id=record.model.model_id,
            model_sha256=record.model.sha256,
            tags=version_tags(record),
            description=_description(record),
            timeout_s=READY_S,
        )
        version = VersionLink(name=name, version=str(made["version"]), model_id=str(made["model_id"]))
        if version.model_id != record.model.model_id:
            raise ChainBroken(
                "version",
                why=f"version {version.version} of {name} was made from {version.model_id}, which has the same files",
                fix=Wording(step_call("release"), ", which reuses that model"),
            )
        # A version that training registered by itself has none of our tags yet; a tested one keeps its state.
        state = {} if "mlflow-uv.state" in made["tags"] else {"mlflow-uv.state": "registered"}
        record = replace(record, version=version)
        path = tools.records.path(inputs.record, inputs.project)
        publish(
            record,
            path,
            StoreAccess(store=found.store, python=found.python),
            tools,
            tags={**version_tags(record), **state},
        )
        known = tools.mlflow.ask(found.python, found.store, "find-models", model_id=version.model_id)["versions"]
    also = f" (also registered as {', '.join(made['also'])})" if made["also"] else ""
    return Report(
        outputs=Outputs(
            record=path,
            model_name=name,
            version=version.version,
            version_uri=f"models:/{name}/{version.version}",
            created=bool(made["created"]),
        ),
        summary=f"{name} version {version.version} {'made' if made['created'] else 'found again'}{also}",
        findings=tuple(_elsewhere(version, name, other) for name, other in _other_names(version, known).items()),
    )


def _other_names(version: VersionLink, known: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Under which other names the model is registered, and the last version of each."""
    return {str(other["name"]): str(other["version"]) for other in known if other["name"] != version.name}


def _elsewhere(version: VersionLink, name: str, number: str) -> Finding:
    return Finding(
        rule="registered-elsewhere",
        severity=Severity.WARNING,
        what=f"the model is also version {number} of {name}",
        why=f"training or another process registered it under that name too;"
        f" only version {version.version} of {version.name} is tested and gets an alias",
        fix=Wording(option("model-name", name), ", or remove `registered_model_name=` from the training"),
    )


def version_tags(record: Record) -> dict[str, str]:
    """The lineage that a version carries, as far as it is known: the tags of docs/identity.md."""
    tags = {
        "mlflow-uv.release-key": record.release_key,
        "mlflow-uv.lock-sha256": record.lock.sha256,
        "mlflow-uv.requirements-sha256": record.requirements.sha256,
        "mlflow-uv.model-sha256": record.model.sha256,
        "mlflow-uv.commit": record.commit.sha,
    }
    if record.image is not None:
        tags["mlflow-uv.image"] = record.image.id
    return tags


def _description(record: Record) -> str:
    return (
        f"Trained from {record.commit.description} (project `{record.commit.project}`) under uv.lock"
        f" {record.lock.sha256[:12]}."
    )


STEP = Step(
    name="register",
    summary="Register the model as a new version, or reuse the existing version of the same model.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
