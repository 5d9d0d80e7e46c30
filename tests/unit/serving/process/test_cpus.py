"""The processors that a container may use, in the two ways in which a kernel says it."""

import os
from pathlib import Path

import pytest

from mlflow_uv.serving.process import cpus

HERE = float(len(os.sched_getaffinity(0)))
INSIDE, ABOVE = "cpu/docker/abc", "cpu/docker"


def tree(folder: Path, files: dict[str, str]) -> tuple[Path, Path]:
    """A mount of cgroups and what says which group is ours."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "mount", folder / "membership"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        # Version 2 as a container sees it, with a quota, without one, and with one for the group above alone.
        ({"membership": "0::/\n", "mount/cpu.max": "50000 100000\n"}, 0.5),
        ({"membership": "0::/\n", "mount/cpu.max": "max 100000\n"}, HERE),
        ({"membership": "0::/a/b\n", "mount/a/b/cpu.max": "max 100000\n", "mount/a/cpu.max": "20000 100000\n"}, 0.2),
        # Version 1: in a container that knows the host's path and sees its own group at the root; mounted together.
        (
            {
                "membership": "3:cpuset:/docker/abc\n1:cpu:/docker/abc\n0::/docker/abc\n",
                "mount/cpu/cpu.cfs_quota_us": "75000\n",
                "mount/cpu/cpu.cfs_period_us": "100000\n",
            },
            0.75,
        ),
        (
            {
                "membership": "4:cpu,cpuacct:/slice\n",
                "mount/cpu,cpuacct/slice/cpu.cfs_quota_us": "30000\n",
                "mount/cpu,cpuacct/slice/cpu.cfs_period_us": "100000\n",
                "mount/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "mount/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            0.3,
        ),
        # More than there is, nonsense, and nothing at all.
        ({"membership": "0::/\n", "mount/cpu.max": "99900000 100000\n"}, HERE),
        ({"membership": "0::/\n", "mount/cpu.max": "much\n"}, HERE),
        ({}, HERE),
    ],
    ids=["v2", "v2-max", "v2-above", "v1-container", "v1-joint", "more-than-there-is", "nonsense", "none"],
)
def test_the_smallest_limit_counts(tmp_path: Path, files: dict[str, str], expected: float) -> None:
    """
    Of every group on the way to the root, and of the affinity.
    """
    mount, membership = tree(tmp_path, files)

    available = cpus.available(mount, membership)

    assert expected == available


def test_a_path_out_of_the_mount_is_not_followed(tmp_path: Path) -> None:
    """
    A namespace may name our group `/../..`: nothing outside the mount is read.
    """
    files = {"membership": "0::/../outside\n", "outside/cpu.max": "10000 100000\n", "mount/cpu.max": "max 100000\n"}
    mount, membership = tree(tmp_path, files)

    available = cpus.available(mount, membership)

    assert HERE == available
