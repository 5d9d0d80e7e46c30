"""Reads what a container in a cluster runs with, from the template that is applied or that the cluster has."""

from collections.abc import Container, Iterator, Mapping
from decimal import Decimal
from typing import Any

from ..security.serve_env import ServeVariables

REQUEST_TIMEOUT, ATTESTATIONS = "REQUEST_TIMEOUT", "ATTESTATIONS"
MEMORY, CPUS, TIME_LIMIT, VARIABLES, SETTINGS = "memory", "cpus", "request timeout", "variables", "server settings"
_MIB = 1 << 20
_NONE = "none"
_MOST_DIGITS = 20
# Of a quantity of Kubernetes, which its server writes in another unit than it was given in: 1024Mi is 1Gi.
_UNITS = {
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("", "k", "M", "G", "T", "P", "E"))},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", start=1)},
    **{unit: Decimal(1000) ** -power for power, unit in enumerate("mun", start=1)},
}

Part = Mapping[str, Any]


def container_facts(container: Part) -> dict[str, str]:
    """Resources, time limit and variables of a container with the server of an image; no value of a variable."""
    plain = {str(variable["name"]): str(variable.get("value") or "") for variable in _plain(container)}
    limit = plain.pop(REQUEST_TIMEOUT, "")
    facts = {**resource_facts(container), TIME_LIMIT: f"{limit} s" if limit else _NONE}
    facts[VARIABLES] = variables_of(container)
    if plain:
        facts[SETTINGS] = ServeVariables(plain).summary
    if changed := [part for part in ("command", "args") if container.get(part)]:
        facts["started by"] = f"{' and '.join(changed)} of the container"
    return facts


def with_variables(container: Part, names: Container[str]) -> dict[str, Any]:
    """A container with those of its variables that have one of these names."""
    return {**container, "env": [variable for variable in container.get("env") or () if variable.get("name") in names]}


def resource_facts(container: Part) -> dict[str, str]:
    """The memory, which is requested and a limit, and the processors of a container, which are requested alone."""
    resources = container.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    memory, requested = (_shown(amounts.get("memory"), _MIB, " MiB") for amounts in (limits, requests))
    cpus = _shown(requests.get("cpu"), 1, "")
    return {
        MEMORY: memory if memory == requested else f"{memory}, {requested} requested",
        CPUS: cpus if "cpu" not in limits else f"{cpus}, at most {_shown(limits['cpu'], 1, '')}",
    }


def variables_of(container: Part) -> str:
    """The names of the variables that a container gets from elsewhere, and a key of another name."""
    names = (name if key == name else f"{name} from {key}" for name, _, key in _given(container))
    return ", ".join(sorted(names)) or _NONE


def secrets_of(container: Part) -> str:
    """The names of the Secrets that a container gets variables from; empty without one."""
    return ", ".join(sorted({secret for _, secret, _ in _given(container)}))


def _plain(container: Part) -> Iterator[Part]:
    return (variable for variable in container.get("env") or () if "valueFrom" not in variable)


def _given(container: Part) -> Iterator[tuple[str, str, str]]:
    """The name of each variable with a value from elsewhere, and the Secret and its key."""
    for variable in container.get("env") or ():
        if "valueFrom" in variable:
            secret = (variable["valueFrom"] or {}).get("secretKeyRef") or {}
            yield str(variable["name"]), str(secret.get("name") or "no Secret"), str(secret.get("key") or "no key")


def _shown(quantity: Any, unit: int, name: str) -> str:
    """A quantity in a unit; as it is if it is none."""
    text = str(_NONE if quantity is None else quantity)
    number = text.rstrip("".join(_UNITS))
    try:
        amount = Decimal(number) * _UNITS[text[len(number) :]] / unit
    except (ArithmeticError, KeyError):
        return text
    return f"{amount.normalize():f}{name}" if amount.is_finite() and abs(amount.adjusted()) < _MOST_DIGITS else text
