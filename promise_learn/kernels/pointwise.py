"""Compiled losses of one block of margins: value, slope and curvature, or slope alone.

The same formulas as in `promise_learn.losses`. A kernel is compiled for one loss, the
type of `Loss.compiled`: one for all of them would take three times as long to compile.
"""

import math
import sys
from collections import namedtuple

import numpy as np
from numba.extending import overload

from ._jit import OPTIONS, part
from .rows import HUBER, LOGISTIC, POISSON, SQUARED, SQUARED_HINGE

Squared = namedtuple("Squared", "parameter")
Logistic = namedtuple("Logistic", "parameter")
SquaredHinge = namedtuple("SquaredHinge", "parameter")
Huber = namedtuple("Huber", "parameter")
Poisson = namedtuple("Poisson", "parameter")

LOSSES = {
    SQUARED: Squared,
    LOGISTIC: Logistic,
    SQUARED_HINGE: SquaredHinge,
    HUBER: Huber,
    POISSON: Poisson,
}
"""Type of every loss by its code."""

# exp and log1p in plain arithmetic, and loops that touch few arrays, so that the
# compiler turns them into vector instructions: exp(-a) = 2^-k exp(-f) with a = k log 2
# + f and |f| <= log(2) / 2, by the Taylor sum, to the rounding error eps (1 + a) of its
# argument; log(1 + e) = 2 artanh(e / (2 + e)) by its series, to 5e-16.
_LARGEST = 708.0  # exp(-708) is the smallest normal number, and as good as zero
_LOG2_HIGH, _LOG2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_EXP = tuple(1.0 / math.factorial(k) for k in range(13, -1, -1))
_INTEGERS = 1.5 * 2.0**52  # added to a small integer, its low bits hold the integer
_ARTANH = tuple(1.0 / (2 * k + 1) for k in range(16, -1, -1))
_TOP = math.log(sys.float_info.max) / 2  # margin up to which a Poisson mean grows


@part
def exp_minus(a, e, power, size):
    """e[:size] = exp(-|a[:size]|); overwrites power."""
    bits = power.view(np.int64)
    for i in range(size):
        least = _LARGEST if abs(a[i]) > _LARGEST else abs(a[i])
        k = np.floor(least * 1.4426950408889634 + 0.5)
        f = -((least - k * _LOG2_HIGH) - k * _LOG2_LOW)
        total = _EXP[0] * f + _EXP[1]
        for c in _EXP[2:]:
            total = total * f + c
        e[i] = total
        power[i] = _INTEGERS - k
    for i in range(size):
        bits[i] = (bits[i] + 1023) << 52  # the exponent of 2^-k
    for i in range(size):
        e[i] *= power[i]


@part
def log1p_small(e):
    """log(1 + e) for 0 <= e <= 1."""
    s = e / (2.0 + e)
    q = s * s
    total = _ARTANH[0] * q + _ARTANH[1]
    for c in _ARTANH[2:]:
        total = total * q + c
    return 2.0 * s * total


@part
def block_sum(t, size):
    """Sum of t[:size].

    In a loop of its own: a loop that also stores is compiled twice, and which of the
    two runs, and so the order of the sum, depends on where the arrays lie in memory.
    """
    total = 0.0
    for i in range(size):
        total += t[i]
    return total


@part
def decay(margin, e, inverse, size):
    """Write exp(-|margin|) to e and 1 / (1 + e) to inverse."""
    exp_minus(margin, e, inverse, size)
    for i in range(size):
        inverse[i] = 1.0 / (1.0 + e[i])


def squared(loss, eta, y, s, r, d, work, size):
    """Half squared residual."""
    value = work[0]
    for i in range(size):
        r[i] = s[i] * (eta[i] - y[i])
    for i in range(size):
        value[i] = 0.5 * r[i] * (eta[i] - y[i])
    for i in range(size):
        d[i] = s[i]


def logistic(loss, eta, y, s, r, d, work, size):
    """Loss for labels -1 and +1."""
    value, e, margin = work[0], work[1], work[2]
    for i in range(size):
        margin[i] = y[i] * eta[i]
    decay(margin, e, r, size)
    for i in range(size):
        value[i] = log1p_small(e[i]) - (margin[i] if margin[i] < 0 else 0.0)
    for i in range(size):
        value[i] *= s[i]
    for i in range(size):
        d[i] = s[i] * e[i] * r[i] * r[i]
    for i in range(size):
        r[i] *= e[i] if margin[i] > 0 else 1.0
    for i in range(size):
        r[i] *= -y[i] * s[i]


@part
def shortfall(eta, y, short, size):
    """Write max(0, 1 - y eta), the part of the margin that is missing, to short."""
    for i in range(size):
        missing = 1.0 - y[i] * eta[i]
        short[i] = 0.0 if missing <= 0.0 else missing


