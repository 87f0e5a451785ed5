"""Baselines fitted by scikit-learn to the training tracks; what answers stands in `NETWORKS`."""

import logging
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import SVC
from torch import nn

from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.files.words import counted
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.estimators import Constant
from genre_mlflow.model.layers import Committee, Crops, Fused
from genre_mlflow.model.networks.baselines import SVM, Fitted, StatisticsBaseline

BATCH = 64
MOST_SEGMENTS = 5000  # to fit to: an SVM takes a minute with them, and the square for more
REACH = 0.4  # the radial kernel's gamma times the number of statistics
ITERATIONS = 2000
FOLDS = 5  # by which the sharpness of the answers is chosen
SHARPEST = 50.0

logger = logging.getLogger(__name__)

Rows = npt.NDArray[np.float32]
Kernel = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def fit_baseline(classifier: Classifier, tracks: TrackDataset) -> None:
    """Fit a classifier's network to these tracks, in place.

    Each segment counts alike. The same tracks in the same order give the same arrays.
    """
    settings, network = classifier.network_settings, classifier.network
    if isinstance(network, Constant):
        counts = np.bincount(tracks.labels.numpy(), minlength=len(classifier.genres))
        network.fill(log_shares=np.log(np.maximum(counts, 1e-6) / counts.sum()))
        return
    assert isinstance(settings, Fitted)
    for member in network.members if isinstance(network, Committee) else [network]:
        fit_reader(member if isinstance(member, Crops) else Crops(member, 1.0), settings, tracks)


def fit_fixed_part(network: nn.Module, tracks: TrackDataset) -> None:
    """Fit, in place, what answers beside a network that learns; others have no such part."""
    if isinstance(network, Fused):
        logger.info("Fitting the statistics of %s", counted(len(tracks), "segment"))
        fit_reader(network.fitted, StatisticsBaseline(), tracks)


def fit_reader(crops: Any, settings: Fitted, tracks: TrackDataset) -> None:
    """Fit what reads features, in place, to as many crops as an SVM can take in a minute."""
    reader = crops.body.eval()
    n_crops = len(crops.spread(tracks.gather([0])[0]))
    items = chosen(tracks.labels.numpy(), MOST_SEGMENTS // n_crops)
    rows = features_of(crops, tracks, items)
    items = np.repeat(items, n_crops)
    labels, owners = tracks.labels.numpy()[items], tracks.owners.numpy()[items]
    reader.standardise.fill(mean=rows.mean(0), deviation=rows.std(0) + 1e-6)
    with torch.inference_mode():
        scaled = reader.standardise(torch.from_numpy(rows)).numpy()
    if settings.estimator == SVM:
        reader.head.fill(**fit_svm(scaled, labels, owners, settings.strength))
    else:
        reader.head.fill(**fit_logistic(scaled, labels, settings.strength))


def chosen(labels: Labels, most: int) -> Labels:
    """The places of all items, or of so many of them: of each genre its share, drawn."""
    if len(labels) <= most:
        return np.arange(len(labels))
    drawn = np.random.default_rng(0).permutation(len(labels))
    place = np.empty(len(labels))  # 0 to below 1 within the genre, and 0 for one of each
    for genre in np.unique(labels):
        own = drawn[labels[drawn] == genre]
        place[own] = np.arange(len(own)) / len(own)
    return np.sort(np.argsort(place, kind="stable")[:most])


@torch.inference_mode()
def features_of(crops: Any, tracks: TrackDataset, items: Labels) -> Rows:
    """The features of all crops of these segments, `[items * crops, F]`."""
    batches = tracks.batches(BATCH, items.tolist())
    found = [
        torch.stack([crops.body.features(crop) for crop in crops.spread(pixels)], dim=1)
        for pixels, _ in batches
    ]  # [B, crops, F] each
    return torch.cat(found).flatten(0, 1).numpy()


def fit_logistic(rows: Rows, labels: Labels, strength: float) -> dict[str, npt.NDArray[Any]]:
    """Coefficients and intercepts by genre, of standardised statistics.

    Two genres have one row of coefficients in scikit-learn; here each has half of it.
    """
    found = LogisticRegression(C=strength, max_iter=ITERATIONS).fit(rows, labels)
    coefficients, intercepts = found.coef_, found.intercept_
    if len(found.classes_) == 2:
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    return {"coefficients": coefficients, "intercepts": intercepts}


def fit_svm(rows: Rows, labels: Labels, owners: Labels, strength: float) -> dict[str, Any]:
    """One machine a genre, their vectors in common, and how sharp their answers are to be."""
    gamma = REACH / rows.shape[1]
    kernel = rbf_kernel(rows.astype(np.float64), gamma=gamma)  # once for all machines
    machines = machines_of(strength).fit(kernel, labels).estimators_
    weights = np.zeros((len(machines), len(rows)))
    for genre, machine in enumerate(machines):
        weights[genre, machine.support_] = machine.dual_coef_[0]
    used = np.flatnonzero(weights.any(axis=0))
    intercepts = np.array([machine.intercept_[0] for machine in machines])
    if len(machines) == 1:  # of two genres, scikit-learn has one machine, for the second
        weights, intercepts = np.concatenate([-weights, weights]), np.array([-1, 1]) * intercepts
    return {
        "vectors": rows[used],
        "weights": weights[:, used],
        "intercepts": intercepts,
        "gamma": gamma,
        "sharpness": sharpness_of(kernel, labels, owners, strength),
    }


def machines_of(strength: float) -> OneVsRestClassifier:
    """SVMs on a kernel that is worked out, one genre against the rest."""
    return OneVsRestClassifier(SVC(C=strength, kernel="precomputed"))


def sharpness_of(kernel: Kernel, labels: Labels, owners: Labels, strength: float) -> float:
    """The factor of decision values whose softmax has the least log loss on unseen tracks.

    By cross-validation; 1 where a genre has too few tracks for it (Guo et al. 2017,
    arXiv:1706.04599, have its inverse as temperature).
    """
    tracks_of = [len(np.unique(owners[labels == genre])) for genre in np.unique(labels)]
    n_folds = min(FOLDS, *tracks_of)
    if n_folds < 2:
        return 1.0
    dealer = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)
    values = cross_val_predict(
        machines_of(strength), kernel, labels, groups=owners, cv=dealer,
        method="decision_function",
    )  # fmt: skip
    if values.ndim == 1:
        values = np.stack([-values, values], axis=1)
    truth = np.arange(len(labels)), np.searchsorted(np.unique(labels), labels)

    def loss(sharpness: float) -> float:
        return float(-log_softmax(sharpness * values, axis=1)[truth].mean())

    return float(minimize_scalar(loss, bounds=(0.1, SHARPEST), method="bounded").x)
