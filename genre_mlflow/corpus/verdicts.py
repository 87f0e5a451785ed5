"""What somebody says of pairs: read from a table, held against the folder, put to the pairs."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from genre_mlflow.corpus.pairs import APART, CONFIRMED, COPY, Pair, in_order
from genre_mlflow.errors import DataError
from genre_mlflow.files.words import few

COLUMNS = ("one", "other", "same")  # that a table of judged pairs needs
VERDICTS = {"yes": True, "no": False}
Verdicts = dict[frozenset[str], bool]


def verdicts_from(path: Path) -> Verdicts:
    """What somebody has said of pairs: whether they are one recording, by both names.

    A CSV with the columns `one`, `other` and `same`: yes, no, or empty where it is not known, and
    such rows are left out. Raises `DataError` for any other.
    """
    needed = f"judged pairs are a CSV with {', '.join(COLUMNS)} (yes, no or empty)"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            header, rows = reader.fieldnames or [], list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"the pairs in {path} cannot be read ({error}); {needed}") from error
    if not {*COLUMNS} <= {*header}:
        raise DataError(f"{path} has the columns {', '.join(header) or 'none'}; {needed}")
    found: Verdicts = {}
    for line, row in enumerate(rows, 2):
        one, other, same = ((row[name] or "") for name in COLUMNS)  # a name may end in a blank
        said = same.strip().lower()
        if not one or not other or one == other or (said and said not in VERDICTS):
            raise DataError(f"{path} has {one!r}, {other!r}, {same!r} in row {line}; {needed}")
        names = frozenset((one, other))
        if said and found.setdefault(names, VERDICTS[said]) != VERDICTS[said]:
            raise DataError(f"{path} has yes and no for {one!r} and {other!r}")
    return found


def of_folder(verdicts: Verdicts, groups: Mapping[str, str], on_missing: str = "error") -> Verdicts:
    """Those of recordings of the folder. `groups`: of equal contents, by the recording's name.

    Raises `DataError` for names that the folder has not, whose rows `on_missing="skip"` leaves
    out, and for a no to equal contents, which are one recording whatever is said.
    """
    names = set(groups)
    missing = sorted({name for pair in verdicts for name in pair} - names)
    if missing and on_missing == "error":
        raise DataError(
            "the judged pairs name what the folder has not: "
            f"{few([repr(name) for name in missing])}; write ids as `corpus check` prints them, or "
            "go on without them with --on-missing skip"
        )
    kept = {pair: said for pair, said in verdicts.items() if pair <= names}
    equal = [sorted(p) for p in kept if not kept[p] and len({groups[name] for name in p}) == 1]
    if equal:
        raise DataError(
            "the judged pairs say no of equal contents: "
            f"{few([f'{one!r} and {other!r}' for one, other in equal], '; ')}; these are one "
            "recording, themselves or by way of other tracks: take such rows out"
        )
    return kept


def judged(pairs: Sequence[Pair], verdicts: Mapping[frozenset[str], bool]) -> list[Pair]:
    """The pairs with what somebody says of them; a pair of equal contents stays one.

    Judged pairs that nothing else speaks for are added, with a score of 0.
    """
    found = [
        with_verdict(pair, verdicts[pair.names]) if pair.names in verdicts else pair
        for pair in pairs
    ]
    for names in verdicts.keys() - {pair.names for pair in pairs}:
        pair = Pair(min(names), max(names), CONFIRMED, score=0.0)
        found.append(with_verdict(pair, verdicts[names]))
    return in_order(found)


def with_verdict(pair: Pair, is_same: bool) -> Pair:
    """The pair as it is judged."""
    kind = COPY if pair.kind == COPY else CONFIRMED if is_same else APART
    return replace(pair, kind=kind, same="yes" if is_same else "no")
