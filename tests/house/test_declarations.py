"""Everything about a step is declared once, in its module."""

import ast
import re
import tomllib

import pytest

from mlflow_uv.command import errors
from mlflow_uv.command.settings import KEYS
from mlflow_uv.command.step import Field, FieldKind, SettingReach, fields_of
from mlflow_uv.steps.catalog import all_steps
from mlflow_uv.surfaces.manifest import rendered
from tests.house.files import ROOT, ours, shown

FIELDS = [
    (step.name, part, field)
    for step in all_steps()
    for part in ("inputs", "outputs")
    for field in fields_of(getattr(step, part))
]
LONGEST_DESCRIPTION = 125  # what GitHub's marketplace shows of an action


def test_rendered_files_are_what_the_steps_say() -> None:
    """
    action.yml, the hooks and the reference are written by `bin/mlflow-uv render`, and committed with the step.
    """
    stale = [
        name for name, text in rendered().items() if not (ROOT / name).is_file() or (ROOT / name).read_text() != text
    ]

    assert [] == stale, "bin/mlflow-uv render"


def test_there_is_no_action_that_no_step_renders() -> None:
    """
    An action whose step is gone would still be found by its users. One is written by hand, for a workflow alone.
    """
    found = {shown(path) for path in ours(r"(.*/)?action\.ya?ml")}

    expected = {name for name in rendered() if name.endswith("action.yml")}
    assert expected | {".github/restore-cache/action.yml"} == found


def test_no_python_that_is_to_come_is_excluded() -> None:
    """
    An upper bound stops every hook on the day on which a machine's `python3` is newer.
    """
    manifest = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert ">=3.11" == manifest["project"]["requires-python"]


@pytest.mark.parametrize("step", all_steps(), ids=lambda step: step.name)
def test_a_step_is_said_in_one_sentence(step) -> None:
    """
    The summary is one sentence that fits where GitHub shows it.
    """
    assert re.fullmatch(r"[A-Z][^.!?]*(\.[a-z][^.!?]*)*[.?]", step.summary)
    assert len(step.summary) <= LONGEST_DESCRIPTION


@pytest.mark.parametrize("step", all_steps(), ids=lambda step: step.name)
def test_names_of_steps_are_kebab_case_and_used_once(step) -> None:
    """
    A step's name is a command, a folder and an id.
    """
    names = [other.name for other in all_steps()]

    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", step.name)
    assert names.count(step.name) == 1


@pytest.mark.parametrize(("step", "part", "field"), FIELDS, ids=lambda value: getattr(value, "name", value))
def test_every_field_is_documented_in_one_sentence(step: str, part: str, field: Field) -> None:
    """
    `Doc` is shown in `--help`, action.yml and the reference: one sentence with a full stop.
    """
    assert re.fullmatch(r"[^.]+([.][\w/*][^.]*)*\.", field.doc), f"{step} {part}: {field.doc!r}"


def test_a_word_means_the_same_in_every_step() -> None:
    """
    Fields of the same name have the same type, sentence and check; an output may be empty where a step was left out.
    """
    meanings: dict[tuple[str, str], set[object]] = {}
    for step, part, field in FIELDS:
        if (step, field.name) == ("doctor", "model"):
            continue  # a version as well as a folder, and no setting; log-model's is the folder to log
        meanings.setdefault((part, field.name), set()).add(
            (field.kind, field.doc, field.choices, field.matching, field.reach)
        )

    multiple = {name: found for name, found in meanings.items() if len(found) > 1}

    assert {} == multiple


def test_an_input_has_the_same_default_in_every_step() -> None:
    """
    Nobody has to remember where a word defaults to what.
    """
    defaults: dict[str, set[object]] = {}
    for _, part, field in FIELDS:
        if part == "inputs":
            defaults.setdefault(field.name, set()).add((field.default, field.required))

    multiple = {name: found for name, found in defaults.items() if len(found) > 1}

    assert {} == multiple


