"""A model that runs a command once it is loaded is refused by every step that gets it from the store."""

from pathlib import Path

import pytest

from .sample_project import SampleProject, error

CHAIN_BROKEN, REFUSED = 11, 25
URI = "models:/wine/1"


def poisoned(sample: SampleProject, mark: Path) -> None:
    """Put a command before the pickle of the released model, which is loaded all the same."""
    file = next((sample.consumer.store / "artifacts").rglob("python_model.pkl"))
    command = f"touch '{mark}'".encode()
    # Call, and drop the result; without entries in the memo, whose numbers the model has.
    call = b"cposix\nsystem\n\x8c" + bytes([len(command)]) + command + b"\x85R0"
    file.write_bytes(b"\x80\x04" + call + file.read_bytes()[2:])


@pytest.mark.core_variants(1)
@pytest.mark.parametrize(
    "argv",
    [("score", URI, "--input", "rows.csv", "--output", "scores.csv"), ("smoke-test",), ("verify", URI), ("audit", URI),
     ("evaluate", "--candidate", "1", "--data", "rows.csv"), ("export-model", URI), ("model-card", URI)],
    ids=lambda argv: argv[0],
)  # fmt: skip
def test_a_model_with_a_command_is_not_loaded(argv: tuple[str, ...], sample: SampleProject, tmp_path: Path) -> None:
    """
    The error names file, byte and import; with the variable that it prints, the chain is what refuses the model.
    """
    (sample.folder / "rows.csv").write_text("x\n1.0\n")
    mark = tmp_path / "mark"
    poisoned(sample, mark)

    refused = sample.run(*argv)
    allowed = sample.run(*argv, variables={"MLFLOW_UV_MODEL_IMPORTS": "posix.system"})

    code, kind, text, fix = error(refused)
    assert (REFUSED, "ModelRefused") == (code, kind)
    assert "python_model.pkl, byte " in text
    assert "it imports `posix.system`" in text
    assert "if you trust who made the model, MLFLOW_UV_MODEL_IMPORTS=posix.system" == fix
    assert CHAIN_BROKEN == allowed.code or argv[0] == "audit"
    assert not mark.exists()
