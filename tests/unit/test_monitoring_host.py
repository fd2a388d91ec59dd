"""What is told about disk, memory and cores, against what the system says by other ways."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.cgroup import Share, memory_share
from shared.host import HostCollector

ROOT = Path(__file__).parents[2]
SIZE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def told(folder):
    return {family.name: family.samples[0].value for family in HostCollector(folder).collect()}


def test_the_host_is_as_large_as_the_system_says(tmp_path):
    host = told(tmp_path)
    assert host["swarm_host_memory_size_bytes"] == SIZE
    assert 0 < host["swarm_host_memory_available_bytes"] < SIZE
    assert host["swarm_host_cpu_cores"] == os.cpu_count()
    assert host["swarm_host_disk_size_bytes"] == shutil.disk_usage(tmp_path).total


def test_a_folder_yet_to_be_made_lies_on_the_disk_of_the_one_above(tmp_path):
    assert told(tmp_path / "not" / "yet")["swarm_host_disk_size_bytes"] == shutil.disk_usage(tmp_path).total


def test_as_much_is_free_as_df_says(tmp_path):
    df = subprocess.run(["df", "-B1", "--output=avail", tmp_path], check=True, capture_output=True, text=True).stdout
    free = told(tmp_path)["swarm_host_disk_free_bytes"]
    assert abs(free - int(df.split()[1])) < 500_000_000, "others may write meanwhile"


def test_memory_in_use_is_within_its_limit(tmp_path):
    host = told(tmp_path)
    assert 0 < host["swarm_service_memory_used_bytes"] < host["swarm_service_memory_limit_bytes"] <= SIZE
    assert host["swarm_service_memory_limited"] == (host["swarm_service_memory_limit_bytes"] < SIZE)


def own_group():
    """The folder of this process's memory group; None where it is none of ours to change."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        mount = Path("/sys/fs/cgroup", "memory" if controllers else "")
        folder = mount / path.lstrip("/")
        if controllers in ("memory", "") and (folder / "memory.stat").exists() and os.access(folder, os.W_OK):
            return folder
    return None


LOOK = """
import sys
from pathlib import Path
from shared.host import HostCollector
Path(sys.argv[1], "cgroup.procs").write_text(str(__import__("os").getpid()))
block = b"x" * 40_000_000
for family in HostCollector(Path(".")).collect():
    print(family.name, int(family.samples[0].value))
"""


def test_a_process_in_a_limited_group_tells_of_that_limit():
    parent = own_group()
    if parent is None:
        pytest.skip("no memory group of this process can be changed here")
    group = parent / f"rlswarm-test-{os.getpid()}"
    group.mkdir()
    try:
        limit = next((name for name in ("memory.max", "memory.limit_in_bytes") if (group / name).exists()), None)
        if limit is None:
            pytest.skip("the memory controller is not passed on to groups of groups here")
        (group / limit).write_text(str(256 * 2**20))
        out = subprocess.run(
            [sys.executable, "-c", LOOK, group], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
    finally:
        group.rmdir()
    host = {name: int(value) for name, value in (line.split() for line in out.splitlines())}
    assert host["swarm_service_memory_limit_bytes"] == 256 * 2**20
    assert host["swarm_service_memory_limited"] == 1
    assert 40_000_000 < host["swarm_service_memory_used_bytes"] < 256 * 2**20


def tree(folder, **files):
    """What the kernel shows under /proc and /sys/fs/cgroup, as written down from real hosts."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "proc", folder / "cgroup"


def test_in_a_container_of_version_2_the_limit_stands_at_the_root(tmp_path):
    places = tree(
        tmp_path,
        proc__self__cgroup="0::/\n",
        cgroup__memory_DOT_max="536870912\n",
        cgroup__memory_DOT_current="300000000\n",
        cgroup__memory_DOT_stat="anon 150000000\ninactive_file 100000000\n",
    )
    assert memory_share(*places) == Share(limit=536870912, used=200_000_000)


def test_the_tightest_limit_of_a_group_and_its_parents_counts(tmp_path):
    places = tree(
        tmp_path,
        proc__self__cgroup="0::/pod/one\n",
        cgroup__pod__one__memory_DOT_max="max\n",
        cgroup__pod__one__memory_DOT_current="5\n",
        cgroup__pod__one__memory_DOT_stat="inactive_file 0\n",
        cgroup__pod__memory_DOT_max="1000\n",
        cgroup__pod__memory_DOT_current="900\n",
        cgroup__pod__memory_DOT_stat="inactive_file 100\n",
    )
    assert memory_share(*places) == Share(limit=1000, used=800)


def test_in_a_container_of_version_1_the_path_is_the_hosts_and_the_limit_is_still_found(tmp_path):
    places = tree(
        tmp_path,
        proc__self__cgroup="9:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n",
        cgroup__memory__memory_DOT_limit_in_bytes="4294967296\n",
        cgroup__memory__memory_DOT_usage_in_bytes="1000000\n",
        cgroup__memory__memory_DOT_stat="inactive_file 1\ntotal_inactive_file 400000\n",
    )
    assert memory_share(*places) == Share(limit=4294967296, used=600_000)


def test_without_limits_or_without_groups_there_is_no_share(tmp_path):
    assert memory_share(tmp_path / "proc", tmp_path / "cgroup") is None
    assert memory_share(*tree(tmp_path, proc__self__cgroup="0::/\n")) is None
