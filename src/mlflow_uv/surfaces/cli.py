"""Runs a step from the command line: `mlflow-uv STEP [ARGUMENTS]`."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, get_type_hints

from .. import __version__
from ..command.errors import INTERRUPTED, BadInput, BadProject, Cancelled, OutputNotWritten, StepError
from ..command.host import Host
from ..command.inputs import UvInputs
from ..command.limits import is_empty
from ..command.report import Console, Report
from ..command.settings import KEYS
from ..command.step import SETTINGS, Field, FieldKind, Step, fields_of, refuse_unknown, settle
from ..command.wording import Phrasing, help_call, suggestion, worded
from ..core.security.control_characters import visible_columns
from ..steps.catalog import NAMES, RELEASE_NAME, all_steps, step_of
from ..tools.lock_toolbox import LockTools, locktools
from ..tools.project.checkout import given_layer, settings_layer
from ..tools.project.files import Project, absolute, read_project, repository_of
from ..tools.project.policy_table import policy_table, policy_tables
from .collection import resume_collection
from .hiding import hide_environment
from .phrasing import started_as
from .terminal import Detail, as_json, terminal, unforeseen

SARIF = "File for the findings in SARIF 2.1.0, which code scanning reads; also written by a step that fails."


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments, run the step and print; return the exit code. Raises no StepError."""
    if argv is None:
        hide_environment()
    return cancellable(lambda: _command(list(sys.argv[1:] if argv is None else argv)))


def cancellable(work: Callable[[], int]) -> int:
    """
    Run the work of a surface and return its exit code.

    Ctrl-C (130) and SIGTERM (143) unwind it, so that everything it started is removed. A closed standard output is 0,
    and one that cannot be written an error of its own.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _cancel)
    try:
        return _flushed(work)
    except OutputNotWritten as error:
        terminal(started_as(os.environ, prefix=Path(sys.prefix))).error(error)
        return error.exit_code
    except KeyboardInterrupt:
        print("cancelled", file=sys.stderr)
        return INTERRUPTED
    except Cancelled as cancelled:
        print("cancelled", file=sys.stderr)
        return cancelled.exit_code
    except BrokenPipeError:
        _discard_output()
        return 0


def _flushed(work: Callable[[], int]) -> int:
    """Do the work, and write what is left in the buffer, also after `--help`, which ends the program."""
    try:
        return work()
    finally:
        write_output("")


def write_output(text: str) -> None:
    """Write a text to standard output now. Raises OutputNotWritten, BrokenPipeError."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard_output()
        raise OutputNotWritten(
            what="standard output cannot be written",
            why=error.strerror or str(error),
            fix="write it to a file on a disk with space",
        ) from error


