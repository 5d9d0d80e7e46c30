"""What is an image of a model built from, and is what was built that?"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from ...command.errors import BaseImageUnfit, ChainBroken, ToolFailed
from ...command.inputs import Serving
from ...command.report import Finding, Severity
from ...command.wording import Wording, option, step_call
from ...core.image.dockerfile import MODEL, SERVING, VENV, Recipe, render_dockerfile
from ...core.image.labels import BuildProvenance, labels_of
from ...core.image.layers import Part
from ...core.image.reference import tagged
from ...core.image.system_libraries import base_with
from ...core.model import model_files
from ...core.release.digests import tree_digest
from ...core.release.record import Record
from ...core.security.documents import parse_json
from ...tools.engines.build_context import ContextContents
from ...tools.engines.engine import Build, BuiltImage, Cache, Engine
from ...tools.project.files import write_atomically
from ...tools.toolbox import Tools
from ...tools.uv.network import build_secrets
from ..lineage.recompute import RecomputedRelease
from .environment import Needs, indexes_for, minor_of, mismatches, read_inventory
from .layers import parts_of

PYTHONS = ("python3", "python")
MACHINES = ("amd64", "arm64")
LOAD_S = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRequest:
    """How an image is wanted, where the default does not do."""

    base: str | None
    serving: Serving
    platforms: tuple[str, ...] = ()
    cache: Cache = field(default_factory=Cache)


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseImage:
    """The image that is built on. Without an engine nobody has looked at it: no digest then."""

    name: str
    digest: str = ""
    python: str = PYTHONS[0]
    architecture: str = ""
    variables: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePlan:
    """What goes into an image: the needs of the model as they are served, on a base."""

    needs: Needs
    base: BaseImage
    dockerfile: str
    parts: tuple[Part, ...]


def default_base(needs: Needs) -> str:
    """The official slim image of the model's Python."""
    return f"python:{needs.minor}-slim"


def look_at(name: str, needs: Needs, engine: Engine, tools: Tools) -> BaseImage:
    """A base image with the model's Python. Raises BaseImageMissing, BaseImageUnfit."""
    image = engine.fetch(name)
    python, told = _python_of(name, image, engine, tools)
    said, _, used = told.partition(" ") if python else (told, "", "")
    if not python:
        raise BaseImageUnfit(
            what=f"the base image `{name}` has no Python",
            why=said,
            fix=Wording(
                option("base-image", default_base(needs)), f", or another with Python {needs.minor} on its PATH"
            ),
        )
    if minor_of(said) != needs.minor:
        raise BaseImageUnfit(
            what=f"the base image `{name}` has Python {said}",
            why=f"the model needs {needs.python}",
            fix=Wording(option("base-image", default_base(needs)), f", or another with Python {needs.minor}"),
        )
    if used:
        raise BaseImageUnfit(
            what=f"the base image `{name}` has something in {used.replace(' ', ', ')}",
            why="these folders are reserved for packages, server and model",
            fix=Wording(option("base-image", default_base(needs)), ", or another image without these folders"),
        )
    return BaseImage(
        name=name,
        digest=image.digest,
        python=python,
        architecture=image.architecture,
        variables=image.variables,
    )


def _python_of(name: str, image: BuiltImage, engine: Engine, tools: Tools) -> tuple[str, str]:
    """
    What a base image calls its Python, and what that one says; nothing, and why, where it has none.

    What is in an image of that id never changes, so that it is asked once.
    """
    known = tools.host.cache / "bases" / image.id.rpartition(":")[2]
    if known.is_file():
        python, _, said = known.read_text(encoding="utf-8").partition(" ")
        return python, said
    reasons = []
    for python in PYTHONS:
        try:
            argv = (python, "-I", "-", VENV, SERVING, MODEL)
            said = engine.run_inside(image.id, *argv, stdin=tools.contexts.version_probe).strip()
        except ToolFailed as error:
            reasons.append(error.why)
            continue
        if not re.fullmatch(r"\d+\.\d+\S*( /\S+)*", said):
            return "", f"`{python}` of `{name}` says {said[:100]!r}"
        write_atomically(known, f"{python} {said}".encode())
        return python, said
    return "", reasons[0]


def plan(found: RecomputedRelease, needs: Needs, base: BaseImage, wish: ImageRequest, tools: Tools) -> ImagePlan:
    """What to build: text only, nothing is started but git."""
    record = found.record
    created, source = "", ""
    if found.project is not None:
        created, source = tools.git.provenance(found.project.folder, record.commit.sha)
    made = BuildProvenance(
        base=base.name,
        base_digest=base.digest,
        serving=wish.serving.value,
        created=created,
        source=model_files.without_credentials(source),
    )
    # Of another architecture, everything is made in one place and comes as one layer.
    parts = parts_of(needs, found, layered=not wish.platforms)
    recipe = Recipe(
        base=base.name,
        parts={part.folder: tools.contexts.digest(part, needs.model) for part in parts},
        hashed=needs.hashed,
        resolved=needs.requirements is not None,
        crossing=bool(wish.platforms),
        python=base.python,
        variables=base.variables,
        labels=labels_of(record, made),
    )
    return ImagePlan(needs=needs, base=base, dockerfile=render_dockerfile(recipe), parts=parts)


