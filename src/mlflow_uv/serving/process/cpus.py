"""
Computes how many processors this process may use, from its cgroup quotas and its CPU affinity.

cgroup v2: `cpu.max` holds "QUOTA PERIOD" or "max PERIOD". cgroup v1: `cpu.cfs_quota_us` (-1: no limit) and
`cpu.cfs_period_us`. A container sees its own group at the root of the mount; elsewhere /proc/self/cgroup names the
group, and the quota of every parent group applies, too.
"""

import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def available(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> float:
    """The number of processors; fractional under a quota such as 1.5."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([float(allowed), *quotas(cgroups, membership)])


def quotas(cgroups: Path, membership: Path) -> Iterator[float]:
    """The quotas, in processors, of this process's group and its parents in every hierarchy that limits CPU."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, cgroup_path = line.split(":", 2)
        if controllers == "":
            mount = cgroups
        elif "cpu" in controllers.split(","):
            mount = next((folder for folder in (cgroups / controllers, cgroups / "cpu") if folder.is_dir()), cgroups)
        else:
            continue
        # In a container without the host's cgroup namespace the path does not exist; its group is at the root.
        own_group = (mount / cgroup_path.lstrip("/")).resolve()
        for group in (own_group, *own_group.parents):
            if group.is_relative_to(mount.resolve()):
                yield from quota(group)


def quota(group: Path) -> Iterator[float]:
    """The quota of one group in processors; nothing without one."""
    try:
        if (group / "cpu.max").is_file():
            most, period = (group / "cpu.max").read_text(encoding="utf-8").split()
        else:
            most, period = ((group / f"cpu.cfs_{word}_us").read_text(encoding="utf-8") for word in ("quota", "period"))
        if most != "max" and int(most) > 0:
            yield int(most) / int(period)
    except (OSError, ValueError):
        return
