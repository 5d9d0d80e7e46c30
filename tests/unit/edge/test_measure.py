"""Tests how a bundle is measured."""

import json
from pathlib import Path

import pytest

from tests.conversions import EDGE, run_in

from .test_score import BUNDLE

pytestmark = [pytest.mark.installs, pytest.mark.extended]


def test_each_request_has_outputs_or_a_reason(converting: Path, tmp_path: Path) -> None:
    """
    With the latency of one row and the memory; nothing is added to the bundle.
    """
    folder, out = tmp_path / "bundle", tmp_path / "out.json"
    folder.mkdir()
    rows = [[1, 0.5], [1, 1e300]]
    requests = [{"dataframe_split": {"columns": ["n", "größe"], "data": [row]}} for row in rows]
    (tmp_path / "requests.json").write_text(json.dumps(requests))

    before, after = run_in(
        converting,
        BUNDLE
        + """
    before = sorted(file.name for file in folder.iterdir())
    subprocess.run([sys.executable, "-I", *sys.argv[3:], "5"], check=True)
    print(json.dumps([before, sorted(file.name for file in folder.iterdir())]))
    """,
        str(folder), str(EDGE / "score.py"), str(EDGE / "measure.py"), str(folder), str(tmp_path / "requests.json"),
        str(out),
    )  # fmt: skip

    measured = json.loads(out.read_text())
    assert before == after
    assert [{"outputs": {"sum": [1.5]}}, {"refused": "ValueError: 'größe' has a number that 32 bits cannot hold"}] == (
        measured["answers"]
    )
    assert measured["row_s"] > 0
    assert measured["memory"] > 10_000_000
