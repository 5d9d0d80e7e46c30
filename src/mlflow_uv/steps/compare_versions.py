"""Compares the descriptions of two versions, as the comment on a pull request does, from two files alone."""

from pathlib import Path
from typing import Annotated

from ..command.errors import BadInput
from ..command.inputs import ProjectInputs
from ..command.report import Report
from ..command.step import Doc, OneRun, Step
from ..command.wording import option
from ..core.version_difference.comment import comment_of_release
from ..core.version_difference.comparison import compare_descriptions
from ..core.version_difference.description import DescriptionFile
from ..ops.versions.released_versions import read_file
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.lock_toolbox import LockTools
from ..tools.project.files import bounds_of, write_atomically


@lazy_dataclass
class Inputs(ProjectInputs):
    """Inputs of compare-versions: both descriptions, and the file that is written. No project is needed."""

    description_file: DescriptionFile = None
    champion_file: Annotated[
        Path | None, OneRun(), Doc("File of the description of the champion, which describe-version writes.")
    ] = None
    markdown_file: Annotated[Path | None, OneRun(), Doc("File for the comparison as Markdown.")] = None


@lazy_dataclass
class Outputs:
    """Outputs of compare-versions."""

    differs: Annotated[bool, Doc("Whether anything that is compared differs.")]


def run(inputs: Inputs, tools: LockTools) -> Report[Outputs]:  # noqa: ARG001  # as every step
    """Compare two files, neither of which is trusted. Raises BadInput for any other file."""
    if inputs.description_file is None or inputs.champion_file is None:
        missing = "description-file" if inputs.description_file is None else "champion-file"
        raise BadInput(
            what="there are not two versions to compare",
            why=f"`{missing}` is not set",
            fix=option(missing, "FILE"),
        )
    version, champion = read_file(inputs.description_file), read_file(inputs.champion_file)
    comparison = compare_descriptions(version, champion)
    if inputs.markdown_file is not None:
        document = comment_of_release(comparison).encode()
        write_atomically(inputs.markdown_file, document, within=bounds_of(inputs.markdown_file))
    return Report(
        outputs=Outputs(differs=any(subject.count for subject in comparison.subjects)),
        summary=comparison.verdict,
        tables=comparison.tables,
        advice=comparison.notes,
    )


STEP = Step(
    name="compare-versions",
    summary="Compare the descriptions of two versions, as the comment on a pull request does.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