def fill(folder: Path, planned: ImagePlan, tools: Tools) -> None:
    """Write everything that an engine needs into a folder. Raises ToolFailed."""
    planned.needs.list.unlink(missing_ok=True)  # it is ours, not the model's
    machines = (planned.base.architecture,) if planned.base.architecture else MACHINES
    contents = ContextContents(
        dockerfile=planned.dockerfile,
        readme=_readme(planned),
        parts=planned.parts,
        model=planned.needs.model,
        machines=machines,
    )
    tools.contexts.write(folder, contents)


@contextmanager
def building(planned: ImagePlan, wish: ImageRequest, tools: Tools) -> Iterator[Build]:
    """A build whose folder and secrets are gone when the block ends."""
    with TemporaryDirectory(prefix="mlflow-uv-build-") as scratch:
        context = Path(scratch) / "context"
        fill(context, planned, tools)
        caller = tools.host.variables
        reached = {**caller, **tools.host.pip.network(caller)}
        indexes = indexes_for(planned.needs, tools)
        secrets = build_secrets(Path(scratch), tools.uv.guard.with_indexes(reached, indexes), indexes)
        yield Build(context=context, secrets=secrets, platforms=wish.platforms, cache=wish.cache)


def require_same(image: BuiltImage, record: Record, needs: Needs, engine: Engine) -> str:
    """The inventory of an image, which holds these packages and the recorded model. Raises ChainBroken otherwise."""
    inventory = engine.run_inside(image.id, f"{VENV}/bin/python", "-I", f"{SERVING}/inventory.py", MODEL)
    require_exact(needs, inventory)
    require_model(record, inventory)
    return inventory


def require_libraries(image: BuiltImage, base: BaseImage, engine: Engine, tools: Tools) -> tuple[Finding, ...]:
    """
    What the packages of an image are linked with is there, as far as the model needs it to load.

    It is loaded only where something lacks, in a container without network. Raises BaseImageUnfit.
    """
    argv = (f"{VENV}/bin/python", "-I", "-B", "-", VENV, MODEL)
    answer = engine.run_inside(image.id, *argv, stdin=tools.contexts.libraries, timeout_s=LOAD_S)
    said = parse_json(answer)
    lacking: dict[str, list[str]] = {}
    for package, _, library in said["lacking"]:
        lacking.setdefault(package, []).append(library)
    if missed := str(said["missed"]):
        package = next((package for package, libraries in lacking.items() if missed in libraries), "a package")
        raise BaseImageUnfit(
            what=f"the base image `{base.name}` has no {missed}, which `{package}` is linked with",
            why="the model does not load without it",
            fix=base_with(dict.fromkeys((missed, *lacking.get(package, ()))), base=base.name, needed_by=package),
        )
    return (*_lent(said["lent"]), *(_unneeded(package, libraries) for package, libraries in lacking.items()))


def _lent(rows: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    for library, file in rows:
        yield Finding(
            rule="image-library-linked",
            severity=Severity.NOTICE,
            what=f"{library} is not in the base image, and was linked to the copy of another package",
            why=f"it is {file}, from a wheel of the lock",
        )


def _unneeded(package: str, libraries: Iterable[str]) -> Finding:
    return Finding(
        rule="image-library-missing",
        severity=Severity.NOTICE,
        what=f"`{package}` is linked with libraries that the image does not have, and the model loads without them",
        why=", ".join(dict.fromkeys(libraries)),
        fix=base_with(dict.fromkeys(libraries), needed_by=package),
    )


def require_exact(needs: Needs, inventory: str) -> None:
    """What is installed is what the model requires, no more and no less."""
    if lines := mismatches(needs, inventory):
        raise ChainBroken("image", why="; ".join(lines[:5]), fix=step_call("build-image"))


def require_model(record: Record, inventory: str) -> None:
    """The model that lies in the image is the recorded one, file by file."""
    said = read_inventory(inventory)
    if said["serves"] != MODEL:
        raise ChainBroken(
            "image",
            why=f"the server in it would load the model from {said['serves']}",
            fix=Wording("another ", option("base-image", "NAME")),
        )
    lying = tree_digest((PurePosixPath(path), digest) for path, digest in said["model"])
    if lying != record.model.sha256:
        raise ChainBroken(
            "image", why="the model in the image is not the one in the store", fix=step_call("build-image")
        )


def image_name(given: str | None, record: Record) -> str:
    """The name that was given, or the model's as a registry accepts it; without a tag it gets the version as tag."""
    version = record.version.version if record.version else record.model.sha256[:12]
    name = record.version.name if record.version else record.model.name
    safe = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "model"
    return tagged(given or safe, version)


def without_image(reason: str, *, asked: bool) -> Finding:
    """That a process serves, where an image could."""
    return Finding(
        rule="no-image",
        severity=Severity.NOTICE if asked else Severity.WARNING,
        what="no image was built: the model is served by a process on this machine, without isolation",
        why=reason,
        fix="" if asked else Wording("start Docker, or set ", option("engine", "none")),
    )


def _readme(planned: ImagePlan) -> str:
    network = json.dumps({"UV_DEFAULT_INDEX": "https://user:password@host/simple"})
    return f"""# An image on {planned.base.name}

Build it in this folder: `docker build .`, or `podman build --format=docker .`.

What is not public comes as build secrets, which no layer holds: `--secret id=network,src=FILE` for variables of uv as
JSON, such as `{network}`; `--secret id=netrc,src=FILE`; and `--secret id=ca,src=FILE` for a company's certificates.
"""
