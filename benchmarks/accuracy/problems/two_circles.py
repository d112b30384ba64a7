"""A phase in radians and an angle in degrees together; each is seen through cosine and sine, and their sum too."""

import numpy as np

x_names = ["phase", "angle"]
x_periodic = {"phase": (0.0, 2 * np.pi), "angle": (-180.0, 180.0)}
YS = [[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.98, 0.1]]


def prior(n, rng):
    return np.column_stack([rng.uniform(0, 2 * np.pi, n), rng.uniform(-180, 180, n)])


def simulate(x, rng):
    angle = np.deg2rad(x[:, 1])
    seen = np.column_stack([np.cos(x[:, 0]), np.sin(x[:, 0]), np.cos(angle), np.sin(angle)])
    return seen + 0.2 * rng.standard_normal(seen.shape)


def reference_posterior(y, n, rng):
    phase = rng.vonmises(np.arctan2(y[1], y[0]), np.hypot(y[0], y[1]) / 0.04, n) % (2 * np.pi)
    angle = np.rad2deg(rng.vonmises(np.arctan2(y[3], y[2]), np.hypot(y[2], y[3]) / 0.04, n))
    return np.column_stack([phase, angle])
