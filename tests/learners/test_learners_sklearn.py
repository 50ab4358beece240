"""The checks that scikit-learn has for estimators, on our learners in its form."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import check_estimator

from forecastle.errors import NameUnknown
from forecastle.models.learners.sklearn import LearnerClassifier, LearnerRegressor


@pytest.mark.parametrize(
    "estimator",
    [LearnerClassifier("logistic"), LearnerRegressor("ridge"),
     LearnerRegressor("historical_mean")],
    ids=["logistic", "ridge", "historical_mean"],
)  # fmt: skip
def test_check_estimator(estimator: LearnerClassifier | LearnerRegressor) -> None:
    done = check_estimator(estimator, on_skip=None)
    assert len(done) > 30
    failed = [check["check_name"] for check in done if check["status"] not in ("passed", "skipped")]
    assert not failed


def test_a_learner_that_needs_rows_before_is_refused() -> None:
    with pytest.raises(NameUnknown, match="lstm"):
        LearnerClassifier("lstm").fit([[0.0], [1.0]], [0, 1])
