"""The benchmark scripts run, and judge every library by an objective of their own."""

import csv
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose
from scipy import optimize, sparse
from sklearn.metrics import log_loss

import promise_learn

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
LIBRARIES = sorted(
    path.stem.removeprefix("bench_") for path in BENCHMARKS.glob("libraries/bench_*.py")
)

pytestmark = pytest.mark.skipif(not LIBRARIES, reason="benchmarks are not installed")


@pytest.fixture(autouse=True)
def on_path(monkeypatch):
    """Import the scripts as they import each other."""
    monkeypatch.syspath_prepend(str(BENCHMARKS / "reproduce"))
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def tiny(task, as_sparse=False):
    """A problem of 60 rows."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    margins = X @ [1.0, -2.0, 0.5] + rng.standard_normal(60)
    y = np.where(margins > 0, 1.0, -1.0) if task == "logistic" else margins + 2
    X = sparse.csr_matrix(X) if as_sparse else X
    return import_module("problems").Problem("tiny", task, X, y, 0.05)


def independent(problem, w, b):
    """The objective, by scikit-learn's log loss and by a sum of squares."""
    margins = np.asarray(problem.X @ w) + b
    penalty = problem.mu * np.sum(np.square(w)) / 2
    if problem.task == "logistic":
        return log_loss(problem.y, 1 / (1 + np.exp(-margins))) + penalty
    return np.sum((problem.y - margins) ** 2) / (2 * len(margins)) + penalty


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("task", ["logistic", "ridge"])
def test_objective_agrees_with_an_independent_formula(task, as_sparse):
    problem = tiny(task, as_sparse)
    w, b = np.array([0.3, -1.0, 2.0]), 0.7
    expected = independent(problem, w, b)
    assert_allclose(problem.objective(w, b), expected, rtol=1e-12)
    # libraries return rows, columns and float32
    assert_allclose(problem.objective(w[None], [b]), expected, rtol=1e-12)
    reached = problem.objective(w.astype(np.float32), np.float32(b))
    assert_allclose(reached, expected, rtol=1e-6)  # float32 keeps seven digits


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("task", ["logistic", "ridge"])
def test_minimum_agrees_with_scipy(task, as_sparse):
    problem = tiny(task, as_sparse)
    found = optimize.minimize(
        lambda v: independent(problem, v[:-1], v[-1]), np.zeros(4), tol=1e-10
    )
    # finite differences of BFGS leave some 1e-9 above the minimum
    assert_allclose(import_module("optimum").minimum(problem), found.fun, rtol=1e-7)


@pytest.mark.filterwarnings("ignore")  # what other libraries warn of is theirs
@pytest.mark.parametrize("task", ["logistic", "ridge"])
@pytest.mark.parametrize("name", LIBRARIES)
def test_tightest_fit_of_each_library_reaches_the_minimum(name, task):
    adapter = import_module(f"libraries.bench_{name}")
    if not adapter.available():
        pytest.skip(f"{adapter.name} is not installed")
    problem = tiny(task)
    tightest = {entrant.label: entrant for entrant in adapter.entrants(problem)}
    best = import_module("optimum").minimum(problem)
    assert tightest
    for entrant in tightest.values():
        coef, intercept, _ = entrant.fit()
        # snapml's intercept is all but unpenalised; the default tol is 1e-6
        assert problem.objective(coef, intercept) - best <= 1e-5 * best


def test_absent_libraries_are_skipped_with_a_line(monkeypatch, capsys):
    libraries = import_module("libraries")
    adapter = import_module("libraries.bench_glum")
    monkeypatch.setattr(adapter, "available", lambda: False)
    found = libraries.adapters(["promise_learn", "glum"])
    assert [each.name for each in found] == ["promise-learn"]
    assert capsys.readouterr().out == "glum is not installed: skipped.\n"
    assert not libraries.installed("sklearn", "no_such_library")
    assert libraries.known()[0] == "promise_learn"
    with pytest.raises(SystemExit, match="no adapter of 'magic'"):
        libraries.adapters(["magic"])


