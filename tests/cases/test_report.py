"""The report on a released version: one page, written and logged."""

import pytest

from .sample_project import SampleProject

# The names of the files beside the record of version 1.
LOGGED = """
def files(path):
    for item in client.list_artifacts(client.get_model_version("wine", "1").run_id, path):
        yield from files(item.path) if item.is_dir else [item.path]
print(*sorted(path.rpartition("/")[2] for path in files("mlflow-uv") if "/published/" not in path))
"""


def test_a_released_version_has_a_report_that_is_logged_beside_its_record(released_sample: SampleProject) -> None:
    """
    The page names the version, its links and its model; nothing about it has to be given but its alias.
    """
    released_sample.restore()

    result = released_sample.run("report", "models:/wine@candidate", "--report-file", "../wine ü.html", "--log-report")

    assert (0, "1", []) == (result.code, result.outputs["version"], result.outputs["broken"]), result.stderr
    page = (released_sample.folder.parent / "wine ü.html").read_text()
    tags = released_sample.store.tags("1")
    assert "wine version 1 (candidate) is what was released" in page
    assert f"<dd><code>{tags['model-sha256']}</code></dd>" in page
    assert "<script" not in page
    assert ["record.json", "report.html"] == released_sample.consumer.ask_mlflow(LOGGED).split()


@pytest.mark.extended
def test_a_release_logs_the_report_if_it_is_asked_to(sample: SampleProject) -> None:
    """
    A release that trains nothing again does, too, and its last lines say where the report is.
    """
    result = sample.run("release", "--engine", "none", "--log-report")

    assert 0 == result.code, result.stderr
    assert "report:      logged to run " in result.stderr + result.stdout
    assert ["record.json", "report.html"] == sample.consumer.ask_mlflow(LOGGED).split()
