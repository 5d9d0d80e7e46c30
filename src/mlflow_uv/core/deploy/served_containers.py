"""Defines what every kind of target gives the containers of a version: a name, a user, and time to end."""

SLOTS = ("blue", "green")  # a new version is created in the one that has no traffic
USER = 65532  # nobody's
DRAIN_S = 30  # the default of DRAIN_TIMEOUT of the server


def limit_facts(memory_mib: float | None, cpus: float | None) -> dict[str, str]:
    """The limits of a container as facts of a deployment."""
    return {
        "memory": "no limit" if memory_mib is None else f"{memory_mib:.10g} MiB",
        "cpus": "no limit" if cpus is None else f"{cpus:g}",
    }
