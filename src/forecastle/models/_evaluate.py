"""The log-likelihood of GARCH, GJR-GARCH and EGARCH with its exact gradient: compiled, in three passes over the data.

1. Filter: the residuals become conditional variances.
2. Density: each residual and variance become a log density and its two derivatives.
3. Adjoint: the derivatives run back through the filter (reverse-mode differentiation), so that the gradient costs about
   as much as the value, whatever the number of parameters.

A model is eight whole numbers, see ``VOL`` .. ``LATENT``. Its coordinates are ``[mu] omega alpha.. gamma.. beta..
[1/nu] [lambda]``: degrees of freedom enter by their inverse, in which the likelihood is nearly quadratic. Returns are
expected in units of about their standard deviation.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from forecastle.compiled import compiled, inner, spliced

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

VOL, P, O, Q, DIST, MEAN, SAMPLE, GUARD = range(8)  # noqa: E741  the field's letters
"""Places in the array that says which model: the volatility, three lags, innovations, 1 with mu, 1 with a sample start,
1 to refuse filters that are not invertible."""
GARCH, EGARCH = 0, 1
NORMAL, STUDENT, SKEWED = 0, 1, 2
PAD = 3
"""Room for what lies before the first observation: the longest lag."""
ROWS = 8
"""Rows of the workspace, each of n + 2 * PAD."""
_RESIDUAL, _NEWS, _SIDE, _STATE, _BY_RESIDUAL, _BY_VARIANCE, _VARIANCE, _INVERSE = range(ROWS)
_LEAST_VARIANCE = 1e-6
_LARGEST_LOG = 14.0
"""A variance outside 1e-6 to 1e6 of the returns' own is a filter gone astray; its logarithm stops a little beyond."""
_BLOCK = 8
"""Logarithms are taken of products of this many numbers."""
_MEAN_OF_ABS = math.sqrt(2.0 / math.pi)
_LOG_2_PI = math.log(2.0 * math.pi)


@compiled
def evaluate(
    spec: IntArray, theta: FloatArray, returns: FloatArray, presample: float, work: FloatArray, slope: FloatArray
) -> float:
    """Return minus the log-likelihood and leave its gradient in ``slope``; ``work`` keeps the filtered variances.

    ``presample`` is the variance before the first return, not used where the model takes it from the sample. Where the
    model is guarded and its filter does not forget its start, the value is infinite.
    """
    n, first = returns.size, spec[MEAN]
    p, o, q = spec[P], spec[O], spec[Q]
    presample = _centre(spec, theta, returns, presample, work[_RESIDUAL])
    omega = theta[first]
    alpha = theta[first + 1 : first + 1 + p]
    gamma = theta[first + 1 + p : first + 1 + p + o]
    beta = theta[first + 1 + p + o : first + 1 + p + o + q]
    shape = first + 1 + p + o + q
    for i in range(slope.size):
        slope[i] = 0.0
    if spec[VOL] == GARCH:
        _filter_garch(omega, alpha, gamma, beta, n, presample, work)
    else:
        _filter_egarch(omega, alpha, gamma, beta, n, presample, work)
    variance = work[_VARIANCE] if spec[VOL] == EGARCH else work[_STATE][PAD:]
    value = _density(spec[DIST], theta[shape:], n, variance, work, slope[shape:])
    if spec[VOL] == GARCH:
        by_mu, by_presample = _back_through_garch(alpha, gamma, beta, n, work, slope[first:shape])
    else:
        by_mu, by_presample = _back_through_egarch(alpha, gamma, beta, n, work, slope[first:shape])
        by_presample /= presample
    if spec[GUARD] and not log_contraction(spec, theta, n, work) < 0.0:
        value = -math.inf
    if first:
        slope[0] = by_mu
        if spec[SAMPLE]:
            slope[0] -= 2.0 * _sum(work[_RESIDUAL], n) / n * by_presample
    for i in range(slope.size):
        slope[i] = -slope[i]
    return -value


