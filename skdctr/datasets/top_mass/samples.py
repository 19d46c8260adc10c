"""The samples of a fit of the top quark mass, read from files and put together."""

from __future__ import annotations

import importlib.resources
import os
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skdctr._utils.spelling import did_you_mean
from skdctr.datasets.files.archives import open_npz, read_array
from skdctr.datasets.files.cache import cache_directory
from skdctr.datasets.files.readers import read_events
from skdctr.datasets.top_mass.observables import OBSERVABLES

__all__ = [
    "BOUNDS",
    "NOMINAL",
    "assemble_samples",
    "check_level",
    "fetch_top_mass",
    "load_top_mass",
]

# The mass of the simulation and the range of the varied masses, in GeV.
NOMINAL: Final = 172.5
BOUNDS: Final = (165.0, 182.0)
_SHIPPED: Final = "top_mass.npz"
_DESCR: Final = """\
pp -> tt -> (b mu nu)(b q q') at 13 TeV, Pythia 8.230 (Monash 2013, multiparton interactions, no
pile-up) and Delphes 3.4.1 with its CMS card, jets anti-kt with R = 0.4. Four masses in GeV, with
the parton-labelled b jet nearest to the muon (b1) or the hardest other one (b2), the two hardest
other jets, and the neutrino from the W mass: arXiv:2010.03569, Sec. III.C. Both levels ask for
two b jets (|eta| < 2.5) and two others with pT > 20 GeV and none within 0.4 of the muon; reco
level for an isolated muon with pT > 10 GeV and |eta| < 2.4. Where the W mass has no real solution,
27% of the nominal events at reco level, m_b1munu and m_b2munu are 0. Of the nominal events 56%
pass at generator level, 61% of those at reco level too; of those that pass at reco level 4% fail
at generator level."""


def load_top_mass(*, level: str = "paired") -> Bunch:
    r"""Load a sample of simulated :math:`t\bar t \to b\mu\nu\,bq\bar q'` that comes with skdctr.

    A part of the events that `fetch_top_mass` reads, with masses rounded to half precision
    (0.125 GeV above 128 GeV): 45 000 nominal events and 100 000 with varied mass at generator
    level, 100 000 nominal events with detector and 45 000 of data with :math:`m_t` = 175 GeV,
    the latter two counting events that pass at one level or the other. Nothing but numpy is
    needed to read it.

    Parameters
    ----------
    level : {"paired", "either"}, default="paired"
        Which simulated events: those that pass the selection at both levels, or at one at least.
        See the notes of `fetch_top_mass`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        The samples, as `fetch_top_mass` returns them.

    See Also
    --------
    fetch_top_mass : All events, from files.
    make_top_mass : New events, from Pythia and a simple detector.

    Examples
    --------
    >>> from skdctr.datasets import load_top_mass
    >>> bunch = load_top_mass()
    >>> list(bunch.sim_reco)
    ['m_b1munu', 'm_b2munu', 'm_b1j1j2', 'm_b2j1j2']
    >>> bunch.theta_nominal, bunch.theta_true
    (array([172.5]), array([175.]))
    """
    check_level(level)
    resource = importlib.resources.files("skdctr.datasets").joinpath("data", _SHIPPED)
    with resource.open("rb") as stream, open_npz(stream) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        content = {name: read_array(archive, name) for name in names}
    mt = content.pop("masses").astype(np.float64)[content.pop("mass_index")]
    tables = {
        name: pd.DataFrame(values.astype(np.float64), columns=list(OBSERVABLES))
        for name, values in content.items()
    }
    return assemble_samples(
        nominal_gen=tables["nominal_gen"],
        varied_gen=tables["varied_gen"],
        mt=mt,
        sim=(tables["sim_gen"], tables["sim_reco"]),
        data=(tables["data_gen"], tables["data_reco"]),
        level=level,
        theta_true=175.0,
        descr=_DESCR,
    )


