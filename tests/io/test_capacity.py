"""Whether what is asked for fits."""

import math
import resource

import pytest

from inncli.errors import RequestError
from inncli.io import capacity


def test_there_is_some_memory_and_some_disk(tmp_path):
    assert 2**20 < capacity.free_memory() < 2**60
    assert 2**20 < capacity.free_disk(tmp_path / "not" / "there" / "yet.npz") < 2**70


def test_the_least_of_all_limits_counts(monkeypatch, tmp_path):
    for name, value in (("_of_machine", 8e9), ("_of_container", 5e9), ("_of_process", math.inf)):
        monkeypatch.setattr(capacity, name, lambda value=value: value)
    assert capacity.free_memory() == 5e9
    monkeypatch.setattr(capacity, "_of_process", lambda: -1.0)
    assert capacity.free_memory() == 0.0


def test_a_limit_of_a_container_is_read_from_all_groups_above(monkeypatch):
    files = {
        "/proc/self/cgroup": "0::/job/step",
        "/sys/fs/cgroup//job/step/memory.max": "max",
        "/sys/fs/cgroup//job/memory.max": "1000",
        "/sys/fs/cgroup//job/memory.current": "700",
        "/sys/fs/cgroup//job/memory.stat": "anon 500\ninactive_file 50",
    }

    def text(file):
        if file not in files:
            raise FileNotFoundError(file)
        return files[file]

    monkeypatch.setattr(capacity, "_text", text)
    assert capacity._of_container() == 350


def test_a_limit_on_the_size_of_files_is_one_of_the_disk(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**24, before[1]))
    try:
        assert capacity.free_disk(tmp_path / "x.npz") == 2**24
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_message_says_what_would_fit(monkeypatch, tmp_path):
    monkeypatch.setattr(capacity, "free_memory", lambda: 2.5e9)
    monkeypatch.setattr(capacity, "free_disk", lambda path: 1.2e9)
    capacity.check_memory(25_000_000, 100, "draws", "`n`", ("n",))
    with pytest.raises(RequestError) as refused:
        capacity.check_memory(10**12, 96, "draws", "`n`", ("n",))
    assert str(refused.value) == (
        "`n`: 1,000,000,000,000 draws take 96 TB of memory, and 2.5 GB are free; about 26,000,000 fit"
    )
    assert refused.value.arguments == ("n",)
    with pytest.raises(RequestError, match=r"take 8 GB in .*x\.npz, and 1\.2 GB are free; about 150,000,000 fit"):
        capacity.check_disk(tmp_path / "x.npz", 10**9, 8, "draws", "`n`")


def test_what_is_small_is_not_asked_for(monkeypatch):
    monkeypatch.setattr(capacity, "free_memory", lambda: 0.0)
    capacity.check_memory(1000, 1000, "draws", "`n`")