def test_a_run_writes_table_report_and_plots(tmp_path, capsys):
    arguments = ["--suite", "smoke", "--only", "diabetes-dense", "--no-startup"]
    arguments += ["--libraries", "promise_learn,sklearn", "--out", str(tmp_path)]
    import_module("run").main([*arguments, "--budget", "0.05", "--rounds", "2"])
    versions = (promise_learn.__version__, sklearn.__version__)
    here, *lines = (tmp_path / "results.csv").read_text().splitlines()
    report = (tmp_path / "report.md").read_text()
    for text in (here, report, capsys.readouterr().out):
        assert f"promise-learn {versions[0]}, " in text
        assert f"scikit-learn {versions[1]}, " in text
    rows = list(csv.DictReader(lines))
    assert {row["library"] for row in rows} == {"promise-learn", "scikit-learn"}
    assert min(float(row["gap"]) for row in rows) >= 0
    assert all(float(row["seconds"]) > 0 for row in rows)
    (ours,) = (row for row in rows if row["tolerance"] == "default")
    assert float(ours["gap"]) <= 1e-5  # 10 tol
    seconds = float(ours["seconds"])
    assert f"| diabetes-dense-ridge | 442 | 10 | {seconds:.3g} |" in report
    for name in ("profile", "curves_diabetes-dense-ridge"):
        assert (tmp_path / f"{name}.png").stat().st_size > 5_000


