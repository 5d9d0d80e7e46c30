"""Reads and writes which version a file of a repository names: a manifest, a Kustomization or values of Helm."""

from collections.abc import Callable

from ruamel.yaml.nodes import MappingNode, Node

from ...command.errors import BadInput
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.tags import MODEL_VERSION
from .repository_settings import FileFormat, RepositorySettings
from .yaml_edits import YamlText, mappings_in, named_item, parsed_yaml, text_at, value_at, with_mapping, with_values

_VALUES_KEY = "modelVersion"  # in values of Helm, where a template cannot refer to a key with a dot
_CONTAINERS = ("containers", "initContainers")


@lazy_dataclass
class NamedVersion:
    """What a file names: the model and the number of its version, empty without one, and the image at its digest."""

    model: str
    version: str
    image: str


def named_version(data: bytes, settings: RepositorySettings, shown: str) -> NamedVersion:
    """What a file names. Raises BadInput for one in which the place of the image is not found."""
    parsed = parsed_yaml(data, shown)
    text, image = _READERS[settings.format](parsed, settings, shown)
    model, _, version = text.rpartition("/")
    return NamedVersion(model=model, version=version if model else "", image=image)


def file_naming(data: bytes, wanted: NamedVersion, settings: RepositorySettings, shown: str) -> bytes:
    """
    The file with another version; every byte that does not name it stays.

    Raises BadInput for a file that cannot be changed without a change elsewhere.
    """
    text = _WRITERS[settings.format](data, wanted, settings, shown)
    changed = text.encode()
    if named_version(changed, settings, shown) != wanted:
        raise BadInput(
            what=f"{shown} would not name the version after a change",
            why="a value in it is written in a way that is not understood",
            fix="write the image and its digest as single values",
        )
    return changed


# one image in a Kustomization


def _read_kustomization(parsed: YamlText, settings: RepositorySettings, shown: str) -> tuple[str, str]:
    root = _only(parsed, shown)
    item = _kustomize_image(root, settings, shown)
    name = text_at(item, "newName") or text_at(item, "name")
    return text_at(root, "commonAnnotations", MODEL_VERSION), _at(name, text_at(item, "digest"))


def _write_kustomization(data: bytes, wanted: NamedVersion, settings: RepositorySettings, shown: str) -> str:
    name, _, digest = wanted.image.partition("@")
    parsed = parsed_yaml(data, shown)
    item = _kustomize_image(_only(parsed, shown), settings, shown)
    text = with_values(parsed, item, (("newName", name), ("digest", digest)), shown)
    parsed = parsed_yaml(text.encode(), shown)
    return _marked(parsed, _only(parsed, shown), "commonAnnotations", wanted, shown)


def _kustomize_image(root: Node, settings: RepositorySettings, shown: str) -> MappingNode:
    item = named_item(value_at(root, ("images",)), settings.image)
    if item is None:
        raise _no_image(shown, settings, f"`images` has no item with `name: {settings.image}`")
    return item


# the container of a manifest


def _read_manifest(parsed: YamlText, settings: RepositorySettings, shown: str) -> tuple[str, str]:
    root, container = _container(parsed, settings, shown)
    return text_at(root, "metadata", "annotations", MODEL_VERSION), text_at(container, "image")


def _write_manifest(data: bytes, wanted: NamedVersion, settings: RepositorySettings, shown: str) -> str:
    parsed = parsed_yaml(data, shown)
    _, container = _container(parsed, settings, shown)
    text = with_values(parsed, container, (("image", wanted.image),), shown)
    parsed = parsed_yaml(text.encode(), shown)
    root, _ = _container(parsed, settings, shown)
    metadata = value_at(root, ("metadata",))
    if not isinstance(metadata, MappingNode):
        raise _no_image(shown, settings, "the object with the container has no `metadata`")
    return _marked(parsed, metadata, "annotations", wanted, shown)


def _container(parsed: YamlText, settings: RepositorySettings, shown: str) -> tuple[Node, MappingNode]:
    """The object with the container, and the container; exactly one must have its name."""
    found: list[tuple[Node, MappingNode]] = []
    for document in parsed.documents:
        for mapping in mappings_in(document):
            lists = (value_at(mapping, (key,)) for key in _CONTAINERS)
            found += [(document, item) for items in lists if (item := named_item(items, settings.image)) is not None]
    if len(found) != 1:
        count = "no container" if not found else f"{len(found)} containers"
        raise _no_image(shown, settings, f"it has {count} with `name: {settings.image}`")
    return found[0]


# values of Helm


def _read_values(parsed: YamlText, settings: RepositorySettings, shown: str) -> tuple[str, str]:
    image = _helm_image(parsed, settings, shown)
    return text_at(image, _VALUES_KEY), _at(text_at(image, "repository"), text_at(image, "digest"))


def _write_values(data: bytes, wanted: NamedVersion, settings: RepositorySettings, shown: str) -> str:
    name, _, digest = wanted.image.partition("@")
    parsed = parsed_yaml(data, shown)
    image = _helm_image(parsed, settings, shown)
    values = (("repository", name), ("digest", digest), (_VALUES_KEY, f"{wanted.model}/{wanted.version}"))
    return with_values(parsed, image, values, shown)


def _helm_image(parsed: YamlText, settings: RepositorySettings, shown: str) -> MappingNode:
    found = value_at(_only(parsed, shown), settings.image.split("."))
    if not isinstance(found, MappingNode):
        raise _no_image(shown, settings, f"it has no mapping `{settings.image}`")
    return found


# what all formats have


def _only(parsed: YamlText, shown: str) -> MappingNode:
    if len(parsed.documents) != 1 or not isinstance(parsed.documents[0], MappingNode):
        raise BadInput(what=f"{shown} is not one mapping", why=f"it has {len(parsed.documents)} documents")
    return parsed.documents[0]


def _marked(parsed: YamlText, parent: MappingNode, key: str, wanted: NamedVersion, shown: str) -> str:
    """The text with the annotation that names the version below `key`, which is added where it is missing."""
    values, found = ((MODEL_VERSION, f"{wanted.model}/{wanted.version}"),), value_at(parent, (key,))
    if found is None:
        return with_mapping(parsed, parent, key, values)
    if not isinstance(found, MappingNode):
        raise BadInput(what=f"{shown}: `{key}` is not a mapping", why="the model's version is written into it")
    return with_values(parsed, found, values, shown)


def _at(name: str, digest: str) -> str:
    return f"{name}@{digest}" if digest else name


def _no_image(shown: str, settings: RepositorySettings, why: str) -> BadInput:
    return BadInput(
        what=f"{shown} has no place for the image `{settings.image}`",
        why=why,
        fix="write the first image there by hand, or change `image` or `format` of the deployment",
    )


_Read = Callable[[YamlText, RepositorySettings, str], tuple[str, str]]
_Write = Callable[[bytes, NamedVersion, RepositorySettings, str], str]
_READERS: dict[FileFormat, _Read] = {
    FileFormat.KUSTOMIZE: _read_kustomization,
    FileFormat.MANIFEST: _read_manifest,
    FileFormat.HELM: _read_values,
}
_WRITERS: dict[FileFormat, _Write] = {
    FileFormat.KUSTOMIZE: _write_kustomization,
    FileFormat.MANIFEST: _write_manifest,
    FileFormat.HELM: _write_values,
}
