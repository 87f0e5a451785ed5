"""Probabilities that are known already, as scikit-learn's tools ask an estimator for them."""

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class KnownAnswers(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """An estimator whose input, `[track, genre]`, is what it answers."""

    def fit(self, shares: np.ndarray, places: np.ndarray) -> Self:
        """Take the places of the genres."""
        self.classes_ = np.unique(places)
        self.n_features_in_ = shares.shape[1]
        return self

    def predict_proba(self, shares: np.ndarray) -> np.ndarray:
        """Probabilities `[track, genre]`, as they were given."""
        return shares

    def predict(self, shares: np.ndarray) -> np.ndarray:
        """The place of the most probable genre, `[track]`."""
        found: np.ndarray = self.classes_[shares.argmax(axis=1)]
        return found
