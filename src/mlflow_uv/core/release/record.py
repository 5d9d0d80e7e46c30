"""Defines the release record, which steps pass on; its links are always verified against their sources."""

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from ... import __version__
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.reader import read
from ..lock.selection import Selection
from .commit import Commit
from .digests import canonical, sha256

SCHEMA = 1
_MOST_RANGES = 100  # of the latencies
MEASURED = frozenset({"timings", "figures", "latencies"})  # parts that differ each time, and identify nothing
IMAGE_WAYS = frozenset({"image", "image-v2"})  # the ways of serving whose result depends on the image


@lazy_dataclass
class LockLink:
    """`sha256` of uv.lock with normalised line ends, and the version of uv that read it."""

    sha256: str
    uv: str


@lazy_dataclass
class WheelLink:
    """The wheel of a local package in the model; with a marker it is only installed where the marker holds."""

    file: str
    name: str
    version: str
    sha256: str
    marker: str = ""


@lazy_dataclass
class RequirementsLink:
    """`sha256` of the normalised export that the model contains, and the wheels of its local packages."""

    sha256: str
    source: str
    wheels: tuple[WheelLink, ...] = ()


@lazy_dataclass
class ModelLink:
    """A logged model: its ids, the digest of its files as the store returns them, and the versions that made it."""

    model_id: str
    run_id: str
    name: str
    sha256: str
    store: str
    python: str
    mlflow: str

    @property
    def uri(self) -> str:
        """The model's URI; MLflow 2 has no ids of logged models, so that `model_id` already is `runs:/RUN/PATH`."""
        return self.model_id if self.model_id.startswith("runs:/") else f"models:/{self.model_id}"


@lazy_dataclass
class VersionLink:
    """A registered model version, and the logged model that it was made from."""

    name: str
    version: str
    model_id: str


@lazy_dataclass
class CompositionLink:
    """
    What the digest of a composed image depends on, beside base, lock, model and serving set; audit composes it again.

    `program` identifies this program's code, `uv` the version that laid the wheels out, and `python` that of the
    interpreter that compiled them. `architectures` are those of the images, sorted; an index lists them if there are
    several. Older records have one `architecture` instead; `composed_for` is either. `layers_of_base` are those of its
    `registry`, or those of an `engine`, compressed again. `version`, `created` and `source` are in the labels;
    `version` is empty if the model was not registered. `layers_from` names the image of which layers were taken, with
    its digest; empty if all were made. `compression` is empty for gzip.
    """

    program: str
    uv: str
    python: str
    architectures: tuple[str, ...] = ()
    architecture: str = ""
    layers_of_base: str
    version: str
    created: str
    source: str
    layers_from: str = ""
    compression: str = ""

    @property
    def composed_for(self) -> tuple[str, ...]:
        """The architectures of the images; empty only in a record that says nothing of them."""
        return self.architectures or tuple(filter(None, (self.architecture,)))


@lazy_dataclass
class ImageLink:
    """
    What serves the model: an image and its id, or (`kind` `process`) an environment and the digest of its packages.

    `serving` is the selection of packages (`locked` or `slim`), `engine` the program that has the image, and `digest`
    the registry's digest of its manifest or index. `composition` is None for an image that an engine built. `verify` is
    the value of VERIFY in its configuration; empty if its server verifies nothing by itself.
    """

    kind: str
    id: str
    tag: str
    base: str
    base_digest: str
    reason: str = ""
    serving: str = "locked"
    engine: str = ""
    digest: str = ""
    composition: CompositionLink | None = None
    verify: str = ""


@lazy_dataclass
class AnswersLink:
    """
    Digests of the cases, of the answers of training (`expected`) and of those of a server (`observed`).

    `served_by` is the kind of server, `tolerance` the relative tolerance of floating-point answers, `ignored` are the
    paths that were not compared, and `variables` the names of the variables that the model was given (`serve-env`).
    `requests` and `responses` are digests of the other recorded requests, of a file or derived, and of the responses of
    training; empty without any. `limits` are those of the tested container, and `mounts` the paths that it could read.
    """

    cases: str
    expected: str
    observed: str | None = None
    served_by: str | None = None
    tolerance: float | None = None
    ignored: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    requests: str = ""
    responses: str = ""
    limits: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()


@lazy_dataclass
class AliasLink:
    """An alias, and the versions that it pointed to before and after a promotion."""

    name: str
    before: str | None
    after: str


