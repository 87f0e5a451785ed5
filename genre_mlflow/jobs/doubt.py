"""When the model of a run is to say that it does not know, and how well these limits hold."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from genre_mlflow.corpus.corpus import Corpus
from genre_mlflow.corpus.manifest import recordings
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.evaluation.doubt import Sets, Sure, fit_doubt, likely_sets, sure_answers
from genre_mlflow.evaluation.doubt_settings import DoubtSettings
from genre_mlflow.evaluation.foreign import by_owner, fit_familiarity, some
from genre_mlflow.evaluation.predictions import part
from genre_mlflow.evaluation.statistics import Interval, wilson_interval
from genre_mlflow.jobs.calibration import Calibrated
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.doubt import NEVER, Doubt
from genre_mlflow.model.familiarity import BATCH, Familiarity, statistics_of
from genre_mlflow.options import TrainOptions

UNKNOWN = "Too few tracks were held out to know which answers are sure, or which genres are likely."
NO_FOREIGN = "Nor is foreign sound told: it gets a genre too."


@dataclass(frozen=True)
class Doubts:
    """The limits of a model, what held-out and test tracks get by them, and what was asked for.

    `val` and `test` are None where nobody knows a limit; `foreign`: the share of the test tracks
    that is called so. `source`: the name of the held-out tracks, which are those of the folds
    after a refit that has such, in a sentence.
    """

    doubt: Doubt
    val: tuple[Sure, Sets] | None
    test: tuple[Sure, Sets] | None
    foreign: Interval | None
    settings: DoubtSettings
    source: str = "validation"

    def metrics(self) -> dict[str, float]:
        """The limits, and coverage, precision, size of sets and foreign tracks, 0 to 1."""
        limits = {"sure_from": self.doubt.sure_from, "likely_from": self.doubt.likely_from}
        values = {name: value for name, value in limits.items() if value is not None}
        for split, found in (("val", self.val), ("test", self.test)):
            if found:
                sure, sets = found
                values |= with_ends(f"{split}_sure_coverage", sure.coverage)
                values |= with_ends(f"{split}_sure_precision", sure.precision)
                values |= with_ends(f"{split}_set_coverage", sets.coverage)
                values[f"{split}_set_size"] = sets.mean_size
        return values | with_ends("test_foreign", self.foreign)

    def sentence(self) -> str:
        """When it says so, and how often on the test set."""
        return " ".join([self.about_answers(), self.about_foreign()])

    def about_answers(self) -> str:
        """Sure and unsure answers, and likely genres."""
        if self.val is None or self.test is None:
            return UNKNOWN
        asked = self.settings
        sure, (_, sets) = f"a precision of {asked.sure_precision:.0%}", self.test
        return (
            f"{self.about_sure(sure)} The likely genres, of which the right one is to be one in "
            f"{asked.set_coverage:.0%} of the tracks, hold it in {share(sets.coverage)} of the "
            f"test set, and are {sets.mean_size:.1f} in the mean."
        )

    def about_sure(self, precision: str) -> str:
        """From which confidence on answers are sure, and how many of them are right."""
        assert self.val and self.test
        if self.doubt.sure_from == NEVER:
            return f"No confidence reaches {precision} on {self.source}: every answer is unsure."
        return (
            f"For {precision} answers below a confidence of {self.doubt.sure_from:.2f} are "
            f"unsure: of {self.source} {said(self.val[0])}; of the test set {said(self.test[0])}."
        )

    def about_foreign(self) -> str:
        """What is foreign."""
        if self.foreign is None:
            return NO_FOREIGN
        return (
            f"Sound that lies farther from the training tracks than "
            f"{self.settings.familiar_share:.0%} of validation is called foreign, and gets a genre "
            f"all the same; so are {share(self.foreign)} of the test set."
        )


def share(found: Interval) -> str:
    """`91.2 % (85.1 to 95.0)`, with a percent sign as the card writes it."""
    return f"{found.mean:.1%} ({found.low:.1%} to {found.high:.1%})"


def said(sure: Sure) -> str:
    """How many answers are sure, and right."""
    right = f", of which {share(sure.precision)} are right" if sure.precision else ""
    return f"{share(sure.coverage)} are sure{right}"


def with_ends(name: str, found: Interval | None) -> dict[str, float]:
    """A metric with the ends of its interval."""
    if found is None:
        return {}
    return {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}


def believed(answers: Calibrated, doubts: Doubts) -> str:
    """How far the confidences can be believed, and when the model says that it does not know."""
    return f"{answers.sentence()} {doubts.sentence()}"


def doubts_of(
    classifier: Classifier,
    answers: Calibrated,
    corpus: Corpus,
    tracks: Mapping[str, TrackDataset],
    options: TrainOptions,
) -> Doubts:
    """Give the classifier that answers for the test set its limits, by tracks that were held out.

    Those of answers hang on who has learnt what; how foreign a sound is does not.
    """
    val = test = None
    source = Doubts.source
    if answers.held_out is not None:
        source = answers.held_out.source
        unseen = answers.held_out.answers(classifier.aggregation, answers.temperature or 1.0)
        classifier.doubt = fit_doubt(unseen, options.doubt)
        val = kept(classifier.doubt, unseen)
        test = kept(classifier.doubt, part(answers.predictions, "test"))
    foreign = None
    if options.family.reads_files:
        foreign = foreign_share(classifier, corpus, tracks, options.doubt.familiar_share)
    return Doubts(classifier.doubt, val, test, foreign, options.doubt, source)


def kept(doubt: Doubt, predictions: pd.DataFrame) -> tuple[Sure, Sets] | None:
    """What these tracks get by the limits, where they are known."""
    if doubt.sure_from is None or doubt.likely_from is None:
        return None
    return sure_answers(predictions, doubt.sure_from), likely_sets(predictions, doubt.likely_from)


def foreign_share(
    classifier: Classifier, corpus: Corpus, tracks: Mapping[str, TrackDataset], familiar: float
) -> Interval | None:
    """Tell the classifier what is familiar, and the share of the test tracks that is not."""
    known = familiarity_of(classifier, tracks["train"], corpus.rows("val"), tracks["val"], familiar)
    classifier.familiarity = known
    if known is None:
        return None
    found, owners = segments_of(corpus.rows("test"), tracks["test"], classifier)
    parts = by_owner(found, owners)
    return wilson_interval(sum(known.score(segments) > 1 for segments in parts), len(parts))


def familiarity_of(
    classifier: Classifier,
    learnt: TrackDataset,
    rows: pd.DataFrame,
    held_out: TrackDataset,
    share: float,
) -> Familiarity | None:
    """What these tracks are like, and how far others, `rows`, lie from them."""
    batches = (learnt.gather(places.tolist())[0] for places in some(len(learnt)).split(BATCH))
    known = torch.cat([statistics_of(pixels, classifier.preprocessing) for pixels in batches])
    found, owners = segments_of(rows, held_out, classifier)
    return fit_familiarity(known, found, owners, share)


def segments_of(
    rows: pd.DataFrame, tracks: TrackDataset, classifier: Classifier
) -> tuple[Tensor, Tensor]:
    """Statistics of all segments, `[segments, F]`, and the recording of each, from 0 on."""
    batches = [
        statistics_of(pixels, classifier.preprocessing) for pixels, _ in tracks.batches(BATCH)
    ]
    codes, _ = pd.factorize(np.array(recordings(rows), object))
    return torch.cat(batches), torch.tensor(codes)[tracks.owners]
