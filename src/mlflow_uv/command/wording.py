"""
Defines texts that each surface prints in its own notation.

A message may name an input, a step to run, or a fix that differs on a runner; the surface prints an input as a flag or
as a key of an action. Converted with `str`, a text is that of the command line.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, Self

PROGRAM = "mlflow-uv"


@dataclass(frozen=True, slots=True)
class Parameter:
    """An input of a step by its kebab-case name, with a value; True and False are those of a switch."""

    name: str
    value: str | bool = True


@dataclass(frozen=True, slots=True)
class StepCall:
    """A step to run, with inputs. `in_checkout` says that it writes what is committed, so that no runner can do it."""

    step: str
    inputs: tuple[Parameter, ...] = ()
    in_checkout: bool = False


@dataclass(frozen=True, slots=True)
class LocalFix:
    """What is typed on a machine that stays, and what is written into a workflow instead; empty where nothing is."""

    typed: str
    workflow: str = ""


Part = str | Parameter | StepCall | LocalFix


class Phrasing(Protocol):
    """How a surface says the parts of a text."""

    def parameter(self, parameter: Parameter) -> str:
        """An input and its value."""

    def step_call(self, call: StepCall) -> str:
        """A step that is run."""

    def local(self, local: LocalFix) -> str:
        """Something that is done on the machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandLine:
    """The words of a shell, in which our program has this name."""

    program: str = PROGRAM

    def parameter(self, parameter: Parameter) -> str:
        """See Phrasing."""
        return shlex.join(flag_argv(parameter.name, parameter.value))

    def step_call(self, call: StepCall) -> str:
        """See Phrasing."""
        return " ".join((self.program, call.step, *map(self.parameter, call.inputs)))

    def local(self, local: LocalFix) -> str:
        """See Phrasing."""
        return local.typed


_COMMAND_LINE = CommandLine()


class Wording(str):
    """A text made of parts; as a plain text it is in the words of the command line."""

    __slots__ = ("parts",)
    parts: tuple[Part, ...]

    def __new__(cls, *parts: Part) -> Self:
        """From parts, of which texts may be made of parts themselves."""
        flat = tuple(inner for part in parts for inner in _parts_of(part))
        text = super().__new__(cls, "".join(_said(part, _COMMAND_LINE) for part in flat))
        text.parts = flat
        return text


def _parts_of(part: Part) -> Iterator[Part]:
    if isinstance(part, Wording):
        yield from part.parts
    else:
        yield part


def joined(separator: str, texts: "tuple[str, ...]") -> str:
    """As `separator.join`, and every text keeps its parts."""
    parts = [part for text in texts for part in (separator, text)]
    return Wording(*parts[1:])


def worded(text: str, phrasing: Phrasing) -> str:
    """A text in the words of a surface; one that has no parts is said as it is."""
    return "".join(_said(part, phrasing) for part in text.parts) if isinstance(text, Wording) else text


def _said(part: Part, phrasing: Phrasing) -> str:
    match part:
        case Parameter():
            return phrasing.parameter(part)
        case StepCall():
            return phrasing.step_call(part)
        case LocalFix():
            return phrasing.local(part)
    return part


def flag_argv(name: str, value: str | bool) -> tuple[str, ...]:  # noqa: FBT001  # the value of a switch
    """Write the flag of an input and its value as arguments; an empty value names the flag alone."""
    match value:
        case bool() as switch:
            return (f"--{'' if switch else 'no-'}{name}",)
        case "":
            return (f"--{name}",)
        case text if text.startswith("-"):
            return (f"--{name}={text}",)  # as a word of its own it would be read as another flag
        case text:
            return (f"--{name}", text)


def option(name: str, value: str | bool = True) -> str:  # noqa: FBT001, FBT002  # the value of a switch
    """An input of the step that speaks, with a value; without a value it is named."""
    return Wording(Parameter(name, value))


def step_call(step: str, **inputs: str | bool) -> str:
    """A step to run, with inputs by their names in Python."""
    return Wording(StepCall(step, _parameters(inputs)))


def checkout_call(step: str, **inputs: str | bool) -> str:
    """A step that writes into the checkout what is then committed."""
    return Wording(StepCall(step, _parameters(inputs), in_checkout=True))


def extended(call: str, **inputs: str | bool) -> str:
    """A text whose steps are run with more inputs."""
    more = _parameters(inputs)
    parts = call.parts if isinstance(call, Wording) else (call,)
    return Wording(
        *(replace(part, inputs=part.inputs + more) if isinstance(part, StepCall) else part for part in parts)
    )


def without(call: str, *names: str) -> str:
    """A text whose steps are run without some inputs, which are named in kebab-case."""
    parts = call.parts if isinstance(call, Wording) else (call,)
    return Wording(
        *(
            replace(part, inputs=tuple(given for given in part.inputs if given.name not in names))
            if isinstance(part, StepCall)
            else part
            for part in parts
        )
    )


def _parameters(inputs: Mapping[str, str | bool]) -> tuple[Parameter, ...]:
    return tuple(Parameter(name.replace("_", "-"), value) for name, value in inputs.items())


def local(typed: str, workflow: str = "") -> str:
    """What is typed here, and what helps on a runner that is gone before anybody can type."""
    return Wording(LocalFix(typed, workflow))
