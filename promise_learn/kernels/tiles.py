"""Products of a few rows with a few others, summed in the registers of the machine.

Written for the compiler and not in Python: on Intel machines it would make vectors of
half the length that registers have, and no transposition without memory.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils, codegen, config
from numba.extending import intrinsic


def _features():
    """Return what Numba compiles for: this machine, unless it was told otherwise."""
    told = config.CPU_FEATURES
    return codegen.get_host_cpu_features() if told is None else told


LONG_VECTORS = "+avx512f" in _features()
# rows of a tile, and bits of a vector: sixteen sums and what they are made of fit
# thirty-two registers, nine fit sixteen
SIDE, BITS = (4, 512) if LONG_VECTORS else (3, 256)
TURNED = 8  # rows and columns that are transposed at a time


def turns(kind):
    """Whether `turn_tile` takes arrays of a type: floating-point numbers in order."""
    return kind.layout == "C" and isinstance(kind.dtype, types.Float)


@intrinsic
def turn_tile(typing, X, i, j, shift, factor, root, T, at):
    """T[j:j + 8, at:at + 8] = (root * (X - shift) * factor)' for X[i:i + 8, j:j + 8].

    X and T have those rows and columns, and all arrays are in row order; computed in
    float64.
    """

    def generate(context, builder, signature, arguments):
        rows, _, _, centres, scales, roots, target, _ = signature.args
        X, i, j, shift, factor, root, T, at = arguments
        some, intp = range(TURNED), cgutils.intp_t
        lanes = ir.VectorType(ir.IntType(32), TURNED)
        double = ir.VectorType(ir.DoubleType(), TURNED)
        word = ir.VectorType(context.get_data_type(target.dtype), TURNED)

        def vector(kind, array, *where):
            """Where eight entries are, and the bytes of one."""
            made = context.make_array(kind)(context, builder, array)
            at = cgutils.get_item_pointer(context, builder, kind, made, where)
            of = ir.VectorType(context.get_data_type(kind.dtype), TURNED)
            return builder.bitcast(at, of.as_pointer()), kind.dtype.bitwidth // 8

        def load(kind, array, *where):
            at, size = vector(kind, array, *where)
            values = builder.load(at, align=size)
            return values if size == 8 else builder.fpext(values, double)

        less, scale = load(centres, shift, j), load(scales, factor, j)
        roots, turned = load(roots, root, i), []
        for m in some:
            x = load(rows, X, builder.add(i, intp(m)), j)
            weight = builder.shuffle_vector(roots, roots, lanes([m] * TURNED))
            x = builder.fmul(builder.fsub(x, less), builder.fmul(weight, scale))
            turned.append(x if word == double else builder.fptrunc(x, word))
        for step in (4, 2, 1):  # blocks of that side change places across the diagonal
            for m in (m for m in some if not m & step):
                a, b = turned[m], turned[m | step]
                upper = [k if not k & step else k - step + TURNED for k in some]
                lower = [k + step if not k & step else k + TURNED for k in some]
                turned[m] = builder.shuffle_vector(a, b, lanes(upper))
                turned[m | step] = builder.shuffle_vector(a, b, lanes(lower))
        for m in some:
            where, size = vector(target, T, builder.add(j, intp(m)), at)
            builder.store(turned[m], where, align=size)
        return context.get_dummy_value()

    if not all(map(turns, (X, shift, factor, root, T))):
        raise TypeError("floating-point numbers in row order only")
    arguments = X, types.intp, types.intp, shift, factor, root, T, types.intp
    return types.void(*arguments), generate


@intrinsic
def add_tile(typing, T, j, k, length, G):
    """Add T[j:j + SIDE, :length] T[k:k + SIDE, :length]' to the same rows of G.

    T and G are of one dtype, in row order, and have those rows and columns; the length
    is rounded up to a vector, 64 bytes at the most.
    """

    def generate(context, builder, signature, arguments):
        (kind, *_, target), (values, j, k, length, sums) = signature.args, arguments
        values = context.make_array(kind)(context, builder, values)
        sums = context.make_array(target)(context, builder, sums)
        word, size = context.get_data_type(kind.dtype), kind.dtype.bitwidth // 8
        vector, intp = ir.VectorType(word, BITS // (8 * size)), cgutils.intp_t
        some, contract = range(SIDE), ("contract",)

        def entry(array, of, row, column):
            return cgutils.get_item_pointer(context, builder, of, array, [row, column])

        def rows(first):
            return [
                entry(values, kind, builder.add(first, intp(m)), intp(0)) for m in some
            ]

        def load(row, i):
            at = builder.bitcast(builder.gep(row, [i]), vector.as_pointer())
            return builder.load(at, align=size)

        left, right, before = rows(j), rows(k), builder.block
        loop = builder.append_basic_block("loop")
        after = builder.append_basic_block("after")
        builder.branch(loop)
        builder.position_at_end(loop)
        i = builder.phi(intp)
        total = [[builder.phi(vector) for _ in some] for _ in some]
        xs, ys = [load(row, i) for row in left], [load(row, i) for row in right]
        for a in some:
            for b in some:
                product = builder.fmul(xs[a], ys[b], flags=contract)
                more = builder.fadd(total[a][b], product, flags=contract)
                total[a][b].add_incoming(vector([0.0] * vector.count), before)
                total[a][b].add_incoming(more, loop)
                total[a][b] = more
        following = builder.add(i, intp(vector.count))
        i.add_incoming(intp(0), before)
        i.add_incoming(following, loop)
        again = builder.icmp_signed("<", following, length)
        builder.cbranch(again, loop, after)
        builder.position_at_end(after)
        add_up = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(word, [word, vector]),
            f"llvm.vector.reduce.fadd.v{vector.count}f{8 * size}",
        )
        for a in some:
            for b in some:
                at = entry(
                    sums, target, builder.add(j, intp(a)), builder.add(k, intp(b))
                )
                one = builder.call(
                    add_up, [word(-0.0), total[a][b]], fastmath=("reassoc",)
                )
                builder.store(builder.fadd(builder.load(at), one), at)
        return context.get_dummy_value()

    return types.void(T, types.intp, types.intp, types.intp, G), generate