def squared_hinge(loss, eta, y, s, r, d, work, size):
    """Loss for labels -1 and +1."""
    value, short = work[0], work[1]
    shortfall(eta, y, short, size)
    for i in range(size):
        value[i] = 0.5 * s[i] * short[i] * short[i]
    for i in range(size):
        d[i] = s[i] if short[i] > 0.0 else 0.0
    for i in range(size):
        r[i] = -y[i] * s[i] * short[i]


@part
def clipped(eta, y, delta, residual, size):
    """Write the residual eta - y, cut off at -delta and delta, to residual."""
    for i in range(size):
        far = eta[i] - y[i]
        far = delta if far > delta else far
        residual[i] = -delta if far < -delta else far


def huber(loss, eta, y, s, r, d, work, size):
    """Loss with a threshold."""
    value, delta = work[0], loss.parameter
    clipped(eta, y, delta, r, size)
    for i in range(size):
        value[i] = s[i] * r[i] * (eta[i] - y[i] - 0.5 * r[i])
    for i in range(size):
        d[i] = s[i] if abs(eta[i] - y[i]) <= delta else 0.0
    for i in range(size):
        r[i] *= s[i]


@part
def poisson_mean(eta, margin, mean, power, size):
    """Write eta, at most its largest argument, to margin and its exp to mean."""
    for i in range(size):
        margin[i] = _TOP if eta[i] > _TOP else eta[i]
    exp_minus(margin, mean, power, size)
    for i in range(size):
        mean[i] = 1.0 / mean[i] if margin[i] > 0.0 else mean[i]


def poisson(loss, eta, y, s, r, d, work, size):
    """Half the deviance; a good fit cancels nothing."""
    value, power, margin = work[0], work[1], work[2]
    poisson_mean(eta, margin, d, power, size)
    for i in range(size):
        r[i] = d[i] - y[i]
    for i in range(size):
        total = r[i]
        if y[i] > 0.0:
            z = margin[i] - math.log(y[i])
            total = (y[i] * math.expm1(z) if z < 1.0 else r[i]) - y[i] * z
        if eta[i] > _TOP:
            total += (eta[i] - _TOP) * r[i]
        value[i] = s[i] * total
    for i in range(size):
        r[i] *= s[i]
    for i in range(size):
        d[i] *= s[i]


def squared_slope(loss, eta, y, work, r, size):
    """Residuals."""
    for i in range(size):
        r[i] = eta[i] - y[i]


def logistic_slope(loss, eta, y, work, r, size):
    """Slopes for labels -1 and +1."""
    e, margin = work[1], work[2]
    for i in range(size):
        margin[i] = y[i] * eta[i]
    decay(margin, e, r, size)
    for i in range(size):
        r[i] *= e[i] if margin[i] > 0 else 1.0
    for i in range(size):
        r[i] *= -y[i]


def squared_hinge_slope(loss, eta, y, work, r, size):
    """Slopes for labels -1 and +1."""
    short = work[1]
    shortfall(eta, y, short, size)
    for i in range(size):
        r[i] = -y[i] * short[i]


def huber_slope(loss, eta, y, work, r, size):
    """Residuals, cut off."""
    clipped(eta, y, loss.parameter, r, size)


def poisson_slope(loss, eta, y, work, r, size):
    """Mean less target."""
    poisson_mean(eta, work[2], r, work[1], size)
    for i in range(size):
        r[i] -= y[i]


def evaluate(loss, eta, y, s, r, d, work, size):
    """Write a block's weighted loss, slope and curvature to work[0], r and d."""
    raise TypeError("compiled code only")


def differentiate(loss, eta, y, work, r, size):
    """Write a block's slope to r, unweighted."""
    raise TypeError("compiled code only")


_BODIES = {
    Squared: (squared, squared_slope),
    Logistic: (logistic, logistic_slope),
    SquaredHinge: (squared_hinge, squared_hinge_slope),
    Huber: (huber, huber_slope),
    Poisson: (poisson, poisson_slope),
}


@overload(evaluate, jit_options=OPTIONS)
def _(loss, eta, y, s, r, d, work, size):
    return _BODIES[loss.instance_class][0]


@overload(differentiate, jit_options=OPTIONS)
def _(loss, eta, y, work, r, size):
    return _BODIES[loss.instance_class][1]


@part
def pointwise(loss, eta, y, s, r, d, work, size):
    """Weighted loss, slope and curvature of one block; returns the sum of the loss."""
    evaluate(loss, eta, y, s, r, d, work, size)
    return block_sum(work[0], size)


@part
def block_slope(loss, eta, change, t, y, s, work, share, size):
    """Differentiate in t the weighted loss of one block."""
    margin = work[0]
    for i in range(size):
        margin[i] = eta[i] + t * change[i]
    differentiate(loss, margin, y, work, share, size)
    for i in range(size):
        share[i] *= s[i] * change[i]
    return block_sum(share, size)