@lazy_dataclass
class WayLink:
    """
    The result of one way of serving, by the name of its verdict (`equal`, `different`, `failed`, `unavailable`).

    `seconds` and `memory` (peak in bytes, 0 if unknown) are those of the last verification, `why` its reason.
    """

    way: str
    verdict: str
    requests: int
    seconds: float
    memory: int
    why: str


@lazy_dataclass
class VerificationLink:
    """
    The results of verify, a way each, and what they are about.

    `model` is the digest of its files, `expected` that of the answers of training, `image` the id of the image in the
    ways of IMAGE_WAYS, empty without those.
    """

    model: str
    expected: str
    image: str
    ways: tuple[WayLink, ...]


@lazy_dataclass
class ExportedModel:
    """
    A model that was converted from the version, in a format such as `onnx`.

    `sha256` is the digest of its files as the store returns them, `file_sha256` that of the converted file, `original`
    that of the model that it was converted from. `name` and `version` are empty if it is not registered.
    """

    format: str
    model_id: str
    sha256: str
    file_sha256: str
    original: str
    name: str = ""
    version: str = ""

    @property
    def uri(self) -> str:
        """The URI of its version, else of the model; MLflow 2 has no ids of logged models, as for ModelLink."""
        if self.name:
            return f"models:/{self.name}/{self.version}"
        return self.model_id if self.model_id.startswith("runs:/") else f"models:/{self.model_id}"


@lazy_dataclass
class ExportsLink:
    """The models that export-model made of the version, one for each format."""

    models: tuple[ExportedModel, ...]


@lazy_dataclass
class SignatureLink:
    """
    Who signed the version last, as its bundle names the signer, and the SHA-256 of the statement about its chain.

    It only leads to the attestations: whoever can write the record can write it, too.
    """

    signer: str
    statement: str


@lazy_dataclass
class Record:
    """
    The release record, begun by log-model, with one object for each link; None for a link not made yet.

    `figures` and `latencies`, a histogram by upper bound in milliseconds, were measured of the tested server, if there
    are budgets.
    """

    release_key: str
    commit: Commit
    lock: LockLink
    selection: Selection
    requirements: RequirementsLink
    model: ModelLink
    version: VersionLink | None = None
    image: ImageLink | None = None
    answers: AnswersLink | None = None
    alias: AliasLink | None = None
    verification: VerificationLink | None = None
    exports: ExportsLink | None = None
    signature: SignatureLink | None = None
    timings: tuple[tuple[str, float], ...] = ()
    figures: tuple[tuple[str, float], ...] = ()
    latencies: tuple[tuple[float, int], ...] = ()

    @property
    def sha256(self) -> str:
        """SHA-256 over every link, in hex, without what was MEASURED, which differs each time."""
        return sha256(canonical(_plain(replace(self, timings=(), figures=(), latencies=()))))

    def with_verification(self, earlier: "VerificationLink | None") -> "Record":
        """The record with earlier results of verify, if they are about the same model, answers and image."""
        if earlier is None:
            return self
        expected = self.answers.expected if self.answers else ""
        if (earlier.model, earlier.expected) != (self.model.sha256, expected):
            return self
        kept = replace(self, verification=earlier)
        return kept if self.image is None else kept.with_image(self.image)

    def with_image(self, image: ImageLink) -> "Record":
        """The record with an image; the result of verify about another one is left out."""
        verification = self.verification
        if verification is not None and verification.image not in ("", image.id):
            ways = tuple(link for link in verification.ways if link.way not in IMAGE_WAYS)
            verification = replace(verification, image="", ways=ways) if ways else None
        return replace(self, image=image, verification=verification)

    def to_json(self) -> dict[str, Any]:
        """The record as JSON, with the schema and the version of mlflow-uv first."""
        return {"schema": SCHEMA, "mlflow-uv": __version__, **_plain(self)}


