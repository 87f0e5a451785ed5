"""A small band in numpy: plays one track by a genre's recipe."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from genre_mlflow.corpus.demo.genres import MODES, GenreRecipe, Part
from genre_mlflow.corpus.demo.sound import Sound, Tone, draw_log, gain_of, hat, kick, master, snare

STEPS_PER_BEAT = 4  # patterns are written in sixteenths


def perform(
    recipe: GenreRecipe, rng: np.random.Generator, duration_s: float, sample_rate: int
) -> Sound:
    """Play one track: `[round(duration_s * sample_rate)]`, float32, within -1..1.

    Everything that the recipe leaves open is drawn from `rng`, in a fixed order.
    """
    n_samples = round(duration_s * sample_rate)
    clock = _Clock.draw(recipe, rng, duration_s, sample_rate)
    harmony = _Harmony.draw(recipe, rng)
    mix = np.zeros(n_samples, np.float32)
    for part, choose_notes in (
        (recipe.bass, harmony.bass_notes),
        (recipe.chords, harmony.chord_notes),
        (recipe.lead, harmony.lead_notes),
    ):
        mix += _play_part(part, choose_notes, clock, rng)
    mix += _play_drums(recipe, clock, rng)
    return master(mix, recipe, rng, sample_rate)


@dataclass(frozen=True)
class _Clock:
    """When each sixteenth of the track falls."""

    n_samples: int
    sample_rate: int
    step_s: float
    swing: float
    n_bars: int

    @classmethod
    def draw(
        cls, recipe: GenreRecipe, rng: np.random.Generator, duration_s: float, sample_rate: int
    ) -> "_Clock":
        step_s = 60 / rng.uniform(*recipe.tempo_bpm) / STEPS_PER_BEAT
        n_bars = int(np.ceil(duration_s / (step_s * len(recipe.kick))))
        n_samples = round(duration_s * sample_rate)
        return cls(n_samples, sample_rate, step_s, rng.uniform(*recipe.swing), n_bars)

    def onset(self, bar: int, step: int, steps_per_bar: int) -> int:
        """Sample at which a step begins; the off-beat eighths come late when the track swings."""
        late = 2 * self.swing if step % STEPS_PER_BEAT == 2 else 0.0
        return round((bar * steps_per_bar + step + late) * self.step_s * self.sample_rate)

    def hits(self, pattern: str, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Bars and onsets of a part: a groove drawn once, and one step in eight drawn anew."""
        chances = np.array([_chance(character) for character in pattern])
        groove = rng.random(len(pattern)) < chances
        hits = []
        for bar in range(self.n_bars):
            anew = rng.random(len(pattern)) < 0.125
            played = np.where(anew, rng.random(len(pattern)) < chances, groove)
            for step in np.flatnonzero(played):
                onset = self.onset(bar, int(step), len(pattern))
                if onset < self.n_samples:
                    hits.append((bar, onset))
        return hits


def _chance(character: str) -> float:
    """Share of the bars in which a pattern's step is played."""
    return ".123456789X".index(character) / 10


@dataclass(frozen=True)
class _Harmony:
    """Scale, key and chords of a track; notes are MIDI numbers."""

    scale: tuple[int, ...]
    key: int
    progression: tuple[int, ...]
    chord_size: int

    @classmethod
    def draw(cls, recipe: GenreRecipe, rng: np.random.Generator) -> "_Harmony":
        return cls(
            scale=MODES[recipe.modes[rng.integers(len(recipe.modes))]],
            key=int(rng.integers(12)),
            progression=recipe.progressions[rng.integers(len(recipe.progressions))],
            chord_size=4 if rng.random() < recipe.sevenths else 3,
        )

    def _degree(self, degree: int) -> int:
        octave, step = divmod(degree, len(self.scale))
        return self.key + 12 * octave + self.scale[step]

    def _root(self, bar: int) -> int:
        return self.progression[bar % len(self.progression)]

    def bass_notes(self, bar: int, rng: np.random.Generator) -> list[int]:
        """Mostly the root of the chord, now and then its fifth."""
        return [self._degree(self._root(bar) + int(rng.choice([0, 0, 0, 4])))]

    def chord_notes(self, bar: int, rng: np.random.Generator) -> list[int]:
        """Stacked thirds."""
        return [self._degree(self._root(bar) + 2 * third) for third in range(self.chord_size)]

    def lead_notes(self, bar: int, rng: np.random.Generator) -> list[int]:
        """Any note of the scale, half the time one of the chord."""
        if rng.random() < 0.5:
            return [self._degree(self._root(bar) + 2 * int(rng.integers(3)))]
        return [self._degree(int(rng.integers(len(self.scale))))]


def _play_part(
    part: Part,
    choose_notes: Callable[[int, np.random.Generator], list[int]],
    clock: _Clock,
    rng: np.random.Generator,
) -> Sound:
    """One pitched instrument through the whole track, `[samples]`."""
    track = np.zeros(clock.n_samples, np.float32)
    lowest_midi = round(rng.uniform(part.register_midi[0], part.register_midi[1] - 12))
    tone = Tone.draw(part, rng, clock.sample_rate)
    level = gain_of(rng.uniform(*part.level_db)) if rng.random() < part.presence else 0.0
    known: dict[int, Sound] = {}
    for bar, onset in clock.hits(part.pattern, rng):
        velocity = level * rng.uniform(0.7, 1.0)
        for note in choose_notes(bar, rng):
            midi = lowest_midi + (note - lowest_midi) % 12  # folded into one octave
            if midi not in known:
                known[midi] = tone.note(midi)
            _add(track, known[midi], onset, velocity)
    return track


def _play_drums(recipe: GenreRecipe, clock: _Clock, rng: np.random.Generator) -> Sound:
    """Kick, snare and cymbals through the whole track, `[samples]`."""
    track = np.zeros(clock.n_samples, np.float32)
    level = gain_of(rng.uniform(*recipe.drums_db)) if rng.random() < recipe.drums_presence else 0.0
    kit = (
        (recipe.kick, kick(rng, clock.sample_rate), 1.0),
        (recipe.snare, snare(rng, clock.sample_rate), 0.8),
        (recipe.hat, hat(rng, clock.sample_rate, draw_log(recipe.hat_decay_s, rng)), 0.5),
    )
    for pattern, sound, share in kit:
        loudness = level * share * gain_of(rng.uniform(-5, 3))
        for _bar, onset in clock.hits(pattern, rng):
            _add(track, sound, onset, loudness * rng.uniform(0.7, 1.0))
    return track


def _add(track: Sound, sound: Sound, onset: int, gain: float) -> None:
    """Mix a sound in from `onset`, cut at the end of the track."""
    end = min(onset + len(sound), len(track))
    track[onset:end] += np.float32(gain) * sound[: end - onset]