def _discard_output() -> None:
    """Let what is left in the buffer go nowhere when the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _cancel(number: int, _frame: FrameType | None) -> None:
    """Unwind once; the clean-up, which takes seconds at most, is not interrupted by a second signal."""
    for other in (signal.SIGINT, signal.SIGTERM):
        signal.signal(other, lambda *_: None)  # not SIG_IGN, which every child would inherit
    raise KeyboardInterrupt if number == signal.SIGINT else Cancelled


class _Completion(argparse.Action):
    """Prints the script of a shell and ends, as `--version` does."""

    def __call__(
        self, parser: argparse.ArgumentParser, _namespace: object, values: object, _flag: object = None
    ) -> None:
        """Print it. Raises BadInput for another shell."""
        from .completion import SHELLS, completion  # noqa: PLC0415  # imports every step

        if values not in SHELLS:
            raise BadInput(
                what=f"`{values}` is not a shell", why=f"the shells are {', '.join(SHELLS)}", fix=help_call()
            )
        write_output(completion(str(values)))
        parser.exit()


class _Parser(argparse.ArgumentParser):
    """Raises BadInput for a wrong argument, so that `--format json` reports it too."""

    def error(self, message: str) -> NoReturn:
        _, _, step = self.prog.partition(" ")
        what, _, why = message.partition(": ")
        raise BadInput(what=what, why=why, fix=help_call(step))


def _command(arguments: list[str]) -> int:
    command_line = started_as(os.environ, prefix=Path(sys.prefix))
    console = terminal(command_line)
    name, as_text = _first_word(arguments), not _wants_json(arguments)
    try:
        namespace = _parsed(arguments)
        name, as_text = namespace.step.name, namespace.format == "text"
        given = given_in(namespace)
        command_line = replace(command_line, project=project_in(given))
        project = project_folder(given)
        console = terminal(command_line, detail=namespace.detail, project=project)
        work = partial(answer, namespace.step, given, console, source="--{}")
        root = repository_of(project) or project
        with console.working(name):
            report = recorded(
                namespace.sarif, name, command_line, work, secrets=lambda: console.secrets, root=root, project=project
            )
    except StepError as error:
        console.error(error)
        if not as_text:
            write_output(f"{as_json(name, error, command_line, console.secrets)}\n")
        return error.exit_code
    except Cancelled as cancelled:
        if isinstance(cancelled.so_far, Report):
            console.report(cancelled.so_far)
            if not as_text:
                write_output(f"{as_json(name, cancelled.so_far, command_line, console.secrets)}\n")
        raise
    if as_text and report.result is not None:
        write_output(_shown(report.result) if sys.stdout.isatty() else report.result)
    if not as_text:
        write_output(f"{as_json(name, report, command_line, console.secrets)}\n")
    console.report(report)
    return 0 if report.ok else 1


def recorded(  # noqa: PLR0913  # each is of another source
    path: str | None,
    step: str,
    phrasing: Phrasing,
    work: Callable[[], Report[Any]],
    *,
    secrets: Callable[[], Sequence[str]],
    root: Path,
    project: Path,
) -> Report[Any]:
    """
    Run a step, and write its findings as SARIF if there is a path, also if it ends with an error or is cancelled.

    Paths in the file are relative to `root`, the repository; `secrets` are those that the step has at its end. Raises
    the error of the step.
    """
    if path is None or is_empty(path):
        return work()
    from .sarif import SarifFile  # noqa: PLC0415  # imports the rules, which a step that writes none does not need

    file = SarifFile(step, root, project=project, phrased=lambda text: worded(text, phrasing), secrets=secrets)
    try:
        report = work()
    except StepError as error:
        file.write(Path(path).expanduser(), error)
        raise
    except (Cancelled, KeyboardInterrupt) as cancelled:
        with suppress(StepError):  # a file that cannot be written does not change that the step was cancelled
            file.write(Path(path).expanduser(), cancelled)
        raise
    file.write(Path(path).expanduser(), report)
    return report


def project_in(given: Mapping[str, object]) -> str:
    """The project folder as the inputs of a step name it, empty if they do not."""
    project = given.get("project")
    return "" if is_empty(project) else str(project)


def project_folder(given: Mapping[str, object]) -> Path:
    """The folder of the project that the inputs of a step name, by default the current one."""
    return absolute(os.path.expanduser(project_in(given) or "."))  # noqa: PTH111  # an unknown user is no error


def _parsed(arguments: list[str]) -> argparse.Namespace:
    """The arguments by their names, with the step. Raises BadInput, with the most similar step or flag."""
    name, names = _first_word(arguments), (RELEASE_NAME, *NAMES)
    if name not in names and not {"--help", "-h", "--version", "--completion"} & {
        word.partition("=")[0] for word in arguments[:1]
    }:
        what = f"`{name}` is not a step" if name else "the first argument is not a step"
        why = suggestion(name, names) or f"the steps are {', '.join(names)}"
        raise BadInput(what=what, why=why, fix=help_call())
    parser = _parser(arguments)
    resume_collection()
    namespace, unknown = parser.parse_known_args(arguments)
    if unknown:
        raise _unknown(unknown[0].partition("=")[0], namespace.step)
    return namespace


def _first_word(arguments: list[str]) -> str:
    """The name of the step, empty if the first argument is a flag or if there is none."""
    return next((word for word in arguments[:1] if not word.startswith("-")), "")


def _unknown(word: str, step: Step[Any, Any, Any]) -> BadInput:
    """The error for a flag or an argument that a step does not have."""
    inputs = fields_of(step.inputs)
    if not word.startswith("-"):
        required = ", ".join(field.kebab.upper() for field in inputs if field.required)
        why = f"besides flags it takes only {required}" if required else "it takes only flags"
        return BadInput(what=f"`{word}` is not an argument of {step.name}", why=why, fix=help_call(step.name))
    flags = ("--format", "--sarif", *(flag for field in inputs for flag in field.flags))
    owners = [other.name for other in _steps([]) if any(word in field.flags for field in fields_of(other.inputs))]
    why = f"it is one of {', '.join(owners)}" if owners else suggestion(word, flags)
    why = why or f"its flags are {', '.join(flag for flag in flags if not flag.startswith('--no-'))}"
    return BadInput(what=f"`{word}` is not a flag of {step.name}", why=why, fix=help_call(step.name))


def given_in(namespace: argparse.Namespace) -> Mapping[str, object]:
    """The inputs of the step that were given, by their kebab-case names."""
    values = {field.kebab: getattr(namespace, field.name) for field in fields_of(namespace.step.inputs)}
    return {name: value for name, value in values.items() if value is not None}


def _shown(result: str) -> str:
    """A result with its control characters made visible, for a terminal."""
    return "\n".join(map(visible_columns, result.split("\n")))


def _wants_json(arguments: list[str]) -> bool:
    """Whether `--format json` is given, in arguments that the parser refused."""
    return "--format=json" in arguments or ("--format", "json") in pairwise(arguments)


def answer(step: Step[Any, Any, Any], given: Mapping[str, object], console: Console, *, source: str) -> Report[Any]:
    """
    Run a step with the real tools.

    Raises StepError. An internal error is one too, and its traceback goes to standard error.
    """
    try:
        inputs = gather(step, given, source=source)
        host = Host.of(os.environ, folder=Path.cwd(), python=Path(sys.executable))
        uv = inputs.uv if isinstance(inputs, UvInputs) else None
        with _toolbox(step)(host, console=console, uv=uv) as tools:
            report: Report[Any] = step.run(inputs, tools)
            return report
    except (StepError, BrokenPipeError):
        raise
    except Exception as error:
        raise unforeseen(step.name, error, console) from error


def _toolbox(step: Step[Any, Any, Any]) -> Callable[..., AbstractContextManager[Any]]:
    """The tools that a step takes. A step about a lock does not import those of engines and registries."""
    if get_type_hints(step.run).get("tools") is LockTools:
        return locktools
    from ..tools.toolbox import toolbox  # noqa: PLC0415  # imports engines and registries

    return toolbox


def gather(step: Step[Any, Any, Any], given: Mapping[str, object], *, source: str) -> Any:
    """
    The inputs of a step: what was given, then `[tool.mlflow-uv]` of the project, then the defaults.

    `source` is how a message names something that was given, e.g. `--{}`. Raises BadInput.
    """
    settings: Mapping[str, object] = {}
    project: Project | None = None
    if any(field.name == "project" for field in fields_of(step.inputs)):
        folder = Path(project_in(given) or ".").expanduser()
        try:
            project = read_project(folder)
            settings = project.settings
            _require_valid_policies(project)
        except BadProject:
            if step.needs_project:
                raise
    refuse_unknown(settings, KEYS, source=SETTINGS)
    return settle(step.inputs, (given_layer(source, given, project), settings_layer(step.inputs, project, os.environ)))


def _require_valid_policies(project: Project) -> None:
    """Raise BadInput for an invalid policy, whichever step runs."""
    where = Path.cwd()
    if "policy" in project.settings:
        from ..core.policy.policy import read_policy  # noqa: PLC0415  # imports `packaging`

        read_policy(policy_table(project, "policy", where=where))
    if "promote" in project.settings:
        from ..core.promotion.promote_policy import read_promotion  # noqa: PLC0415  # a lock step needs no record

        read_promotion(policy_table(project, "promote", where=where))
    if "trust" in project.settings:
        from ..core.signing.trust_policy import read_trust_policy  # noqa: PLC0415  # as above

        read_trust_policy(policy_table(project, "trust", where=where))
    if "deploy" in project.settings:
        from ..core.deploy.settings import read_deployments  # noqa: PLC0415  # as above

        read_deployments(policy_tables(project, "deploy", where=where))
    if "model-card" in project.settings:
        from ..core.card.statements import read_statements  # noqa: PLC0415  # as above

        read_statements(policy_table(project, "model-card", where=where))
    if "smoke-test" in project.settings:
        from ..core.model.budgets import read_budgets  # noqa: PLC0415  # as above

        read_budgets(policy_table(project, "smoke-test", where=where))


def _steps(arguments: list[str]) -> tuple[Step[Any, Any, Any], ...]:
    """The step that is named first, none for `--version`, else every step."""
    match arguments:
        case [name, *_] if name in (RELEASE_NAME, *NAMES):
            return (step_of(name),)
        case [word, *_] if word.partition("=")[0] in ("--version", "--completion"):
            return ()
    return all_steps()


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    """The parser of the steps that the arguments need."""
    parser = _Parser(
        prog="mlflow-uv",
        description="From uv.lock to a served, tested MLflow model. `release` does it all; every step stands alone.",
        epilog="Exit codes: 0 all is well, 1 findings, 2 wrong input; the reference lists the others.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mlflow-uv {__version__}")
    parser.add_argument("--completion", action=_Completion, metavar="SHELL", help="Print what completes in a shell.")
    commands = parser.add_subparsers(metavar="STEP", required=True)
    for step in _steps(arguments):
        command = commands.add_parser(step.name, help=step.summary, description=step.summary, allow_abbrev=False)
        command.set_defaults(step=step)
        command.add_argument("--format", choices=("text", "json"), default="text", help="What stdout gets.")
        command.add_argument("--sarif", metavar="PATH", help=SARIF)
        detail = command.add_mutually_exclusive_group()
        for value, text in ((Detail.QUIET, "Print findings and errors alone."), (Detail.VERBOSE, "Print all output.")):
            flag = f"--{value.value}"
            detail.add_argument(flag, dest="detail", action="store_const", const=value, default=Detail.USUAL, help=text)
        for field in fields_of(step.inputs):
            _add(command, field, arguments)
    return parser


def _add(command: argparse.ArgumentParser, field: Field, arguments: Sequence[str]) -> None:
    """Add an input. A required one is positional, and also accepted as a flag, which is how a fix names it."""
    default = f" (default: {field.default_text})" if field.default_text else ""
    text = f"{field.doc}{default}".replace("%", "%%")
    flag = field.flags[0]
    match field.kind:
        case _ if field.required and flag in {word.partition("=")[0] for word in arguments}:
            command.add_argument(flag, metavar=field.kebab.upper(), required=True, help=text)
        case _ if field.required:
            command.add_argument(field.name, metavar=field.kebab.upper(), help=text)
        case FieldKind.SWITCH:
            command.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        case FieldKind.CHOICE:
            # Not argparse's choices: `Field.parse` says on each surface what a value must be.
            command.add_argument(flag, metavar=f"{{{','.join(field.choices)}}}", help=text)
        case kind:
            command.add_argument(flag, metavar=kind.name, help=text)
