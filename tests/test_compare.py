import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression, Ridge

from promise_learn import _compare, _problems
from promise_learn.__main__ import main
from promise_learn._problems import Problem, load_problem


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Short budgets, and a working folder of the test's own."""
    monkeypatch.setattr(_compare, "_PEER_SECONDS", 0.02)
    monkeypatch.chdir(tmp_path)


def write(folder, name="tiny.svm", labels=(1, -1), rows=40):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, 3))
    lines = [
        f"{labels[i % len(labels)]} 1:{a:.3f} 2:{b:.3f} 3:{c:.3f}"
        for i, (a, b, c) in enumerate(X)
    ]
    path = folder / name
    path.write_text("\n".join(lines))
    return path


def rows_of(output):
    return [line.split() for line in output.splitlines() if line.startswith("  ")]


def test_prints_a_row_for_each_solver_and_writes_a_plot(tmp_path, capsys):
    path = write(tmp_path)
    assert main(["compare", str(path), "--out", "plots", "--solvers", "lbfgs"]) == 0
    output = capsys.readouterr().out
    assert "tiny.svm (logistic, 40 x 3)" in output
    named = [" ".join(row[:2]) for row in rows_of(output)[1:]]
    assert named[:2] == ["promise_learn auto", "promise_learn lbfgs"]
    assert named[2:] == [f"scikit-learn {name}" for name in _compare._PEERS["logistic"]]
    ours = rows_of(output)[1]
    assert ours[-1] == "yes"
    assert abs(float(ours[-3])) <= 1e-5  # 10 tol
    assert (tmp_path / "plots" / "tiny.svm.png").stat().st_size > 5_000
    assert str(tmp_path / "plots") in output


def test_says_no_where_a_solver_hits_its_limit(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(_compare, "_PEER_SECONDS", 1e-9)
    assert main(["compare", "breast_cancer"]) == 0
    converged = {
        " ".join(row[:2]): row[-1] for row in rows_of(capsys.readouterr().out)[1:]
    }
    assert converged["promise_learn auto"] == "yes"
    assert converged["scikit-learn lbfgs"] == converged["scikit-learn sag"] == "no"


def test_default_problems_of_a_task(monkeypatch, capsys):
    loaded = []
    tiny = load_problem("diabetes", "ridge")
    monkeypatch.setattr(
        _compare, "load_problem", lambda name, task: loaded.append(name) or tiny
    )
    assert main(["compare", "--task", "ridge"]) == 0
    assert loaded == ["diabetes", "ill_conditioned"]
    loaded.clear()
    assert main(["compare"]) == 0
    assert loaded == ["breast_cancer", "digits", "diabetes", "ill_conditioned"]


def test_targets_are_fitted_by_ridge(tmp_path, capsys):
    path = write(tmp_path, labels=np.linspace(0, 1, 37).round(3))
    assert main(["compare", str(path)]) == 0
    output = capsys.readouterr().out
    assert "tiny.svm (ridge, 40 x 3)" in output
    assert "scikit-learn svd" not in output  # refused by scikit-learn for sparse X


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.svm"], "absent.svm is not a file"),
        (["broken.svm"], "broken.svm, line 2: 'x' is not of the form index:value."),
        (["single.svm"], "every label is 3."),
        (["targets.svm", "--task", "logistic"], "needs class labels"),
        (["diabetes", "--task", "logistic"], "needs class labels"),
        (["nan.svm"], "hold NaN or infinite values"),
        (["tiny.svm", "--solvers", "magic"], "solver 'magic' is not known"),
        (["tiny.svm", "--solvers", "direct"], "direct"),
        (["tiny.svm", "--tol", "-1"], "The 'tol' parameter of LogisticRegression"),
        (["tiny.svm", "--out", "tiny.svm"], "cannot write plots"),
    ],
)
def test_errors_are_one_sentence_and_status_2(tmp_path, capsys, arguments, message):
    write(tmp_path)
    write(tmp_path, "single.svm", labels=[3])
    write(tmp_path, "targets.svm", labels=np.linspace(0, 1, 37).round(3))
    (tmp_path / "broken.svm").write_text("1 1:1\n1 x\n")
    (tmp_path / "nan.svm").write_text("1 1:nan\n0 1:2\n")
    assert main(["compare", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("promise_learn compare: ")
    assert error.count("\n") == 1


def test_unknown_options_have_status_2(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["compare", "--task", "svm"])
    assert caught.value.code == 2
    assert "svm" in capsys.readouterr().err


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_objective_is_the_one_that_scikit_learn_minimises(n_classes):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 4)) * 50  # margins large enough to overflow exp
    y = rng.integers(n_classes, size=90)
    problem = Problem("p", X, y, "logistic")
    fit = LogisticRegression(solver="newton-cholesky", tol=1e-12).fit(X, y)
    chance = fit.predict_log_proba(X)[np.arange(90), y]
    expected = -chance.mean() + np.sum(fit.coef_**2) / 180
    assert_allclose(problem.objective(fit), expected, rtol=1e-12)
    best = problem.objective(fit)
    for nudge in (1e-4, -1e-4):
        fit.coef_[0, 0] += nudge
        assert problem.objective(fit) > best
        fit.coef_[0, 0] -= nudge


def test_the_ridge_objective_is_smallest_at_scikit_learns_solution():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 3)), rng.standard_normal(50)
    problem = Problem("p", X, y, "ridge")
    fit = Ridge().fit(X, y)
    squares = (y - fit.predict(X)) ** 2
    expected = (squares.sum() + np.sum(fit.coef_**2)) / 100
    assert_allclose(problem.objective(fit), expected, rtol=1e-12)
    best = problem.objective(fit)
    for nudge in (1e-4, -1e-4):
        fit.coef_[0] += nudge
        assert problem.objective(fit) > best
        fit.coef_[0] -= nudge


def test_the_generated_problem_suits_either_task(monkeypatch):
    small = _problems.datasets.make_ill_conditioned
    monkeypatch.setattr(
        _problems.datasets,
        "make_ill_conditioned",
        lambda **kw: small(300, 5, **kw),
    )
    assert load_problem("ill_conditioned", None).n_outputs == 1
    assert load_problem("ill_conditioned", "ridge").task == "ridge"


def test_runs_from_the_shell(tmp_path):
    write(tmp_path)
    command = [sys.executable, "-m", "promise_learn", "compare", "tiny.svm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "promise_learn auto" in done.stdout
    assert (tmp_path / "promise_learn_compare" / "tiny.svm.png").is_file()
    missing = subprocess.run(
        [*command[:-1], "absent.svm"], capture_output=True, text=True, check=False
    )
    assert missing.returncode == 2
    assert missing.stderr.count("\n") == 1
