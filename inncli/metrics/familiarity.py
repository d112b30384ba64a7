"""Whether an observation looks like those that training saw."""

from __future__ import annotations

import numpy as np

from inncli.variables import Variables


def seen_in_training(y: np.ndarray, variables: Variables) -> dict:
    """What is kept of the training ys: range of each column, and how far rows lie from the centre.

    The distance is Mahalanobis' over the numeric columns; a flow extrapolates silently, and two
    values can each be ordinary yet never have come together.

    Shape: y (n, Dy). Returns a JSON-ready dict.
    """
    numeric = [i for i, labels in enumerate(variables.labels) if labels is None]
    low, high = y.min(0), y.max(0)
    seen = {"low": low.tolist(), "high": high.tolist(), "columns": numeric}
    if numeric:
        part = y[:, numeric]
        centre = part.mean(0)
        covariance = np.atleast_2d(np.cov(part, rowvar=False)) if len(part) > 1 else np.eye(len(numeric))
        # Collinear columns: a pseudo-inverse ignores the directions in which nothing varies.
        precision = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True)
        seen |= {"centre": centre.tolist(), "precision": precision.tolist()}
        seen["distance"] = float(_distance(part, centre, precision).max())
    return seen


def unfamiliar(seen: dict, y: np.ndarray, variables: Variables) -> list[str]:
    """One line for each row of y that lies outside what training saw; familiar rows give none.

    Shape: y (n_obs, Dy).
    """
    lines = []
    for obs, row in enumerate(np.atleast_2d(y)):
        where = f"observation {obs + 1}: " if len(y) > 1 else ""
        outside = [
            f"{variables.names[i]}={row[i]:g} (training saw {seen['low'][i]:g} to {seen['high'][i]:g})"
            for i in seen["columns"] if not seen["low"][i] <= row[i] <= seen["high"][i]
        ]
        if outside:
            lines.append(f"{where}y lies outside what training saw: {', '.join(outside)}")
        elif seen["columns"]:
            part = row[None, seen["columns"]]
            distance = _distance(part, np.array(seen["centre"]), np.array(seen["precision"]))[0]
            if distance > 1.05 * seen["distance"]:
                lines.append(f"{where}no training y had such values together "
                             f"(distance {distance:.1f}, largest in training {seen['distance']:.1f})")
    return lines


def _distance(y: np.ndarray, centre: np.ndarray, precision: np.ndarray) -> np.ndarray:
    d = y - centre
    return np.sqrt(np.maximum(np.einsum("ni,ij,nj->n", d, precision, d), 0))
