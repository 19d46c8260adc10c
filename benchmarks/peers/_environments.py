"""Virtual environments of the peers, and processes that run in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

# hep_ml: Apache 2.0; omnifold: MIT; sbi: Apache 2.0; skorch: BSD; TensorFlow and Keras: Apache 2.0.
REQUIREMENTS = {
    "hep_ml": ("hep_ml==0.8.0",),
    "tensorflow": (
        "tensorflow==2.21.0",
        "omnifold==0.1.36",
        "scikit-learn==1.9.1",
        "scipy==1.17.1",
    ),
    "sbi": ("torch==2.13.0", "sbi==0.27.0"),
    "skorch": ("torch==2.13.0", "skorch==1.4.0"),
}
# The environment of each method; skdctr's is the one that this script runs in.
ENVIRONMENT = {
    "hep_ml": "hep_ml",
    "omnifold": "tensorflow",
    "sbi": "sbi",
    "skorch": "skorch",
    "SRGN protocol": "tensorflow",
}
_WORKER = Path(__file__).with_name("_worker.py")
_STAMP = "requirements.txt"


class InstallationError(RuntimeError):
    """The packages of a peer cannot be installed."""


def default_folder() -> Path:
    """Return the folder of the environments: peers/ in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "skdctr" / "peers"


def interpreter(method: str, folder: Path) -> str:
    """Return the Python that runs a method; make its environment unless it is there.

    Raises
    ------
    InstallationError
        With the last line that pip printed.
    """
    if method not in ENVIRONMENT:
        return sys.executable
    name = ENVIRONMENT[method]
    requirements = REQUIREMENTS[name]
    place = folder / name
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = "\n".join(
        [f"# Python {sys.version_info.major}.{sys.version_info.minor}", *requirements]
    )
    stamp = place / _STAMP
    if stamp.exists() and stamp.read_text() == wanted:
        return str(python)
    print(f"making the environment {place}: {', '.join(requirements)}", file=sys.stderr)
    clear = ["--clear"] if stamp.exists() else []
    for command in (
        [sys.executable, "-m", "venv", *clear, str(place)],
        [str(python), "-m", "pip", "install", "--quiet", *requirements],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InstallationError(last_line(done.stderr + done.stdout))
    stamp.write_text(wanted)
    return str(python)


def run_method(
    method: str, folder: Path, seed: int, *, environments: Path, threads: int, limit: float
) -> dict[str, Any]:
    """Run one method in a process of its own.

    Parameters
    ----------
    method : str
    folder : Path
        Has the events, gets the weights.
    seed : int
    environments : Path
    threads : int
        Threads of each library.
    limit : float
        Seconds after which the process is ended.

    Returns
    -------
    dict
        What the worker measured, and ``status``: "ok", "limit", "failed" or "not installable",
        with a ``message`` in the last two cases.
    """
    try:
        python = interpreter(method, environments)
    except InstallationError as error:
        return {"status": "not installable", "message": str(error)}
    try:
        done = subprocess.run(
            [python, str(_WORKER), method, str(folder), str(seed)],
            cwd=folder,
            env=surroundings(threads),
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"status": "limit"}
    if done.returncode:
        message = last_line(done.stderr) or f"ended with {done.returncode}"
        return {"status": "failed", "message": message}
    return {"status": "ok", **json.loads((folder / "result.json").read_text())}


def surroundings(threads: int) -> dict[str, str]:
    """Return environment variables that give every library so many threads, and no GPU."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    names = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM")
    return {
        **kept,
        **{f"{name}_NUM_THREADS": str(threads) for name in names},
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": str(threads),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "CUDA_VISIBLE_DEVICES": "-1",
    }


def last_line(text: str) -> str:
    """Return the last line with something in it, without what follows 200 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""
