"""Declares a step, and converts text and TOML to its inputs."""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from enum import Enum, IntEnum
from pathlib import Path, PurePath
from types import UnionType
from typing import Annotated, Any, Generic, NamedTuple, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from ..payloads.messages.lazy_dataclass import lazy_dataclass
from .errors import BadInput
from .limits import ANY_NUMBER, Limits, NotEmpty, is_empty
from .report import Report
from .rule_hook import RuleHook
from .shell_words import quoted, words_of
from .wording import flag_argv, option, suggestion

SETTINGS = "[tool.mlflow-uv] in pyproject.toml"

InputsT = TypeVar("InputsT")
OutputsT = TypeVar("OutputsT")
ToolsT = TypeVar("ToolsT")


class Doc(NamedTuple):
    """The one sentence that `--help`, `action.yml` and the reference show for a field."""

    text: str


class Matching(NamedTuple):
    """A regular expression that must match a whole text, and its description in messages."""

    pattern: str
    meaning: str


class Words(NamedTuple):
    """Marks a tuple that is written as one command line; it is run without a shell."""


class Quoted(NamedTuple):
    """Marks a tuple that is written as one line, with quotes around words with spaces; not a command."""


class OneOf(NamedTuple):
    """Marks the inputs of a group as alternatives: one that is given replaces any of them that is configured."""

    group: str


class OneRun(NamedTuple):
    """Marks an input of a single run, or the project's location: `[tool.mlflow-uv]` cannot set it."""


class SettingReach(Enum):
    """
    What a setting can affect outside of the project, if an untrusted author changes the checkout.

    It annotates an input; `tools.project.checkout` limits the values that a setting may have.
    """

    WRITTEN = "a file that is written"
    DISCLOSED = "a file whose content is read, and may be uploaded"
    SERVER = "a server that gets credentials"
    BUILD_CACHE = "a build cache that is read or written"
    VARIABLES = "variables of the job that code of the checkout gets"


class FixedInRelease(NamedTuple):
    """Marks an input that `release` does not take: a release runs the step with this value."""

    value: object


class StepOutputs(NamedTuple):
    """Marks a field with the outputs of a step, or None; each of them counts as an output of its own."""


class Section(IntEnum):
    """
    The part of a step's inputs in which an input is listed; the parts are listed in this order.

    It annotates an input; one without it belongs to STEP.
    """

    PROJECT = 0
    STEP = 1
    RUN = 2
    STORE = 3
    UV = 4


class FieldKind(Enum):
    """The type of a field's text."""

    TEXT = "text"
    PATH = "a path"
    SWITCH = "true or false"
    NUMBER = "number"
    CHOICE = "one of"
    LIST = "a list of names, separated by commas or spaces"
    WORDS = "a command line"
    QUOTED = "words, in quotes where they have spaces"


