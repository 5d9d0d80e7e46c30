"""Serves a model in each way, sends it the recorded requests, and compares the answers with those of training."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...command.errors import BadInput, NotServing, StepError
from ...command.inputs import Isolation
from ...command.lazy_pattern import lazy_pattern
from ...command.wording import Wording, option, suggestion
from ...core.security.documents import parse_json
from ...core.verify.results import Verdict, WayResult
from ...core.verify.spark_tables import spark_requests
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.models import AnswerBySpark
from ...tools.engines.engine import ServerSettings, ServingContainer
from ...tools.mlflow.store_client import StoreClient
from ...tools.system.commands import TooSlow
from ...tools.system.memory import memory_peak
from ..image.isolation import ExecutionPlace, choose_isolation, download_version
from ..image.serving_check import observe
from ..model.folder_changes import CHANGES_FIX, changed_files, changes_reason, file_digests
from .comparison import Verification, compared, load_and_compare, masked, own_fix
from .environments import EnvironmentSource
from .project_run import run_project
from .v2 import MODEL as V2_MODEL
from .v2 import answers_by_v2

# `mlflow models predict` imports MLflow and loads the model for each request.
_MOST_PREDICTED = 3
# Complaints of a check that are not about predictions: MLflow's own server answers some malformed requests with 500.
_OTHER_RULES = frozenset({"malformed-accepted"})
_COMMAND_FAILED = "Exception: Command '["
_ERROR = lazy_pattern(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt)\b")  # the last line of a traceback


@lazy_dataclass
class Way:
    """
    A way of serving a model; `run` returns its result without seconds and memory. Raises StepError if it fails.

    The memory of a model `in_container` is not measured: its process does not descend from this one. A way that is
    `opt_in` is only tried if it is named.
    """

    name: str
    run: Callable[[Verification], WayResult]
    in_container: bool = False
    opt_in: bool = False


def select_ways(words: Iterable[str]) -> tuple[Way, ...]:
    """
    Return the ways that the words name: by name, by environment, or by method. Without words, all but opt-in ways.

    Raises BadInput for a word that names none.
    """
    words = tuple(words)
    for word in words:
        if not any(_named(way, word) for way in WAYS):
            known = [*(way.name for way in WAYS), *_METHODS, "v2", *(source.value for source in EnvironmentSource)]
            raise BadInput(
                what=f"`{word}` is not a way of serving a model",
                why=f"they are {', '.join(way.name for way in WAYS)}",
                fix=suggestion(word, known) or option("ways", WAYS[0].name),
            )
    return tuple(way for way in WAYS if (any(_named(way, word) for word in words) if words else not way.opt_in))


def verify(way: Way, verification: Verification) -> WayResult:
    """Return the result of a way: it has failed, too, if it raises a StepError or changes files of the model."""
    clock, model = verification.registry.tools.clock, verification.subject.model
    before = file_digests(model)
    begun = clock.now_s()
    with memory_peak() as peak:
        try:
            result = way.run(verification)
        except StepError as error:
            result = _failed(way.name, error)
    seconds = clock.now_s() - begun if result.verdict is not Verdict.UNAVAILABLE else 0.0
    if changed := changed_files(before, model):
        # The next way gets the registered files again.
        shutil.rmtree(model)
        download_version(verification.registry, verification.subject.name, verification.subject.version, model)
        result = _changed(way.name, result, changed)
    return WayResult(
        way=way.name,
        verdict=result.verdict,
        requests=result.requests,
        seconds=seconds,
        memory=0 if way.in_container else peak.bytes,
        why=masked(result.why, verification),
        fix=result.fix,
        image=result.image,
    )


def _failed(way: str, error: StepError) -> WayResult:
    """The result of a way that raised an error; one that reached its time limit is too slow."""
    why = ": ".join(filter(None, (str(error.what), str(error.why))))
    if isinstance(error, TooSlow):
        longer = Wording(option("time-limit", "SECONDS"), " if it only needs longer")
        return WayResult(way=way, verdict=Verdict.FAILED, why=f"it is too slow: {why}", fix=longer)
    return WayResult(way=way, verdict=Verdict.FAILED, why=why, fix=own_fix(error.fix))


def _changed(way: str, result: WayResult, files: tuple[str, ...]) -> WayResult:
    """The result of a way in which the model changed its own files, which another server may share or forbid."""
    return WayResult(
        way=way,
        verdict=Verdict.FAILED,
        requests=result.requests,
        why="; ".join(filter(None, (result.why, changes_reason(files)))),
        fix=result.fix or CHANGES_FIX,
        image=result.image,
    )


def _named(way: Way, word: str) -> bool:
    """Whether a word names a way: the name of a way names only that, another word is a part of the name."""
    return word == way.name if any(word == other.name for other in WAYS) else word in way.name.split("-")


def _load(way: str, python: Path, verification: Verification) -> WayResult:
    """Load the model with MLflow."""
    tools = verification.registry.tools
    store = tools.mlflow.store(f"sqlite:///{verification.scratch / 'unused.db'}", embedded=False)
    client = StoreClient(mlflow=tools.mlflow, python=python, store=store)
    return load_and_compare(way, client, verification.subject.model, verification)


def _predict(way: str, python: Path, verification: Verification) -> WayResult:
    """Call `mlflow models predict` with each of the first requests in a file."""
    answers: list[Any] = []
    expected = verification.expected
    folder = verification.scratch / way
    folder.mkdir()
    for number, recorded in enumerate(verification.requests[:_MOST_PREDICTED], start=1):
        request, response = folder / f"request-{number}.json", folder / f"response-{number}.json"
        request.write_text(recorded.body, encoding="utf-8")
        completed = verification.environments.commands.predict(
            python, verification.subject.model, request=request, response=response, serve_env=expected.serve_env
        )
        if completed.code != 0 or not response.is_file():
            why = masked(f"request {number}: {completed.last_line}", verification)
            return WayResult(way=way, verdict=Verdict.FAILED, requests=number, why=why)
        try:
            answers.append(parse_json(response.read_bytes()))
        except ValueError as error:
            why = f"the response to request {number} cannot be read as JSON: {error}"
            return WayResult(way=way, verdict=Verdict.FAILED, requests=number, why=why)
    return compared(way, tuple(answers), verification.answers[: len(answers)], verification)


def _serve(way: str, python: Path, verification: Verification) -> WayResult:
    """Start `mlflow models serve`, and send it the requests; it has no streams."""
    verification = replace(verification, expected=replace(verification.expected, requests=verification.requests))
    servers = verification.registry.tools.servers
    settings = ServerSettings(serve_env=verification.expected.serve_env)
    with _stopped(servers.serve_by_mlflow(python, verification.subject.model, settings)) as server:
        return _observed(way, server, verification)


def _image(way: str, place: ExecutionPlace, verification: Verification) -> WayResult:
    """Start the version's image, and send it the requests."""
    with _serving_image(place, verification) as server:
        return _observed(way, server, verification)


