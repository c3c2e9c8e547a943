"""A stand-in for CuPy and CuPyX in host memory, as strict as they are.

It keeps the rules that code for a GPU breaks most easily: nothing is converted to NumPy
implicitly, host arrays are refused in every operation (they may index), a reduction is
a 0-d array, Cholesky returns NaN where NumPy raises, 1 x n is what summing a sparse
matrix gives, and sparse products take arrays of the device only. All arrays live on the
second of two devices, and work outside of its context is refused.
"""

import operator
import sys
from types import ModuleType

import array_api_compat.numpy as host_namespace
import numpy as np
import scipy.linalg
from scipy import sparse


class Device:
    """Device 1 of two; current inside ``with``."""

    current = 0

    def __eq__(self, other):
        return isinstance(other, Device)

    def __hash__(self):
        return 1

    def __enter__(self):
        self.before, Device.current = Device.current, 1
        return self

    def __exit__(self, *_):
        Device.current = self.before


def unwrap(x):
    """Host data of an argument; TypeError for an array that lives on the host."""
    if isinstance(x, ndarray):
        if Device.current != 1:
            raise RuntimeError("array of device 1 used while device 0 is current")
        return x._host
    if isinstance(x, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    return type(x)(map(unwrap, x)) if type(x) in (list, tuple) else x


def wrap(x):
    """Result of a host function as arrays of the device."""
    if isinstance(x, (np.ndarray, np.generic)):
        return ndarray(np.asarray(x))
    if isinstance(x, tuple):
        parts = [wrap(part) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    return x


def index(key):
    """Index of the host for one of the device, or of either."""
    if isinstance(key, tuple):
        return tuple(index(part) for part in key)
    return key._host if isinstance(key, ndarray) else key


class ndarray:
    """cupy.ndarray."""

    __module__ = "cupy"

    def __init__(self, host):
        self._host = host

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    __array_ufunc__ = None
    __hash__ = None

    def get(self):
        return self._host.copy()

    device = property(lambda self: Device())
    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    dtype = property(lambda self: self._host.dtype)
    nbytes = property(lambda self: self._host.nbytes)
    T = property(lambda self: ndarray(self._host.T))

    def __getitem__(self, key):
        return wrap(self._host[index(key)])

    def __setitem__(self, key, value):
        self._host[index(key)] = unwrap(value)

    def __len__(self):
        return len(self._host)

    def __dlpack__(self, **_):
        raise BufferError("no host may read this")


def _add_operators():
    for name in ("add", "sub", "mul", "truediv", "pow", "matmul", "and", "or"):
        function, inplace = (getattr(operator, f"__{i}{name}__") for i in ("", "i"))
        setattr(ndarray, f"__{name}__", lambda a, b, f=function: _binary(f, a, b))
        setattr(ndarray, f"__r{name}__", lambda a, b, f=function: _binary(f, b, a))
        setattr(ndarray, f"__i{name}__", lambda a, b, f=inplace: _inplace(f, a, b))
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        function = getattr(operator, name)
        setattr(ndarray, f"__{name}__", lambda a, b, f=function: _binary(f, a, b))
    for function in (float, int, bool, operator.neg, operator.invert):
        name = f"__{function.__name__}__"
        setattr(ndarray, name, lambda a, f=function: wrap(f(unwrap(a))))
    for name in ("all", "any", "sum", "max", "min", "astype", "copy", "reshape"):
        setattr(ndarray, name, _function(getattr(np.ndarray, name)))


def _binary(function, a, b):
    return wrap(function(unwrap(a), unwrap(b)))


def _inplace(function, a, b):
    function(unwrap(a), unwrap(b))
    return a


def _function(function):
    def call(*args, **options):
        options = {name: unwrap(value) for name, value in options.items()}
        device = options.pop("device", None)
        assert device in (None, Device()), "a host device for an array of the GPU"
        return wrap(function(*map(unwrap, args), **options))

    return call


class Namespace(ModuleType):
    """Module whose functions act on arrays of the device."""

    def __init__(self, name, host, **members):
        super().__init__(name)
        self.__dict__.update(members, _of_host=host)

    def __getattr__(self, name):
        member = getattr(self._of_host, name)
        plain = isinstance(member, type) or not callable(member)
        return member if plain else _function(member)


def asarray(values, dtype=None, device=None, copy=None):
    """cupy.asarray, which also takes host arrays."""
    values = values._host if isinstance(values, ndarray) else np.asarray(values)
    if values.dtype.kind in "OSU":
        raise ValueError(f"Unsupported dtype {values.dtype}")
    return ndarray(np.array(values, dtype=dtype, copy=copy))


def cholesky(matrix):
    """cupy.linalg.cholesky, which does not raise."""
    host = unwrap(matrix)
    try:
        return ndarray(np.linalg.cholesky(host))
    except np.linalg.LinAlgError:
        return ndarray(np.full_like(host, np.nan))


class csr_matrix:
    """cupyx.scipy.sparse.csr_matrix; ``column_major`` makes it a csc_matrix."""

    __module__ = "cupyx.scipy.sparse._csr"

    def __init__(self, content, shape=None, dtype=None, column_major=False):
        content = content if sparse.issparse(content) else unwrap(content)
        kind = sparse.csc_matrix if column_major else sparse.csr_matrix
        matrix = kind(content, shape=shape, dtype=dtype)
        self.shape, self.column_major = matrix.shape, column_major
        for name in ("data", "indices", "indptr"):
            setattr(self, name, ndarray(getattr(matrix, name)))

    @property
    def _matrix(self):
        kind = sparse.csc_matrix if self.column_major else sparse.csr_matrix
        parts = tuple(map(unwrap, (self.data, self.indices, self.indptr)))
        return kind(parts, shape=self.shape, copy=False)

    def get(self):
        return self._matrix.copy()

    ndim = 2
    dtype = property(lambda self: self.data.dtype)
    nnz = property(lambda self: self.data.size)
    T = property(lambda self: _like(self._matrix.T))
    has_canonical_format = property(
        lambda self: self._matrix.has_canonical_format,
        lambda self, known: setattr(self._matrix, "has_canonical_format", known),
    )

    def __getitem__(self, key):
        return _like(self._matrix[index(key)])

    def __matmul__(self, other):
        if isinstance(other, csr_matrix):
            return _like((self._matrix @ other._matrix).tocsr())
        return wrap(self._matrix @ unwrap(other))

    def astype(self, dtype):
        return _like(self._matrix.astype(dtype))

    def copy(self):
        return _like(self._matrix.copy())

    def multiply(self, other):
        return _like(self._matrix.multiply(other._matrix).tocsr())

    def sum(self, axis):
        return ndarray(np.asarray(self._matrix.sum(axis=axis)))

    def sum_duplicates(self):
        matrix = self._matrix
        matrix.sum_duplicates()
        self.__init__(matrix, column_major=self.column_major)

    def toarray(self):
        return ndarray(self._matrix.toarray())

    def tocsr(self):
        return _like(self._matrix.tocsr()) if self.column_major else self

    def tocoo(self, copy=False):
        assert not copy
        coo = ModuleType("cupyx.scipy.sparse.coo_matrix")
        coo.row = ndarray(self._matrix.tocoo().row)
        return coo


def _like(matrix):
    return csr_matrix(matrix, column_major=matrix.format == "csc")


def hstack(blocks, format):
    """cupyx.scipy.sparse.hstack."""
    return _like(sparse.hstack([block._matrix for block in blocks], format=format))


def identity(n, dtype, format):
    """cupyx.scipy.sparse.identity."""
    return _like(sparse.identity(n, dtype=dtype, format=format))


_add_operators()


def modules():
    """Entries of sys.modules that make the stand-in importable."""
    linalg = Namespace("cupy.linalg", host_namespace.linalg, cholesky=cholesky)
    members = {"ndarray": ndarray, "asarray": asarray, "linalg": linalg}
    xp = Namespace("cupy", host_namespace, **members)
    found = {
        "cupy": xp,
        "array_api_compat.cupy": xp,
        "cupyx": ModuleType("cupyx"),
        "cupyx.scipy": ModuleType("cupyx.scipy"),
        "cupyx.scipy.linalg": Namespace("cupyx.scipy.linalg", scipy.linalg),
        "cupyx.scipy.sparse": ModuleType("cupyx.scipy.sparse"),
    }
    vars(found["cupyx.scipy.sparse"]).update(
        csr_matrix=csr_matrix, hstack=hstack, identity=identity
    )
    found["cupyx"].scipy = found["cupyx.scipy"]
    found["cupyx.scipy"].linalg = found["cupyx.scipy.linalg"]
    found["cupyx.scipy"].sparse = found["cupyx.scipy.sparse"]
    return found


def install(monkeypatch):
    """Make ``import cupy`` find the stand-in; False where CuPy itself is installed."""
    if "cupy" in sys.modules:
        return False
    for name, module in modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    return True
