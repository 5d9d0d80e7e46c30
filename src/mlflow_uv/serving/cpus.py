"""
How many processors may this process use? What its cgroups and its affinity leave it, not what the host has.

Version 2 of cgroups: `cpu.max` holds "QUOTA PERIOD" or "max PERIOD". Version 1: `cpu.cfs_quota_us` (-1 is no limit) and
`cpu.cfs_period_us`. A container sees its own group at the root of the mount; outside of one, /proc/self/cgroup names
the group, and every group above it limits too.
"""

import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def available(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> float:
    """Processors, in parts where a quota says so."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([float(allowed), *quotas(cgroups, membership)])


def quotas(cgroups: Path, membership: Path) -> Iterator[float]:
    """Every limit on the way from our group to the root of each hierarchy that counts processors."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mount = cgroups
        elif "cpu" in controllers.split(","):
            mount = next((one for one in (cgroups / controllers, cgroups / "cpu") if one.is_dir()), cgroups)
        else:
            continue
        # Of a container that does not see the namespace of its host, the path leads nowhere; the root is its own.
        inside = (mount / path.lstrip("/")).resolve()
        for group in (inside, *inside.parents):
            if group.is_relative_to(mount.resolve()):
                yield from quota(group)


def quota(group: Path) -> Iterator[float]:
    """The limit of one group, if it has one."""
    try:
        if (group / "cpu.max").is_file():
            most, period = (group / "cpu.max").read_text(encoding="utf-8").split()
        else:
            most, period = ((group / f"cpu.cfs_{word}_us").read_text(encoding="utf-8") for word in ("quota", "period"))
        if most != "max" and int(most) > 0:
            yield int(most) / int(period)
    except (OSError, ValueError):
        return