def _image_by_v2(way: str, place: ExecutionPlace, verification: Verification) -> WayResult:
    """Start the version's image, and send it the requests in the V2 protocol."""
    with _serving_image(place, verification) as server:
        return _by_v2(way, server, verification)


@contextmanager
def _serving_image(place: ExecutionPlace, verification: Verification) -> Iterator[ServingContainer]:
    assert place.engine is not None  # noqa: S101  # _in_image checked it
    expected = verification.expected
    given = ServerSettings(settings={"MODEL_NAME": V2_MODEL}, serve_env=expected.serve_env)
    with _stopped(place.engine.serve(place.image, network=expected.network, given=given)) as server:
        yield server


def _process(way: str, python: Path, verification: Verification) -> WayResult:
    """Start this program's server in a process, and send it the requests."""
    with _serving_process(python, verification) as server:
        return _observed(way, server, verification)


def _process_by_v2(way: str, python: Path, verification: Verification) -> WayResult:
    """Start this program's server in a process, and send it the requests in the V2 protocol."""
    with _serving_process(python, verification) as server:
        return _by_v2(way, server, verification)


@contextmanager
def _serving_process(python: Path, verification: Verification) -> Iterator[ServingContainer]:
    given = ServerSettings(settings={"MODEL_NAME": V2_MODEL}, serve_env=verification.expected.serve_env)
    with _stopped(verification.registry.tools.servers.serve(python, verification.subject.model, given)) as server:
        yield server


def _by_v2(way: str, server: ServingContainer, verification: Verification) -> WayResult:
    """Send the requests that V2 can express, and compare the predictions."""
    recorded = verification.contents, verification.answers
    answers = answers_by_v2(server, recorded, verification.expected.deadline_s, verification.registry.tools)
    if not answers.answers:
        return WayResult(way=way, verdict=Verdict.UNAVAILABLE, why=answers.why)
    return compared(way, answers.answers, answers.recorded, verification)