def test_a_run_skips_absent_files(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PROMISE_LEARN_DATA", str(tmp_path))
    arguments = ["--suite", "full", "--only", "elevators", "--out", str(tmp_path)]
    with pytest.raises(SystemExit, match="no problem of that name"):
        import_module("run").main([*arguments, "--libraries", "promise_learn"])
    assert "uci_elevators-dense-ridge: skipped. " in capsys.readouterr().out


def test_a_library_that_fails_is_told(monkeypatch, capsys):
    def fail():
        raise ValueError("too large")

    libraries, measure = import_module("libraries"), import_module("measure")
    broken = import_module("libraries.bench_glum")
    entrants = [libraries.Entrant("irls", tol, fail) for tol in (0.1, 0.01)]
    monkeypatch.setattr(broken, "entrants", lambda problem: entrants)
    assert measure.measure(tiny("ridge"), [broken], rounds=2, budget=1) == []
    assert capsys.readouterr().out == "  glum irls: ValueError: too large\n"


def test_problems_of_a_suite_are_prepared_alike(data_folder):
    problems = import_module("problems")
    spec = next(spec for spec in problems.SUITES["quick"] if spec.source == "mushrooms")
    problem = problems.load(spec)
    assert problem.X.shape == (8124, 112)
    assert problem.X.indices.dtype == np.int32
    assert set(problem.y) == {-1.0, 1.0}
    assert_allclose(problem.mu * 8124, 1)


def test_first_fits_are_measured_in_fresh_processes():
    startup, problems = import_module("startup"), import_module("problems")
    specs = [spec for spec in problems.SUITES["smoke"] if spec.form == "rbf"]
    (row,) = startup.startup(specs, [import_module("libraries.bench_sklearn")])
    assert row["library"] == "scikit-learn"
    assert 0 <= float(row["empty cache"]) < 60
    assert 0 <= float(row["filled cache"]) < 60


def test_scaling_prints_solvers_and_writes_a_plot(tmp_path, capsys):
    arguments = ["--axes", "n,nnz", "--sizes", "1e5,2e5", "--task", "ridge"]
    scaling = import_module("scaling")
    scaling.main([*arguments, "--repeats", "1", "--out", str(tmp_path)])
    output = capsys.readouterr().out
    assert f"promise-learn {promise_learn.__version__}" in output
    assert "seconds ~ n^" in output
    assert "at most 1.05" in output
    here, *lines = (tmp_path / "scaling.csv").read_text().splitlines()
    assert here[2:] in output
    rows = list(csv.DictReader(lines))
    assert [row["axis"] for row in rows] == ["n", "n", "nnz", "nnz"]
    assert all(row["solver"] for row in rows)
    assert (tmp_path / "scaling.png").stat().st_size > 5_000


def test_scaling_finds_exponents_and_cliffs():
    scaling = import_module("scaling")
    rows = [{"size": n, "seconds": 3 * n**1.5, "solver": "a"} for n in (1, 10, 100)]
    assert_allclose(scaling.exponent(rows), 1.5)
    assert scaling.cliff(*rows[:2], 1) == ""
    after = {"size": 10, "seconds": 60, "solver": "b"}
    assert scaling.cliff(rows[0], after, 1) == "CLIFF: 2.00 x size^1"
    assert scaling.cliff(rows[0], after, 2) == "change: 0.20 x size^2"
    assert scaling.verdict("n", 1.2).endswith("MORE THAN REQUIRED")


def test_scaling_data_have_the_size_asked_for():
    scaling = import_module("scaling")
    X, y = scaling.thin(200, 50, 2_000, "logistic", 0)
    assert X.shape == (200, 50)
    assert X.nnz == 2_000
    assert X.has_canonical_format
    assert set(y) == {0, 1}
    _, labels = scaling.classes(500, 5, 4, 0)
    assert set(labels) == {0, 1, 2, 3}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("storage", ["C", "F", "csr"])
def test_memory_makes_data_of_the_size_asked_for(storage, dtype):
    memory = import_module("memory")
    X, y = memory.make(storage, dtype, 1e6)
    assert_allclose(memory.n_bytes(X), 1e6, rtol=0.02)
    assert X.dtype == dtype
    assert set(y) == {0.0, 1.0}
    if storage == "csr":
        assert X.has_canonical_format
    else:
        assert X.flags[f"{storage}_CONTIGUOUS"]


def test_memory_of_a_fit_is_measured_in_a_process_of_its_own():
    memory = import_module("memory")
    result = memory.in_process(("C", "float64", "auto"), 2e7, "ridge")
    assert_allclose(result["bytes"], 2e7, rtol=0.02)
    assert 0 < result["extra"] < 1e9
    assert result["solver"] == "direct"


def test_documented_rates_are_those_of_the_cost_model():
    from promise_learn.design import rates

    page = (Path(__file__).parents[1] / "doc" / "how_to_choose.md").read_text()
    documented = dict(re.findall(r"\| `([A-Z_]+)` \| ([0-9.e+-]+) \|", page))
    assert len(documented) == 16
    for name, value in documented.items():
        assert float(value) == getattr(rates, name)


@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        ("calibrate", ["--scale", "0.002", "--repeats", "1"], "SPARSE_SCATTER"),
        ("epoch", ["--scale", "0.005", "--repeats", "1"], "CSR"),
        ("regret", ["--suite", "smoke", "--rounds", "1"], "diabetes"),
        ("untuned", ["--suite", "smoke"], "solved"),
    ],
)
def test_measuring_scripts_print_machine_and_table(script, arguments, expected, capsys):
    import_module(script).main(arguments)
    printed = capsys.readouterr().out
    assert f"numpy {np.__version__}" in printed
    assert expected in printed


