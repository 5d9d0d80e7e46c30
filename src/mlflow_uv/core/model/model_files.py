"""Which files does a model get from us, and what do they say?"""

import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

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
CASES = f"{FOLDER}/cases.json"
ANSWERS = f"{FOLDER}/answers.json"
WHEELS = f"{FOLDER}/wheels"
REQUIREMENTS = "requirements.txt"
# A root-level uv.lock makes MLflow restore by `uv sync`, which knows neither extras nor groups nor wheels.
UV_FILES = ("uv.lock", "pyproject.toml", ".python-version")
SERVERS = frozenset({"mlflow", "mlflow-skinny"})


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedFiles:
    """What a served model is made of, beside itself: the export, the wheels, the Python it was trained with."""

    requirements: Requirements
    wheels: tuple[WheelLink, ...]
    python: str


def wheel_line(wheel: WheelLink) -> str:
    """
    How requirements name a wheel that lies in the model: relative to the model's folder.

    MLflow starts uv and pip there, and conda starts pip where conda.yaml lies.
    """
    return f"{WHEELS}/{wheel.file} ; {wheel.marker}" if wheel.marker else f"{WHEELS}/{wheel.file}"


def requirement_lines(served: ServedFiles) -> tuple[str, ...]:
    """The lines of the model's requirements.txt: exactly the export, then the wheels that travel along."""
    return (*(pin.line for pin in served.requirements.pins), *(wheel_line(wheel) for wheel in served.wheels))


def hashed_lines(served: ServedFiles) -> tuple[str, ...]:
    """The same with the hashes of the lock and of the wheels, for an installer that insists on them."""
    wheels = (f"{wheel_line(wheel)} \\\n    --hash=sha256:{wheel.sha256}" for wheel in served.wheels)
    return (*(pin.hashed_line for pin in served.requirements.pins), *wheels)


def environment_files(served: ServedFiles) -> dict[str, str]:
    """
    requirements.txt, conda.yaml and python_env.yaml, all three saying the same.

    They ask for the Python minor version that pins and pickles depend on. Asked for a micro version that is not there,
    uv downloads it or gives up, and pyenv compiles it. The quotes keep 3.10 from being the number 3.1.
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


def own_lines(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Split a model's requirements.txt into the lines of the export, and our wheels: file names and markers."""
    wheels = []
    rest = []
    for line in text.splitlines():
        if line.startswith(f"{WHEELS}/"):
            path, _, marker = re.sub(r"\s--hash=\S+", "", line).partition(" ; ")
            wheels.append((PurePosixPath(path.strip()).name, marker.strip()))
        else:
            rest.append(line)
    return "\n".join(rest), tuple(wheels)


def without_credentials(text: str) -> str:
    """Take user names and passwords out of every URL of a text; the `git@` of an SSH address is neither."""
    return re.sub(r"(https?://)[^/\s\"'@]+@|(://)[^/\s\"':@]+:[^/\s\"'@]+@", r"\1\2", text)


def wheel_of(file: str, digest: str, marker: str = "") -> WheelLink:
    """Read name and version from a wheel's file name (PEP 427)."""
    from packaging.utils import parse_wheel_filename  # noqa: PLC0415  # hooks never see a wheel

    name, version, _, _ = parse_wheel_filename(file)
    return WheelLink(file=file, name=str(name), version=str(version), sha256=digest, marker=marker)
