"""Budgets of a tested server: one within them has its figures in the record, a slow and leaking one is named."""

import json

import pytest

from .sample_project import SampleProject, training

FINDINGS = 1
# Each value is certain to be exceeded, on any machine: it sleeps longer, and keeps more.
SLOW_AND_LEAKING = training(
    load="self.kept = [] if not in_serving() else [time.sleep(1.5)]",
    predict="""if in_serving():
            time.sleep(0.2)
            self.kept.append(bytearray(os.urandom(8 << 20)))
        return [2.0 * x for x in model_input["x"]]""",
)
NARROW = """
[tool.mlflow-uv.smoke-test]
ready-seconds = 1
p50-milliseconds = 100
p95-milliseconds = 100
requests-per-second = 1000000
memory-growth-mib = 10
load-seconds = 3
concurrency = 2
"""
WIDE = """
[tool.mlflow-uv.smoke-test]
ready-seconds = 600
p50-milliseconds = 60000
p95-milliseconds = 60000
requests-per-second = 0.001
memory-mib = 100000
memory-growth-mib = 100000
load-seconds = 1
"""


def with_budgets(sample: SampleProject, budgets: str) -> None:
    """Let the committed manifest have budgets."""
    manifest = sample.folder / "pyproject.toml"
    manifest.write_text(manifest.read_text() + budgets)
    sample.commit()


@pytest.mark.extended
def test_a_server_within_its_budgets_has_figures_in_the_record(sample: SampleProject) -> None:
    """
    And a table and a histogram in the report.
    """
    with_budgets(sample, WIDE)

    result = sample.run("smoke-test")

    assert 0 == result.code, result.stderr
    record = json.loads(sample.consumer.record.read_text())
    names = ["ready-seconds", "p50-milliseconds", "p95-milliseconds", "requests-per-second", "memory-mib"]
    assert [*names, "memory-growth-mib"] == [name for name, _ in record["figures"]]
    assert all(value > 0 for name, value in record["figures"] if name in names)
    assert 0 < sum(number for _, number in record["latencies"]) <= 20_000


def test_a_slow_start_a_slow_and_a_leaking_model_are_each_named(sample: SampleProject) -> None:
    """
    Each by its budget, at its line of the manifest; the version is failed.
    """
    sample.train_with(SLOW_AND_LEAKING)
    with_budgets(sample, NARROW)
    released = sample.run("release", "--steps", "log-model register build-image", "--engine", "none")
    assert 0 == released.code, released.stderr

    result = sample.run("smoke-test")

    findings = [finding for finding in result.answer["findings"] if finding["severity"] == "error"]
    keys = [line.partition(" =")[0] for line in NARROW.splitlines()[2:7]]
    assert (FINDINGS, {f"budget-{key}" for key in keys}) == (result.code, {each["rule"] for each in findings})
    lines = (sample.folder / "pyproject.toml").read_text().splitlines()
    assert {f"budget-{lines[each['line'] - 1].partition(' =')[0]}" for each in findings} == {
        each["rule"] for each in findings
    }
    assert "failed" == sample.store.tags(released.outputs["version"])["state"]
