"""Parsing flags, action inputs and TOML into the values of a step."""

import shlex
import subprocess
import tomllib
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.step import (
    Doc,
    Field,
    FieldKind,
    Matching,
    OneOf,
    ValueLayer,
    Words,
    fields_of,
    refuse_unknown,
    settle,
)


class Speed(Enum):
    """A choice."""

    FAST = "fast"
    RIGHT = "right"


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """One field of every kind."""

    text: Annotated[str, Doc("Some text.")]
    name: Annotated[str | None, Doc("A name."), Matching(r"[a-z]+", "a lower-case name")] = None
    some_path: Annotated[Path, Doc("A path.")] = Path()
    switch: Annotated[bool, Doc("On or off.")] = False
    seconds: Annotated[float, Doc("How long.")] = 1.5
    count: Annotated[int, Doc("How many.")] = 3
    speed: Annotated[Speed, Doc("How.")] = Speed.RIGHT
    extras: Annotated[tuple[str, ...], Doc("Which.")] = ()
    command: Annotated[tuple[str, ...], Doc("What to run."), Words()] = ("python", "train me.py")


FIELDS = {field.name: field for field in fields_of(Inputs)}


@pytest.mark.parametrize(
    ("name", "kind", "default_text"),
    [
        ("text", FieldKind.TEXT, ""),
        ("name", FieldKind.TEXT, ""),
        ("some_path", FieldKind.PATH, "."),
        ("switch", FieldKind.SWITCH, "false"),
        ("seconds", FieldKind.NUMBER, "1.5"),
        ("count", FieldKind.NUMBER, "3"),
        ("speed", FieldKind.CHOICE, "right"),
        ("extras", FieldKind.LIST, ""),
        ("command", FieldKind.WORDS, "python 'train me.py'"),
    ],
)
def test_a_field_says_how_it_is_written(name: str, kind: FieldKind, default_text: str) -> None:
    """
    The type decides how a field is written; its default is shown the way a person would write it.
    """
    field = FIELDS[name]

    assert (kind, default_text) == (field.kind, field.default_text)


def test_a_field_carries_its_sentence_and_its_outer_name() -> None:
    """
    Outside Python a field is kebab-case and explained by its one sentence.
    """
    field = FIELDS["some_path"]

    assert ("some-path", "A path.", False) == (field.kebab, field.doc, field.required)


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("text", "ä b", "ä b"),
        ("some_path", "a b/ü", Path("a b/ü")),
        ("switch", True, True),
        ("switch", "true", True),
        ("switch", "False", False),
        ("seconds", "0.25", 0.25),
        ("seconds", 2, 2.0),
        ("count", "7", 7),
        ("count", 7, 7),
        ("count", 7.0, 7),
        ("speed", "fast", Speed.FAST),
        ("extras", "a, b  c,,d", ("a", "b", "c", "d")),
        ("extras", ["a", "b"], ("a", "b")),
        ("command", "python -c 'print(1)'", ("python", "-c", "print(1)")),
        ("command", ["python", "a b.py"], ("python", "a b.py")),
    ],
)
def test_text_and_toml_become_the_same_values(name: str, raw: object, value: object) -> None:
    """
    A flag, an action input and a TOML value of the same meaning give the same value.
    """
    found = FIELDS[name].parse(raw, source="--it")

    assert (value, type(value)) == (found, type(found))


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("text", 3),
        ("name", "Upper"),
        ("name", "lower\n"),
        ("some_path", "a\0b"),
        ("some_path", "~nobody-of-this-name/x"),
        ("some_path", 3),
        ("switch", "yes"),
        ("switch", 1),
        ("seconds", "soon"),
        ("seconds", "nan"),
        ("seconds", "inf"),
        ("seconds", "-1"),
        ("seconds", True),
        ("seconds", 10**400),
        ("count", "1.5"),
        ("count", 1.5),
        ("count", float("inf")),
        ("speed", "slow"),
        ("extras", ["a", 3]),
        ("extras", True),
        ("command", "python 'unfinished"),
        ("command", [1]),
    ],
)
def test_what_does_not_fit_is_refused_by_name(name: str, raw: object) -> None:
    """
    A value that does not fit is the user's mistake: the message begins with what they wrote it to.
    """
    with pytest.raises(BadInput) as caught:
        FIELDS[name].parse(raw, source="input `it`")

    assert caught.value.what.startswith("input `it` ")


def layers(*values: dict[str, object]) -> tuple[ValueLayer, ...]:
    """Layers, the strongest first, as surfaces name them."""
    return tuple(map(ValueLayer, ("--{}", "`{}` in [tool.mlflow-uv]"), values))