@inner
def _centre(spec: IntArray, theta: FloatArray, returns: FloatArray, presample: float, residual: FloatArray) -> float:
    """Leave the residuals; return the presample variance that is asked for."""
    mu, n = theta[0] if spec[MEAN] else 0.0, returns.size
    for t in range(n):
        residual[t] = returns[t] - mu
    if spec[SAMPLE]:
        presample = 0.0
        for t in range(n):
            presample += residual[t] * residual[t] / n
    return presample


@inner
def forecast_variance(spec: IntArray, n: int, work: FloatArray) -> float:
    """Return the variance of the observation after the n that were evaluated last."""
    state = work[_STATE][PAD + n]
    return math.exp(state) if spec[VOL] == EGARCH else state


def state_of(spec: IntArray, n: int, work: FloatArray) -> FloatArray:
    """Return all n + 1 variances of the last evaluation."""
    state = work[_STATE][PAD : PAD + n + 1]
    return np.asarray(np.exp(state)) if spec[VOL] == EGARCH else state.copy()


@spliced
def _filter_garch(
    omega: float, alpha: FloatArray, gamma: FloatArray, beta: FloatArray, n: int, presample: float, work: FloatArray
) -> None:
    """Fill the variances: ``s2[t] = omega + sum (alpha_i + gamma_i [e<0]) e[t-i]^2 + sum beta_j s2[t-j]``."""
    residual, news, side, state = work[_RESIDUAL], work[_NEWS], work[_SIDE], work[_STATE]
    for t in range(PAD):
        news[t] = presample
        side[t] = 0.5 * presample
        state[t] = presample
    for t in range(n):
        square = residual[t] * residual[t]
        news[t + PAD] = square
        side[t + PAD] = square if residual[t] < 0.0 else 0.0
    if alpha.size == 1 and beta.size == 1 and gamma.size <= 1:
        a, b = alpha[0], beta[0]
        g = gamma[0] if gamma.size else 0.0
        last = presample
        for t in range(PAD, n + PAD + 1):
            last = omega + a * news[t - 1] + g * side[t - 1] + b * last
            state[t] = last
    else:
        _filter_lags(omega, alpha, gamma, beta, n, work)


@inner
def _filter_lags(
    omega: float, alpha: FloatArray, gamma: FloatArray, beta: FloatArray, n: int, work: FloatArray
) -> None:
    """Fill the variances of a GARCH with any lags."""
    news, side, state = work[_NEWS], work[_SIDE], work[_STATE]
    for t in range(PAD, n + PAD + 1):
        value = omega
        for i in range(alpha.size):
            value += alpha[i] * news[t - 1 - i]
        for i in range(gamma.size):
            value += gamma[i] * side[t - 1 - i]
        for j in range(beta.size):
            value += beta[j] * state[t - 1 - j]
        state[t] = value


@spliced
def _filter_egarch(
    omega: float, alpha: FloatArray, gamma: FloatArray, beta: FloatArray, n: int, presample: float, work: FloatArray
) -> None:
    """Fill ``ln s2[t] = omega + sum alpha_i (|z[t-i]| - sqrt(2/pi)) + sum gamma_i z[t-i] + sum beta_j ln s2[t-j]``."""
    residual, news, side, state = work[_RESIDUAL], work[_NEWS], work[_SIDE], work[_STATE]
    variance, inverse = work[_VARIANCE], work[_INVERSE]
    one = alpha.size == 1 and beta.size == 1 and gamma.size <= 1
    g = gamma[0] if gamma.size else 0.0
    for t in range(PAD):
        news[t] = 0.0
        side[t] = 0.0
        state[t] = math.log(presample)
    for t in range(PAD, n + PAD + 1):
        value = omega
        if one:
            value += alpha[0] * news[t - 1] + g * side[t - 1] + beta[0] * state[t - 1]
        else:
            for i in range(alpha.size):
                value += alpha[i] * news[t - 1 - i]
            for i in range(gamma.size):
                value += gamma[i] * side[t - 1 - i]
            for j in range(beta.size):
                value += beta[j] * state[t - 1 - j]
        value = min(max(value, -_LARGEST_LOG), _LARGEST_LOG)
        state[t] = value
        inverse[t - PAD] = math.exp(-0.5 * value)
        z = residual[t - PAD] * inverse[t - PAD]
        side[t] = z
        news[t] = abs(z) - _MEAN_OF_ABS
    for t in range(n):
        variance[t] = 1.0 / (inverse[t] * inverse[t])


