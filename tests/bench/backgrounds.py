"""Counts a second to plant bursts in: simulated, and recorded cancels of Bitstamp."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DAY = 86400
Counts = NDArray[np.float64]


def base_rate(
    windows: int, mean: float, rng: np.random.Generator, cycle: float = 0.6, drift: float = 0.4
) -> Counts:
    """A daily cycle of ±`cycle` times a log-normal drift (sd `drift` of the log, memory 6 h)."""
    step, memory_s = 60, 6 * 3600.0
    keep = np.exp(-step / memory_s)
    path = np.empty(windows // step + 2)
    path[0] = rng.normal()
    for i in range(1, len(path)):
        path[i] = keep * path[i - 1] + np.sqrt(1 - keep**2) * rng.normal()
    second = np.arange(windows)
    log = drift * np.interp(second, np.arange(len(path)) * step, path) - drift**2 / 2
    return mean * (1 + cycle * np.sin(2 * np.pi * second / DAY)) * np.exp(log)


def hawkes(days: float, mean: float, seed: int, branching: float = 0.6) -> Counts:
    """Each event brings `branching` others, after 2 s on the average (a cluster process).

    At 4 a second, variance over mean is 3 at 1 s and about 97 at 60 s, as cancels have it.
    """
    rng = np.random.default_rng(seed)
    windows = int(days * DAY)
    first = rng.poisson(base_rate(windows, mean, rng) * (1 - branching))
    time = np.repeat(np.arange(windows), first) + rng.random(first.sum())
    generations = [time]
    while len(time):
        born = rng.poisson(branching, len(time))
        time = np.repeat(time, born) + rng.exponential(2.0, born.sum())
        time = time[time < windows]
        generations.append(time)
    seconds = np.concatenate(generations).astype(np.int64)
    return np.bincount(seconds, minlength=windows).astype(np.float64)


def poisson(days: float, mean: float, seed: int) -> Counts:
    return np.random.default_rng(seed).poisson(mean, int(days * DAY)).astype(np.float64)


def bitstamp_cancels(path: Path) -> Counts:
    """Cancelled orders (`order_deleted` with an amount left) per second of receive time."""
    times = []
    with lzma.open(path, "rt") as lines:
        for line in lines:
            received_ms, event, record = line.split(" ", 2)
            if event == "order_deleted" and float(json.loads(record)["amount"]) > 0:
                times.append(int(received_ms) // 1000)
    seconds = np.array(times) - min(times)
    return np.bincount(seconds).astype(np.float64)
