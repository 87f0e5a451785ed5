"""The gate at work: figures, cost and answers of a challenger fetched, measured and judged.

The cheap first, and nothing more once it is refused.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from genre_mlflow.errors import ModelError
from genre_mlflow.evaluation.calibration import calibration_error
from genre_mlflow.evaluation.cost import Cost
from genre_mlflow.evaluation.gate import Verdict, judge
from genre_mlflow.evaluation.gate_settings import FRESH, LIGHTER, GateSettings
from genre_mlflow.evaluation.limits import CALIBRATION, WORDS, limits, measured_figures
from genre_mlflow.evaluation.verdict_words import FORCE, sentence
from genre_mlflow.files.words import counted, few
from genre_mlflow.jobs.decision import Promotion
from genre_mlflow.jobs.description import LEAK_TAG, SHARED_TAG
from genre_mlflow.tracking.asking import NoAnswerError, check_answers, measure
from genre_mlflow.tracking.registry import (
    CROSS_VALIDATED,
    TEST_DIGEST,
    RegisteredModel,
    Version,
)
from genre_mlflow.tracking.thresholds import exceeded

logger = logging.getLogger(__name__)


def pass_gate(
    model: RegisteredModel, champion: Version | None, challenger: Version, gate: GateSettings
) -> Promotion:
    """Whether the challenger may become the champion, and what that rests on.

    Raises `ModelError` where the two were tested on different tracks.
    """
    digest = shared_digest(model, champion, challenger) if champion else ""
    leaks = model.tags(challenger).get(LEAK_TAG)
    if leaks:
        return Promotion(
            False,
            f"version {challenger.version} was trained on a split with copies on two sides "
            f"({counted(int(leaks), 'group')}, let by --allow-leak), so its figures may say too "
            "much; train it on a split without, or use --force --why TEXT",
        )
    if champion is None:
        found = judge_alone(model, challenger, gate)
    else:
        found = judge_both(model, champion, challenger, gate, digest)
    return must_answer(model, challenger, gate, found) if found.promoted else found


def shared_digest(model: RegisteredModel, champion: Version, challenger: Version) -> str:
    """The digest of the test tracks of both."""
    check_tested(model, champion, challenger)
    digests = {model.tags(version).get(TEST_DIGEST) for version in (champion, challenger)}
    if len(digests) > 1 or None in digests:
        raise ModelError(
            f"versions {champion.version} (champion) and {challenger.version} of "
            f"{model.name!r} were tested on different tracks, so their accuracies say nothing "
            "about each other; train both on the same data and split, name other music's models "
            "otherwise (--model-name), or use --force --why TEXT"
        )
    return str(digests.pop())


def check_tested(model: RegisteredModel, champion: Version, challenger: Version) -> None:
    """Raise `ModelError` where one of them was cross-validated, which leaves no test set."""
    by = {v.version: model.tags(v).get(CROSS_VALIDATED) for v in (challenger, champion)}
    untested = [f"version {number} ({folds})" for number, folds in by.items() if folds]
    if untested:
        verb = "was" if len(untested) == 1 else "were"
        raise ModelError(
            f"{' and '.join(untested)} of {model.name!r} {verb} cross-validated and kept no test "
            "set: such a figure cannot be compared with another model's; train with one, or use "
            "--force --why TEXT"
        )


def judge_both(
    model: RegisteredModel,
    champion: Version,
    challenger: Version,
    gate: GateSettings,
    digest: str,
) -> Promotion:
    """The verdict on the test tracks that both were tested on, and on what both cost."""
    verdict = judge(model.test_predictions(challenger), model.test_predictions(champion), gate)
    if gate.accept == LIGHTER:
        cost, before = (Cost(model.weights_bytes(v)) for v in (challenger, champion))
        verdict = replace(verdict, cost=cost, cost_before=before)
    verdict = replace(verdict, over=over(gate, {CALIBRATION: verdict.calibration}))
    needs_speed = verdict.may_be_lighter and not verdict.smaller
    if verdict.may_pass and (needs_speed or gate.max_latency_ms or gate.max_memory_mb):
        verdict = measured(verdict, model, (challenger, champion), gate)
    return Promotion(
        verdict.passed,
        sentence(verdict, f"version {challenger.version}", f"version {champion.version}"),
        (*verdict.notes(), *leak_notes(model, champion, challenger)),
        verdict.evidence() | {"digest": digest},
    )


def measured(
    verdict: Verdict, model: RegisteredModel, versions: Sequence[Version], gate: GateSettings
) -> Verdict:
    """The verdict with latency and memory of challenger and champion, which answer in turns.

    Raises `ModelError` where the champion does not answer.
    """
    logger.info("Measuring latency and memory of %s ...", named(versions))
    try:
        costs = measure([address(model, version) for version in versions])
    except NoAnswerError as error:
        champion = versions[1]
        if error.uri == address(model, champion):
            raise ModelError(
                f"version {champion.version} (champion) of {model.name!r} does not answer, so its "
                f"latency and memory cannot be compared with: {error}; {FORCE}"
            ) from error
        return replace(verdict, over=(*verdict.over, f"it does not answer: {error}"))
    weights = verdict.cost.weights, verdict.cost_before.weights
    cost, before = (replace(c, weights=w) for c, w in zip(costs, weights, strict=True))
    limited = (*verdict.over, *over(gate, measured_figures(cost)))
    return replace(verdict, cost=cost, cost_before=before, over=limited)


def judge_alone(model: RegisteredModel, challenger: Version, gate: GateSettings) -> Promotion:
    """Whether a version keeps within the limits where there is no champion to compare it with."""
    stated, figures, cost = limits(gate), {}, Cost()
    if CALIBRATION in stated:
        figures[CALIBRATION] = calibration_error(model.test_predictions(challenger))
    faults = over(gate, figures)
    if stated.keys() - {CALIBRATION} and not faults:
        logger.info("Measuring latency and memory of %s ...", named([challenger]))
        try:
            (cost,) = measure([address(model, challenger)])
        except NoAnswerError as error:
            faults = (f"it does not answer: {error}",)
        faults += over(gate, measured_figures(cost))
    evidence = {name: f"{value:.3f}" for name, value in figures.items()} | cost.evidence()
    if not faults:
        return Promotion(True, "there was no champion", (), evidence)
    reason = f"version {challenger.version} is refused: {few(faults, between=', and ')}; {FORCE}"
    return Promotion(False, reason, (), evidence)


def over(gate: GateSettings, figures: Mapping[str, float]) -> tuple[str, ...]:
    """What is over a limit, in words."""
    stated = limits(gate)
    return tuple(WORDS[n].format(figures[n], stated[n]) for n in exceeded(figures, stated))


def must_answer(
    model: RegisteredModel, challenger: Version, gate: GateSettings, found: Promotion
) -> Promotion:
    """The same, but a refusal where the challenger does not answer as MLflow loads it."""
    fresh = gate.smoke == FRESH
    where = "a fresh environment of its own requirements" if fresh else "this environment"
    logger.info("Asking version %s in %s ...", challenger.version, where)
    evidence = (found.evidence or {}) | {"smoke": gate.smoke}
    try:
        check_answers(address(model, challenger), fresh=fresh)
    except NoAnswerError as error:
        advice = "; --smoke here asks it in this one, and needs no network" if fresh else ""
        reason = f"version {challenger.version} does not answer in {where}: {error}{advice}"
        return replace(found, promoted=False, reason=reason, evidence=evidence)
    return replace(found, evidence=evidence)


def address(model: RegisteredModel, version: Version) -> str:
    """A version's address."""
    return f"models:/{model.name}/{version.version}"


def named(versions: Sequence[Version]) -> str:
    """Which versions, in words."""
    return " and ".join(f"version {version.version}" for version in versions)


def leak_notes(model: RegisteredModel, champion: Version, challenger: Version) -> list[str]:
    """What the splits of both had on two sides; it does not decide."""
    notes = []
    if model.tags(champion).get(LEAK_TAG):
        notes.append(
            f"the split of the champion, version {champion.version}, had copies on two sides, so "
            "its figures may say too much"
        )
    shared = model.tags(challenger).get(SHARED_TAG)
    if shared:
        notes.append(
            f"the split of version {challenger.version} has {counted(int(shared), 'group')} of its "
            "table on two sides"
        )
    return notes
