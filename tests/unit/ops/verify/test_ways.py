"""Tests which ways of serving are selected, and what the result of one is."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from mlflow_uv.command.wording import Wording, option, step_call
from mlflow_uv.core.model.answer_paths import parse_path
from mlflow_uv.core.model.recorded_requests import from_examples
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.core.verify.results import Verdict, WayResult
from mlflow_uv.ops.image.serving_check import Expected
from mlflow_uv.ops.verify.comparison import Verification
from mlflow_uv.ops.verify.environments import EnvironmentSource, ModelEnvironment, ModelEnvironments
from mlflow_uv.ops.verify.ways import WAYS, Way, select_ways, verify
from mlflow_uv.payloads.messages.registry import RegisteredVersion
from mlflow_uv.tools.mlflow.model_requests import ModelReply, ModelRequest
from mlflow_uv.tools.system.process import Completed, TooSlow
from tests.console import KeptConsole
from tests.messages import VERSION

NAMES = (
    "locked-load", "locked-predict", "locked-serve", "uv-load", "uv-predict", "uv-serve", "virtualenv-load",
    "virtualenv-predict", "virtualenv-serve", "conda-load", "conda-predict", "conda-serve",
)  # fmt: skip
COMPARE = "compare the two environments, or set mlflow-uv log-model --tolerance NUMBER"
SEND = (
    "send it: curl --header 'Content-Type: application/json' --data-raw '{\"inputs\": [1]}'"
    " http://127.0.0.1:8080/invocations"
)
UNREADABLE = "the response to request 1 cannot be read as JSON: "
BY_HAND = "compare the two environments"
SECRET = "canary-of-the-model"  # planted
CALLERS = "canary-of-the-caller"  # planted


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ((), (*NAMES, "process", "process-v2", "image", "image-v2", "spark-batch", "spark-stream")),
        (("spark",), ("spark-batch", "spark-stream")),
        (("uv-serve",), ("uv-serve",)),
        (("uv",), ("uv-load", "uv-predict", "uv-serve")),
        (("locked",), ("locked-load", "locked-predict", "locked-serve")),
        (("predict",), ("locked-predict", "uv-predict", "virtualenv-predict", "conda-predict")),
        (("image", "process"), ("process", "image")),
        (("v2",), ("process-v2", "image-v2")),
        (("serve", "uv-serve", "serve"), ("locked-serve", "uv-serve", "virtualenv-serve", "conda-serve")),
        (("image", "locked-load"), ("locked-load", "image")),
    ],
    ids=" ".join,
)
def test_ways_are_selected_by_name_environment_or_method(words: tuple[str, ...], names: tuple[str, ...]) -> None:
    """
    Each once, in the order of all ways; all without any word.
    """
    found = select_ways(words)

    assert names == tuple(way.name for way in found)


@pytest.mark.parametrize(
    ("word", "fix"),
    [
        ("uv-servee", "did you mean `uv-serve`?"),
        ("proces", "did you mean `process`?"),
        ("cnda", "did you mean `conda`?"),
        ("9", f"--ways {WAYS[0].name}"),
        ("", f"--ways {WAYS[0].name}"),
        ("uv-", "did you mean `uv`?"),
    ],
)
def test_a_word_that_names_no_way_is_refused_with_the_most_similar(word: str, fix: str) -> None:
    """
    Even beside words that name some; the reason lists all ways.
    """
    with pytest.raises(BadInput) as refused:
        select_ways(("uv", word))

    assert (f"`{word}` is not a way of serving a model", fix) == (refused.value.what, str(refused.value.fix))
    assert f"they are {', '.join(way.name for way in WAYS)}" == refused.value.why


@dataclass
class FakeServer:
    """A model server that answers one request so, and keeps whether it was stopped."""

    reply: ModelReply | None
    ends: bool = False
    healthy: bool = True
    malformed: int = 400
    printed: str = f"it ended with {SECRET}\n"
    stopped: int = 0

    def send(self, request: ModelRequest) -> ModelReply | None:
        """See ServingContainer."""
        if request.path == "/ping":
            return ModelReply(status=200, body="") if self.healthy else None
        if request.body is not None and request.body.startswith(b'{"this is"'):
            return ModelReply(status=self.malformed, body="{}")
        return self.reply

    def code(self) -> int | None:
        """See ServingContainer."""
        return 3 if self.ends else None

    def log(self) -> str:
        """See ServingContainer."""
        return self.printed

    def stop(self) -> None:
        """See ServingContainer."""
        self.stopped += 1


SAME, OTHER, REFUSAL = (
    ModelReply(status=status, body=body) for status, body in ((200, "[1.0]"), (200, "[3.0]"), (400, f"no {SECRET}"))
)
ENDED = "was healthy: it ended with ***"
LONGER = "--time-limit SECONDS if it only needs longer"


@dataclass
class Fakes:
    """A version with two recorded requests, in an environment, and everything that can answer them."""

    folder: Path
    environment: ModelEnvironment = field(default_factory=lambda: ModelEnvironment(python=Path("/env/bin/python")))
    answers: tuple[Any, ...] = ([1.0], [2.0])
    server: FakeServer = field(default_factory=lambda: FakeServer(ModelReply(status=200, body="[1.0]")))
    predicted: list[bytes | None] = field(default_factory=lambda: [b"[1.0]", b"[2.0]"])
    downloads: int = 0
    seconds: float = 0.0

    def verification(self, **expected: Any) -> Verification:
        """As a way takes it."""
        model = self.folder / "model"
        model.mkdir()
        (model / "MLmodel").write_text("flavors: {}")
        tools = SimpleNamespace(
            clock=self,
            console=KeptConsole(),
            servers=SimpleNamespace(serve=lambda *_: self.server, serve_by_mlflow=lambda *_: self.server),
        )
        client = SimpleNamespace(describe_version=lambda *_: self._version(), download_version=self._download)
        requests = from_examples(
            expected.pop("cases", [{"inputs": [1]}, {"inputs": [2]}]), expected.pop("answers", [[1.0], [2.0]])
        )
        words: dict[str, Any] = {
            "tolerance": 1e-6,
            "deadline_s": 5.0,
            "network": False,
            **expected,
        }
        return Verification(
            registry=cast("Any", SimpleNamespace(tools=tools, client=client)),
            subject=cast("Any", SimpleNamespace(name="wine", version="1", model=model, shown="wine version 1")),
            environments=cast("ModelEnvironments", SimpleNamespace(environment=self._environment, commands=self)),
            expected=Expected(requests=requests, **{"serve_env": ServeVariables({"MODEL_KEY": SECRET}), **words}),
            scratch=self.folder,
            spark_master="local[2]",
            secrets=(CALLERS,),
        )

    def now_s(self) -> float:
        """See Clock; each look takes two seconds."""
        self.seconds += 2.0
        return self.seconds

    def wait(self, seconds: float) -> None:
        """See Clock."""
        self.seconds += seconds

    def predict(
        self, _python: Path, _model: Path, *, request: Path, response: Path, serve_env: ServeVariables
    ) -> Completed:
        """See ModelCommands."""
        assert serve_env.names == ("MODEL_KEY",)
        json.loads(request.read_text())
        body = self.predicted[int(request.stem.rpartition("-")[2]) - 1]
        if body is None:
            response.write_bytes(b"[2.0]")
            return Completed(code=1, stdout="", stderr=f"Traceback\nValueError: not with {SECRET}")
        response.write_bytes(body)
        return Completed(code=0, stdout="", stderr="")

    def _environment(self, _source: EnvironmentSource) -> ModelEnvironment:
        return self.environment

    def _version(self) -> RegisteredVersion:
        return replace(VERSION, tags={})

    def _download(self, _version: RegisteredVersion, model: Path) -> None:
        self.downloads += 1
        model.mkdir()
        (model / "MLmodel").write_text("flavors: {}")


@pytest.fixture
def fakes(tmp_path: Path) -> Fakes:
    """Everything answers as training did."""
    return Fakes(folder=tmp_path)


def way_of(result: WayResult | Exception) -> Way:
    """A way with this result."""

    def run(_verification: Verification) -> WayResult:
        if isinstance(result, Exception):
            raise result
        return result

    return Way(name="mine", run=run)


def named(name: str) -> Way:
    """The way of this name."""
    (way,) = select_ways((name,))
    return way


def test_an_error_of_a_way_is_its_result_with_values_masked(fakes: Fakes) -> None:
    """
    The fix is kept, and the other ways are tried.
    """
    error = ToolFailed(what=f"`python` failed with {SECRET}", why=f"key={CALLERS}", fix="mlflow-uv doctor")

    found = verify(way_of(error), fakes.verification())

    why = "`python` failed with ***: key=***"
    assert WayResult(way="mine", verdict=Verdict.FAILED, seconds=2.0, why=why, fix="mlflow-uv doctor") == found


def test_a_way_that_reaches_the_time_limit_is_too_slow(fakes: Fakes) -> None:
    """
    The limit is an input of this step.
    """
    error = TooSlow(what="`python` did not respond within 9 s", why="it was stopped")

    found = verify(way_of(error), fakes.verification())

    why = "it is too slow: `python` did not respond within 9 s: it was stopped"
    assert (Verdict.FAILED, why, LONGER) == (found.verdict, found.why, found.fix)


def test_a_way_that_cannot_run_takes_no_time(fakes: Fakes) -> None:
    """
    Only what was tried has seconds.
    """
    tried, untried = (WayResult(way="mine", verdict=verdict) for verdict in (Verdict.EQUAL, Verdict.UNAVAILABLE))
    verification = fakes.verification()

    found = [verify(way_of(result), verification).seconds for result in (tried, untried)]

    assert [2.0, 0.0] == found


@pytest.mark.parametrize(
    ("unavailable", "verdict"), [(True, Verdict.UNAVAILABLE), (False, Verdict.FAILED)], ids=["no program", "failed"]
)
@pytest.mark.parametrize("name", [way.name for way in WAYS if not (way.in_container or way.opt_in)])
def test_without_an_environment_a_way_has_its_reason(
    fakes: Fakes, name: str, verdict: Verdict, *, unavailable: bool
) -> None:
    """
    A machine that lacks a program says nothing about the model; an environment that cannot be created does.
    """
    fakes.environment = ModelEnvironment(why="no six", fix="get six", unavailable=unavailable)

    found = named(name).run(fakes.verification())

    assert WayResult(way=name, verdict=verdict, why="no six", fix="get six") == found


def test_predictions_of_the_command_are_compared(fakes: Fakes) -> None:
    """
    Each is read from the file that MLflow wrote.
    """
    found = named("uv-predict").run(fakes.verification())

    assert WayResult(way="uv-predict", verdict=Verdict.EQUAL, requests=2) == found


def test_only_the_first_requests_are_predicted_by_the_command(fakes: Fakes) -> None:
    """
    It imports MLflow for each; the fourth would have no answer here.
    """
    fakes.predicted = [b"[1.0]"] * 3
    verification = fakes.verification(cases=[{"inputs": [1]}] * 9, answers=[[1.0]] * 9)

    found = named("uv-predict").run(verification)

    assert (Verdict.EQUAL, 3) == (found.verdict, found.requests)


@pytest.mark.parametrize(
    ("predicted", "verdict", "why", "fix"),
    [
        ([b"[1.0]", b"[2.5]"], Verdict.DIFFERENT, "request 2: ", COMPARE),
        ([b"[NaN]", b"[2.0]"], Verdict.DIFFERENT, "request 1: $[0] is nan, expected is 1.0", COMPARE),
        ([b'["%s"]' % SECRET.encode()] * 2, Verdict.DIFFERENT, "request 1: $[0] is '***', expected is 1.0", BY_HAND),
        ([b"{", b"[2.0]"], Verdict.FAILED, UNREADABLE, ""),
        ([b'{"a": 2, "a": 1}', b"[2.0]"], Verdict.FAILED, f"{UNREADABLE}an object has", ""),
        ([b"[1.0]", None], Verdict.FAILED, "request 2: ValueError: not with ***", ""),
    ],
    ids=["other", "NaN", "a secret", "no JSON", "a name twice", "failed"],
)  # fmt: skip
def test_what_the_command_predicts_otherwise_is_named(
    fakes: Fakes, predicted: list[bytes | None], verdict: Verdict, why: str, fix: str
) -> None:
    """
    With the number of the request and without values of variables; the tolerance is an input of log-model.
    """
    fakes.predicted = predicted

    found = named("uv-predict").run(fakes.verification())

    assert (verdict, True, fix) == (found.verdict, found.why.startswith(why), str(found.fix)), found


@pytest.mark.parametrize("ignored", [True, False])
def test_ignored_parts_of_a_prediction_may_differ(fakes: Fakes, *, ignored: bool) -> None:
    """
    Those that were recorded; without them the fix names the step that records them.
    """
    fakes.predicted = [b'{"created": 1764130009}']
    paths = (parse_path("$.created"),) if ignored else ()
    verification = fakes.verification(cases=[{}], answers=[{"created": 1_764_130_000}], ignored=paths)

    found = named("uv-predict").run(verification)

    assert (Verdict.EQUAL if ignored else Verdict.DIFFERENT) is found.verdict
    assert ignored or str(found.fix).startswith("mlflow-uv log-model --ignore-answers '$.created'")


@pytest.mark.parametrize("name", ["process", "uv-serve"])
@pytest.mark.parametrize(
    ("server", "verdict", "why", "fix"),
    [
        (FakeServer(SAME), Verdict.EQUAL, "", ""),
        (FakeServer(SAME, malformed=500), Verdict.EQUAL, "", ""),
        (
            FakeServer(OTHER),
            Verdict.DIFFERENT,
            "the prediction for recorded request 1 is not that of",
            f"{COMPARE}; {SEND}",
        ),
        (
            FakeServer(OTHER, ends=True),
            Verdict.FAILED,
            "the prediction for recorded request 1 is",
            f"{COMPARE}; {SEND}",
        ),
        (FakeServer(REFUSAL), Verdict.FAILED, "recorded request 1 got no prediction: status 400: no ***", SEND),
        (FakeServer(None), Verdict.FAILED, "recorded request 1 got no response within", ""),
        (FakeServer(None, healthy=False, ends=True), Verdict.FAILED, f"the server exited with 3 before it {ENDED}", ""),
        (FakeServer(None, healthy=False), Verdict.FAILED, "the server was not healthy within 5 s: it e", LONGER),
        (FakeServer(SAME, ends=True), Verdict.FAILED, "the server exited with 3 during the test: it ended w", ""),
    ],
    ids=[
        "equal",
        "malformed",
        "other",
        "other and ended",
        "refused",
        "silent",
        "ended",
        "never healthy",
        "ended later",
    ],
)
def test_a_server_is_observed_and_stopped(
    fakes: Fakes, name: str, server: FakeServer, verdict: Verdict, why: str, fix: str
) -> None:
    """
    Only differing predictions are a difference, fixes name inputs of this step, and no value of a variable is shown.
    """
    fakes.server = FakeServer(server.reply, ends=server.ends, healthy=server.healthy, malformed=server.malformed)
    verification = fakes.verification(cases=[{"inputs": [1]}], answers=[[1.0]])

    found = named(name).run(verification)

    assert (verdict, True, fix) == (found.verdict, found.why.startswith(why), str(found.fix)), found
    assert 1 == fakes.server.stopped
    assert SECRET not in f"{found.why} {found.fix}"


@pytest.mark.parametrize(
    ("printed", "why"),
    [
        (f"Traceback\nValueError: no {SECRET}\nTraceback\n  raise Exception(\n{{}}", "ValueError: no ***"),
        ("  File x\nsome.UnknownError\n{}", "some.UnknownError"),
        ("Killed\n{}", "Exception: Command '['bash', '-c']' returned non zero"),
    ],
    ids=["traceback", "without text", "none"],
)
def test_the_error_of_a_server_is_not_that_of_the_command_that_started_it(fakes: Fakes, printed: str, why: str) -> None:
    """
    MLflow's command says last that its command failed.
    """
    log = printed.format("Exception: Command '['bash', '-c']' returned non zero\n")
    fakes.server = FakeServer(None, healthy=False, ends=True, printed=log)

    found = named("uv-serve").run(fakes.verification())

    assert f"the server exited with 3 before it was healthy: {why}" == found.why


def test_a_model_that_changes_its_files_is_named_and_gets_them_back(fakes: Fakes) -> None:
    """
    A server may share them with others; the next way starts from the registered files, without the change.
    """
    verification = fakes.verification()
    model = verification.subject.model

    def run(_verification: Verification) -> WayResult:
        (model / "count.txt").write_text("1")
        (model / "MLmodel").write_text("other")
        return WayResult(way="mine", verdict=Verdict.EQUAL, requests=2)

    found = verify(Way(name="mine", run=run), verification)

    why = "the model changed files of its own folder: MLmodel, count.txt"
    assert (Verdict.FAILED, why, "write to a temporary folder") == (found.verdict, found.why, found.fix)
    assert (2, 1, ["MLmodel"]) == (found.requests, fakes.downloads, [path.name for path in model.iterdir()])


def test_bytecode_and_our_own_list_are_no_changes(fakes: Fakes) -> None:
    """
    An interpreter writes the one, the creation of an environment the other.
    """
    verification = fakes.verification()

    def run(_verification: Verification) -> WayResult:
        (verification.subject.model / "code.cpython-312.pyc").write_bytes(b"x")
        (verification.subject.model / "mlflow-uv-install.txt").write_text("six\n")
        return WayResult(way="mine", verdict=Verdict.EQUAL)

    found = verify(Way(name="mine", run=run), verification)

    assert (Verdict.EQUAL, 0) == (found.verdict, fakes.downloads)


def test_fixes_are_phrased_by_the_surface(fakes: Fakes) -> None:
    """
    They keep their parts: an action names inputs, not flags.
    """
    fix = Wording("call ", step_call("log-model"), " or ", option("deadline", "9"))

    found = verify(way_of(ToolFailed(what="x", fix=fix)), fakes.verification())

    expected = Wording("call ", step_call("log-model"), " or ", option("time-limit", "9"))
    assert expected.parts == cast("Wording", found.fix).parts


def test_only_the_image_is_not_measured() -> None:
    """
    Its process does not descend from this one: the memory would be that of the engine's client.
    """
    assert ["image", "image-v2"] == [way.name for way in WAYS if way.in_container]
