"""
Checks, before anything is trained, that everything the steps of a release need is available.

The checks of each step are listed in CONTRIBUTIONS. All of them run, whatever the results; none writes anything.
"""

from collections.abc import Callable, Iterable, Mapping

from ...command.errors import StepError
from ...command.report import Finding, Severity
from ...core.lock.lockfile import NotALock
from ...core.release.chain import SOURCES, stopped_at
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from . import image, project, registry
from .context import PreflightContext, Problem

Check = Callable[[PreflightContext], str | tuple[Problem, ...]]

# By step, in the order of a release: name and function of each check. A check returns a statement, an empty text if it
# does not apply, or problems; a StepError that it raises is a problem too.
CONTRIBUTIONS: Mapping[str, tuple[tuple[str, Check], ...]] = {
    "check-lock": (("lock", project.lock),),
    "check-targets": (("targets", project.targets),),
    "log-model": (
        ("model source", project.model_source),
        ("tracking URI", project.written_tracking_uri),
        ("commit", project.commit),
        ("MLflow", project.mlflow),
        ("Python", project.python),
        ("tracking server", registry.tracking_server),
    ),
    "register": (("model name", registry.model_name),),
    "build-image": (
        ("image options", image.options),
        ("engine", image.engine),
        ("base image", image.base_image),
        ("packages without a wheel", image.sources),
        ("image registry", image.image_registry),
    ),
    "smoke-test": (("alias", registry.alias),),
}
# Run first: checks that need the lock do not report its problems again.
_FIRST = ("check-lock",)


@lazy_dataclass
class Answer:
    """The result of one check."""

    step: str
    check: str
    statement: str = ""
    problems: tuple[Problem, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether it stops the release."""
        return any(map(is_failure, self.problems))


def is_failure(problem: Problem) -> bool:
    """Whether a problem stops a release: a StepError, or a finding of severity error."""
    return isinstance(problem, StepError) or problem.severity is Severity.ERROR


def preflight(steps: Iterable[str], context: PreflightContext) -> tuple[Answer, ...]:
    """Run the checks of these steps concurrently, and return the results in the order of the steps."""
    checks = [(step, name, check) for step in steps for name, check in CONTRIBUTIONS.get(step, ())]
    first = [planned for planned in checks if planned[0] in _FIRST]
    answers = [_run_check(planned, context) for planned in first]
    if any(answer.fails for answer in answers):
        context.lock_is_bad = True
    rest = [planned for planned in checks if planned[0] not in _FIRST]
    tasks = [lambda planned=planned: _run_check(planned, context) for planned in rest]
    return (*answers, *context.tools.runner.side_by_side(tasks))


def _run_check(planned: tuple[str, str, Check], context: PreflightContext) -> Answer:
    step, name, check = planned
    try:
        answer = check(context)
    except StepError as error:
        return Answer(step=step, check=name, problems=(error,))
    except NotALock:
        return Answer(step=step, check=name)  # which check-lock says
    if isinstance(answer, str):
        return Answer(step=step, check=name, statement=answer)
    return Answer(step=step, check=name, problems=answer)


def proven_links(answers: Iterable[Answer]) -> tuple[str, ...]:
    """Return the links of the chain that the checks found in order."""
    return tuple(answer.check for answer in answers if answer.check in SOURCES and answer.statement)


def failed_links(answers: Iterable[Answer]) -> tuple[str, ...]:
    """Return the links of the chain at which failed checks stop a release."""
    return tuple(link for answer in answers if answer.fails for link in stopped_at(answer.step, (answer.check,)))


def as_finding(answer: Answer, problem: Problem) -> Finding:
    """Convert a problem to a finding."""
    if isinstance(problem, Finding):
        return problem
    rule = f"preflight-{answer.check.lower().replace(' ', '-')}"
    return Finding(rule=rule, what=problem.what, why=problem.why, fix=problem.fix, path=problem.path, line=problem.line)
