"""Plans and builds the serving image of a model, and verifies the packages and the model in it."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from ...command.errors import BaseImageUnfit, ChainBroken, ToolFailed
from ...command.inputs import Serving
from ...command.report import Finding, Severity
from ...command.wording import Wording, joined, option, step_call
from ...core.image.dockerfile import MODEL, SERVING, VENV, Recipe, render_dockerfile
from ...core.image.labels import BuildProvenance, image_labels
from ...core.image.layers import PackageLayer
from ...core.image.reference import with_default_tag
from ...core.image.system_libraries import base_image_fix
from ...core.release.digests import tree_digest
from ...core.release.record import ImageLink, Record
from ...core.security.documents import parse_json
from ...core.security.url_credentials import without_user
from ...payloads.messages.lazy_dataclass import lazy_dataclass
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


@lazy_dataclass
class ImageRequest:
    """The options of an image that differ from the defaults; `verify` is the value of VERIFY in its configuration."""

    base: str | None
    serving: Serving
    platforms: tuple[str, ...] = ()
    cache: Cache = field(default_factory=Cache)
    verify: str = ""


@lazy_dataclass
class BaseImage:
    """The base image; it has no digest if no engine inspected it."""

    name: str
    digest: str = ""
    python: str = PYTHONS[0]
    architecture: str = ""
    variables: frozenset[str] = frozenset()


@lazy_dataclass
class ImagePlan:
    """The content of an image: the needs of the served model, on a base image."""

    needs: Needs
    base: BaseImage
    dockerfile: str
    parts: tuple[PackageLayer, ...]


def default_base(needs: Needs) -> str:
    """The official slim image of the model's Python."""
    return official_base(needs.minor)


def official_base(minor: str) -> str:
    """The official slim image of a Python (`3.12`)."""
    return f"python:{minor}-slim"


def inspect_base(name: str, needs: Needs, engine: Engine, tools: Tools) -> BaseImage:
    """Return a base image with the model's Python. Raises BaseImageMissing, BaseImageUnfit."""
    image = engine.fetch(name)
    python, answer = _python_of(name, image, engine, tools)
    version, _, used_folders = answer.partition(" ") if python else (answer, "", "")
    if not python:
        raise without_python(name, needs, why=version)
    require_fit(name, needs, version=version, used_folders=used_folders.split())
    return BaseImage(
        name=name,
        digest=image.digest,
        python=python,
        architecture=image.architecture,
        variables=image.variables,
    )


def without_python(base: str, needs: Needs, *, why: str) -> BaseImageUnfit:
    """Return the error for a base image without a Python."""
    return BaseImageUnfit(
        what=f"the base image `{base}` has no Python",
        why=why,
        fix=Wording(option("base-image", default_base(needs)), f", or another with Python {needs.minor} on its PATH"),
    )


def require_fit(base: str, needs: Needs, *, version: str, used_folders: Sequence[str]) -> None:
    """Raise BaseImageUnfit for a base with another minor version of Python, or with files where ours go."""
    if minor_of(version) != needs.minor:
        raise BaseImageUnfit(
            what=f"the base image `{base}` has Python {version}",
            why=f"the model needs {needs.python}",
            fix=Wording(option("base-image", default_base(needs)), f", or another with Python {needs.minor}"),
        )
    if used_folders:
        raise BaseImageUnfit(
            what=f"the base image `{base}` has something in {', '.join(used_folders)}",
            why="these folders are reserved for packages, server and model",
            fix=Wording(option("base-image", default_base(needs)), ", or another image without these folders"),
        )


def _python_of(name: str, image: BuiltImage, engine: Engine, tools: Tools) -> tuple[str, str]:
    """
    Return the command of the Python in a base image and its output; an empty command and the reason without one.

    The answer is cached by image id, since the content of an id never changes.
    """
    cache_file = tools.host.cache / "bases" / image.id.rpartition(":")[2]
    if cache_file.is_file():
        python, _, answer = cache_file.read_text(encoding="utf-8").partition(" ")
        return python, answer
    reasons = []
    for python in PYTHONS:
        try:
            argv = (python, "-I", "-", VENV, SERVING, MODEL)
            answer = engine.run_inside(image.id, *argv, stdin=tools.contexts.version_probe).strip()
        except ToolFailed as error:
            reasons.append(error.why)
            continue
        if not re.fullmatch(r"\d+\.\d+\S*( /\S+)*", answer):
            return "", f"`{python}` of `{name}` says {answer[:100]!r}"
        write_atomically(cache_file, f"{python} {answer}".encode())
        return python, answer
    return "", reasons[0]


