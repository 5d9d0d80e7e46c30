"""Parses the name of a container image into registry, repository and tag, as Docker does."""

from collections.abc import Iterable
from enum import Enum
from typing import Protocol

from ...command.wording import local
from ...payloads.messages.lazy_dataclass import lazy_dataclass

DOCKER_HUB = "docker.io"
_LATEST = "latest"


class TlsProblem(Enum):
    """Why there is no encrypted connection to a server."""

    PLAIN = "it speaks no TLS"
    UNTRUSTED = "its certificate is not trusted here"
    UNREADABLE_BUNDLE = "a file here has no certificates of authorities"
    UNUSABLE_KEY = "the client certificate here has no usable key"
    REFUSED_CLIENT = "it requires another client certificate, or one"


@lazy_dataclass
class ImageReference:
    """An image's registry (`host`, with a port if given), path (`repository`) and tag, empty if none was given."""

    host: str
    repository: str
    tag: str

    @property
    def served_tag(self) -> str:
        """The tag in the registry: the given one, else `latest`."""
        return self.tag or _LATEST

    def at(self, digest: str) -> str:
        """The name that pulls the image with this digest, independently of the tag."""
        return f"{self.host}/{self.repository}@{digest}"


def image_reference(name: str) -> ImageReference:
    """
    Parse the name of an image.

    By Docker's rule, the first part is a host if it has a dot, a colon or a capital letter, or is `localhost`.
    """
    first, slash, rest = name.partition("/")
    named = bool(slash) and (first == "localhost" or any(sign in first for sign in ".:") or first.lower() != first)
    host, path = (first, rest) if named else (DOCKER_HUB, name)
    repository, tag = _split(path)
    if host in {DOCKER_HUB, f"index.{DOCKER_HUB}"}:
        host, repository = DOCKER_HUB, repository if "/" in repository else f"library/{repository}"
    return ImageReference(host=host, repository=repository, tag=tag)


class UnansweredRequest(Protocol):
    """
    Why a registry gave no usable response: it denies access (`denied`), or responded with something else (`reached`).

    Otherwise there was no response; `tls` says why there was no encrypted connection, if that is the reason.
    """

    denied: bool
    reached: bool
    tls: TlsProblem | None


def registry_fix(name: str, request: UnansweredRequest, *, program: str = "docker") -> str:
    """Return the fix for a registry that gave no usable response to this program; `program` can log in to it."""
    host = image_reference(name).host
    if request.denied:
        return login_fix(program, host)
    return f"find the reason in the log of {host}" if request.reached else reach_fix(name, request.tls)


def login_fix(program: str, host: str) -> str:
    """Return the fix for a registry that denies access with the current login."""
    return local(f"{program} login {host}", f"a step with docker/login-action for {host} before this one")


def reach_fix(name: str, tls: TlsProblem | None) -> str:
    """Return the fix for a registry that gives no response to this program; `tls` as in RegistryUnanswered."""
    host = image_reference(name).host
    match tls:
        case None:
            return f"reach {host} from here"
        case TlsProblem.UNUSABLE_KEY:
            return f"put the key of that certificate there, without a password, or remove both if {host} requires none"
        case TlsProblem.REFUSED_CLIENT:
            files = f"~/.config/containers/certs.d/{host}/client.cert and its key into client.key"
            return f"put a client certificate that {host} accepts into {files}, in place of any other"
        case _:
            return f"reach {host} from here by HTTPS, with the certificate of its CA in SSL_CERT_FILE"


def digest_under(name: str, repository_digests: Iterable[str], *, local_host: str) -> str:
    """
    Return the digest that an image has in the repository which `name` names; empty if it is not known to be there.

    `repository_digests` are an engine's `REPOSITORY@DIGEST` of the image: it may have been pushed to another
    repository, under which nobody finds it by this name. `local_host` is the host of names that are in no registry.
    """
    named, _, wanted = name.partition("@")
    digests = [
        digest
        for repository, _, digest in (entry.partition("@") for entry in repository_digests)
        if _place(repository) == _place(named) and image_reference(repository).host != local_host
    ]
    return wanted if wanted in digests else next(iter(digests), "")


def with_default_tag(name: str, default_tag: str) -> str:
    """
    Add a default tag to a name without one, and convert the repository to lower case, which registries require.

    `github.repository` may contain capital letters.
    """
    first, slash, rest = name.rpartition("/")
    repository, tag = _split(rest)
    return f"{first.lower()}{slash}{repository.lower()}:{tag or default_tag}"


def _place(name: str) -> tuple[str, str]:
    """Registry and repository of a name without a digest."""
    reference = image_reference(name)
    return reference.host, reference.repository


def _split(path: str) -> tuple[str, str]:
    """Repository and tag of a path without a host."""
    folder, slash, last = path.rpartition("/")
    repository, _, tag = last.partition(":")
    return f"{folder}{slash}{repository}", tag