def _spark(way: str, python: Path, verification: Verification) -> WayResult:
    """Score the tables of the requests on Spark, with `mlflow.pyfunc.spark_udf`."""
    expected = verification.expected
    selected, why = spark_requests(verification.contents, verification.answers)
    if not selected:
        return WayResult(way=way, verdict=Verdict.UNAVAILABLE, why=why)
    tools = verification.registry.tools
    store = tools.mlflow.store(f"sqlite:///{verification.scratch / 'unused.db'}", embedded=False)
    request = AnswerBySpark(
        model=str(verification.subject.model),
        requests=tuple(chosen.request for chosen in selected),
        result_types=tuple(chosen.result_type for chosen in selected),
        master=verification.spark_master,
        streaming=way == "spark-stream",
    )
    client = StoreClient(mlflow=tools.mlflow, python=python, store=store)
    answers = client.answer(request, expected.serve_env, timeout_s=expected.deadline_s)
    return compared(way, answers.answers, tuple(chosen.answer for chosen in selected), verification)


@contextmanager
def _stopped(server: ServingContainer) -> Iterator[ServingContainer]:
    """Stop and remove a server when the block ends."""
    try:
        yield server
    finally:
        server.stop()


def _observed(way: str, server: ServingContainer, verification: Verification) -> WayResult:
    requests = len(verification.expected.requests)
    try:
        observed = observe(server, verification.expected, verification.registry.tools)
    except NotServing as error:
        why = masked(f"{error.what}: {_cause(error.why, server.log())}", verification)
        return WayResult(way=way, verdict=Verdict.FAILED, why=why, fix=own_fix(error.fix))
    complaints = [finding for finding in observed.complaints if finding.rule not in _OTHER_RULES]
    if not complaints:
        return WayResult(way=way, verdict=Verdict.EQUAL, requests=requests)
    differing = all(finding.rule == "answers-differ" for finding in complaints)
    why = "; ".join(f"{finding.what}: {finding.why}" if finding.why else finding.what for finding in complaints[:3])
    return WayResult(
        way=way,
        verdict=Verdict.DIFFERENT if differing else Verdict.FAILED,
        requests=requests,
        why=masked(why, verification),
        fix=own_fix(complaints[0].fix),
    )


def _cause(why: str, log: str) -> str:
    """The error of the server: `mlflow models serve` ends with one that says only that its command failed."""
    if not why.startswith(_COMMAND_FAILED):
        return why
    errors = [line for line in log.splitlines() if _ERROR.match(line) and not line.startswith(_COMMAND_FAILED)]
    return errors[-1] if errors else why


_Method = Callable[[str, Path, Verification], WayResult]
_METHODS: dict[str, _Method] = {"load": _load, "predict": _predict, "serve": _serve}


def _in_environment(source: EnvironmentSource, name: str, method: _Method) -> Way:
    def run(verification: Verification) -> WayResult:
        environment = verification.environments.environment(source)
        if environment.python is None:
            verdict = Verdict.UNAVAILABLE if environment.unavailable else Verdict.FAILED
            return WayResult(way=name, verdict=verdict, why=environment.why, fix=environment.fix)
        return method(name, environment.python, verification)

    return Way(name=name, run=run)


def _in_image(name: str, method: Callable[[str, ExecutionPlace, Verification], WayResult]) -> Way:
    def run(verification: Verification) -> WayResult:
        scratch = verification.scratch / f"record-of-{name}.json"
        place = choose_isolation(verification.registry, verification.subject, Isolation.AUTO, scratch, any_serving=True)
        if place.engine is None:
            return WayResult(way=name, verdict=Verdict.UNAVAILABLE, why=place.reason)
        try:
            result = method(name, place, verification)
        except StepError as error:
            result = _failed(name, error)
        return replace(result, image=place.recorded)

    return Way(name=name, run=run, in_container=True)


WAYS = (
    *(
        _in_environment(source, f"{source.value}-{name}", method)
        for source in EnvironmentSource
        if source is not EnvironmentSource.SPARK
        for name, method in _METHODS.items()
    ),
    _in_environment(EnvironmentSource.LOCKED, "process", _process),
    _in_environment(EnvironmentSource.LOCKED, "process-v2", _process_by_v2),
    _in_image("image", _image),
    _in_image("image-v2", _image_by_v2),
    _in_environment(EnvironmentSource.SPARK, "spark-batch", _spark),
    _in_environment(EnvironmentSource.SPARK, "spark-stream", _spark),
    Way(name="project", run=lambda verification: run_project("project", verification), opt_in=True),
)
