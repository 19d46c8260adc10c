"""Events that generators wrote: Les Houches and HepMC files, with particles and all weights."""

import bz2
import gzip
import lzma
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdctr import DCTRReweighter
from skdctr._utils import optional
from skdctr.datasets import jet_observables, read_hepmc, read_lhe

# Les Houches

HEADER = """<header>
<MGRunCard><![CDATA[ a < b & c ]]></MGRunCard>
<initrwgt>
<weight id="main">the central one</weight>
<weightgroup name="scales" combine="envelope">
<weight id="1001" MUR="2.0" MUF="1.0"> muR=2 </weight>
<weight id="rwgt_2" MUR="0.5"> muR=0.5 </weight>
</weightgroup>
<weightgroup type="PDF_variation"><weight id="unused"> PDF 5 </weight></weightgroup>
</initrwgt>
</header>
"""
INIT = """<init>
2212 -2212 6.5e+03 7.0e+03 0 0 247000 247001 -4 2
5.0e+01 1.0e-01 6.0e+01 7
2.5e+00 2.0e-02 3.0e+00 8
<generator name="MadGraph5_aMC@NLO" version="3">cite</generator>
</init>
"""
# id, status, two mothers, two colours, px, py, pz, e, m, lifetime, spin.
INCOMING = """ 2 -1 0 0 501 0 0 0 40.0 40.0 0 0 1
 -2 -1 0 0 0 501 0 0 -90.0 90.0 0 0 -1
"""
PAIR = """ 13 1 1 2 0 0 3.0 4.0 -20.0 20.616 0.1057 0 1
 -13 1 1 2 0 0 -3.0 -4.0 -30.0 30.414 0.1057 0 -1
"""
PHOTON = " 22 1 1 2 0 0 0 0 1.5 1.5 0 0 9\n"


def lhe_event(weight, weights, particles=INCOMING + PAIR, process=7, extra="#aMC@NLO 1 2\n"):
    n = particles.count("\n")
    return (
        f"<event>\n {n} {process} {weight} 91.2 0.0078 0.118\n{particles}{extra}{weights}</event>\n"
    )


def rwgt(**weights):
    lines = "".join(f"<wgt id='{k.strip('_')}'> {v} </wgt>\n" for k, v in weights.items())
    return f"<mgrwt>\n<rscale> 0 0.9E+02</rscale>\n</mgrwt>\n<rwgt>\n{lines}</rwgt>\n"


EVENTS = [
    lhe_event(1.5, rwgt(_1001=1.0, rwgt_2="2.0e+00", main=1.5)),
    lhe_event(-0.5, rwgt(_1001=-0.25, rwgt_2=-1.0, main=-0.5), INCOMING + PAIR + PHOTON, 8),
    lhe_event(3.0, rwgt(_1001=4.0, rwgt_2=5.0, main=3.0)),
]


def lhe_text(events=EVENTS, header=HEADER, init=INIT):
    return f'<LesHouchesEvents version="3.0">\n{header}{init}{"".join(events)}</LesHouchesEvents>\n'


@pytest.fixture
def lhe(tmp_path):
    pytest.importorskip("pylhe")
    (tmp_path / "a.lhe").write_text(lhe_text())
    return tmp_path / "a.lhe"


