"""Describes a registered version in a small file: what the comment on a pull request compares with the champion."""

from typing import Annotated

from ..command.inputs import NAME, ChampionInputs, ModelNameInputs, RegistryInputs, VersionNumber
from ..command.report import Report, counted
from ..command.step import Doc, Matching, OneRun, Step
from ..core.version_difference.comparison import without_champion
from ..core.version_difference.description import DescriptionFile, champion_artifact
from ..core.version_difference.document import description_document
from ..ops.lineage.registry_client import connect
from ..ops.lineage.version_lookup import VersionInput, version_number
from ..ops.versions.description import describe_for_comparison
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.project.files import bounds_of, write_atomically
from ..tools.toolbox import Tools

DESCRIBED = VersionInput(name="described-version", usual="champion", origin="release")


@lazy_dataclass
class Inputs(RegistryInputs, ModelNameInputs, ChampionInputs):
    """Inputs of describe-version: the version, and the file that is written."""

    described_version: Annotated[
        str,
        OneRun(),
        Doc("Alias or number of the version to describe; by default the champion, and nothing if there is none yet."),
        Matching(rf"(?:{NAME})?", "an alias or a number"),
    ] = ""
    omit_answers: Annotated[
        bool, Doc("Describe the recorded answers by their digests alone, because a pull request shows their values.")
    ] = False
    description_file: DescriptionFile = None


@lazy_dataclass
class Outputs:
    """Outputs of describe-version."""

    model_name: Annotated[str, Doc("Name of the registered model.")]
    version: VersionNumber
    description_file: DescriptionFile
    champion_artifact: Annotated[
        str, Doc("Name of the artifact in which post-comment looks for the description of this model's champion.")
    ]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Describe a version, or the champion if there is one; the store is only read.

    Raises BadInput, StoreUnreachable, ToolFailed.
    """
    registry = connect(inputs, tools)
    name = registry.model_name(inputs.model_name)
    artifact = champion_artifact(name)
    version = inputs.described_version or registry.client.describe_name(name).aliases.get(inputs.champion)
    if version is None:
        outputs = Outputs(model_name=name, version="", description_file=None, champion_artifact=artifact)
        return Report(outputs=outputs, summary=f"{name} has no {inputs.champion} yet: nothing is described")
    version = version_number(registry, name, version, DESCRIBED)
    description = describe_for_comparison(registry, name=name, version=version, with_answers=not inputs.omit_answers)
    data = description_document(description)
    if inputs.description_file is not None:
        write_atomically(inputs.description_file, data, within=bounds_of(inputs.description_file))
    written = f" in {inputs.description_file}" if inputs.description_file else ""
    return Report(
        outputs=Outputs(
            model_name=name,
            version=version,
            description_file=inputs.description_file,
            champion_artifact=artifact,
        ),
        summary=f"{name} version {version} described{written}: {counted(len(description.answers), 'answer')},"
        f" {counted(len(description.packages), 'package')}, {len(data) / 1000:.0f} kB",
        tables=without_champion(description, "").tables,
    )


STEP = Step(
    name="describe-version",
    summary="Describe a registered version in a small file: the metrics, answers, signature and packages that a pull"
    " request compares.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