@pytest.mark.parametrize("source", ["`command` in [tool.mlflow-uv]", "--command"])
@pytest.mark.parametrize(
    "raw",
    [
        "touch 'a b' && touch c",
        "touch 'a b'; touch c",
        "touch 'a b'\ntouch c",
        'X="a b"; touch "$X" c',
        'X=c sh -c \'touch "$X" "a b"\'',
        ["touch", "a b", "&&", "touch", "c"],
        "printf x > 'a b' && cat < 'a b' | tee c",
    ],
    ids=str,
)
def test_a_command_that_needs_a_shell_is_told_the_one_that_works(source: str, raw: object, tmp_path: Path) -> None:
    """
    What is printed is put where the command stood, and does what its author meant.
    """
    with pytest.raises(BadInput) as caught:
        FIELDS["command"].parse(raw, source=source)
    fix = caught.value.fix
    told = tomllib.loads(fix)["command"] if source.startswith("`") else shlex.split(fix)[1]

    words = FIELDS["command"].parse(told, source=source)
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)

    assert ("sh", {"a b", "c"}) == (words[0], {path.name for path in tmp_path.iterdir()})


def test_the_stronger_layer_wins() -> None:
    """
    A flag goes before the settings of the project, and those before the default.
    """
    found = settle(Inputs, layers({"text": "flag"}, {"text": "setting", "count": 5}))

    assert ("flag", 5, 1.5) == (found.text, found.count, found.seconds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ways:
    """Two ways to say where to go."""

    left: Annotated[str | None, OneOf("side"), Doc("Left.")] = None
    right: Annotated[str | None, OneOf("side"), Doc("Right.")] = None


def test_what_is_given_replaces_another_way_that_is_configured() -> None:
    """
    Alternative inputs come from one layer, so that a flag goes before a setting of another name.
    """
    found = settle(Ways, layers({"right": "now"}, {"left": "always"}))

    assert Ways(right="now") == found


@pytest.mark.parametrize("nothing", ["", None, " ", "\n", "\r\n"])
def test_an_empty_value_is_not_given(nothing: object) -> None:
    """
    Actions hand over inputs that nobody set as empty text, or as a line break: the next layer answers.
    """
    found = settle(Inputs, layers({"text": nothing}, {"text": "setting"}))

    assert "setting" == found.text


def test_a_false_switch_is_given() -> None:
    """
    `--no-switch` overrules a setting.
    """
    found = settle(Inputs, layers({"text": "a", "switch": False}, {"switch": True}))

    assert found.switch is False


def test_a_missing_value_names_its_flag() -> None:
    """
    What has no default must be given.
    """
    with pytest.raises(BadInput) as caught:
        settle(Inputs, layers({}))

    assert "`text` is not given. Fix: --text VALUE" == str(caught.value)


@pytest.mark.parametrize(
    ("name", "expectation"),
    [
        ("text", "text"),
        ("some_path", "a path"),
        ("switch", "true or false"),
        ("seconds", "a number of at least 0"),
        ("count", "a whole number of at least 0"),
        ("speed", "one of fast, right"),
        ("extras", "a list of names, separated by commas or spaces"),
        ("command", "a command line"),
    ],
)
def test_a_value_of_another_type_is_refused_in_a_sentence(name: str, expectation: str) -> None:
    """
    With an article, whatever the type is.
    """
    with pytest.raises(BadInput) as caught:
        FIELDS[name].parse({"a": 1}, source="`it`")

    assert f"`it` must be {expectation}: it is {{'a': 1}}" == str(caught.value)


def test_a_wrong_setting_is_named_where_it_stands() -> None:
    """
    A mistake in pyproject.toml is not blamed on a flag.
    """
    with pytest.raises(BadInput) as caught:
        settle(Inputs, layers({"text": "a"}, {"count": "many"}))

    assert caught.value.what.startswith("`count` in [tool.mlflow-uv] ")


@pytest.mark.parametrize(
    ("key", "hint"),
    [("exras", "did you mean `extras`?"), ("zzz", "known are count, extras")],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(key: str, hint: str) -> None:
    """
    A typing error is not ignored.
    """
    with pytest.raises(BadInput) as caught:
        refuse_unknown({"extras": 1, key: 2}, frozenset({"extras", "count"}), source="[tool.mlflow-uv]")

    assert (f"[tool.mlflow-uv] does not know `{key}`", hint) == (caught.value.what, caught.value.why)


def test_known_keys_pass() -> None:
    """
    Keys that somebody declared are fine.
    """
    refuse_unknown({"extras": 1}, frozenset({"extras", "count"}), source="[tool.mlflow-uv]")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("alpha=0.5 'note=two words'", ("alpha=0.5", "note=two words")),
        (["alpha=0.5", "note=a && b"], ("alpha=0.5", "note=a && b")),
        ("query=a|b", ("query=a|b",)),
    ],
)
def test_quoted_words_are_no_command(raw: object, words: tuple[str, ...]) -> None:
    """
    What a shell would take for an assignment or an operator is a part of a parameter.
    """
    field = Field(name="parameters", kind=FieldKind.QUOTED, doc="")

    assert words == field.parse(raw, source="`parameters`")
    assert words == field.parse(replace(field, default=words).default_text, source="`parameters`")


def test_a_quote_without_an_end_is_refused() -> None:
    """
    With the text as it stands.
    """
    with pytest.raises(BadInput, match="has an unterminated quote"):
        Field(name="parameters", kind=FieldKind.QUOTED, doc="").parse("note='a", source="`parameters`")