def test_lhe(lhe):
    found = read_lhe(lhe)
    assert found.particles.fields == ["px", "py", "pz", "e", "m", "pid"]
    assert found.particles.pid.to_list() == [[13, -13], [13, -13, 22], [13, -13]]
    assert found.particles.pz.to_list() == [[-20, -30], [-20, -30, 1.5], [-20, -30]]
    assert found.particles.m.to_list()[0] == [0.1057, 0.1057]
    expected = pd.DataFrame(
        {
            "nominal": [1.5, -0.5, 3.0],
            "main": [1.5, -0.5, 3.0],
            "1001": [1.0, -0.25, 4.0],
            "rwgt_2": [2.0, -1.0, 5.0],
        }
    )
    pd.testing.assert_frame_equal(found.weights, expected)
    assert_array_equal(found.weight, [1.5, -0.5, 3.0])
    assert found.weight_info.loc["1001"].to_dict() == {
        "group": "scales",
        "text": "muR=2",
        "MUR": "2.0",
        "MUF": "1.0",
    }
    assert found.weight_info.index.to_list() == ["main", "1001", "rwgt_2", "unused"]
    assert found.weight_info["group"].to_list() == ["", "scales", "scales", "PDF_variation"]
    assert found.events.to_dict("list") == {
        "process": [7, 8, 7],
        "scale": [91.2] * 3,
        "alpha_qed": [0.0078] * 3,
        "alpha_qcd": [0.118] * 3,
    }
    assert found.cross_sections.loc[8].to_list() == [2.5, 0.02, 3.0]
    assert found.cross_sections.index.to_list() == [7, 8]
    assert found.beams == {
        "pid": (2212, -2212),
        "energy": (6500.0, 7000.0),
        "pdf_set": (247000, 247001),
        "weighting_strategy": -4,
    }


def test_lhe_table_and_status(lhe):
    found = read_lhe(lhe, form="table", status=None, fields=["pid", "mother2", "pt", "spin"])
    table = found.particles
    assert table.index.names == ["event", "particle"]
    assert len(table) == 13
    assert table.loc[(1, 4)].to_dict() == {"pid": 22, "mother2": 2, "pt": 0, "spin": 9}
    assert str(table["pid"].dtype) == "int64"
    final = read_lhe(lhe, form="table", fields=["pt", "pid"]).particles.loc[[0, 2]].unstack()
    assert final.shape == (2, 4)
    assert_array_equal(final["pt"], np.full((2, 2), 5.0))
    both = read_lhe(lhe, status=[1, -1]).particles
    assert both.fields[-1] == "status"
    assert both.status.to_list()[0] == [-1, -1, 1, 1]
    incoming = read_lhe(lhe, status=-1, fields=["e"]).particles
    assert incoming.e.to_list() == [[40, 90]] * 3
    # An event may have none of a kind.
    assert read_lhe(lhe, status=2).particles.to_list() == [[], [], []]
    assert read_lhe(lhe, status=2, form="table").particles.shape == (0, 6)


@pytest.mark.parametrize("reader", ["lhe", "hepmc"])
def test_computed_fields(reader, request):
    names = ["pt", "eta", "rapidity", "phi", "px", "py", "pz", "e"]
    read = {"lhe": read_lhe, "hepmc": read_hepmc}[reader]
    table = read(request.getfixturevalue(reader), form="table", fields=names).particles
    p = np.sqrt((table[["px", "py", "pz"]] ** 2).sum(axis=1))
    assert_allclose(table["pt"], np.hypot(table["px"], table["py"]))
    assert_allclose(table["phi"], np.arctan2(table["py"], table["px"]))
    with np.errstate(divide="ignore"):
        assert_allclose(table["eta"], np.arctanh(table["pz"] / p), rtol=1e-12)
        assert_allclose(table["rapidity"], np.arctanh(table["pz"] / table["e"]), rtol=1e-12)


def test_lhe_first_events(lhe):
    assert_array_equal(read_lhe(lhe, n_events=2).weight, [1.5, -0.5])
    assert len(read_lhe(lhe, n_events=9).weight) == 3
    assert len(read_lhe(lhe, n_events=1).particles) == 1


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".lhe.gz", gzip.compress),
        (".lhe.bz2", bz2.compress),
        (".lhe.xz", lzma.compress),
        ("", gzip.compress),
    ],
)
def test_compressed(suffix, compress, lhe, hepmc, tmp_path):
    file = tmp_path / f"ttγ{suffix}"
    for read, plain in ((read_lhe, lhe), (read_hepmc, hepmc)):
        file.write_bytes(compress(plain.read_bytes()))
        pd.testing.assert_frame_equal(read(file).weights, read(plain).weights)
        file.write_bytes(compress(plain.read_bytes() * 3)[:-40])
        with pytest.raises(ValueError, match=r"ttγ.* cannot be read as (LHE|HepMC)"):
            read(file)