def plan(release: RecomputedRelease, needs: Needs, base: BaseImage, request: ImageRequest, tools: Tools) -> ImagePlan:
    """Plan the image; no program but git is run."""
    # For other platforms, all packages are installed in one stage and copied as one layer.
    parts = parts_of(needs, release, layered=not request.platforms)
    recipe = Recipe(
        base=base.name,
        parts={part.folder: tools.contexts.digest(part, needs.model) for part in parts},
        hashed=needs.hashed,
        resolved=needs.requirements is not None,
        crossing=bool(request.platforms),
        python=base.python,
        variables=base.variables,
        verify=request.verify,
        labels=image_labels(release.record, provenance_of(release, base, request.serving, tools)),
    )
    return ImagePlan(needs=needs, base=base, dockerfile=render_dockerfile(recipe), parts=parts)


def provenance_of(release: RecomputedRelease, base: BaseImage, serving: Serving, tools: Tools) -> BuildProvenance:
    """Return the facts in the labels of an image that are not in the record; no program but git is run."""
    created, source = "", ""
    if release.project is not None:
        created, source = tools.git.provenance(release.project.folder, release.record.commit.sha)
    return BuildProvenance(
        base=base.name,
        base_digest=base.digest,
        serving=serving.value,
        created=created,
        source=without_user(source),
    )


def fill(folder: Path, planned: ImagePlan, tools: Tools) -> None:
    """Write the complete build context into a folder. Raises ToolFailed."""
    planned.needs.list.unlink(missing_ok=True)  # not a file of the model
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
def building(planned: ImagePlan, request: ImageRequest, tools: Tools) -> Iterator[Build]:
    """Provide a build context and its secrets, which are deleted when the block ends."""
    with TemporaryDirectory(prefix="mlflow-uv-build-") as scratch:
        context = Path(scratch) / "context"
        fill(context, planned, tools)
        caller = tools.host.variables
        network_variables = {**caller, **tools.host.pip.network(caller)}
        indexes = indexes_for(planned.needs, tools)
        secrets = build_secrets(Path(scratch), tools.uv.guard.with_indexes(network_variables, indexes), indexes)
        yield Build(context=context, secrets=secrets, platforms=request.platforms, cache=request.cache)


def examine(  # noqa: PLR0913  # each is of another source
    image: BuiltImage, base: BaseImage, record: Record, *, needs: Needs, engine: Engine, tools: Tools
) -> tuple[str, tuple[Finding, ...]]:
    """
    Return the inventory of an image, and what there is to say about its libraries, from two containers side by side.

    Raises as `require_same`, and else as `require_libraries`.
    """
    findings: list[Finding] = []

    def libraries() -> str:
        findings.extend(require_libraries(image, base, engine, tools))
        return ""

    inventory, _ = tools.runner.side_by_side([lambda: require_same(image, record, needs, engine), libraries])
    return inventory, tuple(findings)


def require_same(image: BuiltImage, record: Record, needs: Needs, engine: Engine) -> str:
    """Return the inventory of an image. Raises ChainBroken unless it has these packages and the recorded model."""
    inventory = engine.run_inside(image.id, f"{VENV}/bin/python", "-I", f"{SERVING}/inventory.py", MODEL)
    require_exact(needs, inventory)
    require_model(record, inventory)
    return inventory


