"""What is kept about blobs that were pushed: hints, which nobody has to believe."""

import json
from pathlib import Path

import pytest

from mlflow_uv.tools.oci.pushed_blobs import MOST, PushedBlobs

DIGEST = f"sha256:{'1' * 64}"


def test_the_last_repository_that_got_a_blob_is_known_for_its_registry(tmp_path: Path) -> None:
    """
    Another registry has nothing of it.
    """
    known = PushedBlobs(tmp_path)
    known.add("r.example", "team/wine", [DIGEST])
    known.add("r.example", "team/beer", [DIGEST])

    assert {DIGEST: "team/beer"} == PushedBlobs(tmp_path).sources("r.example")
    assert {} == known.sources("r.example:5000")


@pytest.mark.parametrize(
    "content",
    ["[]", "{", '{"sha256:1": "team/wine"}', json.dumps({DIGEST: "../x?y=z"}), json.dumps({DIGEST: 1}), "[" * 100_000],
    ids=["list", "torn", "no digest", "no repository", "number", "deep"],
)
def test_a_file_that_was_changed_is_no_hint(tmp_path: Path, content: str) -> None:
    """
    Nothing of it gets into a request.
    """
    known = PushedBlobs(tmp_path)
    known.add("r.example", "team/wine", [DIGEST])
    (file,) = (tmp_path / "pushed").iterdir()
    file.write_text(content)

    assert {} == known.sources("r.example")


def test_old_hints_go(tmp_path: Path) -> None:
    """
    The file stays small.
    """
    known = PushedBlobs(tmp_path)
    known.add("r.example", "old", [DIGEST])
    known.add("r.example", "new", [f"sha256:{at:064}" for at in range(MOST)])

    assert MOST == len(known.sources("r.example"))
    assert DIGEST not in known.sources("r.example")
