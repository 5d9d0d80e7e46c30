"""Calls the payloads about a store: one method for each verb, with typed requests and responses."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from ...core.security.serve_env import NO_VARIABLES, ServeVariables
from ...payloads.messages.conversion import (
    ConversionResult,
    ConvertModel,
    FindExport,
    FoundExport,
    MeasureOriginal,
    ModelFigures,
)
from ...payloads.messages.deployments import ClaimDeployment, DeploymentClaim, RecordDeployment
from ...payloads.messages.evaluation import (
    EvaluateModel,
    EvaluationResult,
    FillEvaluation,
    FindEvaluation,
    FoundEvaluation,
    StartedEvaluation,
    StartEvaluation,
    WriteData,
    WrittenData,
)
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.models import (
    AnswerBySpark,
    AnswerRequests,
    CaseRequest,
    CaseRequests,
    DescribeCases,
    DescribeModel,
    DescribeSignature,
    DownloadModel,
    ExampleRequests,
    FindLatest,
    FindModels,
    FindReferencedModel,
    FindReleased,
    FoundModels,
    LatestModel,
    LogFolder,
    LoggedModelDescription,
    LoggedModelId,
    ModelAnswers,
    ModelCases,
    ModelSignature,
    OverwriteModel,
    ReadCases,
    ReadExample,
    ReleasedModels,
)
from ...payloads.messages.registry import (
    AliasMove,
    AssignAlias,
    DeletedVersions,
    DeleteVersions,
    DescribeName,
    DescribeRights,
    DescribeVersion,
    FindOrCreateVersion,
    FindRollback,
    FindVersions,
    FoundVersions,
    NameRights,
    PromoteVersion,
    RegisteredName,
    RegisteredVersion,
    RollBackAlias,
    RollbackTarget,
    SetTags,
    SettledVersion,
    TaggedRecord,
    TagRecord,
)
from ...payloads.messages.request import Done, Request
from ...payloads.messages.runs import (
    CloseAttempt,
    ClosedAttempt,
    CreatedRun,
    CreateRun,
    DescribeRun,
    DownloadRecord,
    EndRun,
    LogEntryPoint,
    LogRecord,
    PrepareExperiment,
    RunDescription,
)
from .mlflow import Mlflow, ModelRun
from .store import Store

T = TypeVar("T")


@lazy_dataclass
class StoreClient:
    """
    A store, and the interpreter whose MLflow accesses it.

    Each method is a verb, described at its request in `payloads/messages`. All of them raise the StepError for the kind
    of the payload's error (`errors.ERRORS`), and ValueError for a response that is not of its type.
    """

    mlflow: Mlflow
    python: Path
    store: Store

    def _ask(self, request: Request, response: type[T]) -> T:
        return self.mlflow.ask(self.python, self.store, request, response)

    # Runs

    def prepare_experiment(self, experiment: str, *, artifact_location: str | None) -> None:
        """See PrepareExperiment."""
        self._ask(PrepareExperiment(experiment=experiment, artifact_location=artifact_location), Done)

    def create_run(
        self, experiment: str, *, tags: Mapping[str, str], run_name: str, beside: str | None = None
    ) -> CreatedRun:
        """See CreateRun."""
        request = CreateRun(experiment=experiment, tags=tags, run_name=run_name, beside=beside)
        return self._ask(request, CreatedRun)

    def log_entry_point(self, run_id: str, *, folder: Path, entry_point: str, parameters: Mapping[str, str]) -> None:
        """See LogEntryPoint."""
        request = LogEntryPoint(run_id=run_id, folder=str(folder), entry_point=entry_point, parameters=parameters)
        self._ask(request, Done)

    def end_run(self, run_id: str, *, status: str) -> None:
        """See EndRun."""
        self._ask(EndRun(run_id=run_id, status=status), Done)

    def describe_run(self, run_id: str) -> RunDescription:
        """See DescribeRun."""
        return self._ask(DescribeRun(run_id=run_id), RunDescription)

    def log_record(self, run_id: str, *, file: Path, path: str) -> None:
        """See LogRecord."""
        self._ask(LogRecord(run_id=run_id, file=str(file), path=path), Done)

    def download_record(self, run_id: str, *, path: str, destination: Path) -> None:
        """See DownloadRecord."""
        self._ask(DownloadRecord(run_id=run_id, path=path, destination=str(destination)), Done)

    def close_attempt(self, tag: str, value: str, *, status: str) -> ClosedAttempt:
        """See CloseAttempt."""
        return self._ask(CloseAttempt(tag=(tag, value), status=status), ClosedAttempt)

    def set_tags(self, request: SetTags) -> None:
        """See SetTags; secrets in the values are masked."""
        self._ask(request, Done)

    def tag_record(self, request: TagRecord) -> str | None:
        """See TagRecord; the digest that the version has afterwards."""
        return self._ask(request, TaggedRecord).digest

    # Models

    def find_models(self, request: FindModels) -> FoundModels:
        """See FindModels."""
        return self._ask(request, FoundModels)

    def find_released(self, release_key: str) -> tuple[LoggedModelDescription, ...]:
        """See FindReleased; oldest first."""
        return self._ask(FindReleased(release_key=release_key), ReleasedModels).models

    def find_latest(self, project: str) -> LoggedModelDescription | None:
        """See FindLatest."""
        return self._ask(FindLatest(project=project), LatestModel).model

    def find_referenced_model(self, reference: str) -> str:
        """See FindReferencedModel."""
        return self._ask(FindReferencedModel(reference=reference), LoggedModelId).model_id

    def describe_model(self, model_id: str) -> LoggedModelDescription:
        """See DescribeModel."""
        return self._ask(DescribeModel(model_id=model_id), LoggedModelDescription)

    def log_folder(self, folder: Path, *, name: str, run_id: str) -> str:
        """See LogFolder; returns the id of the model."""
        return self._ask(LogFolder(folder=str(folder), name=name, run_id=run_id), LoggedModelId).model_id

    def download_model(self, model_id: str, destination: Path) -> None:
        """See DownloadModel."""
        self._ask(DownloadModel(model_id=model_id, destination=str(destination)), Done)

    def download_version(self, version: RegisteredVersion, destination: Path, *, files: tuple[str, ...] = ()) -> None:
        """Download these files of a version, all of them by default, by its logged model if it has one."""
        uri = None if version.model_id else f"models:/{version.name}/{version.version}"
        request = DownloadModel(model_id=version.model_id or None, uri=uri, destination=str(destination), files=files)
        self._ask(request, Done)

    def overwrite_model(self, model_id: str, *, folder: Path, delete: tuple[str, ...]) -> None:
        """See OverwriteModel."""
        self._ask(OverwriteModel(model_id=model_id, folder=str(folder), delete=delete), Done)

    def answer(
        self,
        request: AnswerRequests | AnswerBySpark,
        serve_env: ServeVariables = NO_VARIABLES,
        *,
        timeout_s: float | None = None,
    ) -> ModelAnswers:
        """
        See the requests; runs the model's code, with the variables in `serve_env` and without credentials.

        Raises TooSlow after `timeout_s`.
        """
        run = ModelRun(serve_env=serve_env, timeout_s=timeout_s)
        return self.mlflow.ask_model(self.python, self.store, request, ModelAnswers, run)

    def convert(self, request: ConvertModel, serve_env: ServeVariables, *, timeout_s: float | None) -> ConversionResult:
        """See ConvertModel; runs the model's code, as `answer`."""
        run = ModelRun(serve_env=serve_env, timeout_s=timeout_s)
        return self.mlflow.ask_model(self.python, self.store, request, ConversionResult, run)

    def measure_original(
        self, request: MeasureOriginal, serve_env: ServeVariables, *, timeout_s: float | None
    ) -> ModelFigures:
        """See MeasureOriginal; runs the model's code, as `answer`."""
        run = ModelRun(serve_env=serve_env, timeout_s=timeout_s)
        return self.mlflow.ask_model(self.python, self.store, request, ModelFigures, run)

    def find_export(self, request: FindExport) -> FoundExport:
        """See FindExport."""
        return self._ask(request, FoundExport)

    def describe_cases(self, model: Path) -> ModelCases:
        """See DescribeCases."""
        return self._ask(DescribeCases(model=str(model)), ModelCases)

    def read_example(self, file: Path) -> ExampleRequests:
        """See ReadExample."""
        return self._ask(ReadExample(file=str(file)), ExampleRequests)

    def read_cases(self, file: Path) -> tuple[CaseRequest, ...]:
        """See ReadCases."""
        return self._ask(ReadCases(file=str(file)), CaseRequests).cases

    def describe_signature(self, model: Path) -> ModelSignature:
        """See DescribeSignature."""
        return self._ask(DescribeSignature(model=str(model)), ModelSignature)

    # Evaluations

    def write_data(self, function: str, *, folder: Path, destination: Path) -> WrittenData:
        """See WriteData."""
        return self._ask(WriteData(function=function, folder=str(folder), destination=str(destination)), WrittenData)

    def evaluate(self, request: EvaluateModel, serve_env: ServeVariables = NO_VARIABLES) -> EvaluationResult:
        """See EvaluateModel; runs the model's code, with the variables in `serve_env` and without credentials."""
        return self.mlflow.ask_model(self.python, self.store, request, EvaluationResult, ModelRun(serve_env=serve_env))

    def start_evaluation(self, request: StartEvaluation) -> str:
        """See StartEvaluation; returns the id of the run."""
        return self._ask(request, StartedEvaluation).run_id

    def fill_evaluation(self, request: FillEvaluation) -> None:
        """See FillEvaluation."""
        self._ask(request, Done)

    def find_evaluation(self, model_ids: tuple[str, ...], tags: Mapping[str, str]) -> FoundEvaluation:
        """See FindEvaluation."""
        return self._ask(FindEvaluation(model_ids=model_ids, tags=tags), FoundEvaluation)

    # Registry

    def find_or_create_version(self, request: FindOrCreateVersion) -> SettledVersion:
        """See FindOrCreateVersion."""
        return self._ask(request, SettledVersion)

    def describe_version(self, name: str, version: str) -> RegisteredVersion:
        """See DescribeVersion."""
        return self._ask(DescribeVersion(name=name, version=version), RegisteredVersion)

    def find_versions(self, name: str) -> tuple[RegisteredVersion, ...]:
        """See FindVersions; lowest number first."""
        return self._ask(FindVersions(name=name), FoundVersions).versions

    def describe_name(self, name: str) -> RegisteredName:
        """See DescribeName."""
        return self._ask(DescribeName(name=name), RegisteredName)

    def describe_rights(self, name: str, *, experiment: str) -> NameRights:
        """See DescribeRights."""
        return self._ask(DescribeRights(name=name, experiment=experiment), NameRights)

    def assign_alias(self, request: AssignAlias) -> AliasMove:
        """See AssignAlias."""
        return self._ask(request, AliasMove)

    def promote(self, request: PromoteVersion) -> AliasMove:
        """See PromoteVersion."""
        return self._ask(request, AliasMove)

    def find_rollback(self, request: FindRollback) -> RollbackTarget:
        """See FindRollback."""
        return self._ask(request, RollbackTarget)

    def roll_back(self, request: RollBackAlias) -> AliasMove:
        """See RollBackAlias."""
        return self._ask(request, AliasMove)

    def delete_versions(self, request: DeleteVersions) -> DeletedVersions:
        """See DeleteVersions."""
        return self._ask(request, DeletedVersions)

    # Deployments

    def claim_deployment(self, request: ClaimDeployment) -> DeploymentClaim:
        """See ClaimDeployment."""
        return self._ask(request, DeploymentClaim)

    def record_deployment(self, request: RecordDeployment) -> None:
        """See RecordDeployment."""
        self._ask(request, Done)
