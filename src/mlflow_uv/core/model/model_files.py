"""Names the files that mlflow-uv adds to a model, and renders their content."""

import json
import re
from pathlib import PurePosixPath

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..export.requirements import Requirements
from ..lock.selection import Selection
from ..release.record import WheelLink

FOLDER = "mlflow-uv"
LOCK = f"{FOLDER}/uv.lock"
MANIFEST = f"{FOLDER}/pyproject.toml"
PYTHON = f"{FOLDER}/.python-version"
SELECTION = f"{FOLDER}/selection.json"
HASHED = f"{FOLDER}/requirements.txt"
INDEXES = f"{FOLDER}/indexes.json"
# What the metadata of the packages that trained says about their licences, by name and version.
LICENCES = f"{FOLDER}/licences.json"
CASES = f"{FOLDER}/cases.json"
ANSWERS = f"{FOLDER}/answers.json"
# The requests of the `cases` file and the derived ones, as exact text, and how training answered them.
REQUESTS = f"{FOLDER}/requests.json"
RESPONSES = f"{FOLDER}/responses.json"
WHEELS = f"{FOLDER}/wheels"
REQUIREMENTS = "requirements.txt"
# With a uv.lock at the model's root, MLflow restores by `uv sync`, without extras, groups and wheels.
UV_FILES = ("uv.lock", "pyproject.toml", ".python-version")
SERVERS = frozenset({"mlflow", "mlflow-skinny"})


@lazy_dataclass
class ServedFiles:
    """The environment of a served model: the export, the wheels, and the version of Python that trained it."""

    requirements: Requirements
    wheels: tuple[WheelLink, ...]
    python: str


def wheel_line(wheel: WheelLink) -> str:
    """
    The requirement of a wheel in the model, relative to the model's folder.

    MLflow starts uv and pip in that folder, and conda starts pip in the folder of conda.yaml.
    """
    return f"{WHEELS}/{wheel.file} ; {wheel.marker}" if wheel.marker else f"{WHEELS}/{wheel.file}"


def requirement_lines(served: ServedFiles) -> tuple[str, ...]:
    """The lines of the model's requirements.txt: the export, then the wheels in the model."""
    return (*(pin.line for pin in served.requirements.pins), *(wheel_line(wheel) for wheel in served.wheels))


def hashed_lines(served: ServedFiles) -> tuple[str, ...]:
    """The same lines with the hashes of the lock and of the wheels (pip's `--require-hashes`)."""
    wheels = (f"{wheel_line(wheel)} \\\n    --hash=sha256:{wheel.sha256}" for wheel in served.wheels)
    return (*(pin.hashed_line for pin in served.requirements.pins), *wheels)


def environment_files(served: ServedFiles) -> dict[str, str]:
    """
    Render requirements.txt, conda.yaml and python_env.yaml with the same content, and the list with hashes.

    They require the minor version of Python, on which pins and pickles depend. A patch version that is not installed
    would be downloaded by uv, if at all, and compiled by pyenv. The quotes keep YAML from reading 3.10 as 3.1.
    """
    lines = requirement_lines(served)
    python = ".".join(served.python.split(".")[:2])
    conda = ["channels:", "- conda-forge", "dependencies:", f"- python={python}", "- pip", "- pip:"]
    conda += [f"  - {json.dumps(line)}" for line in lines]
    return {
        REQUIREMENTS: "".join(f"{line}\n" for line in lines),
        "conda.yaml": "\n".join((*conda, "name: mlflow-env", "")),
        "python_env.yaml": f'python: "{python}"\nbuild_dependencies: []\ndependencies:\n- -r requirements.txt\n',
        HASHED: "".join(f"{line}\n" for line in hashed_lines(served)),
    }


def selection_file(selection: Selection) -> str:
    """The selection as JSON."""
    return (
        json.dumps(
            {"package": selection.package, "extras": sorted(selection.extras), "groups": sorted(selection.groups)},
            indent=1,
        )
        + "\n"
    )


def split_requirements(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Split a model's requirements.txt into the lines of the export, and the wheels (file names and markers)."""
    wheels = []
    rest = []
    for line in text.splitlines():
        if line.startswith(f"{WHEELS}/"):
            path, _, marker = re.sub(r"\s--hash=\S+", "", line).partition(" ; ")
            wheels.append((PurePosixPath(path.strip()).name, marker.strip()))
        else:
            rest.append(line)
    return "\n".join(rest), tuple(wheels)


def wheel_of(file: str, digest: str, marker: str = "") -> WheelLink:
    """Create a WheelLink with the name and version from a wheel's file name (PEP 427)."""
    from packaging.utils import parse_wheel_filename  # noqa: PLC0415  # few steps read names of wheels

    name, version, _, _ = parse_wheel_filename(file)
    return WheelLink(file=file, name=str(name), version=str(version), sha256=digest, marker=marker)
