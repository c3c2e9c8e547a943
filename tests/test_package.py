import configparser
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import promise_learn

ROOT = Path(promise_learn.__file__).parents[1]

needs_checkout = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").is_file(), reason="installed without its source tree"
)


def test_public_names_exist_and_are_listed():
    for name in promise_learn.__all__:
        assert getattr(promise_learn, name) is not None
        assert name in dir(promise_learn)
    with pytest.raises(AttributeError, match="no attribute 'Lasso'"):
        promise_learn.Lasso  # noqa: B018


def test_version_is_that_of_the_installed_package():
    assert promise_learn.__version__ == version("promise-learn")


@needs_checkout
def test_changelog_starts_with_this_version():
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest[1] == promise_learn.__version__


@needs_checkout
def test_no_metadata_is_given_twice():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert "setuptools" not in pyproject["tool"]
    assert "importlinter" not in pyproject["tool"]
    assert "metadata" not in setup
    assert set(setup["options"]) == {"packages"}
    assert not (ROOT / "setup.py").exists()


@needs_checkout
def test_readme_has_exactly_two_commands():
    readme = (ROOT / "README.md").read_text()
    commands = re.findall(r"^python -m .*$", readme, re.M)
    assert commands == [
        "python -m pip install -e . && python -m promise_learn compare",
        'python -m pip install -e ".[test]" && python -m pytest',
    ]


@needs_checkout
@pytest.mark.parametrize("page", ["README.md", "doc/getting_started.md"])
def test_python_examples_run(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names = {}
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.S)
    assert blocks
    for block in blocks:
        exec(block, names)


@needs_checkout
def test_links_between_pages_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("doc/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@needs_checkout
def test_imports_keep_to_the_layers(monkeypatch):
    cli = pytest.importorskip("importlinter.cli")
    monkeypatch.chdir(ROOT)
    assert cli.lint_imports(no_cache=True) == cli.EXIT_STATUS_SUCCESS


@needs_checkout
def test_how_to_choose_names_all_that_can_be_chosen():
    from promise_learn.preconditioners import PRECONDITIONERS
    from promise_learn.solvers import SOLVERS, auto

    page = (ROOT / "doc" / "how_to_choose.md").read_text()
    for name in [*SOLVERS, *PRECONDITIONERS]:
        assert f"`{name}`" in page
    assert f"order above {auto.LARGEST_FACTOR:,} is never formed" in page