@spliced
def _density(dist: int, shape: FloatArray, n: int, variance: FloatArray, work: FloatArray, slope: FloatArray) -> float:
    """Return the log-likelihood of the residuals, and leave its derivatives by residual, variance and shape."""
    residual, by_residual, by_variance = work[_RESIDUAL], work[_BY_RESIDUAL], work[_BY_VARIANCE]
    if dist == NORMAL:
        return _normal(n, residual, variance, by_residual, by_variance)
    if dist == STUDENT:
        return _student(shape[0], n, residual, variance, by_residual, by_variance, slope)
    return _skewed(shape[0], shape[1], n, residual, variance, by_residual, by_variance, slope)


@inner
def _normal(
    n: int, residual: FloatArray, variance: FloatArray, by_residual: FloatArray, by_variance: FloatArray
) -> float:
    logs, squares = 0.0, 0.0
    for start in range(0, n, _BLOCK):
        product = 1.0
        for t in range(start, min(start + _BLOCK, n)):
            inverse = 1.0 / variance[t]
            product *= variance[t]
            x = residual[t] * inverse
            square = residual[t] * x
            squares += square
            by_residual[t] = -x
            by_variance[t] = 0.5 * (square - 1.0) * inverse
        logs += math.log(product)
    return -0.5 * (n * _LOG_2_PI + logs + squares)


@inner
def _student(
    inverse_nu: float,
    n: int,
    residual: FloatArray,
    variance: FloatArray,
    by_residual: FloatArray,
    by_variance: FloatArray,
    slope: FloatArray,
) -> float:
    """Student's t of unit variance (Bollerslev 1987)."""
    nu = 1.0 / inverse_nu
    kappa = nu - 2.0
    log_variances, log_spreads, tails = 0.0, 0.0, 0.0
    for start in range(0, n, _BLOCK):
        variances, spreads = 1.0, 1.0
        for t in range(start, min(start + _BLOCK, n)):
            e, s2 = residual[t], variance[t]
            square = e * e
            spread = kappa * s2 + square
            both = 1.0 / (s2 * spread)  # one division for the two of them
            by_spread = s2 * both
            variances *= s2
            spreads *= spread
            tails += square * by_spread
            weight = (nu + 1.0) * by_spread
            by_residual[t] = -weight * e
            by_variance[t] = 0.5 * (weight * square - 1.0) * spread * both
        log_variances += math.log(variances)
        log_spreads += math.log(spreads)
    constant, by_nu = _student_constant(nu)
    log_tails = log_spreads - log_variances - n * math.log(kappa)
    slope[0] = -nu * nu * (n * by_nu - 0.5 * log_tails + 0.5 * (nu + 1.0) / kappa * tails)
    return n * constant - 0.5 * log_variances - 0.5 * (nu + 1.0) * log_tails


