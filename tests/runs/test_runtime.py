"""Streams of random numbers, devices and dtypes."""

import pytest
import torch

from inncli import runtime, types
from inncli.errors import ConfigError


def test_streams_follow_from_their_keys_alone():
    keys = [(0,), (1,), (0, 0), (1, 2), (2, 1), (12,), (1, "2"), ("12",), ("1", "2"), (0, "noise", 3), (0, "noise", 4)]
    seeds = [runtime.stream_seed(*key) for key in keys]
    assert len(set(seeds)) == len(keys) and all(0 <= seed < 2**63 for seed in seeds)
    assert runtime.stream_seed(0, "noise", 3) == 4975053743288498562, "pinned: a resumed run asks for it again"
    a, b = (torch.rand(3, generator=runtime.generator("cpu", 5, "order", 1)) for _ in range(2))
    assert torch.equal(a, b)


def test_devices_and_dtypes():
    assert runtime.resolve_device("cpu").type == "cpu"
    assert str(runtime.resolve_device("auto")) in runtime.available_devices()
    assert runtime.resolve_dtype("float64") is torch.float64
    with pytest.raises(ConfigError, match="device 'cdua:0' is not available; this machine has "):
        runtime.resolve_device("cdua:0")
    with pytest.raises(
        ConfigError, match="dtype: expected float32 or float64, got .float46.; did you mean .float(32|64)"
    ):
        runtime.resolve_dtype("float46")


@pytest.mark.parametrize(
    "name, inside, outside",
    [
        ("PositiveInt", [1, 5], [0, -1]),
        ("NonNegativeInt", [0], [-1]),
        ("PositiveFloat", [1e-300], [0.0, float("inf"), float("nan")]),
        ("NonNegativeFloat", [0.0], [-1e-9]),
        ("Fraction", [0.5], [0.0, 1.0]),
        ("Share", [0.0, 0.99], [1.0, -0.1]),
    ],
)
def test_ranges(name, inside, outside):
    (within,) = getattr(types, name).__metadata__
    assert all(value in within for value in inside) and not any(value in within for value in outside)