def test_compressed_by_zstd(lhe, hepmc, tmp_path, monkeypatch):
    zstd = pytest.importorskip("backports.zstd")
    file = tmp_path / "a.zst"
    for read, plain in ((read_lhe, lhe), (read_hepmc, hepmc)):
        file.write_bytes(zstd.compress(plain.read_bytes()))
        pd.testing.assert_frame_equal(read(file).weights, read(plain).weights)
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="compressed by zstd: pip install"):
        read_lhe(file)


def test_files_in_memory(lhe, hepmc):
    memory = pytest.importorskip("fsspec").filesystem("memory")
    for read, plain in ((read_lhe, lhe), (read_hepmc, hepmc)):
        memory.pipe_file("/records/a.gz", gzip.compress(plain.read_bytes()))
        found = read("memory://records/a.gz")
        pd.testing.assert_frame_equal(found.weights, read(plain).weights)
        with pytest.raises(FileNotFoundError, match="path is no file: memory://records/b"):
            read("memory://records/b.lhe")


def test_weights_by_position(lhe):
    header = "<header><initrwgt><weight id='a'>1</weight><weight id='b'/></initrwgt></header>\n"
    events = [lhe_event(1, "<weights> 2.0 3.0e0 </weights>\n")]
    lhe.write_text(lhe_text(events, header))
    assert read_lhe(lhe).weights.to_dict("list") == {"nominal": [1], "a": [2], "b": [3]}


def test_lhe_without_header_and_weights(lhe):
    lhe.write_text(lhe_text([lhe_event(2, "", extra="")], header="").replace('"3.0"', '"1.0"'))
    found = read_lhe(lhe)
    assert found.weights.to_dict("list") == {"nominal": [2.0]}
    assert list(found.weight_info) == ["group", "text"]
    assert len(found.weight_info) == 0


def test_weights_that_some_events_lack(lhe):
    events = [*EVENTS, lhe_event(2.0, rwgt(_1001=2.0, new=7.0, main=2.0))]
    lhe.write_text(lhe_text(events))
    match = r"a\.lhe: some of the 4 events lack the weights \['rwgt_2', 'new'\], 3 of them one"
    with pytest.warns(UserWarning, match=match):
        weights = read_lhe(lhe).weights
    assert_array_equal(weights["rwgt_2"], [2, -1, 5, np.nan])
    assert_array_equal(weights["new"], [np.nan] * 3 + [7])


def test_weights_that_are_no_numbers(lhe):
    lhe.write_text(lhe_text([EVENTS[0], lhe_event("NaN", rwgt(_1001=1, rwgt_2="inf", main=1))]))
    with pytest.warns(UserWarning, match=r"the weights \['nominal', 'rwgt_2'\] are NaN or infini"):
        assert_array_equal(read_lhe(lhe).weight, [1.5, np.nan])


def test_a_weight_called_nominal(lhe):
    lhe.write_text(lhe_text([lhe_event(1.0, rwgt(nominal=5.0))]))
    with pytest.warns(UserWarning, match="stands in the column 'nominal \\(rwgt\\)'"):
        weights = read_lhe(lhe).weights
    assert weights.to_dict("list") == {"nominal": [1.0], "nominal (rwgt)": [5.0]}


def test_an_id_twice(lhe):
    header = (
        "<header><initrwgt><weight id='a'>1</weight><weight id='a'>2</weight></initrwgt></header>"
    )
    lhe.write_text(lhe_text([lhe_event(1, rwgt(a=2))], header))
    with pytest.warns(UserWarning, match=r"has the ids \['a'\] more than once"):
        read_lhe(lhe)


