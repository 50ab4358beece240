"""Every model beside the naive ones: losses, the confidence set, the test against the best naive forecast."""

from __future__ import annotations

import math
from collections.abc import Sequence

from forecastle.nouns import Comparison, ModelScore, Refusal, VolatilityReport
from forecastle.reports._html import NOT_KNOWN, Column, Markup, Row, badge, fixed, join, p_is, p_value, table, tag
from forecastle.reports._words import best_naive, duel, many, model_name

READ = "Lower is better in every loss. Beside it: which models can be told from the best, or from the best naive one."
QLIKE_READ = (
    "QLIKE is the mean of s²/σ² - ln(s²/σ²) - 1, the loss of a volatility forecast σ once {target} s² is known; too "
    "low a volatility costs more than too high a one."
)
LOSSES_READ = "MSE is of the variance; FZ0 scores VaR and ES together (Fissler and Ziegel 2016; Patton et al. 2019)."
SET_READ = (
    "The {share} % confidence set (Hansen, Lunde and Nason 2011) holds the models that cannot be told from the best by "
    "QLIKE; p is the smallest size at which a model is left out."
)
DM_READ = (
    "DM is the Diebold-Mariano statistic, the mean difference of two models' losses over its standard error (which "
    "allows for autocorrelated losses, Newey-West): negative is better than the naive forecast. A difference counts "
    "below 5 %, shared among the models tried."
)
FLOOR_READ = "Floored: bars whose variance was raised to a floor, because QLIKE of a zero return is infinite."
_TARGETS = {"squared returns": "the squared return", "realised variance": "the realised variance"}
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def comparison(report: VolatilityReport) -> Markup:
    """Return every model by QLIKE, its test against the best naive one, who refused, and the rest in a second table."""
    found = report.comparison
    scores = sorted(found.scores, key=lambda s: _last_if_unknown(s.qlike))
    if not scores:
        return join([tag("p", "No models were compared."), *_refused(found.refused)])
    shown, further = (make(found, scores, report.headline) for make in (_losses, _further))
    return join([tag("p", READ, "reading"), shown, *_refused(found.refused), _meaning(found), further])


def _meaning(found: Comparison) -> Markup:
    """Return what the columns mean, folded away."""
    held = found.confidence_set
    words = [QLIKE_READ.format(target=_TARGETS[found.target]), LOSSES_READ]
    words += [SET_READ.format(share=f"{100 * (1 - held.size):g}")] if held else []
    readings = (tag("p", said, "reading") for said in [*words, DM_READ])
    return tag("details", join([tag("summary", "What the columns mean"), *readings]), "more")


def _losses(found: Comparison, scores: Sequence[ModelScore], headline: str) -> Markup:
    rival, held = best_naive(found), found.confidence_set
    power = _power([s.mse for s in scores])
    columns = [Column("Model"), Column("QLIKE", "to the best")]
    columns += [Column("Among the best", f"{100 * (1 - held.size):g} % set, p", numeric=False)] if held else []
    columns += [Column("DM", f"against {rival.model}")] if rival else []
    columns += [Column("MSE", f"×10{str(power).translate(_RAISED)}"), Column("FZ0", "VaR and ES")]
    rows = []
    for score in scores:
        cells: list[str] = [_name(score, scores[0], headline), _qlike_cell(score, scores[0])]
        cells += [_set_cell(score, held.size)] if held else []
        cells += [_dm_cell(score, rival, found.size)] if rival else []
        cells += [fixed(None if score.mse is None else score.mse / 10.0**power, 3), fixed(score.fz0)]
        rows.append(Row(cells, _kind(score, scores[0], headline)))
    title = f"Models by QLIKE over the same {many(found.observations, 'bar')}"
    return table(title, columns, rows)


def _further(found: Comparison, scores: Sequence[ModelScore], headline: str) -> Markup:
    """Return the other losses, and the tests against every naive forecast, folded away."""
    losses = {s.model: s for s in scores}
    naive = [losses[name] for name in dict.fromkeys(n for s in scores for n in s.against_naive) if name in losses]
    floored = any(s.floored for s in scores)
    columns = [Column("Model"), Column("Pinball", "VaR"), Column("CRPS", "four quantiles")]
    columns += [Column("Floored", "bars")] if floored else []
    columns += [Column("DM", f"against {other.model}") for other in naive]
    rows = []
    for score in scores:
        cells: list[str] = [model_name(score, headline), _times(score.pinball), _times(score.crps)]
        cells += [f"{score.floored:,}"] if floored else []
        cells += [_dm_cell(score, other, found.size) for other in naive]
        rows.append(Row(cells, "chosen" if score.model == headline else ""))
    shown = table("Pinball and CRPS in hundredths of a percent of log return", columns, rows)
    floor = [tag("p", FLOOR_READ, "reading")] if floored else []
    summary = tag("summary", "Further losses, and the tests against every naive forecast")
    return tag("details", join([summary, shown, *floor]), "more")


def _times(loss: float | None) -> str:
    return fixed(None if loss is None else 1e4 * loss, 3)


def _refused(refused: Sequence[Refusal]) -> list[Markup]:
    """Return the models that gave no forecast of these data, each with its reason."""
    if not refused:
        return []
    items = (tag("li", join([badge("refused", "warn"), tag("strong", r.model), r.reason], " ")) for r in refused)
    return [tag("p", "Not compared, because they refused these data:", "reading"), tag("ul", join(items), "refused")]


def _last_if_unknown(loss: float) -> float:
    return loss if math.isfinite(loss) else math.inf


def _power(losses: Sequence[float | None]) -> int:
    """Return the power of ten that makes the smallest loss a number from 1 to 10."""
    known = [x for x in losses if x is not None and math.isfinite(x) and x > 0]
    return math.floor(math.log10(min(known))) if known else 0


def _name(score: ModelScore, best: ModelScore, headline: str) -> Markup:
    name = model_name(score, headline)
    return join([name, badge("best", "good")], " ") if score is best else name


def _kind(score: ModelScore, best: ModelScore, headline: str) -> str:
    return "best" if score is best else "chosen" if score.model == headline else ""


def _qlike_cell(score: ModelScore, best: ModelScore) -> Markup:
    behind = score.qlike - best.qlike
    more = [tag("small", f"+{behind:.4f}")] if math.isfinite(behind) and score is not best else []
    return join([fixed(score.qlike), *more])


def _set_cell(score: ModelScore, size: float) -> Markup:
    if score.mcs is None:
        return tag("span", NOT_KNOWN, "quiet")
    word = badge("in the set", "good") if score.mcs >= size else badge("left out", "none")
    return join([word, tag("small", p_value(score.mcs))])


def _dm_cell(score: ModelScore, rival: ModelScore, size: float) -> Markup:
    test = score.against_naive.get(rival.model)
    if test is None:
        return tag("span", "itself" if rival.model == score.model else NOT_KNOWN, "quiet")
    why = f" {test.reason}" if test.p_value is None else ""
    words = [f"{p_is(test.p_value)} ", duel(score.qlike, rival.qlike, test, size), why]
    return join([fixed(test.statistic, 2), tag("small", join(words))])
