"""Tells which Dockerfiles build an image of the project, rather than of a tracking server or another program."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from ...command.lazy_pattern import lazy_pattern
from .dockerfiles import Instruction, commands_of
from .rule import ProjectFiles, joined_path

# Programs that bring packages of their own, with versions that a project does not choose.
_OTHER_PROGRAMS = lazy_pattern(r"airflow|superset|jupyter|prefect|dagster|mlflow|metabase|grafana|label-?studio|spark")
_SERVERS = (("mlflow", "server"), ("mlflow", "ui"))
_CODE = lazy_pattern(r"(^|/)(pyproject\.toml|uv\.lock\*?|requirements[^/]*\.txt|[^/]*\.(py|ipynb))$|^\.?/?$|\*")
LOCK_SOURCE = lazy_pattern(r"(^|/)(uv\.lock\*?|uv\.\*|\*|\*\.lock)$|^\./?$")


def holds_project(instructions: Sequence[Instruction], folder: str, files: ProjectFiles) -> bool:
    """Whether an image gets code or the manifest of the project from `folder`, and runs no tracking server."""
    bases = [base for name in instructions if name.name == "FROM" if (base := _image_of(name))]
    froms = [instruction.text.lower().split() for instruction in instructions if instruction.name == "FROM"]
    stages = {words[-1] for words in froms if "as" in words}
    if any(_OTHER_PROGRAMS.search(base.lower()) for base in bases if base.lower() not in stages):
        return False
    for start in (name for name in instructions if name.name in ("CMD", "ENTRYPOINT")):
        for command in commands_of(start):
            words = tuple(word.rpartition("/")[2] for word in command.words)
            if any(pair in _SERVERS for pair in pairwise(words)) or any("mlflow server" in word for word in words):
                return False
    return any(_is_code(source, folder, files) for source in context_sources(instructions))


def context_sources(instructions: Iterable[Instruction]) -> tuple[str, ...]:
    """The paths of the build context that `COPY`, `ADD` and bind mounts name."""
    sources: list[str] = []
    for instruction in instructions:
        if instruction.name == "RUN":
            for mount in re.findall(r"--mount=(\S*type=bind\S*)", instruction.text):
                options = dict(option.partition("=")[::2] for option in mount.split(","))
                if "from" not in options:
                    sources.append(options.get("source") or options.get("src") or ".")
        elif instruction.name in ("COPY", "ADD"):
            words = instruction.text.replace('"', " ").strip("[] ").replace(",", " ").split()
            flags = [word for word in words if word.startswith("--")]
            if not any(flag.startswith("--from") for flag in flags):
                sources += [word for word in words if not word.startswith("--")][:-1]
    return tuple(sources)


def _image_of(instruction: Instruction) -> str:
    words = [word for word in instruction.text.split() if not word.startswith("--")]
    return words[0] if words else ""


def _is_code(source: str, folder: str, files: ProjectFiles) -> bool:
    if _CODE.search(source):
        return True
    path = joined_path(folder, source)
    return any(files.exists(joined_path(path, name)) for name in ("__init__.py", "pyproject.toml", "main.py", "app.py"))
