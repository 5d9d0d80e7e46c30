"""
Defines texts that each surface prints in its own notation.

A message may name an input, a step to run, or a fix that differs on a runner; the surface prints an input as a flag or
as a key of an action. Converted with `str`, a text is that of the command line.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol, Self

from ..payloads.messages.lazy_dataclass import lazy_dataclass

PROGRAM = "mlflow-uv"
_SIMILAR = 0.65  # of difflib's ratio, which is 0.75 for two exchanged letters in a word of four


@lazy_dataclass(kw_only=False)
class Parameter:
    """An input of a step by its kebab-case name, with a value, which is a bool for a switch."""

    name: str
    value: str | bool = True


@lazy_dataclass(kw_only=False)
class StepCall:
    """
    A step to run, with inputs; without a name the program itself.

    `in_checkout`: it writes files to be committed, so it is not run in CI.
    """

    step: str
    inputs: tuple[Parameter, ...] = ()
    in_checkout: bool = False

    def in_project(self, project: str) -> Self:
        """The same step with the project folder as its first input, unless it names one; empty adds none."""
        if not project or not self.step or any(parameter.name == "project" for parameter in self.inputs):
            return self
        return replace(self, inputs=(Parameter("project", project), *self.inputs))


@lazy_dataclass(kw_only=False)
class LocalFix:
    """A fix as a shell command, and the change of a workflow that replaces it in CI; empty if there is none."""

    typed: str
    workflow: str = ""


Part = str | Parameter | StepCall | LocalFix


class Phrasing(Protocol):
    """Formats the parts of a text for a surface."""

    def parameter(self, parameter: Parameter) -> str:
        """Format an input and its value."""

    def step_call(self, call: StepCall) -> str:
        """Format a step to run."""

    def local(self, local: LocalFix) -> str:
        """Format a fix on the machine."""


@lazy_dataclass
class CommandLine:
    """
    Formats texts as shell commands; `program` is the name of this one.

    `project` is the project folder as the user gave it, empty if it was not given: every step to run gets it too.
    """

    program: str = PROGRAM
    project: str = ""

    def parameter(self, parameter: Parameter) -> str:
        """See Phrasing."""
        return shlex.join(flag_argv(parameter.name, parameter.value))

    def step_call(self, call: StepCall) -> str:
        """See Phrasing."""
        inputs = map(self.parameter, call.in_project(self.project).inputs)
        return " ".join(filter(None, (self.program, call.step, *inputs)))

    def local(self, local: LocalFix) -> str:
        """See Phrasing."""
        return local.typed


_COMMAND_LINE = CommandLine()


class Wording(str):
    """A text made of parts; its `str` value is that of the command line."""

    __slots__ = ("parts",)
    parts: tuple[Part, ...]

    def __new__(cls, *parts: Part) -> Self:
        """Join parts, which may be wordings themselves."""
        flat = tuple(inner for part in parts for inner in _parts_of(part))
        text = super().__new__(cls, "".join(_phrased(part, _COMMAND_LINE) for part in flat))
        text.parts = flat
        return text


def _parts_of(part: Part) -> Iterator[Part]:
    if isinstance(part, Wording):
        yield from part.parts
    else:
        yield part


def joined(separator: str, texts: "tuple[str, ...]") -> str:
    """Join texts like `separator.join`, and keep their parts."""
    parts = [part for text in texts for part in (separator, text)]
    return Wording(*parts[1:])


def worded(text: str, phrasing: Phrasing) -> str:
    """A text formatted for a surface; a text without parts is unchanged."""
    return "".join(_phrased(part, phrasing) for part in text.parts) if isinstance(text, Wording) else text


def _phrased(part: Part, phrasing: Phrasing) -> str:
    match part:
        case Parameter():
            return phrasing.parameter(part)
        case StepCall():
            return phrasing.step_call(part)
        case LocalFix():
            return phrasing.local(part)
    return part


def flag_argv(name: str, value: str | bool) -> tuple[str, ...]:  # noqa: FBT001  # the value of a switch
    """The flag and the value of an input as arguments; for an empty value the flag alone."""
    match value:
        case bool() as switch:
            return (f"--{'' if switch else 'no-'}{name}",)
        case "":
            return (f"--{name}",)
        case text if text.startswith("-"):
            return (f"--{name}={text}",)  # as a separate argument it would be read as a flag
        case text:
            return (f"--{name}", text)


def option(name: str, value: str | bool = True) -> str:  # noqa: FBT001, FBT002  # the value of a switch
    """An input of the current step, with a value; with True the input alone."""
    return Wording(Parameter(name, value))


def step_call(step: str, **inputs: str | bool) -> str:
    """A step to run, with inputs by their Python names."""
    return Wording(StepCall(step, _parameters(inputs)))


def help_call(step: str = "") -> str:
    """The command that shows the help of a step, or of the program."""
    return Wording(StepCall(step, (Parameter("help"),)))


def checkout_call(step: str, **inputs: str | bool) -> str:
    """A step to run that writes files to be committed to the checkout."""
    return Wording(StepCall(step, _parameters(inputs), in_checkout=True))


def extended(call: str, **inputs: str | bool) -> str:
    """A text with more inputs for its steps."""
    more = _parameters(inputs)
    parts = call.parts if isinstance(call, Wording) else (call,)
    return Wording(
        *(replace(part, inputs=part.inputs + more) if isinstance(part, StepCall) else part for part in parts)
    )


def without(call: str, *names: str) -> str:
    """A text without some inputs of its steps, given by kebab-case names."""
    parts = call.parts if isinstance(call, Wording) else (call,)
    return Wording(
        *(
            replace(part, inputs=tuple(parameter for parameter in part.inputs if parameter.name not in names))
            if isinstance(part, StepCall)
            else part
            for part in parts
        )
    )


def _parameters(inputs: Mapping[str, str | bool]) -> tuple[Parameter, ...]:
    return tuple(Parameter(name.replace("_", "-"), value) for name, value in inputs.items())


def local(typed: str, workflow: str = "") -> str:
    """A fix as a shell command, and the change of a workflow that replaces it in CI."""
    return Wording(LocalFix(typed, workflow))


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a question that names the most similar known name, empty if none is similar."""
    near = near_name(name, known)
    return f"did you mean `{near}`?" if near else ""


def near_name(name: str, known: Iterable[str]) -> str | None:
    """
    Return the most similar known name, None if none is similar.

    The dashes before a flag do not count, so that two flags are not similar because both have them.
    """
    import difflib  # noqa: PLC0415  # only on the way to an error

    by_word = {other.lstrip("-"): other for other in known}
    near = difflib.get_close_matches(name.lstrip("-"), by_word, n=1, cutoff=_SIMILAR)
    return by_word[near[0]] if near else None
