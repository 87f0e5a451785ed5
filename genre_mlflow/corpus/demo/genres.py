"""The ten genres of the demo corpus, as ranges from which each track draws.

They are inventions: each name tells which habits of rhythm and sound its recipe imitates, and none
stands for real music. The ranges of neighbours overlap on purpose (house and techno; ambient,
ballad and waltz; bossa, funk and shuffle), so that no classifier can be right every time.
"""

from dataclasses import dataclass

Range = tuple[float, float]

# Semitones of each scale above its root.
MODES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}


@dataclass(frozen=True)
class Part:
    """One pitched instrument; each track draws one value from each range.

    `pattern` has a character for each sixteenth of a bar: `.` is never played, 1 to 9 is played
    in that many bars out of ten, `X` always. `register_midi` holds the notes (69 is 440 Hz),
    `level_db` the loudness, `brightness_hz` the frequency above which the partials fade,
    `hollow` how far the even partials are missing (1 is a square wave), `presence` the share of
    the tracks that have the part at all.
    """

    pattern: str
    register_midi: Range
    level_db: Range
    attack_s: Range
    decay_s: Range
    brightness_hz: Range
    hollow: Range = (0.0, 0.5)
    presence: float = 1.0


@dataclass(frozen=True)
class GenreRecipe:
    """A genre: what its tracks have in common, and how far they may differ.

    `swing` delays the off-beat eighths by that share of an eighth (0.33 is a triplet feel),
    `progressions` are scale degrees, one a bar, `sevenths` is the share of tracks with chords of
    four notes, `drive` the gain into the saturation, `hat_decay_s` the length of the cymbals.
    The drum patterns are written as in `Part`.
    """

    tempo_bpm: Range
    modes: tuple[str, ...]
    progressions: tuple[tuple[int, ...], ...]
    bass: Part
    chords: Part
    lead: Part
    kick: str
    snare: str
    hat: str
    drums_db: Range
    drums_presence: float = 1.0
    hat_decay_s: Range = (0.02, 0.08)
    swing: Range = (0.0, 0.08)
    sevenths: float = 0.3
    drive: Range = (0.5, 1.5)
    noise_db: Range = (-66.0, -52.0)