def test_every_setting_that_is_a_path_says_what_it_reaches() -> None:
    """
    A checkout names no file outside itself: whoever declares a path says whether it is written or read.
    """
    paths = {field.kebab: field.reach for _, part, field in FIELDS if part == "inputs" and field.kind is FieldKind.PATH}
    settings = {name: reach for name, reach in paths.items() if name in KEYS}

    assert [] == [
        name for name, reach in settings.items() if reach not in (SettingReach.WRITTEN, SettingReach.DISCLOSED)
    ]


def test_the_threat_model_names_every_setting() -> None:
    """
    Whoever adds a setting says what it decides, and who may set it.
    """
    text = (ROOT / "docs/threat-model.md").read_text().partition("## What a checkout may decide")[2]
    first_cells = (line.split("|")[1] for line in text.splitlines() if line.startswith("|"))
    named = {name for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)}

    assert set() == KEYS - named


def test_no_input_carries_a_secret() -> None:
    """
    Secrets come from the environment: an input is printed by GitHub and kept in logs.
    """
    words = re.compile(r"password|token|secret|credential|api.?key")

    guilty = [(step, field.name) for step, part, field in FIELDS if part == "inputs" and words.search(field.name)]

    assert [] == guilty


def test_switches_are_off_unless_said() -> None:
    """
    An action's input that nobody set is off, as a flag is.
    """
    on = [(step, field.name) for step, part, field in FIELDS if field.kind is FieldKind.SWITCH and field.default]

    assert [] == on


def test_every_kind_of_error_has_its_own_exit_code() -> None:
    """
    A script can tell why there is no answer, and no code is one that shells or findings use.
    """
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.StepError)]
    codes = [kind.exit_code for kind in kinds]

    assert len(codes) == len(set(codes))
    assert not {0, 1, *range(64, 79), *range(126, 256)} & set(codes)


def test_what_others_wrote_is_parsed_in_one_place() -> None:
    """
    A parser that is called elsewhere has neither bounds nor an error of ours; the islands have their own.
    """
    calls = re.compile(r"\b(json\.loads?|tomli\.loads?|tomllib\.loads?)\(")
    allowed = (
        "src/mlflow_uv/command/host.py",  # the event, which GitHub wrote
        "src/mlflow_uv/core/security/documents.py",
        "src/mlflow_uv/core/security/toml_documents.py",
        "src/mlflow_uv/tools/engines/build_context.py",  # our own lock
    )
    islands = "payloads|serving|installing|edge|signing|ray_serve"

    found = [
        shown(path) for path in ours(rf"(src/mlflow_uv|hooks)/(?!({islands})/).*\.py") if calls.search(path.read_text())
    ]

    assert [*allowed] == sorted(found)


def test_names_of_tags_are_defined_in_one_module() -> None:
    """
    A name that is typed again can differ from what the other side sets; labels of images have names of their own.
    """
    names = re.compile(r"""f?["']mlflow-uv\.[a-z{]""")
    allowed = (
        "src/mlflow_uv/core/image/dockerfile.py",
        "src/mlflow_uv/core/image/labels.py",
        "src/mlflow_uv/payloads/messages/tags.py",
        "src/mlflow_uv/tools/engines/containers.py",
    )

    found = [shown(path) for path in ours(r"(src/mlflow_uv|hooks)/.*\.py") if names.search(path.read_text())]

    assert [*allowed] == sorted(found)


def test_requests_to_payloads_are_typed() -> None:
    """
    Outside of the tool, nothing names a verb or parses a response: `StoreClient` has a method for each.
    """
    layers = "command|core|ops|steps|surfaces"

    found = [
        shown(path)
        for path in ours(rf"src/mlflow_uv/({layers})/.*\.py")
        if re.search(r"\.(ask|ask_model)\(", path.read_text())
    ]

    assert [] == found


def test_the_memory_of_both_models_is_measured_alike() -> None:
    """
    The programs stand alone, and their figures are compared.
    """
    programs = ("edge/measure.py", "payloads/conversion/original_measure.py")

    functions = {
        ast.dump(node)
        for program in programs
        for node in ast.parse((ROOT / "src/mlflow_uv" / program).read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "peak_memory"
    }

    assert 1 == len(functions)
