"""Reads and writes which version a file of a repository names: a manifest, a Kustomization or values of Helm."""

from collections.abc import Callable

from ruamel.yaml.nodes import MappingNode

from ...command.errors import BadInput
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.tags import MODEL_VERSION
from .repository_settings import FileFormat, RepositorySettings
from .yaml_difference import YamlSource, YamlValue, same_values
from .yaml_documents import (
    YamlPath,
    YamlText,
    mappings_in,
    named_items,
    node_at,
    parsed_yaml,
    require_unmerged,
    text_at,
    value_at,
)
from .yaml_edits import value_of, with_values

_VALUES_KEY = "modelVersion"  # in values of Helm, where a template cannot refer to a key with a dot
_CONTAINERS = ("containers", "initContainers")


@lazy_dataclass
class NamedVersion:
    """What a file names: the model and the number of its version, empty without one, and the image at its digest."""

    model: str
    version: str
    image: str


@lazy_dataclass
class _Places:
    """
    Where a file names a version; without `digest` the image has it, and `name` is read where there is no image.

    `tag` is that of an earlier image, which Kustomize would put beside the digest.
    """

    image: YamlPath
    digest: YamlPath | None
    version: YamlPath
    name: YamlPath | None = None
    tag: YamlPath | None = None

    @property
    def all(self) -> tuple[YamlPath, ...]:
        """The places of the values that are written."""
        return tuple(path for path in (self.image, self.digest, self.version, self.tag) if path is not None)


def named_version(data: bytes, settings: RepositorySettings, shown: str) -> NamedVersion:
    """What a file names. Raises BadInput for one in which the place of the image is not found."""
    parsed, places = _opened(data, settings, shown)
    image = _text(parsed, places.image) or _text(parsed, places.name)
    digest, (model, _, version) = _text(parsed, places.digest), _text(parsed, places.version).rpartition("/")
    return NamedVersion(model=model, version=version if model else "", image=f"{image}@{digest}" if digest else image)


def file_naming(data: bytes, wanted: NamedVersion, settings: RepositorySettings, shown: str) -> bytes:
    """
    The file with another version; every byte that does not name it stays.

    Raises BadInput for a file that cannot be changed without a change elsewhere.
    """
    parsed, places = _opened(data, settings, shown)
    values: dict[YamlPath, YamlValue] = {places.version: f"{wanted.model}/{wanted.version}"}
    if places.digest is None:
        values[places.image] = wanted.image
    else:
        name, _, digest = wanted.image.partition("@")
        values |= {places.image: name, places.digest: digest}
    if places.tag is not None and node_at(parsed, places.tag) is not None:
        values[places.tag] = ""
    return with_values(parsed, values, shown).text.encode()


def names_the_same(one: bytes, other: bytes, settings: RepositorySettings, shown: str) -> bool:
    """Whether two contents of a file have the same values where a version is named. Raises BadInput."""
    (ours, places), (theirs, others) = _opened(one, settings, shown), _opened(other, settings, shown)
    pairs = zip(places.all, others.all, strict=True)
    return all(same_values((ours, path), (theirs, other_path)) for path, other_path in pairs)


def file_naming_as(data: bytes, source: bytes, settings: RepositorySettings, shown: str) -> bytes:
    """
    The file with what an earlier content of it has where a version is named; every other byte stays.

    Raises BadInput for a file that cannot be changed without a change elsewhere.
    """
    (parsed, places), (earlier, others) = _opened(data, settings, shown), _opened(source, settings, shown)
    values: dict[YamlPath, YamlValue] = {}
    for path, earlier_path in zip(places.all, others.all, strict=True):
        value, parent = value_of(earlier, earlier_path), node_at(parsed, path[:-1])
        # A mapping that was made for the version goes with it.
        is_new_mapping = (
            node_at(earlier, earlier_path[:-1]) is None and isinstance(parent, MappingNode) and len(parent.value) == 1
        )
        if is_new_mapping and node_at(parsed, path) is not None:
            values[path[:-1]] = YamlSource(node=None)
        else:
            values[path] = value
    return with_values(parsed, values, shown).text.encode()