RECIPES = {
    "ambient": GenreRecipe(
        tempo_bpm=(55, 95),
        modes=("major", "minor", "dorian"),
        progressions=((0, 3), (0, 4, 5, 3), (0, 5)),
        bass=Part("X...............", (30, 45), (-18, -6), (0.05, 0.6), (1.5, 4), (200, 800)),
        chords=Part("X.......3.......", (48, 66), (-8, 0), (0.1, 1.0), (1.5, 5), (500, 2500)),
        lead=Part("4...3...4...3...", (60, 84), (-20, -6), (0.02, 0.4), (0.5, 3), (600, 4000)),
        kick="4.......2.......",
        snare="........2.......",
        hat="2.2.2.2.2.2.2.2.",
        drums_db=(-26, -12),
        drums_presence=0.4,
        noise_db=(-58, -40),
    ),
    "ballad": GenreRecipe(
        tempo_bpm=(58, 100),
        modes=("major", "major", "minor"),
        progressions=((0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 0, 4)),
        bass=Part("X.....3.6.....2.", (30, 45), (-12, -3), (0.01, 0.1), (0.6, 2.5), (200, 900)),
        chords=Part("9.3.5.3.7.3.5.3.", (48, 66), (-8, 0), (0.005, 0.3), (0.5, 3), (600, 3000)),
        lead=Part("6...5.4.5...5.4.", (60, 80), (-10, 0), (0.01, 0.15), (0.3, 1.5), (800, 5000)),
        kick="8.....2.5.2.....",
        snare="....6.......6...",
        hat="5.4.5.4.5.4.5.4.",
        drums_db=(-22, -8),
        drums_presence=0.65,
    ),
    "bossa": GenreRecipe(
        tempo_bpm=(95, 145),
        modes=("major", "dorian", "minor"),
        progressions=((1, 4, 0, 0), (0, 5, 1, 4), (0, 1)),
        bass=Part("X.....7.X.....7.", (32, 47), (-10, -2), (0.005, 0.03), (0.2, 0.6), (250, 1000)),
        chords=Part("8..7..8...7..6..", (50, 67), (-8, 0), (0.004, 0.03), (0.1, 0.5), (700, 3500)),
        lead=Part("5.3.4.5.3.4.5.3.", (62, 82), (-12, -2), (0.01, 0.08), (0.2, 0.8), (800, 4500)),
        kick="8.....4.7.....4.",
        snare="9..9..9...9..8..",
        hat="8.6.8.6.8.6.8.6.",
        drums_db=(-16, -6),
        drums_presence=0.9,
        sevenths=0.85,
    ),
    "chiptune": GenreRecipe(
        tempo_bpm=(110, 170),
        modes=("major", "minor", "mixolydian"),
        progressions=((0, 4, 5, 3), (0, 5, 3, 4), (0, 6, 5, 4)),
        bass=Part(
            "X.7.7.7.X.7.7.7.",
            (33, 50),
            (-10, -2),
            (0.001, 0.01),
            (0.1, 0.4),
            (800, 5000),
            hollow=(0.4, 1.0),
        ),
        chords=Part(
            "6565656565656565",
            (55, 74),
            (-14, -3),
            (0.001, 0.01),
            (0.05, 0.3),
            (2000, 9000),
            hollow=(0.4, 1.0),
        ),
        lead=Part(
            "X46576467456X465",
            (67, 91),
            (-6, 0),
            (0.001, 0.01),
            (0.08, 0.4),
            (2500, 10000),
            hollow=(0.4, 1.0),
        ),
        kick="8...4...8...4...",
        snare="....8.......8..2",
        hat="6.5.6.5.6.5.6.5.",
        drums_db=(-18, -6),
        drums_presence=0.8,
        hat_decay_s=(0.01, 0.04),
        sevenths=0.0,
    ),
    "dub": GenreRecipe(
        tempo_bpm=(65, 105),
        modes=("minor", "dorian", "major"),
        progressions=((0, 3), (0, 0, 3, 4), (0, 6)),
        bass=Part("7..5..6.6.4.3...", (26, 42), (-4, 2), (0.005, 0.04), (0.3, 1.0), (150, 600)),
        chords=Part(
            "..9...9...9...9.", (52, 70), (-10, -2), (0.002, 0.03), (0.08, 0.35), (800, 4000)
        ),
        lead=Part(
            "3..2..3...2.3...",
            (60, 80),
            (-18, -5),
            (0.01, 0.1),
            (0.2, 1.0),
            (700, 4000),
            presence=0.8,
        ),
        kick="3.......9.......",
        snare="..2.....8.....2.",
        hat="5.6.5.6.5.6.5.6.",
        drums_db=(-14, -4),
        swing=(0.0, 0.2),
    ),
    "funk": GenreRecipe(
        tempo_bpm=(88, 122),
        modes=("dorian", "mixolydian"),
        progressions=((0,), (0, 3), (0, 0, 3, 0)),
        bass=Part("X..6..5.4.6..5.4", (30, 46), (-6, 0), (0.002, 0.02), (0.1, 0.4), (300, 2000)),
        chords=Part(
            "2.64..5..46..46.", (52, 70), (-12, -3), (0.002, 0.02), (0.05, 0.25), (1000, 6000)
        ),
        lead=Part("4..4.3.5..4.4.3.", (60, 80), (-12, -3), (0.005, 0.05), (0.1, 0.5), (1200, 6000)),
        kick="X..3..5.3.6..3..",
        snare="..1.X..3.3..X..2",
        hat="8686868686868686",
        drums_db=(-12, -3),
        swing=(0.0, 0.15),
        sevenths=0.8,
    ),
    "house": GenreRecipe(
        tempo_bpm=(112, 134),
        modes=("minor", "dorian", "major"),
        progressions=((0, 5, 3, 4), (0, 3), (0, 6, 5, 6)),
        bass=Part("3.8.3.8.3.8.3.8.", (30, 46), (-8, 0), (0.003, 0.03), (0.1, 0.4), (250, 1500)),
        chords=Part(
            "7..6..6...6..5..", (52, 70), (-10, -1), (0.003, 0.06), (0.1, 0.6), (800, 5000)
        ),
        lead=Part(
            "3.3.3.3.3.3.3.3.",
            (60, 82),
            (-18, -5),
            (0.005, 0.1),
            (0.1, 0.8),
            (1000, 6000),
            presence=0.7,
        ),
        kick="X...X...X...X...",
        snare="....7.......7...",
        hat="2.8.2.8.2.8.2.8.",
        drums_db=(-10, -2),
        sevenths=0.6,
    ),
    "shuffle": GenreRecipe(
        tempo_bpm=(92, 140),
        modes=("mixolydian", "mixolydian", "dorian"),
        progressions=((0, 0, 3, 0), (0, 3, 0, 4), (4, 3, 0, 0)),
        bass=Part("X.4.9.4.X.4.9.4.", (30, 47), (-8, 0), (0.004, 0.03), (0.15, 0.5), (250, 1200)),
        chords=Part(
            "2.6.2.6.2.6.2.6.", (50, 68), (-10, -1), (0.003, 0.03), (0.1, 0.4), (800, 4500)
        ),
        lead=Part("5.5.4.5.5.4.5.4.", (60, 81), (-10, 0), (0.005, 0.06), (0.15, 0.7), (900, 5500)),
        kick="9...3...8...3...",
        snare="....8.2.....8.2.",
        hat="9.6.9.7.9.6.9.7.",
        drums_db=(-16, -5),
        drums_presence=0.9,
        swing=(0.22, 0.36),
        hat_decay_s=(0.05, 0.14),
        sevenths=0.7,
    ),
    "techno": GenreRecipe(
        tempo_bpm=(118, 150),
        modes=("minor", "dorian"),
        progressions=((0,), (0, 0, 0, 5), (0, 6)),
        bass=Part("4.7647.54.7647.5", (28, 44), (-8, 0), (0.002, 0.02), (0.06, 0.3), (250, 2000)),
        chords=Part(
            "3..4..3...4..3..",
            (50, 70),
            (-16, -4),
            (0.003, 0.1),
            (0.08, 0.8),
            (800, 6000),
            presence=0.8,
        ),
        lead=Part(
            "4343434343434343",
            (58, 82),
            (-16, -4),
            (0.003, 0.05),
            (0.06, 0.3),
            (1000, 7000),
            presence=0.7,
        ),
        kick="X...X...X...X...",
        snare="....4.......4..1",
        hat="4585458545854585",
        drums_db=(-8, 0),
        sevenths=0.2,
        drive=(0.8, 3.0),
    ),
    "waltz": GenreRecipe(
        tempo_bpm=(80, 150),
        modes=("major", "major", "minor"),
        progressions=((0, 4, 0, 4), (0, 3, 4, 0), (0, 5, 1, 4)),
        bass=Part("X...........", (32, 48), (-10, -1), (0.005, 0.06), (0.2, 1.0), (250, 1000)),
        chords=Part("....X...9...", (50, 68), (-7, 0), (0.004, 0.05), (0.12, 0.6), (600, 3500)),
        lead=Part("7...4.2.4.2.", (62, 84), (-10, -2), (0.01, 0.1), (0.2, 1.0), (800, 5000)),
        kick="8...........",
        snare="....6...6...",
        hat="3...7...7...",
        drums_db=(-20, -8),
        drums_presence=0.75,
    ),
}