def test_profile_runs_beside_the_module_of_its_name():
    command = [sys.executable, str(BENCHMARKS / "profile.py"), "--suite", "smoke"]
    done = subprocess.run(
        [*command, "--repeats", "1"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "overhead" in done.stdout
    assert "diabetes" in done.stdout


def test_many_features_are_compared_with_a_direct_solution(tmp_path, capsys):
    script = import_module("features_large")
    size = ["--rows", "2000", "--components", "120", "--direct"]
    script.main([*size, "--methods", "cg", "--out", str(tmp_path)])
    found = re.search(r"the direct solution: (\S+)", capsys.readouterr().out)
    assert abs(float(found[1])) <= 1e-6
    assert (tmp_path / "features_generator.png").exists()
    table = (tmp_path / "features_generator.csv").read_text()
    assert "promise-learn" in table
    assert len(table.splitlines()) > 10


def test_spectra_are_written_with_the_machine(tmp_path):
    arguments = ["--suite", "smoke", "--out", str(tmp_path)]
    import_module("spectra").main(arguments)
    here, *lines = (tmp_path / "spectra.csv").read_text().splitlines()
    assert f"promise-learn {promise_learn.__version__}" in here
    (row,) = csv.DictReader(lines)
    X = import_module("problems").BUILT_IN["diabetes"]()[0]
    H = (X - X.mean(axis=0)).T @ (X - X.mean(axis=0)) / 442 + np.eye(10) / 442
    values = np.append(np.linalg.eigvalsh(H), 1.0)  # of the intercept
    assert_allclose(float(row["none"]), max(values) / min(values), rtol=1e-2)
    assert float(row["ssn, default"]) < 10
    assert (tmp_path / "spectra.png").stat().st_size > 5_000


def test_promise_table_goes_on_where_it_stopped(data_folder, tmp_path, capsys):
    table = import_module("promise_table")
    arguments = ["--problems", "german", "--quick", "--out", str(tmp_path)]
    table.main(arguments)
    lines = table.read(tmp_path / "promise_table.csv")
    assert len(lines) == 4 * (5 + 6)  # solvers x preconditioners, "auto" in ours alone
    for line in lines:
        solved = float(line["F"]) <= float(line["F*"]) + 1e-4 + 2e-9  # digits written
        assert solved == (float(line["epochs"]) < np.inf)
    report = (tmp_path / "promise_table.md").read_text()
    assert f"promise-learn {promise_learn.__version__}" in report
    assert "| german * | 800 | 100 | 0.5007198 |" in report
    assert (tmp_path / "promise_table.png").stat().st_size > 5_000
    capsys.readouterr()
    table.main(arguments)
    assert "german, 0.01: in promise_table.csv already" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no problem 'higgs'"):
        table.main(["--problems", "higgs", "--out", str(tmp_path)])


@pytest.mark.parametrize("name", ["a1a", "a3a", "mushrooms", "madelon"])
def test_optima_of_promise_are_the_published_ones(data_folder, name):
    table, problems = import_module("promise_table"), import_module("promise_problems")
    optima = problems.PUBLISHED[name].optimum
    for mu0, published in zip((1e-2, 1e-1), optima, strict=True):
        found = table.minimum(problems.MAKERS[name](name, mu0))
        assert_allclose(found, published, atol=1e-7)  # the digits published


@pytest.mark.parametrize("task", ["logistic", "ridge"])
def test_objective_of_promise_has_no_intercept(task):
    table, problem = import_module("promise_table"), tiny(task)
    f, w = table.objective(problem), np.array([0.3, -1.0, 2.0])
    assert_allclose(f.value(w), independent(problem, w, 0.0), rtol=1e-12)
    best = optimize.minimize(lambda v: independent(problem, v, 0.0), w, tol=1e-10)
    assert_allclose(table.minimum(problem), best.fun, rtol=1e-7)


def test_random_features_of_promise_have_its_kernel():
    problems = import_module("promise_problems")
    X = np.random.default_rng(0).standard_normal((5, 3))
    X *= 30  # the further 1 / sqrt(m) makes the kernel wide
    m = 20_000
    Z = problems.random_features(X, m, np.random.default_rng(1))
    distances = np.sum((X[:, None] - X) ** 2, axis=2)
    # Monte Carlo: five standard deviations of a mean of m cosines
    assert_allclose(Z @ Z.T, np.exp(-distances / (2 * m)), atol=5 / np.sqrt(m))