def fetch_top_mass(
    data_home: str | os.PathLike[str] | None = None,
    *,
    level: str = "paired",
    data: str = "mt175",
) -> Bunch:
    r"""Read the samples for a fit of the top quark mass from a directory of parquet files.

    The files are ``nominal_gen``, ``varied_gen`` (with the column ``mt``), ``nominal_paired`` or
    ``nominal_either`` and ``data_<name>_paired`` or ``data_<name>_either``, all ``.parquet``.
    Their columns are the observables with the prefix ``gen_`` or ``reco_``, in GeV, and in the
    ``either`` files ``pass_gen`` and ``pass_reco``. pyarrow reads them:
    ``pip install "skdctr[io]"``.

    Parameters
    ----------
    data_home : str or path, default=None
        The directory, or one with a directory ``top_mass`` in it. None stands for the
        environment variable ``SKDCTR_DATA`` and, where it is not set, for ``skdctr`` in the
        user's cache directory. Nothing is downloaded.
    level : {"paired", "either"}, default="paired"
        Which simulated events: those that pass the selection at both levels, or at one at least.
    data : str, default="mt175"
        The name of the data sample to read, ``data_<name>_paired.parquet``.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        The samples. Their tables have the columns ``m_b1munu``, ``m_b2munu``, ``m_b1j1j2`` and
        ``m_b2j1j2`` in GeV. The attributes are

        gen : DataFrame of shape (n_gen, 4)
            Events without detector: first those at the nominal mass, then those at varied ones.
        theta : DataFrame of shape (n_gen, 1)
            The mass ``mt`` of each of them, in GeV.
        sim_gen, sim_reco : DataFrame of shape (n_sim, 4)
            Nominal events with detector, at both levels, row by row the same. With "either"
            the rows are those that pass at generator level, and those that fail at reco level
            have NaN in all of `sim_reco`.
        sim_fakes : DataFrame of shape (n_fakes, 4)
            Nominal events that pass at reco level only: they have no observables at generator
            level and hence no weight, but the data contain their like. Empty with "paired".
        data : DataFrame of shape (n_data, 4)
            Data at reco level; with "either" all that pass there, fakes included.
        data_is_fake : ndarray of shape (n_data,)
            Which of them fail at generator level: known as the data are simulated ones.
        data_gen : DataFrame of shape (n_data_gen, 4)
            Data at generator level, for fits without detector. With "paired" row by row as in
            `data`; with "either" all that pass there.
        theta_names : list of str
            ``["mt"]``.
        theta_nominal : ndarray of shape (1,)
            Mass of the simulation, in GeV.
        theta_true : ndarray of shape (1,), or None
            Mass of the data, where the name of the sample tells it.
        bounds : dict
            Range of the varied masses in whole GeV, ``{"mt": (low, high)}``.
        level : str
            As given.
        DESCR : str
            Description.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    FileNotFoundError
        If the directory or a file in it does not exist.
    ValueError
        If a file is damaged or lacks a column, or the names are unknown.

    Warns
    -----
    UnitWarning
        If the masses look like MeV.

    See Also
    --------
    load_top_mass : A smaller sample, with no files and no pyarrow.
    make_top_mass : New events.

    Notes
    -----
    Mind the populations. The generator events `gen` are all that pass at generator level, and
    so are the rows of `sim_gen` with "either". With "paired" the rows of `sim_gen` have passed
    the reconstruction too, so at equal mass their distribution is another one than that of
    `gen`. Weights learned from `gen` are right for both, if what is lost depends on the four
    observables alone; whatever compares `sim_gen` with `gen` directly is right with "either"
    only. A fit at generator level compares `data_gen` with `sim_gen` of the same `level`.

    References
    ----------
    A. Andreassen et al. (SRGN), arXiv:2010.03569, Sec. III.C.
    """
    check_level(level)
    directory = _find_directory(data_home)
    known = sorted(
        match[1]
        for path in directory.glob(f"data_*_{level}.parquet")
        if (match := re.fullmatch(rf"data_(.+)_{level}\.parquet", path.name))
    )
    given: Any = data
    if not isinstance(given, str) or given not in known:
        raise ValueError(f"data={data!r} is no sample in {directory}; {did_you_mean(data, known)}")

    def read(file: str, columns: list[str]) -> pd.DataFrame:
        return read_events(directory / f"{file}.parquet", columns)

    gen, reco = ([f"{side}_{name}" for name in OBSERVABLES] for side in ("gen", "reco"))

    def read_levels(file: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        flags = [] if level == "paired" else ["pass_gen", "pass_reco"]
        frame = read(f"{file}_{level}", [*gen, *reco, *flags])
        _check_finite(directory / f"{file}_{level}.parquet", frame, flags)
        return _as_observables(frame[gen]), _as_observables(frame[reco])

    varied = read("varied_gen", ["mt", *gen])
    mass = re.fullmatch(r"mt(\d+(?:\.\d+)?)", data)
    return assemble_samples(
        nominal_gen=_as_observables(read("nominal_gen", gen)),
        varied_gen=_as_observables(varied[gen]),
        mt=varied["mt"].to_numpy(dtype=np.float64),
        sim=read_levels("nominal"),
        data=read_levels(f"data_{data}"),
        level=level,
        theta_true=float(mass[1]) if mass else None,
        bounds=(float(np.floor(varied["mt"].min())), float(np.ceil(varied["mt"].max()))),
        descr=_DESCR,
    )


def check_level(level: Any) -> None:
    """Check the choice of simulated events.

    Raises
    ------
    ValueError
        If it is neither "paired" nor "either".
    """
    if not isinstance(level, str) or level not in ("paired", "either"):
        raise ValueError(
            f"level must be 'paired' (events that pass at both levels) or 'either', got {level!r}."
        )


def assemble_samples(
    *,
    nominal_gen: pd.DataFrame,
    varied_gen: pd.DataFrame,
    mt: np.ndarray[Any, np.dtype[np.float64]],
    sim: tuple[pd.DataFrame, pd.DataFrame],
    data: tuple[pd.DataFrame, pd.DataFrame],
    level: str,
    theta_true: float | None,
    descr: str,
    bounds: tuple[float, float] = BOUNDS,
    **more: Any,
) -> Bunch:
    """Put the samples of a fit together.

    Parameters
    ----------
    nominal_gen, varied_gen : DataFrame of shape (n, 4)
        Generator events at the nominal mass and at varied ones.
    mt : ndarray of shape (n_varied,)
        Mass of the varied ones, in GeV.
    sim, data : tuple of two DataFrame of shape (n, 4)
        Nominal events and data at generator and at reco level. Those that fail at a level are
        rows of NaN there.
    level : {"paired", "either"}
        Which of their rows to keep: those that pass at both levels, or at one at least.
    theta_true : float or None
        Mass of the data, in GeV, where it is known.
    descr : str
        Description.
    bounds : tuple of float
        Range of `mt`, in GeV.
    **more
        Further attributes of the result.

    Returns
    -------
    Bunch
        The samples, as `fetch_top_mass` documents them.
    """
    sim_gen, sim_reco = sim
    data_gen, data_reco = data
    in_gen, in_reco = (frame.notna().all(axis=1).to_numpy() for frame in sim)
    data_in_gen, data_in_reco = (frame.notna().all(axis=1).to_numpy() for frame in data)
    if level == "paired":
        kept = in_gen & in_reco
        fakes = np.zeros_like(kept)
        data_in_gen = data_in_reco = data_in_gen & data_in_reco
    else:
        kept, fakes = in_gen, in_reco & ~in_gen
    theta = pd.DataFrame({"mt": np.concatenate([np.full(len(nominal_gen), NOMINAL), mt])})
    return Bunch(
        gen=pd.concat([nominal_gen, varied_gen], ignore_index=True),
        theta=theta,
        sim_gen=sim_gen[kept].reset_index(drop=True),
        sim_reco=sim_reco[kept].reset_index(drop=True),
        sim_fakes=sim_reco[fakes].reset_index(drop=True),
        data=data_reco[data_in_reco].reset_index(drop=True),
        data_is_fake=~data_in_gen[data_in_reco],
        data_gen=data_gen[data_in_gen].reset_index(drop=True),
        theta_names=["mt"],
        theta_nominal=np.array([NOMINAL]),
        theta_true=None if theta_true is None else np.array([theta_true]),
        bounds={"mt": bounds},
        level=level,
        **more,
        DESCR=descr,
    )


def _find_directory(data_home: str | os.PathLike[str] | None) -> Path:
    """Find the directory of the parquet files.

    Raises
    ------
    FileNotFoundError
        If the files are nowhere where they may be.
    """
    base = cache_directory(data_home)
    for directory in (base, base / "top_mass"):
        if (directory / "varied_gen.parquet").is_file():
            return directory
    raise FileNotFoundError(
        f"no varied_gen.parquet in {base} nor in {base / 'top_mass'}. Name the directory of the "
        "files with data_home or the environment variable SKDCTR_DATA, or do without them: "
        "load_top_mass() has a part of these events."
    )


def _as_observables(frame: pd.DataFrame) -> pd.DataFrame:
    """Give the columns of one level the names of the observables, in double precision."""
    return frame.astype(np.float64).set_axis(list(OBSERVABLES), axis=1)


def _check_finite(file: Path, frame: pd.DataFrame, flags: list[str]) -> None:
    """Refuse rows that are not finite where they pass, or not NaN where they fail."""
    for side, flag in zip(("gen", "reco"), flags or (None, None), strict=True):
        values = frame.filter(regex=f"^{side}_").to_numpy(dtype=np.float64)
        passes = np.ones(len(frame), bool) if flag is None else frame[flag].to_numpy(dtype=bool)
        if (
            not (np.isfinite(values).all(axis=1) == passes).all()
            or np.isfinite(values[~passes]).any()
        ):
            raise ValueError(
                f"{file}: the {side}_ columns must be finite "
                + ("in every row." if flag is None else f"where {flag} is true, and NaN elsewhere.")
                + " Check how the file was written."
            )