def require_libraries(image: BuiltImage, base: BaseImage, engine: Engine, tools: Tools) -> tuple[Finding, ...]:
    """
    Check that the shared libraries that the packages link are present, as far as the model needs them to load.

    The model is loaded only if a library is missing, in a container without network. Raises BaseImageUnfit.
    """
    argv = (f"{VENV}/bin/python", "-I", "-B", "-", VENV, MODEL)
    answer = engine.run_inside(image.id, *argv, stdin=tools.contexts.libraries, timeout_s=LOAD_S)
    response = parse_json(answer)
    lacking: dict[str, list[str]] = {}
    for package, _, library in response["lacking"]:
        lacking.setdefault(package, []).append(library)
    if required := str(response["required"]):
        package = next((package for package, libraries in lacking.items() if required in libraries), "a package")
        raise BaseImageUnfit(
            what=f"the base image `{base.name}` has no {required}, which `{package}` is linked with",
            why="the model does not load without it",
            fix=base_image_fix(dict.fromkeys((required, *lacking.get(package, ()))), base=base.name, needed_by=package),
        )
    linked = (linked_library(library, file) for library, file in response["linked"])
    return (*linked, *(_unneeded(package, libraries) for package, libraries in lacking.items()))


def linked_library(library: str, file: str) -> Finding:
    """Return the notice that a library was linked to a file of a package."""
    return Finding(
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
        fix=base_image_fix(dict.fromkeys(libraries), needed_by=package),
    )


def require_exact(needs: Needs, inventory: str) -> None:
    """Raise ChainBroken unless exactly the required packages are installed."""
    if lines := mismatches(needs, inventory):
        raise ChainBroken("image", why="; ".join(lines[:5]), fix=step_call("build-image"))


def require_model(record: Record, inventory: str) -> None:
    """Raise ChainBroken unless the model in the image is the recorded one, file by file."""
    contents = read_inventory(inventory)
    if contents["serves"] != MODEL:
        raise ChainBroken(
            "image",
            why=f"the server in it would load the model from {contents['serves']}",
            fix=Wording("another ", option("base-image", "NAME")),
        )
    digest = tree_digest((PurePosixPath(path), digest) for path, digest in contents["model"])
    if digest != record.model.sha256:
        raise ChainBroken(
            "image", why="the model in the image is not the one in the store", fix=step_call("build-image")
        )


def image_name(requested_name: str | None, record: Record) -> str:
    """Return the requested image name, or the model's name in valid form; a missing tag becomes the version number."""
    version = record.version.version if record.version else record.model.sha256[:12]
    name = record.version.name if record.version else record.model.name
    safe = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "model"
    return with_default_tag(requested_name or safe, version)


def without_image(reason: str, *, requested: bool) -> Finding:
    """Return the finding that a process serves the model instead of an image."""
    return Finding(
        rule="no-image",
        severity=Severity.NOTICE if requested else Severity.WARNING,
        what="no image was built: the model is served by a process on this machine, without isolation",
        why=reason,
        fix="" if requested else Wording("start Docker, or set ", option("engine", "none")),
    )


def left_on_runner(image: ImageLink, layout: Path | None, *, ci: bool, embedded: bool) -> Iterator[Finding]:
    """Yield a warning for an image on a CI runner that is not pushed, unless an embedded store ends there, too."""
    if ci and not image.digest and not embedded and layout is None:
        yield Finding(
            rule="image-not-pushed",
            severity=Severity.WARNING,
            what=f"the image `{image.tag}` exists only on this runner",
            why="it was not pushed, so no other job can verify, promote or start it",
            fix=joined(" ", (option("push"), option("image", "REGISTRY/NAME"))),
        )


def unhashed(needs: Needs) -> Iterator[Finding]:
    """Yield a notice if packages were installed without hashes."""
    if needs.hashed:
        return
    why, fix = "the model has no lock, only the requirements that MLflow inferred", option("requirements", "lock")
    if needs.requirements is not None:
        lacking = [pin.name for pin in needs.requirements.pins if not pin.hashes]
        why, fix = f"the lock has no hashes for {', '.join(lacking)}", "install them from an index, then uv lock"
    yield Finding(
        rule="image-unhashed",
        severity=Severity.NOTICE,
        what="packages were installed without verifying hashes",
        why=why,
        fix=fix,
    )


def _readme(planned: ImagePlan) -> str:
    network = json.dumps({"UV_DEFAULT_INDEX": "https://user:password@host/simple"})
    return f"""# An image on {planned.base.name}

Build it in this folder: `docker build .`, or `podman build --format=docker .`.

Pass what is not public as build secrets, which are stored in no layer: `--secret id=network,src=FILE` for variables of
uv as JSON, such as `{network}`; `--secret id=netrc,src=FILE`; and `--secret id=ca,src=FILE` for your own certificates.
"""
