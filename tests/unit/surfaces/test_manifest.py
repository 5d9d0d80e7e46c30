"""What `render` writes, and where."""

from pathlib import Path

import pytest
import yaml

from mlflow_uv.surfaces.manifest import main, rendered


def test_every_rendered_file_lies_below_the_folder(tmp_path: Path) -> None:
    """
    A clone somewhere else gets the same files.
    """
    assert 0 == main([str(tmp_path)])

    written = {
        path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert rendered() == written


@pytest.mark.parametrize(("word", "code"), [("--help", 0), ("--folder", 2), ("-n", 2), ("elsewhere", 2)])
def test_what_is_no_folder_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, code: int
) -> None:
    """
    A question gets its answer, a word that is misspelt an error; neither leaves a file.
    """
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SystemExit) as caught:
        main([word])

    assert (code, []) == (caught.value.code, list(tmp_path.iterdir()))


def is_type(given: object) -> bool:
    """Whether the rules of github-actions-typing 2 allow a type, as its README and schema state them."""
    plain = {"string", "boolean", "integer", "float"}
    match given:
        case {"type": str() as name, **others} if name in plain:
            return not others
        case {"type": "enum", "allowed-values": [str(), *_] as values, **others}:
            return not others and all(isinstance(value, str) and value for value in values)
        case {"type": "list", "separator": str() as separator, "list-item": item, **others}:
            return not others and bool(separator) and is_type(item) and item["type"] != "list"
    return False


@pytest.mark.parametrize(
    "given",
    [
        None,
        "string",
        {"type": "text"},
        {"type": "string", "default": "x"},
        {"type": "enum"},
        {"type": "enum", "allowed-values": []},
        {"type": "enum", "allowed-values": ["a", True]},
        {"type": "list", "separator": ","},
        {"type": "list", "list-item": {"type": "string"}},
        {"type": "list", "separator": "", "list-item": {"type": "string"}},
        {"type": "list", "separator": ",", "list-item": {"type": "list"}},
    ],
)
def test_what_is_no_type_is_refused(given: object) -> None:
    """
    The check of the types below finds each of these mistakes.
    """
    assert not is_type(given)


def test_every_input_and_output_of_an_action_has_a_type() -> None:
    """
    The types name what the action has, and a choice lists its values.
    """
    files = rendered()
    actions = {name: yaml.safe_load(text) for name, text in files.items() if name.endswith("action.yml")}

    for name, action in actions.items():
        types = yaml.safe_load(files[name.replace("action.yml", "action-types.yml")])
        assert [list(types[part]) for part in ("inputs", "outputs")] == [
            list(action[part]) for part in ("inputs", "outputs")
        ]
        wrong = {name: given for part in types.values() for name, given in part.items() if not is_type(given)}
        assert {} == wrong
    release = yaml.safe_load(files["action-types.yml"])["inputs"]
    assert {"type": "enum", "allowed-values": ["locked", "slim"]} == release["serving"]
    assert ("boolean", "list", "string") == tuple(release[name]["type"] for name in ("push", "targets", "train"))