@lazy_dataclass
class Field:
    """One input or output, as every surface reads it."""

    name: str
    kind: FieldKind
    doc: str
    hint: Any = None
    default: Any = None
    required: bool = False
    whole: bool = False
    setting: bool = True
    section: Section = Section.STEP
    fixed_in_release: FixedInRelease | None = None
    reach: SettingReach | None = None
    group: str | None = None
    choices: tuple[str, ...] = ()
    choice: type[Enum] | None = None
    matching: Matching | None = None
    limits: Limits = ANY_NUMBER
    refuses_empty: bool = False

    @property
    def kebab(self) -> str:
        """The name outside of Python; nothing else translates it."""
        return self.name.replace("_", "-")

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of the command line and of a hook: one, for a switch also the one that turns it off."""
        flag = f"--{self.kebab}"
        return (flag, f"--no-{self.kebab}") if self.kind is FieldKind.SWITCH else (flag,)

    @property
    def default_text(self) -> str:
        """The default as text, empty if there is none."""
        return self.text(self.default, separator=", ")

    def text(self, value: object, *, separator: str = ",") -> str:
        """Write a value as the text that `parse` reads, with `separator` between names; empty for None and ()."""
        match value:
            case None | ():
                return ""
            case bool() as switch:
                return str(switch).lower()
            case Enum() as choice:
                return str(choice.value)
            case tuple() as words if self.kind in (FieldKind.WORDS, FieldKind.QUOTED):
                return shlex.join(words)
            case tuple() as names:
                return separator.join(map(str, names))
            case other:
                return str(other)

    def argv(self, value: object) -> tuple[str, ...]:
        """
        Write a value, or the text of one, as arguments of the command line; none for a value that is not given.

        A required field is the argument after the step's name, as in `mlflow-uv audit models:/wine@champion`. Both the
        command line and the hooks accept every other form.
        """
        text = self.text(value)
        if not text:
            return ()
        if self.required and not text.startswith("-"):
            return (text,)
        if self.kind is FieldKind.SWITCH:
            switch = {"true": True, "false": False}.get(text.lower())
            return (f"{self.flags[0]}={text}",) if switch is None else flag_argv(self.kebab, switch)
        return flag_argv(self.kebab, text)

    def parse(self, raw: object, *, source: str) -> Any:
        """
        Convert text (flags, action inputs) or a TOML value to the field's value.

        Raises BadInput, with `source` in its message, for an invalid value.
        """
        value = self._parsed(raw, source)
        if self.matching and isinstance(value, str) and not re.fullmatch(self.matching.pattern, value):
            raise BadInput(what=f"{source} is not {self.matching.meaning}", why=f"it is {value!r}")
        return value

    def _parsed(self, raw: object, source: str) -> Any:
        refuse = BadInput(what=f"{source} must be {self.expectation}", why=f"it is {raw!r}")
        match self.kind, raw:
            case FieldKind.TEXT, str():
                return raw
            case FieldKind.PATH, str() if "\0" not in raw:
                try:
                    return Path(raw).expanduser()
                except RuntimeError as error:
                    raise BadInput(what=f"{source} is not a path", why=f"{error}: {raw!r}") from None
            case FieldKind.SWITCH, bool():
                return raw
            case FieldKind.SWITCH, str() if raw.lower() in ("true", "false"):
                return raw.lower() == "true"
            case FieldKind.NUMBER, int() | float() | str() if not isinstance(raw, bool):
                try:
                    number = float(raw)
                    exact = int(raw) if self.whole else number
                except (ValueError, OverflowError):
                    raise refuse from None
                if not self.limits.allow(number) or number != exact:
                    raise refuse
                return exact
            case FieldKind.CHOICE, str() if self.choice is not None and raw in self.choices:
                return self.choice(raw)
            case FieldKind.LIST, str():
                return tuple(raw.replace(",", " ").split())
            case FieldKind.LIST, list() | tuple() if all(isinstance(item, str) for item in raw):
                return tuple(raw)
            case FieldKind.QUOTED, str() | list() | tuple() if all(isinstance(item, str) for item in raw):
                return quoted(raw, source=source)
            case FieldKind.WORDS, str() | list() | tuple() if all(isinstance(item, str) for item in raw):
                return words_of(raw, name=self.kebab, source=source)
        raise refuse

    @property
    def expectation(self) -> str:
        """A description of what `parse` accepts, for messages and help."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.kind is not FieldKind.NUMBER:
            return str(self.kind.value)
        return f"a {'whole ' if self.whole else ''}number {self.limits.text}"


@lazy_dataclass
class Hook:
    """A pre-commit hook of a step: the pattern of files that trigger it, and its name."""

    files: str
    name: str


@lazy_dataclass
class Step(Generic[InputsT, OutputsT, ToolsT]):
    """The single declaration of a command, an action and optional hooks."""

    name: str
    summary: str
    inputs: type[InputsT]
    outputs: type[OutputsT]
    run: Callable[[InputsT, ToolsT], Report[OutputsT]]
    hook: Hook | None = None
    rule_hooks: tuple[RuleHook, ...] = ()
    needs_project: bool = True


def fields_of(record: type) -> tuple[Field, ...]:
    """
    The fields of an `Inputs` or `Outputs` class, in the order in which they are listed; all surfaces use this function.

    A required field comes first, then the sections. In a section the fields of each base class, from left to right,
    come before the class's own; a dataclass itself has those of its last base first.
    """
    hints = get_type_hints(record, include_extras=True)
    defaults = {declared.name: declared.default for declared in fields(record)}
    declarations: dict[str, Field] = {}
    for name in dict.fromkeys(_names(record)):
        for field in _declared(name, hints[name], defaults[name]):
            declarations.setdefault(field.name, field)
    return tuple(sorted(declarations.values(), key=lambda field: (not field.required, field.section)))


def _names(record: type) -> Iterator[str]:
    """Yield the names of the fields of each base class, from left to right, then of the class; some several times."""
    for base in record.__bases__:
        if is_dataclass(base):
            yield from _names(base)
    yield from (declared.name for declared in fields(record))


def _declared(name: str, hint: Any, default: object) -> tuple[Field, ...]:
    notes = hint.__metadata__ if get_origin(hint) is Annotated else ()
    hint = hint.__origin__ if notes else hint
    if any(isinstance(note, StepOutputs) for note in notes):
        return tuple(replace(field, required=False, default=None) for field in fields_of(_without_none(hint)))
    return (_field(name, hint, default, notes),)


