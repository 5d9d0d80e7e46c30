"""The arguments of the hooks: which steps they name, and which flags they accept."""

from pathlib import Path
from typing import Any

import pytest
from mlflow_uv_hooks.hook import _parse

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.step import Step, ValueLayer, fields_of, settle
from mlflow_uv.steps.catalog import all_steps
from tests.inputs import inputs_of

HOOKS = [step for step in all_steps() if step.hook is not None]


def parsed(step: Step[Any, Any, Any], words: list[str]) -> Any:
    """The inputs that a hook makes of its arguments, before the project is looked at."""
    call = _parse([step.name, *words, "uv.lock"])
    assert (step.name, ["uv.lock"]) == (call.step.name, [file.name for file in call.files])
    return settle(step.inputs, (ValueLayer("--{}", call.flags),))


@pytest.mark.parametrize("switch", ["true", "false"])
@pytest.mark.parametrize("step", HOOKS, ids=lambda step: step.name)
def test_a_hook_reads_what_a_field_writes(step: Step[Any, Any, Any], switch: str) -> None:
    """
    Every input, as arguments written from its text or from its value, gives the inputs that the text gives.
    """
    expected = inputs_of(step, switch=switch)
    given = [(field, getattr(expected, field.name)) for field in fields_of(step.inputs)]

    from_values = parsed(step, [word for field, value in given for word in field.argv(value)])
    from_texts = parsed(step, [word for field, value in given for word in field.argv(field.text(value))])

    assert (expected, expected) == (from_values, from_texts)


@pytest.mark.parametrize(
    ("words", "value"),
    [(["--hashes"], True), (["--no-hashes"], False), (["--hashes=true"], True), (["--hashes=false"], False)],
)
def test_a_switch_is_written_in_every_form(words: list[str], value: bool) -> None:
    """
    The forms of the command line, and those of a key with a value.
    """
    (export,) = [step for step in HOOKS if step.name == "export"]

    inputs = parsed(export, words)

    assert value is inputs.hashes


def test_no_form_of_a_switch_says_the_opposite_twice() -> None:
    """
    `--no-hashes=false` is refused by its name.
    """
    with pytest.raises(BadInput, match="`--no-hashes` takes no value: it is `false`"):
        _parse(["export", "--no-hashes=false"])


@pytest.mark.parametrize("words", [[], ["no-such-hook"], ["log-model"]])
def test_a_step_without_a_hook_is_no_hook(words: list[str]) -> None:
    """
    The error names every hook that a step declares.
    """
    with pytest.raises(BadInput) as caught:
        _parse(words)

    names = (name for step in HOOKS for name in (step.name, *(hook.id for hook in step.rule_hooks)))
    assert f"known are {', '.join(names)}" == caught.value.why


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("--ofline=true", "did you mean `--offline`?"),
        (
            "--zzz",
            (
                "its flags are --alone, --builds, --exclude, --no-alone, --no-offline, --no-respect-env, --offline,"
                " --patch, --project, --respect-env, --uv"
            ),
        ),
    ],
)
def test_an_unknown_flag_has_a_similar_one_or_all(word: str, why: str) -> None:
    """
    A suggestion is close, or there is none.
    """
    with pytest.raises(BadInput) as caught:
        _parse(["check-lock", word])

    assert (f"`{word.partition('=')[0]}` is not a flag of check-lock", why) == (caught.value.what, caught.value.why)


def test_the_hook_of_a_rule_runs_its_step_with_that_rule() -> None:
    """
    Flags of the configuration count as well.
    """
    call = _parse(["lint-tracking-uri", "--fix", "train.py"])

    assert ("lint", {"rules": "tracking-uri", "fix": True}) == (call.step.name, dict(call.flags))


def test_the_hook_of_an_unknown_rule_is_an_error() -> None:
    """
    With the hooks that there are.
    """
    with pytest.raises(BadInput, match="no such hook: known are check-lock, lint, lint-dockerfile-lock"):
        _parse(["lint-tracking-url", "train.py"])


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--package",), "it is the last word"),
        (("--package", "uv.lock"), "the next word is the changed file `uv.lock`"),
        (("--package", "--check", "uv.lock"), "the next word is `--check`"),
    ],
)
def test_a_flag_without_a_value_does_not_take_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], why: str
) -> None:
    """
    pre-commit appends the changed files to `args`, so the file would be lost without a word.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "uv.lock").touch()

    with pytest.raises(BadInput) as caught:
        _parse(["export", *words])

    assert ("`--package` has no value", why, "args: [--package=VALUE]") == (
        caught.value.what, caught.value.why, caught.value.fix,
    )  # fmt: skip
    fixed = _parse(["export", caught.value.fix.removeprefix("args: [").removesuffix("]"), "uv.lock"])
    assert ("VALUE", (tmp_path / "uv.lock",)) == (fixed.flags["package"], fixed.files)
