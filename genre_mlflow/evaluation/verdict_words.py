"""What the gate says: the decision's reason in one sentence, with its figures."""

from genre_mlflow.evaluation.gate import MOST_CHANCE, Verdict
from genre_mlflow.evaluation.gate_settings import LIGHTER
from genre_mlflow.files.words import few

FORCE = "use --force --why TEXT to promote it all the same"


def sentence(verdict: Verdict, challenger: str, champion: str) -> str:
    """Why the challenger passes or not; of a refusal also what can be done."""
    figures = verdict.comparison
    head = (
        f"{challenger} {standing(verdict)} the champion, {champion}{savings(verdict)}: "
        f"{figures.a:.1%} against {figures.b:.1%} of the test set, {figures.in_words}"
    )
    if verdict.passed:
        return head
    shown = verdict.better or verdict.lighter
    must = [] if shown else [what_is_needed(verdict)]
    if verdict.faults:
        must.append(("but " if shown else "and ") + few(verdict.faults, between=", and "))
    advice = FORCE
    if not verdict.better and not verdict.may_be_lighter and figures.difference.high > 0:
        advice = f"more test tracks make the interval narrower, or {advice}"
    return f"{', '.join([head, *must])}; {advice}"


def standing(verdict: Verdict) -> str:
    """How the challenger stands to the champion, in words."""
    least, margin = verdict.settings.min_gain, verdict.settings.margin
    by = f" by {least:g} points" if least else ""
    if verdict.better:
        return f"is better{by} than"
    if verdict.may_be_lighter:
        return f"is not worse by {margin:g} points than"
    if verdict.comparison.difference.high < 0:
        return "is worse than"
    lighter = verdict.settings.accept == LIGHTER
    return (
        f"is not shown to be {f'no worse by {margin:g} points' if lighter else f'better{by}'} than"
    )


def savings(verdict: Verdict) -> str:
    """What a challenger that is not worse saves, where that decides."""
    if not verdict.may_be_lighter:
        return ""
    found = []
    if verdict.smaller:
        sizes = [cost.weights / 1e6 for cost in (verdict.cost, verdict.cost_before)]
        found.append("and smaller ({:.3g} MB of weights, not {:.3g})".format(*sizes))
    if verdict.faster:
        found.append(f"and faster ({latencies(verdict)})")
    return f", {' '.join(found)}" if found else ""


def latencies(verdict: Verdict) -> str:
    """Both p95 latencies, and the share with its interval."""
    share = verdict.latency
    if share is None:
        return "p95 latency not measured"
    return (
        f"p95 latency {verdict.cost.p95_ms:.1f} ms, not {verdict.cost_before.p95_ms:.1f}: "
        f"{share.mean:.0%}, 95 % interval {share.low:.0%} to {share.high:.0%}"
    )


def what_is_needed(verdict: Verdict) -> str:
    """What the challenger would have had to show."""
    rule = verdict.settings
    if verdict.may_be_lighter:
        saved = f"where {rule.min_saving:g} % of weights or p95 latency must be saved"
        return f"{saved} ({latencies(verdict)})" if verdict.latency else saved
    if rule.accept == LIGHTER and 100 * verdict.comparison.difference.low > -rule.margin:
        return f"but so few answers differ that {rule.margin:g} points may be lost (score test)"
    if rule.accept == LIGHTER:
        return f"where the interval must lie above {-rule.margin:g}"
    if verdict.above:
        return (
            f"but a gain so large has a chance of {verdict.chance:.2g} if both are equally good "
            f"(exact test; {MOST_CHANCE:g} allowed)"
        )
    return f"where the interval must lie above {rule.min_gain:g}"
