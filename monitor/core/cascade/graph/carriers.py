"""What carries a system's reproduction number: the eigenvectors of its edges.

R is the largest eigenvalue of K, and R = Σ v_i·K_ij·u_j / (v·u) with its left and right
eigenvectors v and u. So each edge has a share of R: raising it by 1 % raises R by a hundredth of
that share.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eig
from scipy.sparse.csgraph import connected_components

from detectors.arrays.types import Float64


def spectral_radius(k: Float64) -> float:
    """The largest modulus of the eigenvalues of a matrix without negative entries."""
    return carriers(k)[0]


def carriers(k: Float64) -> tuple[float, Float64]:
    """The spectral radius of a matrix without negative entries, and the share of it that each entry
    carries (they add up to 1, or are all 0 where the radius is).

    Where markets fall into groups that do not reach each other both ways, the group with the
    largest radius carries all of it.
    """
    shares = np.zeros_like(k)
    radius = 0.0
    groups, group_of = connected_components(k > 0.0, directed=True, connection="strong")
    for group in range(groups):
        members = np.flatnonzero(group_of == group)
        part = k[np.ix_(members, members)]
        if not part.any():
            continue
        # Within a group the largest eigenvalue is real, simple, and its vectors are positive.
        values, left, right = eig(part, left=True)
        top = int(np.argmax(values.real))
        if values[top].real > radius:
            radius = float(values[top].real)
            v, u = np.abs(left[:, top]), np.abs(right[:, top])
            shares[:] = 0.0
            shares[np.ix_(members, members)] = v[:, None] * part * u / (radius * float(v @ u))
    return radius, shares