# where the formats name a version


def _kustomization(parsed: YamlText, settings: RepositorySettings, shown: str) -> _Places:
    root = _only(parsed, shown)
    item_numbers = named_items(value_at(root, ("images",)), settings.image)
    if len(item_numbers) != 1:
        count = "no item" if not item_numbers else f"{len(item_numbers)} items"
        raise _no_image(shown, settings, f"`images` has {count} with `name: {settings.image}`")
    item: YamlPath = (0, "images", *item_numbers)
    version: YamlPath = (0, "commonAnnotations", MODEL_VERSION)
    return _Places(
        image=(*item, "newName"),
        digest=(*item, "digest"),
        version=version,
        name=(*item, "name"),
        tag=(*item, "newTag"),
    )


def _manifest(parsed: YamlText, settings: RepositorySettings, shown: str) -> _Places:
    """Exactly one container must have the name."""
    containers: list[YamlPath] = []
    for number, document in enumerate(parsed.documents):
        for path, mapping in mappings_in(document):
            for key in _CONTAINERS:
                items = named_items(value_at(mapping, (key,)), settings.image)
                containers += [(number, *path, key, item) for item in items]
    if len(containers) != 1:
        count = "no container" if not containers else f"{len(containers)} containers"
        raise _no_image(shown, settings, f"it has {count} with `name: {settings.image}`")
    place = _object_of(parsed, containers[0])
    if not isinstance(node_at(parsed, (*place, "metadata")), MappingNode):
        raise _no_image(shown, settings, "the object with the container has no `metadata`")
    version: YamlPath = (*place, "metadata", "annotations", MODEL_VERSION)
    return _Places(image=(*containers[0], "image"), digest=None, version=version)


def _object_of(parsed: YamlText, path: YamlPath) -> YamlPath:
    """Where the object is that a place is in: an item of a List, else the document."""
    above = (path[:length] for length in range(len(path), 1, -1))
    return next((place for place in above if text_at(node_at(parsed, place), "kind")), path[:1])


def _values(parsed: YamlText, settings: RepositorySettings, shown: str) -> _Places:
    keys = settings.image.split(".")
    if not isinstance(value_at(_only(parsed, shown), keys), MappingNode):
        raise _no_image(shown, settings, f"it has no mapping `{settings.image}`")
    place: YamlPath = (0, *keys)
    return _Places(image=(*place, "repository"), digest=(*place, "digest"), version=(*place, _VALUES_KEY))


_Find = Callable[[YamlText, RepositorySettings, str], _Places]
_FINDERS: dict[FileFormat, _Find] = {
    FileFormat.KUSTOMIZE: _kustomization,
    FileFormat.MANIFEST: _manifest,
    FileFormat.HELM: _values,
}


# what all formats have


def _opened(data: bytes, settings: RepositorySettings, shown: str) -> tuple[YamlText, _Places]:
    parsed = parsed_yaml(data, shown)
    places = _FINDERS[settings.format](parsed, settings, shown)
    for path in places.all:
        require_unmerged(parsed, path, shown)
    return parsed, places


def _text(parsed: YamlText, path: YamlPath | None) -> str:
    return "" if path is None else text_at(node_at(parsed, path))


def _only(parsed: YamlText, shown: str) -> MappingNode:
    if len(parsed.documents) != 1 or not isinstance(parsed.documents[0], MappingNode):
        raise BadInput(what=f"{shown} is not one mapping", why=f"it has {len(parsed.documents)} documents")
    return parsed.documents[0]


def _no_image(shown: str, settings: RepositorySettings, why: str) -> BadInput:
    return BadInput(
        what=f"{shown} has no place for the image `{settings.image}`",
        why=why,
        fix="write the first image there by hand, or change `image` or `format` of the deployment",
    )
