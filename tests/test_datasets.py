import bz2
import gzip
import lzma
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from _shared import load_shared, manifest, shared_names
from promise_learn.datasets import load_libsvm, make_ill_conditioned

TEXT = "# a comment\n1 1:0.5 3:-2\n\n-1 2:1e3 # another\n"
DENSE = [[0.5, 0, -2], [0, 1e3, 0]]
PACKED = {"": bytes, ".xz": lzma.compress, ".bz2": bz2.compress, ".gz": gzip.compress}


def write(folder, text, name="data.svm", pack=bytes):
    path = folder / name
    path.write_bytes(pack(text.encode()))
    return path


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reads_plain_and_packed_files(tmp_path, suffix, dtype):
    path = write(tmp_path, TEXT, f"data.svm{suffix}", PACKED[suffix])
    X, y = load_libsvm(path, dtype=dtype)
    assert X.format == "csr"
    assert X.dtype == dtype
    assert X.indices.dtype == X.indptr.dtype == np.int32
    assert_array_equal(X.toarray(), DENSE)
    assert_array_equal(y, [1, -1])


@pytest.mark.parametrize("suffix", [*PACKED, ".svm", ".svm.xz"])
def test_finds_a_name_in_the_data_folder(tmp_path, monkeypatch, suffix):
    write(tmp_path, TEXT, f"tiny{suffix}", PACKED[suffix.removeprefix(".svm")])
    assert_array_equal(load_libsvm("tiny", data_home=tmp_path)[1], [1, -1])
    monkeypatch.setenv("PROMISE_LEARN_DATA", str(tmp_path))
    assert_array_equal(load_libsvm("tiny")[1], [1, -1])


def test_a_path_wins_over_a_name(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    write(home, "5 1:1\n", "data.svm")
    write(tmp_path, TEXT, "data.svm")
    monkeypatch.chdir(tmp_path)
    assert_array_equal(load_libsvm("data.svm", data_home=home)[1], [1, -1])


def test_declared_columns_may_be_empty(tmp_path):
    X, _ = load_libsvm(write(tmp_path, TEXT), n_features=7)
    assert X.shape == (2, 7)


def test_an_index_zero_makes_indices_count_from_zero(tmp_path):
    X, _ = load_libsvm(write(tmp_path, "1 0:5 2:7\n"))
    assert_array_equal(X.toarray(), [[5, 0, 7]])


def test_an_index_beyond_32_bits_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="line 1: index 2147483648 is beyond"):
        load_libsvm(write(tmp_path, f"1 {2**31}:1\n"))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("cat 1:2", "the label 'cat' is not a number"),
        ("1,2 1:2", "the label '1,2' is not a number"),
        ("1 2", "'2' is not of the form index:value"),
        ("1 a:2", "the index 'a' is not a whole number"),
        ("1 -1:2", "the index '-1' is not a whole number"),
        ("1 1:b", "the value 'b' at index 1 is not a number"),
        ("1 1:", "the value '' at index 1 is not a number"),
        ("1 3:1 2:1", "index 2 follows index 3; indices must increase"),
        ("1 2:1 2:1", "index 2 follows index 2; indices must increase"),
        ("1 9:1", "index 9 is beyond n_features=5"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, fault):
    path = write(tmp_path, f"1 1:1\n# comment\n{line}\n1 1:1\n")
    with pytest.raises(ValueError, match=re.escape(f"{path}, line 3: {fault}.")):
        load_libsvm(path, n_features=5)


def test_an_empty_file_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="holds no rows"):
        load_libsvm(write(tmp_path, "# nothing\n"))


@pytest.mark.parametrize("suffix", [".xz", ".bz2", ".gz"])
def test_a_file_that_cannot_be_unpacked_is_an_error(tmp_path, suffix):
    whole = PACKED[suffix](TEXT.encode() * 100)
    for content in (TEXT.encode(), whole[: len(whole) // 2]):
        path = tmp_path / f"broken{suffix}"
        path.write_bytes(content)
        with pytest.raises(ValueError, match="cannot be unpacked"):
            load_libsvm(path)


def test_a_missing_file_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("PROMISE_LEARN_DATA", raising=False)
    with pytest.raises(FileNotFoundError) as caught:
        load_libsvm("absent")
    assert str(Path("absent").absolute()) in str(caught.value)
    assert "PROMISE_LEARN_DATA" in str(caught.value)
    with pytest.raises(FileNotFoundError) as caught:
        load_libsvm("absent", data_home=tmp_path)
    assert f"in {tmp_path}" in str(caught.value)
    assert ".svm.xz" in str(caught.value)


@pytest.mark.parametrize("name", ["a1a", "heart_scale", "ijcnn1.tr", "abalone"])
def test_real_files_have_the_shape_that_the_manifest_declares(name):
    X, y = load_shared(name)
    row = next(row for row in manifest().values() if row["name"].startswith(name))
    assert X.shape == (int(row["n"]), int(row["p"]))
    assert X.nnz == int(row["nnz"])
    assert len(y) == X.shape[0]


def test_tables_load_with_their_target(data_folder):
    assert {"uci_pol", "mnist"} <= set(shared_names())
    X, y = load_shared("uci_pol")
    assert X.shape == (15_000, 26)
    assert y.shape == (15_000,)


@pytest.mark.parametrize("task", ["logistic", "ridge"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_generated_data_follow_their_types_and_seed(task, dtype):
    kw = {"task": task, "dtype": dtype, "random_state": 3}
    X, y = make_ill_conditioned(200, 10, **kw)
    again, y_again = make_ill_conditioned(200, 10, **kw)
    assert X.shape == (200, 10)
    assert X.dtype == dtype
    assert y.dtype == (dtype if task == "ridge" else np.int64)
    assert_array_equal(X, again)
    assert_array_equal(y, y_again)


def test_generated_covariance_has_the_documented_spectrum():
    X, _ = make_ill_conditioned(40_000, 8, condition=1e4, random_state=0)
    spectrum = np.linalg.eigvalsh(X.T @ X / len(X))[::-1]
    decay = np.log(1e4) / np.log(8)
    # each sample eigenvalue has relative standard deviation sqrt(2 / n) = 0.7 %
    assert_allclose(spectrum, np.arange(1.0, 9) ** -decay, rtol=0.05)


def test_generated_targets_have_margins_of_variance_four():
    _, y = make_ill_conditioned(40_000, 8, task="ridge", random_state=0)
    # margins of variance 4 and noise of variance 1
    assert_allclose([y.mean(), y.var()], [0, 5], atol=0.2)


@pytest.mark.parametrize("bad", [{"task": "svm"}, {"condition": 0.5}])
def test_generator_refuses_what_it_cannot_make(bad):
    (name,) = bad
    with pytest.raises(ValueError, match=f"{name} must be .* instead"):
        make_ill_conditioned(10, 2, **bad)