@pytest.mark.parametrize(
    ("before", "after", "n_read"),
    [
        (EVENTS[2], EVENTS[2][:60], 2),
        (EVENTS[2] + "</LesHouchesEvents>", "", 2 + 0),
        ("91.2 0.0078 0.118\n 2 -1", "91.2 0.0078 0.118\n 22 x -1", 0),
        (PHOTON, "", 1),
        (PHOTON, PHOTON + PHOTON, 1),
        ("-30.0 30.414", "-30.0", 0),
        ("1.0 </wgt>", "1.0D+00 </wgt>", 0),
    ],
)
def test_damaged_lhe(before, after, n_read, lhe):
    """pylhe ends at damage as at the end; events must not be lost without a word."""
    text = lhe_text()
    assert before in text
    lhe.write_text(text.replace(before, after, 1))
    with pytest.raises(ValueError, match=rf"a\.lhe cannot be read as LHE at event {n_read} of"):
        read_lhe(lhe)
    if n_read:
        assert_array_equal(read_lhe(lhe, n_events=n_read).weight, [1.5, -0.5][:n_read])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing",
        "<a/>",
        lhe_text(init=""),
        lhe_text(header="<header> a < b </header>\n"),
        lhe_text(init=INIT.replace("-4 2", "-4 3")),
        lhe_text(init=INIT.replace("5.0e+01", "")),
        "HepMC::Version 3.02.05\nHepMC::Asciiv3-START_EVENT_LISTING\n",
    ],
)
def test_what_is_no_lhe(text, lhe):
    lhe.write_text(text)
    with pytest.raises(ValueError, match=r"a\.lhe cannot be read as LHE \(.*HepMC is for read_h"):
        read_lhe(lhe)


def test_lhe_without_events(lhe):
    lhe.write_text(lhe_text([]))
    with pytest.raises(ValueError, match="holds no events"):
        read_lhe(lhe)


def test_arguments(lhe, hepmc, tmp_path):
    for read, file in ((read_lhe, lhe), (read_hepmc, hepmc)):
        with pytest.raises(ValueError, match=r"form='set' is unknown; did you mean 'sets'"):
            read(file, form="set")
        with pytest.raises(ValueError, match=r"fields names 'pti', .* did you mean 'pt'"):
            read(file, fields=["pti"])
        for fields in ([], ["pt", "pt"]):
            with pytest.raises(ValueError, match="at least one field and none twice"):
                read(file, fields=fields)
        for fields in ("pt", 3):
            with pytest.raises(TypeError, match="fields must be a sequence of names"):
                read(file, fields=fields)
        for status in ("final", [], [1.5]):
            with pytest.raises(TypeError, match="the final state is status=1"):
                read(file, status=status)
        with pytest.raises(TypeError, match="n_events must be an int"):
            read(file, n_events=1.5)
        with pytest.raises(ValueError, match="n_events must be at least 1"):
            read(file, n_events=0)
        with pytest.raises(TypeError, match="path is or holds a list"):
            read([file])
        with pytest.raises(FileNotFoundError, match=r"path is no file.*did you mean 'a\."):
            read(file.with_name(f"aa{file.suffix}"))
        with pytest.raises(FileNotFoundError, match="it is a directory"):
            read(tmp_path)