@inner
def _skewed(
    inverse_nu: float,
    lam: float,
    n: int,
    residual: FloatArray,
    variance: FloatArray,
    by_residual: FloatArray,
    by_variance: FloatArray,
    slope: FloatArray,
) -> float:
    """Skewed t of Hansen (1994): ``y = (b z + a) / (1 +- lambda)``, density ``b c (1 + y^2/(nu-2))^(-(nu+1)/2)``."""
    nu = 1.0 / inverse_nu
    kappa = nu - 2.0
    constant, constant_by_nu = _student_constant(nu)
    c = math.exp(constant)
    a_by_lam = 4.0 * c * kappa / (nu - 1.0)
    a = lam * a_by_lam
    a_by_nu = a * constant_by_nu + 4.0 * lam * c / (nu - 1.0) ** 2
    b = math.sqrt(1.0 + 3.0 * lam * lam - a * a)
    log_variances, log_tails, tails, by_a, by_b, by_lam = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for start in range(0, n, _BLOCK):
        variances, products = 1.0, 1.0
        for t in range(start, min(start + _BLOCK, n)):
            inverse = 1.0 / math.sqrt(variance[t])
            z = residual[t] * inverse
            shifted = b * z + a
            sign = 1.0 if shifted >= 0.0 else -1.0
            side = 1.0 / (1.0 + sign * lam)
            y = shifted * side
            square = y * y
            heavy = 1.0 / (kappa + square)
            by_y = -(nu + 1.0) * y * heavy
            variances *= variance[t]
            products *= 1.0 + square / kappa
            tails += square * heavy
            by_a += by_y * side
            by_b += by_y * side * z
            by_lam -= by_y * y * side * sign
            by_z = by_y * side * b
            by_residual[t] = by_z * inverse
            by_variance[t] = -0.5 * (1.0 + by_z * z) * inverse * inverse
        log_variances += math.log(variances)
        log_tails += math.log(products)
    by_b += n / b
    by_a -= by_b * a / b
    direct = n * constant_by_nu - 0.5 * log_tails + 0.5 * (nu + 1.0) / kappa * tails
    slope[0] = -nu * nu * (direct + by_a * a_by_nu)
    slope[1] = by_lam + by_a * a_by_lam + by_b * 3.0 * lam / b
    return n * (math.log(b) + constant) - 0.5 * log_variances - 0.5 * (nu + 1.0) * log_tails


@inner
def _student_constant(nu: float) -> tuple[float, float]:
    """Return ln of the t's constant (unit variance) and its derivative by nu."""
    upper, lower, kappa = 0.5 * (nu + 1.0), 0.5 * nu, nu - 2.0
    value = math.lgamma(upper) - math.lgamma(lower) - 0.5 * math.log(math.pi * kappa)
    return value, 0.5 * (_digamma(upper) - _digamma(lower) - 1.0 / kappa)


@inner
def _digamma(x: float) -> float:
    """Derivative of ln gamma for x > 0: recurrence up to 12, then the asymptotic series (Abramowitz, Stegun 6.3.18)."""
    value = 0.0
    while x < 12.0:
        value -= 1.0 / x
        x += 1.0
    r = 1.0 / (x * x)
    series = r * (1.0 / 12.0 - r * (1.0 / 120.0 - r * (1.0 / 252.0 - r * (1.0 / 240.0 - r * (1.0 / 132.0)))))
    return value + math.log(x) - 0.5 / x - series


@spliced
def _back_through_garch(
    alpha: FloatArray, gamma: FloatArray, beta: FloatArray, n: int, work: FloatArray, slope: FloatArray
) -> tuple[float, float]:
    """Leave the derivatives by omega, alpha, gamma and beta in ``slope``; return those by mu and by the presample."""
    if not (alpha.size == 1 and beta.size == 1 and gamma.size <= 1):
        return _back_through_lags(alpha, gamma, beta, n, work, slope)
    residual, news, side, state = work[_RESIDUAL], work[_NEWS], work[_SIDE], work[_STATE]
    by_residual, by_variance = work[_BY_RESIDUAL], work[_BY_VARIANCE]
    a, b = alpha[0], beta[0]
    g = gamma[0] if gamma.size else 0.0
    by_mu, by_omega, by_a, by_g, by_b, adjoint = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for t in range(n - 1, -1, -1):
        e = residual[t]
        weight = a + g if e < 0.0 else a
        by_mu -= by_residual[t] + 2.0 * adjoint * weight * e
        adjoint = by_variance[t] + b * adjoint
        by_omega += adjoint
        by_a += adjoint * news[t + PAD - 1]
        by_g += adjoint * side[t + PAD - 1]
        by_b += adjoint * state[t + PAD - 1]
    slope[0] = by_omega
    slope[1] = by_a
    if gamma.size:
        slope[2] = by_g
    slope[slope.size - 1] = by_b
    return by_mu, adjoint * (a + 0.5 * g + b)


