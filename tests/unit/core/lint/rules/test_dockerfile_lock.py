"""Which Dockerfiles install without the lock."""

import pytest

from mlflow_uv.core.lint.catalog import rule_of
from mlflow_uv.core.lint.rule import SourceFile
from mlflow_uv.ops.lint.fix import edited
from mlflow_uv.ops.lint.folder import CheckedFolder

COPY = "FROM python:3.12\nCOPY pyproject.toml uv.lock ./\nCOPY src src\n"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("RUN uv sync", "`uv sync` may change the lock in the image"),
        ("RUN apt-get update && \\\n  # a comment\n  uv sync --no-dev", "`uv sync` may change the lock in the image"),
        ('RUN ["uv", "sync"]', "`uv sync` may change the lock in the image"),
        ("RUN --mount=type=cache,target=/c uv sync", "`uv sync` may change the lock in the image"),
        ("RUN <<EOF\nset -e\nuv sync\nEOF", "`uv sync` may change the lock in the image"),
        ("RUN uv add mlflow", "`uv add` changes the lock in the image"),
        ("RUN pip install -e .", "`.` is installed without the lock"),
        ("RUN python3 -m pip install --no-cache-dir mlflow", "`mlflow` is installed without the lock"),
        ("RUN uv pip install --system 'mlflow==2.9.1'", "`mlflow` is installed without the lock"),
        ("RUN uv pip install -r pyproject.toml", "the packages of `pyproject.toml` are installed without the lock"),
        ("RUN uv sync --locked\nRUN pip install mlflow==2.9.1", "`mlflow` is installed without the lock"),
    ],
)
def test_an_installation_without_the_lock_is_found(find, lines: str, expected: str) -> None:
    """
    In every form in which a command is written, at most once.
    """
    found = find("dockerfile-lock", {"Dockerfile": f"{COPY}{lines}\n"})

    assert [("Dockerfile", expected)] == [(path, what) for path, _, what in found]


@pytest.mark.parametrize(
    "text",
    [
        f"{COPY}RUN pip install uv && uv sync --locked\n",
        f"{COPY}RUN uv sync --frozen --no-dev\n",
        f"{COPY}ENV UV_FROZEN=1\nRUN uv sync\n",
        f"{COPY}RUN uv sync --locked && pip install --no-deps .\n",
        f"{COPY}RUN uv export --locked -o r.txt && pip install -r r.txt\n",
        f"{COPY}RUN uv sync --locked && uv pip install mlflow 'ruff>=0.1'\n",
        f"{COPY}RUN pip install --upgrade pip setuptools gunicorn\n",
        f"{COPY}RUN pip install mlflow==3.4.0\n",
        f"{COPY}RUN pip install mlflow  \nCMD mlflow server --host 0.0.0.0\n",
        "FROM apache/airflow:3.0\nCOPY requirements.txt .\nRUN pip install mlflow\n",
        "FROM python:3.12\nRUN pip install mlflow psycopg2-binary\n",
        "FROM python:3.12\nCOPY entrypoint.sh /\nRUN pip install mlflow\n",
        "# RUN uv sync\nFROM scratch\n",
        "",
        "RUN",
        "\\",
        "RUN <<EOF",
        'RUN ["uv", "sync"',
        "RUN uv sync \\",
        "FROM python:3.12\nCOPY . .\nRUN echo 'uv sync\n",
    ],
)
def test_any_other_image_is_not(find, text: str) -> None:
    """
    Tracking servers, other programs, installers, what comes from the lock, and files that are no Dockerfile.
    """
    assert [] == find("dockerfile-lock", {"Dockerfile": text})


@pytest.mark.parametrize("name", ["Dockerfile.template", "Dockerfile.j2", "Dockerfile.api.jinja2", "Dockerfile.tmpl"])
def test_a_template_is_not(find, name: str) -> None:
    """
    It belongs to the projects that are made of it; a name that only has the word is one of this project.
    """
    text = f"{COPY}RUN uv sync\n"

    assert [] == find("dockerfile-lock", {name: text})
    assert ["Dockerfile.templates"] == [path for path, *_ in find("dockerfile-lock", {"Dockerfile.templates": text})]


def test_a_list_is_compared_with_the_lock(find) -> None:
    """
    A list with the locked versions is as good as the lock; the first difference is named.
    """
    text = f"{COPY}COPY requirements.txt .\nRUN pip install -r requirements.txt\n"

    same = find("dockerfile-lock", {"Dockerfile": text, "requirements.txt": "mlflow==3.4.0\n"})
    other = find("dockerfile-lock", {"Dockerfile": text, "requirements.txt": "mlflow>=2\nflask\n"})

    assert ([], [5]) == (same, [line for _, line, _ in other])


def test_the_image_of_another_service_is_not(find) -> None:
    """
    A folder with packages of its own has an own list; only one with a package of models is compared.
    """
    text = "FROM python:3.12\nCOPY . .\nRUN pip install -r requirements.txt\n"

    web = find("dockerfile-lock", {"web/Dockerfile": text, "web/requirements.txt": "ruff==0.1.0\n"})
    model = find("dockerfile-lock", {"api/Dockerfile": text, "api/requirements.txt": "ruff==0.1.0\nmlflow\n"})

    assert ([], ["`mlflow`, `ruff` are installed without the lock"]) == (web, [what for _, _, what in model])


def test_the_edit_adds_the_flag_and_nothing_else(tmp_path) -> None:
    """
    Line ends, comments and spaces stay; the corrected file has no finding.
    """
    (tmp_path / "uv.lock").write_text("version = 1\n")
    text = f"{COPY}RUN a && \\\r\n    uv  sync --no-dev  # so\r\n"
    files, rule = CheckedFolder(str(tmp_path)), rule_of("dockerfile-lock")
    assert rule.check is not None

    edits = [edit for problem in rule.check(SourceFile("Dockerfile", text), files) for edit in problem.edits]
    corrected = edited(text, edits)

    assert text.replace("sync", "sync --locked") == corrected
    assert [] == list(rule.check(SourceFile("Dockerfile", corrected), files))


def test_a_dockerfile_that_is_too_long_is_not_skipped_in_silence(find) -> None:
    """
    Up to the limit it is checked; beyond it, that it was not checked is the finding.
    """
    line = "RUN uv sync\n"
    room = 200_000 - len(COPY) - len(line)

    found = [find("dockerfile-lock", {"Dockerfile": COPY + line + "#" * length})[0][2] for length in (room, room + 1)]

    assert ["`uv sync` may change the lock in the image", "this Dockerfile is not checked"] == found