def _field(name: str, hint: Any, default: object, notes: tuple[object, ...]) -> Field:
    kind, choice, whole = _kind(hint, notes)
    return Field(
        name=name,
        kind=kind,
        hint=hint,
        doc=next((note.text for note in notes if isinstance(note, Doc)), ""),
        default=None if default is MISSING else default,
        required=default is MISSING,
        whole=whole,
        setting=not any(isinstance(note, OneRun) for note in notes),
        section=next((note for note in notes if isinstance(note, Section)), Section.STEP),
        fixed_in_release=next((note for note in notes if isinstance(note, FixedInRelease)), None),
        reach=next((note for note in notes if isinstance(note, SettingReach)), None),
        group=next((note.group for note in notes if isinstance(note, OneOf)), None),
        choices=tuple(str(member.value) for member in choice) if choice else (),
        choice=choice,
        matching=next((note for note in notes if isinstance(note, Matching)), None),
        limits=next((note for note in notes if isinstance(note, Limits)), ANY_NUMBER),
        refuses_empty=any(isinstance(note, NotEmpty) for note in notes),
    )


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (part for part in get_args(hint) if part is not type(None))
    return hint


def _kind(hint: Any, notes: tuple[object, ...]) -> tuple[FieldKind, type[Enum] | None, bool]:
    hint = _without_none(hint)
    if get_origin(hint) is tuple:
        marks = {type(note) for note in notes}
        return (
            (FieldKind.WORDS if Words in marks else FieldKind.QUOTED if Quoted in marks else FieldKind.LIST),
            None,
            False,
        )
    if issubclass(hint, Enum):
        return FieldKind.CHOICE, hint, False
    if issubclass(hint, PurePath):
        return FieldKind.PATH, None, False
    if issubclass(hint, bool):
        return FieldKind.SWITCH, None, False
    if issubclass(hint, (int, float)):
        return FieldKind.NUMBER, None, issubclass(hint, int)
    return FieldKind.TEXT, None, False


class Guard(Protocol):
    """Checks the values of a layer."""

    def __call__(self, field: Field, value: Any, *, source: str) -> Any:
        """Return the effective value. Raises BadInput for a value that the layer may not set."""


class ValueLayer(NamedTuple):
    """Values from one source, by kebab-case names; `source` formats a name in messages, e.g. `--{}`."""

    source: str
    values: Mapping[str, object]
    guard: Guard | None = None


def settle(record: type[InputsT], layers: tuple[ValueLayer, ...]) -> InputsT:
    """
    Merge layers into inputs; earlier layers have precedence.

    Relative paths stay unchanged. The guard of a layer checks the values that are used. Raises BadInput for a value
    that is invalid or missing, or that its layer may not set.
    """
    values: dict[str, object] = {}
    all_fields = fields_of(record)
    for field in all_fields:
        for layer in layers:
            given = layer.values.get(field.kebab)
            if field.refuses_empty and given is not None and is_empty(given):
                why = "without a value, the step would act on something else"
                raise BadInput(what=f"{layer.source.format(field.kebab)} is empty", why=why, fix="omit it")
            if _has_value(layer.values, field):
                source = layer.source.format(field.kebab)
                value = field.parse(layer.values[field.kebab], source=source)
                values[field.name] = layer.guard(field, value, source=source) if layer.guard else value
                break
            if field.group and any(
                other.group == field.group and _has_value(layer.values, other) for other in all_fields
            ):
                break  # an alternative input of this layer has precedence
        else:
            if field.required:
                raise BadInput(what=f"`{field.kebab}` is not given", fix=option(field.kebab, "VALUE"))
    return record(**values)


def _has_value(layer: Mapping[str, object], field: Field) -> bool:
    return not is_empty(layer.get(field.kebab))


def configured(record: type, settings: Mapping[str, object]) -> Mapping[str, object]:
    """The keys of `[tool.mlflow-uv]` that are settings of a step."""
    return {
        field.kebab: settings[field.kebab] for field in fields_of(record) if field.setting and field.kebab in settings
    }


def refuse_unknown(keys: Mapping[str, object], known: frozenset[str], *, source: str) -> None:
    """Raise BadInput for an undeclared key, with the most similar declared one."""
    for key in keys:
        if key not in known:
            hint = suggestion(key, known) or f"known are {', '.join(sorted(known))}"
            raise BadInput(what=f"{source} does not know `{key}`", why=hint)