@inner
def _back_through_lags(
    alpha: FloatArray, gamma: FloatArray, beta: FloatArray, n: int, work: FloatArray, slope: FloatArray
) -> tuple[float, float]:
    """Do the same with any lags; the derivative by the variance becomes the adjoint in place."""
    residual, by_residual, adjoint = work[_RESIDUAL], work[_BY_RESIDUAL], work[_BY_VARIANCE]
    for t in range(n, n + PAD):
        adjoint[t] = 0.0
    by_mu = 0.0
    for t in range(n - 1, -1, -1):
        e, through_residual, total = residual[t], 0.0, adjoint[t]
        for i in range(alpha.size):
            through_residual += adjoint[t + 1 + i] * alpha[i]
        if e < 0.0:
            for i in range(gamma.size):
                through_residual += adjoint[t + 1 + i] * gamma[i]
        for j in range(beta.size):
            total += adjoint[t + 1 + j] * beta[j]
        by_mu -= by_residual[t] + 2.0 * through_residual * e
        adjoint[t] = total
    _by_weights(alpha.size, gamma.size, beta.size, n, work, slope)
    by_presample = 0.0
    for t in range(min(PAD, n)):
        weight = 0.0
        for i in range(t, PAD):
            weight += _at(alpha, i) + 0.5 * _at(gamma, i) + _at(beta, i)
        by_presample += adjoint[t] * weight
    return by_mu, by_presample


@inner
def _at(weights: FloatArray, place: int) -> float:
    """Return a weight, zero beyond the last lag."""
    return weights[place] if place < weights.size else 0.0


@spliced
def _back_through_egarch(
    alpha: FloatArray, gamma: FloatArray, beta: FloatArray, n: int, work: FloatArray, slope: FloatArray
) -> tuple[float, float]:
    """Leave the derivatives by omega, alpha, gamma and beta in ``slope``; return those by mu and by ln presample.

    A residual moves later variances by ``alpha sign(z) + gamma``, a log variance through z by minus half of that
    times z, and through beta.
    """
    side, variance, inverse = work[_SIDE], work[_VARIANCE], work[_INVERSE]
    by_residual, adjoint = work[_BY_RESIDUAL], work[_BY_VARIANCE]
    one = alpha.size == 1 and beta.size == 1 and gamma.size <= 1
    g = gamma[0] if gamma.size else 0.0
    for t in range(n, n + PAD):
        adjoint[t] = 0.0
    by_mu, later = 0.0, 0.0
    for t in range(n - 1, -1, -1):
        z, through_abs, through_z, total = side[t + PAD], 0.0, 0.0, adjoint[t] * variance[t]
        if one:
            through_abs, through_z = later * alpha[0], later * g
            total += later * beta[0]
        else:
            for i in range(alpha.size):
                through_abs += adjoint[t + 1 + i] * alpha[i]
            for i in range(gamma.size):
                through_z += adjoint[t + 1 + i] * gamma[i]
            for j in range(beta.size):
                total += adjoint[t + 1 + j] * beta[j]
        through_z += through_abs if z > 0.0 else (-through_abs if z < 0.0 else 0.0)
        by_mu -= by_residual[t] + through_z * inverse[t]
        later = total - 0.5 * through_z * z
        adjoint[t] = later
    _by_weights(alpha.size, gamma.size, beta.size, n, work, slope)
    by_presample = 0.0
    for t in range(min(PAD, n)):
        for j in range(t, beta.size):
            by_presample += adjoint[t] * beta[j]
    return by_mu, by_presample