# Parts that were added to a link later, each with a default. They are not written where they are empty, so that an
# older record keeps its digest.
_ADDED: Mapping[str, frozenset[str]] = {
    "answers": frozenset({"ignored", "variables", "requests", "responses", "limits", "mounts"}),
    "image": frozenset({"composition", "verify"}),
}
_ADDED_TO_COMPOSITION = frozenset({"architectures", "architecture", "layers_from", "compression"})
# Links that were added later, and that many versions never have; the same applies to them.
OPTIONAL = frozenset({"verification", "exports", "signature"})
LINKS: Mapping[str, type] = {
    "commit": Commit,
    "lock": LockLink,
    "selection": Selection,
    "requirements": RequirementsLink,
    "model": ModelLink,
    "version": VersionLink,
    "image": ImageLink,
    "answers": AnswersLink,
    "alias": AliasLink,
    "verification": VerificationLink,
    "exports": ExportsLink,
    "signature": SignatureLink,
}


def from_json(data: object) -> Record:
    """
    Parse a record.

    Raises ValueError for an unknown schema, for missing, unknown or mistyped parts, and for a tolerance or a time that
    is negative or not finite.
    """
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError(f"it is not a release record of schema {SCHEMA}")
    links = {name: _link(name, kind, data.get(name)) for name, kind in LINKS.items()}
    missing = [name for name in ("commit", "lock", "selection", "requirements", "model") if links[name] is None]
    if missing or not isinstance(data.get("release_key"), str):
        raise ValueError(f"it lacks {', '.join(missing) or 'release_key'}")
    if unknown := data.keys() - LINKS.keys() - {"schema", "mlflow-uv", "release_key"} - MEASURED:
        raise ValueError(f"it has unknown parts: {', '.join(sorted(unknown))}")
    timings, figures = (_numbers(name, data.get(name, [])) for name in ("timings", "figures"))
    latencies = _histogram(data.get("latencies", []))
    record = Record(release_key=data["release_key"], timings=timings, figures=figures, latencies=latencies, **links)
    if record.answers is not None and not _is_size(record.answers.tolerance or 0):
        raise ValueError(f"its tolerance is {record.answers.tolerance}")
    ways = record.verification.ways if record.verification else ()
    if not all(_is_size(link.seconds) and _is_size(link.memory) and _is_size(link.requests) for link in ways):
        raise ValueError("its link `verification` has a size that is negative or not finite")
    return record


def _numbers(name: str, raw: object) -> tuple[tuple[str, float], ...]:
    try:
        numbers = tuple((str(key), float(number)) for key, number in raw)  # type: ignore[attr-defined]  # refused
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"its {name} are not pairs of a name and a number: {error}") from None
    if not all(_is_size(number) for _, number in numbers):
        raise ValueError(f"its {name} are not numbers of at least 0")
    return numbers


def _histogram(raw: object) -> tuple[tuple[float, int], ...]:
    """Read latencies. Raises ValueError for anything but ascending bounds with numbers of at least 1."""
    try:
        pairs = tuple((float(bound), number) for bound, number in raw)  # type: ignore[attr-defined]  # refused
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"its latencies are not pairs of a bound and a number: {error}") from None
    if len(pairs) > _MOST_RANGES:
        raise ValueError(f"its latencies have {len(pairs)} ranges")
    bounds = [bound for bound, _ in pairs]
    if any(type(number) is not int or number < 1 for _, number in pairs):
        raise ValueError("its latencies have a number of requests that cannot be")
    if not all(0 < bound < math.inf for bound in bounds) or bounds != sorted(set(bounds)):
        raise ValueError("its latencies have bounds that are not ascending")
    return pairs


def _is_size(number: float) -> bool:
    """Whether a number is finite and not negative."""
    return 0 <= number < math.inf


def _link(name: str, kind: type, raw: object) -> Any:
    return None if raw is None else read(kind, raw, what=f"its link `{name}`")


def _plain(record: Record) -> dict[str, Any]:
    links = {name: value for name, value in asdict(record).items() if value is not None or name not in OPTIONAL}
    for name in ("figures", "latencies"):  # added later, see _ADDED
        if not links[name]:
            del links[name]
    for name, added in _ADDED.items():
        if links[name] is not None:
            links[name] = _without_empty(links[name], added)
    if links["image"] is not None and "composition" in links["image"]:
        links["image"]["composition"] = _without_empty(links["image"]["composition"], _ADDED_TO_COMPOSITION)
    return links


def _without_empty(parts: Mapping[str, Any], added: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in parts.items() if value or name not in added}


def release_key(*, commit: Commit, parts: Mapping[str, object]) -> str:
    """The release key of an adopted model, in hex: a digest of its commit and of the given parts."""
    return sha256(canonical([commit.project, commit.sha, commit.dirty, dict(parts)]))
