"""What the model of a cross-validation says of itself, in its card and version."""

from collections.abc import Mapping

from genre_mlflow.corpus.settings import ALL as ALL_COLUMNS
from genre_mlflow.corpus.settings import KINDS
from genre_mlflow.evaluation.doubt_settings import DoubtSettings
from genre_mlflow.evaluation.held_out import HeldOut
from genre_mlflow.files.words import counted
from genre_mlflow.jobs.card.markup import plain
from genre_mlflow.jobs.crossval_report import as_words
from genre_mlflow.jobs.crossval_settings import CrossvalSettings
from genre_mlflow.jobs.held_out import Bench
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.doubt import NEVER, Doubt
from genre_mlflow.model.networks.fold_ensemble import FoldEnsemble
from genre_mlflow.options import TrainOptions


def sentences(
    options: TrainOptions,
    settings: CrossvalSettings,
    bench: Bench,
    held_out: HeldOut,
    classifier: Classifier,
    values: Mapping[str, float],
) -> list[str]:
    """What is to be known of the model, in Markdown: figures, that it is untested, temperature."""
    n_groups = bench.corpus.split.grouped["group"].nunique()
    accuracy, low, high = (values[f"accuracy{end}"] for end in ("", "_low", "_high"))
    if isinstance(classifier.network_settings, FoldEnsemble):
        members = classifier.network_settings.members
        what = f"It is the {members} networks of the folds, averaged"
        theirs = "of its members one by one, not of all together"
    else:
        what = "It is one network, trained on all tracks as those of the folds were"
        theirs = "of trainings of the same recipe on the other folds"
    temperature = (
        f"Its temperature, {classifier.temperature:.2f}, is fitted to {held_out.words}."
        if classifier.temperature != 1.0
        else "Its probabilities are not calibrated, for want of tracks."
    )
    return [
        f"Cross-validated accuracy **{accuracy:.1%}** (95 % interval {low:.1%} to {high:.1%}, over "
        f"{counted(n_groups, 'group')}), macro F1 {values['macro_f1']:.3f}, by "
        f"{as_words(settings)}, {grouped_by(options)}.",
        f"No test set was held out: the model has learnt from all {len(bench.corpus.manifest)} "
        f"tracks of **{plain(bench.corpus.name)}**, and the figures are those {theirs}.",
        f"{what} ({plain(str(classifier.network_settings))}).",
        f"{temperature} {about_limits(classifier.doubt, options.doubt)}",
    ]


def about_limits(doubt: Doubt, asked: DoubtSettings) -> str:
    """From which confidence on answers are sure."""
    if doubt.sure_from is None:
        return "Which answers are unsure is not known, for want of tracks."
    if doubt.sure_from == NEVER:
        return f"No confidence reaches a precision of {asked.sure_precision:.0%}: all are unsure."
    return (
        f"For a precision of {asked.sure_precision:.0%} answers below a confidence of "
        f"{doubt.sure_from:.2f} are unsure, by the same tracks."
    )


def grouped_by(options: TrainOptions) -> str:
    """What is never in two folds."""
    if not options.split.groups:
        return "grouped by copies and segments alone: one artist may lie in several folds"
    named = options.split.group_by
    return f"grouped by {' and '.join(KINDS) if named == ALL_COLUMNS else plain(named)}"