@pytest.mark.parametrize(("package", "read"), [("pylhe", read_lhe), ("pyhepmc", read_hepmc)])
def test_missing_package(package, read, tmp_path, monkeypatch):
    def import_module(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(optional.importlib, "import_module", import_module)
    (tmp_path / "a").touch()
    with pytest.raises(ImportError, match=rf'{package} is not.*"skdctr\[{package[2:]}\]"'):
        read(tmp_path / "a")


@pytest.mark.slow
def test_lhe_to_weights(lhe):
    """Sets of partons and their weights go into a reweighter as they are."""
    ak = pytest.importorskip("awkward")
    rng = np.random.default_rng(1)

    def events(shift):
        for _ in range(150):
            px, py, pz = rng.normal(shift, 1, 3)
            e = np.sqrt(px**2 + py**2 + pz**2)
            yield lhe_event(
                rng.uniform(0.5, 1.5), "", f" 13 1 0 0 0 0 {px} {py} {pz} {e} 0 0 1\n" + PAIR
            )

    found = []
    for shift in (0.0, 1.0):
        lhe.write_text(lhe_text(events(shift)))
        found.append(read_lhe(lhe, fields=["pt", "eta", "phi", "pid"]))
    gen = ak.concatenate([each.particles for each in found])
    theta = np.repeat([0.0, 1.0], 150)
    weight = np.concatenate([each.weight for each in found])
    reweighter = DCTRReweighter(random_state=1, max_epochs=2, refit=False)
    reweighter.fit(gen, theta, sample_weight=weight)
    assert np.isfinite(reweighter.predict_weights(found[0].particles, 1.0)).all()


# HepMC

WEIGHTS = {"Default": [2.0, -1.0, 0.5], "MUR=2.0": [2.5, -1.5, 0.75]}
FINAL = [(3.0, 4.0, -20.0, 20.7, 211), (-3.0, -4.0, 30.0, 30.5, -211), (0.0, 0.0, 1.5, 1.5, 22)]


def write_hepmc(path, *, form="hepmc3", unit="GEV", weights=WEIGHTS, names=True, empty=None):
    pyhepmc = pytest.importorskip("pyhepmc")
    scale = {"GEV": 1.0, "MEV": 1000.0}[unit]
    run = pyhepmc.GenRunInfo()
    run.weight_names = list(weights) if names else []
    # HepMC 3 says that HepMC 2 is old.
    pyhepmc.Setup.print_warnings = False
    with pyhepmc.open(path, "w", format=form) as file:
        for number in range(3):
            event = pyhepmc.GenEvent(getattr(pyhepmc.Units, unit), pyhepmc.Units.MM)
            event.run_info, event.event_number = run, 10 + number
            if number != empty:
                vertex = pyhepmc.GenVertex()
                for sign in (1, -1):
                    beam = (0, 0, sign * 6500 * scale, 6500 * scale)
                    vertex.add_particle_in(pyhepmc.GenParticle(beam, 2212, 4))
                for *p, pid in FINAL[: 2 + number % 2]:
                    particle = pyhepmc.GenParticle(tuple(scale * x for x in p), pid, 1)
                    particle.generated_mass = 0.5 * scale
                    vertex.add_particle_out(particle)
                event.add_vertex(vertex)
            event.weights = [values[number] for values in weights.values()]
            event.cross_section = pyhepmc.GenCrossSection()
            event.cross_section.set_cross_section(10.0 + number, 1.0)
            file.write(event)
    pyhepmc.Setup.print_warnings = True
    return path


@pytest.fixture
def hepmc(tmp_path):
    return write_hepmc(tmp_path / "a.hepmc")


@pytest.mark.parametrize("unit", ["GEV", "MEV"])
@pytest.mark.parametrize("form", ["hepmc3", "hepmc2"])
def test_hepmc(form, unit, tmp_path):
    found = read_hepmc(write_hepmc(tmp_path / "a.dat", form=form, unit=unit))
    assert found.particles.fields == ["px", "py", "pz", "e", "m", "pid"]
    assert found.particles.pid.to_list() == [[211, -211], [211, -211, 22], [211, -211]]
    # GeV, whatever the file has.
    assert_allclose(found.particles.pz[1].to_numpy(), [-20.0, 30.0, 1.5], rtol=1e-12)
    assert_allclose(found.particles.e[1].to_numpy(), [20.7, 30.5, 1.5], rtol=1e-12)
    assert_allclose(found.particles.m[0].to_numpy(), [0.5, 0.5], rtol=1e-12)
    pd.testing.assert_frame_equal(found.weights, pd.DataFrame(WEIGHTS))
    assert_array_equal(found.weight, WEIGHTS["Default"])
    assert found.events.to_dict("list") == {"number": [10, 11, 12]}
    # HepMC 2 has the cross section of the first weight only.
    names = list(WEIGHTS)[: 2 if form == "hepmc3" else 1]
    assert found.cross_sections.index.to_list() == names
    assert found.cross_sections.loc["Default"].to_list() == [12.0, 1.0]


def test_hepmc_table_status_and_first_events(hepmc):
    table = read_hepmc(hepmc, form="table", status=None, n_events=2).particles
    assert len(table) == 9
    assert table["status"].to_list() == [4, 4, 1, 1, 4, 4, 1, 1, 1]
    assert table.loc[(1, 4), "pid"] == 22
    beams = read_hepmc(hepmc, status=4, fields=["e"]).particles
    assert beams.e.to_list() == [[6500, 6500]] * 3


def test_hepmc_to_observables(hepmc):
    particles = read_hepmc(hepmc, fields=["pt", "eta", "phi", "pid"], n_events=1).particles
    assert jet_observables(particles, ["multiplicity", "n_kaons"]).to_numpy().tolist() == [[2, 0]]


def test_hepmc_weights_without_names(tmp_path):
    found = read_hepmc(write_hepmc(tmp_path / "a.hepmc", names=False))
    assert list(found.weights) == ["0", "1"]
    assert_array_equal(found.weights["1"], WEIGHTS["MUR=2.0"])
    found = read_hepmc(write_hepmc(tmp_path / "a.hepmc", names=False, weights={}))
    assert found.weights.to_dict("list") == {"0": [1.0] * 3}


def test_hepmc_event_without_particles(tmp_path):
    """pyhepmc takes such an event for the end of the file."""
    found = read_hepmc(write_hepmc(tmp_path / "a.hepmc", empty=1))
    assert found.events["number"].to_list() == [10, 11, 12]
    assert [len(each) for each in found.particles] == [2, 0, 2]
    assert_array_equal(found.weight, WEIGHTS["Default"])


@pytest.mark.parametrize("form", ["hepmc3", "hepmc2"])
@pytest.mark.parametrize("where", ["E 11 ", "E 12 "])
def test_damaged_hepmc(form, where, tmp_path, capfd):
    """HepMC ends at damage as at the end; events must not be lost without a word."""
    file = write_hepmc(tmp_path / "a.hepmc", form=form)
    text = file.read_text()
    n_read = {"E 11 ": 1, "E 12 ": 2}[where]
    for cut in (text[: text.index(where) + 250], text.replace(where, "E x y ", 1)):
        file.write_text(cut)
        with pytest.raises(
            ValueError, match=rf"a\.hepmc cannot be read as HepMC at event {n_read}"
        ):
            read_hepmc(file)
        assert_array_equal(read_hepmc(file, n_events=n_read).weight, WEIGHTS["Default"][:n_read])
    assert "ERROR" not in capfd.readouterr().err


def test_hepmc_that_ends_early(hepmc):
    text = hepmc.read_text()
    hepmc.write_text(text[: text.index("E 12 ")])
    with pytest.warns(UserWarning, match=r"a\.hepmc ends without its closing line.*its 2 events"):
        assert len(read_hepmc(hepmc).weight) == 2
    assert len(read_hepmc(hepmc, n_events=1).weight) == 1
    hepmc.write_text(text.replace("U GEV MM\n", ""))
    with pytest.warns(UserWarning, match="names no units, which are taken to be GeV"):
        read_hepmc(hepmc)


def test_hepmc_weights_that_do_not_fit_their_names(hepmc):
    hepmc.write_text(hepmc.read_text().replace("W Default\\|MUR=2.0", "W one\\|two\\|three"))
    with pytest.raises(ValueError, match=r"at event 0 .*number of weights"):
        read_hepmc(hepmc)
    hepmc.write_text(hepmc.read_text().replace("W one\\|two\\|three", "W one\\|one"))
    with pytest.raises(ValueError, match=r"at event 0 .*Duplicate weight name 'one'"):
        read_hepmc(hepmc)


def test_what_is_no_hepmc(hepmc):
    for text, hint in (
        (lhe_text(), "it is LHE, which read_lhe reads"),
        ("1 2 3\n", "it has to begin"),
    ):
        hepmc.write_text(text)
        with pytest.raises(ValueError, match=rf"a\.hepmc cannot be read as HepMC: {hint}"):
            read_hepmc(hepmc)
    hepmc.write_text(
        "HepMC::Version 3.02.05\nHepMC::Asciiv3-START_EVENT_LISTING\n"
        "HepMC::Asciiv3-END_EVENT_LISTING\n"
    )
    with pytest.raises(ValueError, match="holds no events"):
        read_hepmc(hepmc)