@inner
def _by_weights(p: int, o: int, q: int, n: int, work: FloatArray, slope: FloatArray) -> None:
    """Sum adjoint times what each weight of the filter multiplies."""
    news, side, state, adjoint = work[_NEWS], work[_SIDE], work[_STATE], work[_BY_VARIANCE]
    slope[0] = _sum(adjoint, n)
    for i in range(p):
        slope[1 + i] = _lagged_product(adjoint, news, n, i + 1)
    for i in range(o):
        slope[1 + p + i] = _lagged_product(adjoint, side, n, i + 1)
    for j in range(q):
        slope[1 + p + o + j] = _lagged_product(adjoint, state, n, j + 1)


@inner
def _sum(values: FloatArray, n: int) -> float:
    total = 0.0
    for t in range(n):
        total += values[t]
    return total


@inner
def _lagged_product(adjoint: FloatArray, values: FloatArray, n: int, lag: int) -> float:
    total = 0.0
    for t in range(n):
        total += adjoint[t] * values[t + PAD - lag]
    return total


@inner
def collapsed(spec: IntArray, n: int, work: FloatArray) -> bool:
    """Return whether a variance of the last evaluation lies beyond all sense: a millionth, or a million times, of one.

    Where a market stood still for half a window the likelihood grows without end as the variance shrinks to nothing.
    """
    state, least, most = work[_STATE], math.inf, -math.inf
    for t in range(PAD, n + PAD + 1):
        least = min(least, state[t])
        most = max(most, state[t])
    if spec[VOL] == EGARCH:
        least, most = math.exp(least), math.exp(most)
    return not (least > _LEAST_VARIANCE and most < 1.0 / _LEAST_VARIANCE)


@compiled
def log_contraction(spec: IntArray, theta: FloatArray, n: int, work: FloatArray) -> float:
    """Return the mean log growth of a small error in the filter's state, from the last evaluation.

    Below zero the filter forgets where it started: it is invertible (Straumann and Mikosch 2006). GARCH always is
    when its betas sum to less than one; for EGARCH the derivative is ``beta - (alpha |z| + gamma z) / 2``.
    """
    first, p, o, q = spec[MEAN], spec[P], spec[O], spec[Q]
    if spec[VOL] == GARCH:
        return -1.0
    alpha = theta[first + 1 : first + 1 + p]
    gamma = theta[first + 1 + p : first + 1 + p + o]
    beta = theta[first + 1 + p + o : first + 1 + p + o + q]
    side = work[_SIDE]
    if p == 1 and q == 1 and o <= 1:
        g = gamma[0] if o else 0.0
        return _log_size(0.5 * alpha[0], 0.5 * g, beta[0], n, side)
    error = np.zeros(PAD)  # of the last three log variances, newest first
    error[0] = 1.0
    total = 0.0
    for t in range(PAD, n + PAD):
        value = 0.0
        for lag in range(min(PAD, t - PAD + 1)):
            z = side[t - lag]
            value += (_at(beta, lag) - 0.5 * (_at(alpha, lag) * abs(z) + _at(gamma, lag) * z)) * error[lag]
        error[2], error[1], error[0] = error[1], error[0], value
        size = abs(error[0]) + abs(error[1]) + abs(error[2])
        if size < 1e-300:
            return -math.inf
        total += math.log(size)
        for lag in range(PAD):
            error[lag] /= size
    return total / n


@inner
def _log_size(half_alpha: float, half_gamma: float, beta: float, n: int, side: FloatArray) -> float:
    """Return the mean of ``ln |beta - (alpha |z| + gamma z) / 2|``."""
    total = 0.0
    for start in range(PAD, n + PAD, _BLOCK):
        product = 1.0
        for t in range(start, min(start + _BLOCK, n + PAD)):
            product *= abs(beta - half_alpha * abs(side[t]) - half_gamma * side[t])
        total += math.log(max(product, 1e-300))
    return total / n
