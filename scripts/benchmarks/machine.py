"""What a measurement was made on: processor, threads, BLAS, versions; and sizes on disk."""

from __future__ import annotations

import os
import platform
import re
from importlib import import_module
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = ("chainrule", "numpy", "scipy", "threadpoolctl", "torch", "jax", "scikit-learn")


def cores() -> int:
    """Return how many cores this process may use: so many threads every peer gets."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_counts() -> list[int]:
    """Return 1, 2, 4, ... and the number of cores."""
    n = cores()
    return sorted({2**k for k in range(n.bit_length())} | {n})


def make() -> str:
    """Return the maker of the processor, as the targets name it: Intel, AMD or another."""
    file = Path("/proc/cpuinfo")
    found = re.search(r"vendor_id\s*: (.+)", file.read_text()) if file.exists() else None
    name = found[1] if found else platform.processor()
    return next((m for m in ("Intel", "AMD") if m in name), name or "unknown")


def describe() -> dict[str, Any]:
    """Return the machine and the versions."""
    installed = {name: found.version for name in PACKAGES if (found := _installed(name))}
    return {
        "processor": _processor(),
        "make": make(),
        "system": platform.platform(),
        "threads": cores(),
        "blas": _blas(),
        "versions": {"python": platform.python_version()} | installed,
    }


def installed_bytes(package: str) -> tuple[int, int]:
    """Return the size of a package's files, and of those with all that it requires."""
    seen: dict[str, int] = {}
    todo = [package]
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        found = _installed(name)
        if found and name not in seen:
            seen[name] = sum(file.stat().st_size for file in _files(found) if file.is_file())
            needed = [line for line in found.requires or () if "extra ==" not in line]
            todo += [re.split(r"[^\w.-]", line)[0] for line in needed]
    return seen[package], sum(seen.values())


def _files(found: Distribution) -> list[Path]:
    """Return a package's files, less the compiled modules that Python adds."""
    if found.name == "chainrule":  # an editable install does not list them
        parts = [import_module(f"chainrule.{part}") for part in ("layers", "networks", "datasets")]
        files = [file for part in parts for file in Path(part.__path__[0]).rglob("*")]
    else:
        files = [Path(str(found.locate_file(file))) for file in found.files or ()]
    return [file for file in files if file.suffix != ".pyc"]


def _installed(package: str) -> Distribution | None:
    try:
        return distribution(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", file.read_text()) if file.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def _blas() -> list[str]:
    """Return the BLAS of NumPy: with threadpoolctl also the kernels that it chose here."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return [f"{blas['name']} {blas['version']} (threadpoolctl would tell the kernels)"]
    return [
        f"{library['internal_api']} {library['version']}, kernels for {library['architecture']}"
        for library in threadpool_info()
        if library["user_api"] == "blas"
    ]
