"""Scores a table with a registered version, in its own environment, in bounded batches that a later run continues."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from ..command.errors import BadInput
from ..command.inputs import (
    Isolation,
    IsolationInputs,
    ModelDigest,
    ModelPlace,
    RegistryInputs,
    ServeEnvInputs,
    SparkMaster,
    StrictInputs,
    VersionInputs,
    VersionNumber,
)
from ..command.limits import Limits
from ..command.report import Finding, Report, Severity, counted
from ..command.step import Doc, OneRun, Quoted, Step
from ..command.wording import option
from ..core.scoring.layout import TableFormat
from ..core.security.documents import parse_json
from ..core.security.serve_env import serve_variables
from ..ops.image.isolation import download_version
from ..ops.lineage.registry_client import connect
from ..ops.lineage.version_lookup import VERSION_URI, parsed_uri, version_number
from ..ops.scoring.inputs import InputTable, identified, input_table
from ..ops.scoring.output import opened_output, rejects_folder
from ..ops.scoring.score import ScoringOptions, ScoringPlan, removed_on_error, score_table, summary
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..payloads.messages.tags import RELEASE_KEY
from ..tools.toolbox import Tools


class OutputFormat(Enum):
    """The format of the parts of an output; `auto` is that of the input."""

    AUTO = "auto"
    PARQUET = "parquet"
    CSV = "csv"
    JSON_LINES = "jsonl"


@lazy_dataclass
class Inputs(RegistryInputs, VersionInputs, IsolationInputs, ServeEnvInputs, StrictInputs):
    """Inputs of score: the version, the table, and what is written."""

    input: Annotated[
        Path, OneRun(), Doc("Table to score: a Parquet, CSV or JSON Lines file, or a folder with such files.")
    ]
    output: Annotated[
        Path,
        OneRun(),
        Doc("Folder for the predictions, in which an interrupted run is continued; one with other content is refused."),
    ]
    output_format: Annotated[
        OutputFormat, Doc("Format of the output; `auto` is the format of the input, if all its files have the same.")
    ] = OutputFormat.AUTO
    key_columns: Annotated[
        tuple[str, ...], Quoted(), Doc("Columns of the input that are copied to the output, such as an id.")
    ] = ()
    params: Annotated[
        str | None, Doc('Inference parameters that are passed to `predict`, as a JSON object such as {"top_k": 3}.')
    ] = None
    spark_master: SparkMaster = None
    batch_rows: Annotated[int, Limits(least=1), Doc("Number of rows that the model gets in one call.")] = 10_000
    part_rows: Annotated[
        int,
        Limits(least=1),
        Doc("Approximate number of rows in one file of the output; a run is continued after the last complete file."),
    ] = 1_000_000


@lazy_dataclass
class Outputs:
    """Outputs of score."""

    model_name: Annotated[str, Doc("Name of the registered model.")]
    version: VersionNumber
    model_sha256: ModelDigest
    output: Annotated[Path, Doc("Folder with the predictions.")]
    rows: Annotated[int, Doc("Number of rows with a prediction.")]
    rejected: Annotated[int, Doc("Number of rows that could not be scored.")]
    rejects: Annotated[
        Path | None, Doc("Folder with the rows that could not be scored and the reasons; empty if there are none.")
    ]
    reused_parts: Annotated[int, Doc("Number of parts of the output that were kept from an earlier run.")]
    isolation: ModelPlace


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Score every row that an earlier run with the same model, input and options has not scored.

    Raises BadInput, ChainBroken, ModelUnusable, NoSpace, ToolFailed, StoreUnreachable.
    """
    name, number, alias = parsed_uri(inputs.version_uri)
    table = input_table(inputs.input)
    options = _options(inputs, table)
    serve_env = serve_variables(inputs.serve_env, tools.host.variables)
    with (
        opened_output(inputs.output, inputs.input) as output,
        removed_on_error(output),
        TemporaryDirectory(prefix="mlflow-uv-score-") as scratch,
    ):
        registry = connect(inputs, tools)
        version = version_number(registry, name, alias or number, VERSION_URI)
        subject = download_version(registry, name, version, Path(scratch) / "model")
        plan = ScoringPlan(
            subject=subject,
            release_key=str(registry.client.describe_version(name, version).tags.get(RELEASE_KEY, "")),
            table=table,
            inputs=identified(table, output.recorded),
            options=options,
            strict=inputs.strict,
            isolation=inputs.isolation,
            serve_env=serve_env,
            scratch=Path(scratch),
            spark_master=inputs.spark_master,
        )
        output.begin(plan.key, plan.run, plan.inputs, strict=inputs.strict)
        reused = len(output.manifest.parts)
        scored = score_table(registry, plan, output)
        parts = output.manifest.parts
        rejected = sum(part.rejected for part in parts)
        return Report(
            outputs=Outputs(
                model_name=name,
                version=version,
                model_sha256=subject.sha256,
                output=inputs.output,
                rows=sum(part.rows for part in parts),
                rejected=rejected,
                rejects=rejects_folder(inputs.output) if rejected else None,
                reused_parts=reused,
                isolation=scored.isolation,
            ),
            summary=f"{subject.shown}: {summary(output, scored.pace)}",
            findings=(*scored.findings, *_ignored(table)),
        )


def _options(inputs: Inputs, table: InputTable) -> ScoringOptions:
    if inputs.spark_master is not None and inputs.isolation is Isolation.IMAGE:
        raise BadInput(
            what="a model is not run in its image on Spark",
            why="the processes of a cluster run it",
            fix=option("isolation", Isolation.PROCESS.value),
        )
    return ScoringOptions(
        params=_params(inputs.params),
        key_columns=inputs.key_columns,
        format=_format(inputs.output_format, table),
        batch_rows=inputs.batch_rows,
        part_rows=inputs.part_rows,
    )


def _params(text: str | None) -> Mapping[str, Any] | None:
    if text is None:
        return None
    try:
        params = parse_json(text)
    except ValueError as error:
        raise BadInput(what="`params` is not JSON", why=str(error), fix=option("params", '{"NAME": VALUE}')) from error
    if not isinstance(params, dict):
        why = f"it is {text!r}, and parameters have names"
        raise BadInput(what="`params` is not a JSON object", why=why, fix=option("params", '{"NAME": VALUE}'))
    return params


def _format(chosen: OutputFormat, table: InputTable) -> TableFormat:
    if chosen is not OutputFormat.AUTO:
        return TableFormat(chosen.value)
    if len(table.formats) > 1:
        raise BadInput(
            what="the input has files of several formats",
            why=f"they are {', '.join(sorted(kind.value for kind in table.formats))}, and the output has one",
            fix=option("output-format", OutputFormat.PARQUET.value),
        )
    (kind,) = table.formats
    return kind


def _ignored(table: InputTable) -> tuple[Finding, ...]:
    if not table.ignored:
        return ()
    finding = Finding(
        rule="file-ignored",
        severity=Severity.NOTICE,
        what=f"{counted(len(table.ignored), 'file')} of the input were not read, such as `{table.ignored[0]}`",
        why="they are neither Parquet nor CSV nor JSON Lines",
    )
    return (finding,)


STEP = Step(
    name="score",
    summary="Score a table with a registered version in its own environment, in batches that a later run continues.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
