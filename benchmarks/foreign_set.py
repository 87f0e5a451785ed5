"""Sounds that are no music and pictures that are no spectrograms, made from a seed, by their kind.

Sounds last 30 s, as WAV; pictures have the size of GTZAN's spectrograms, as PNG, each in colours
of its own, in grey, and in those of magma, so that the colours do not give it away.
"""

import io
import shutil
import subprocess
from collections.abc import Callable

import matplotlib
import numpy as np
import soundfile
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scipy.signal import chirp, fftconvolve, resample_poly

RATE, SECONDS = 22_050, 30
N_SAMPLES = RATE * SECONDS
SIZE = WIDTH, HEIGHT = 387, 385
SPEECH = "speech (espeak-ng)"
VOICES = ("en-gb", "en-us", "de", "fr", "es", "it", "pl", "ru", "tr", "cmn", "hi", "sw")
VARIANTS = ("", "+m3", "+f2", "+f4", "+whisper", "+croak")
SPEEDS = (120, 150, 175, 210)  # words a minute
WORDS = (
    "morning", "river", "station", "number", "window", "seven", "letter", "garden", "yellow",
    "minute", "winter", "answer", "captain", "market", "teacher", "silver", "bridge", "thunder",
    "paper", "engine", "village", "doctor", "candle", "ocean",
)  # fmt: skip

Rng = np.random.Generator
Sound = np.ndarray  # float [samples]


def noise(rng: Rng, slope: float) -> Sound:
    """Noise whose power falls by frequency to this power: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(N_SAMPLES))
    frequency = np.maximum(np.fft.rfftfreq(N_SAMPLES, 1 / RATE), 20)
    return np.fft.irfft(spectrum / frequency ** (slope / 2), N_SAMPLES)


def seconds() -> Sound:
    return np.arange(N_SAMPLES) / RATE


def pitch(rng: Rng) -> float:
    """In Hz, from 60 to 6,000, every octave as probable."""
    return float(60 * 100 ** rng.random())


def tone(rng: Rng) -> Sound:
    """One sine, or a saw or square of the same pitch."""
    phase = 2 * np.pi * pitch(rng) * seconds()
    shapes = (np.sin(phase), np.sign(np.sin(phase)), (phase / np.pi) % 2 - 1)
    return shapes[rng.integers(3)]


def tones(rng: Rng) -> Sound:
    """Two to eight sines at once, of any level."""
    parts = [rng.random() * np.sin(2 * np.pi * pitch(rng) * seconds() + rng.random())
             for _ in range(rng.integers(2, 9))]  # fmt: skip
    return np.sum(parts, axis=0)


def sweep(rng: Rng) -> Sound:
    """One to ten sweeps after the other, each up or down."""
    n = int(rng.integers(1, 11))
    t = np.arange(N_SAMPLES // n) / RATE
    method = rng.choice(["linear", "logarithmic"])
    one = chirp(t, pitch(rng), t[-1], pitch(rng), method=method)
    return np.resize(one, N_SAMPLES)


def clicks(rng: Rng, places: np.ndarray) -> Sound:
    """A click at each of these samples, of one decay."""
    sound = np.zeros(N_SAMPLES)
    sound[places[places < N_SAMPLES]] = 1.0
    decay = np.exp(-np.arange(2000) / rng.uniform(1, 400))
    click = decay * np.sin(2 * np.pi * pitch(rng) / RATE * (1 + np.arange(2000)))
    return fftconvolve(sound, click)[:N_SAMPLES]


def click_train(rng: Rng) -> Sound:
    """Clicks at one rate, from 1 to 40 a second."""
    return clicks(rng, np.arange(0, N_SAMPLES, int(RATE / 40 ** rng.random())))


def stray_clicks(rng: Rng) -> Sound:
    """Clicks at chance, 1 to 40 a second."""
    n = int(SECONDS * 40 ** rng.random())
    return clicks(rng, rng.integers(N_SAMPLES, size=n))


def speech(rng: Rng) -> Sound:
    """Sentences of chance words in one of several languages, voices, pitches and speeds."""
    voice = f"{rng.choice(VOICES)}{rng.choice(VARIANTS)}"
    text = ". ".join(" ".join(rng.choice(WORDS, rng.integers(4, 12))) for _ in range(40))
    command = ["espeak-ng", "--stdout", "-v", voice, "-s", str(rng.choice(SPEEDS)),
               "-p", str(rng.integers(20, 80)), text]  # fmt: skip
    wav = subprocess.run(command, check=True, capture_output=True).stdout
    sound, rate = soundfile.read(io.BytesIO(wav))
    return np.resize(resample_poly(sound, RATE, rate), N_SAMPLES)


SOUNDS: dict[str, Callable[[Rng], Sound]] = {
    "white noise": lambda rng: noise(rng, 0),
    "pink noise": lambda rng: noise(rng, 1),
    "brown noise": lambda rng: noise(rng, 2),
    "tone": tone,
    "several tones": tones,
    "sweeps": sweep,
    "click train": click_train,
    "stray clicks": stray_clicks,
    SPEECH: speech,
}


def gradient(rng: Rng) -> Image.Image:
    """From one colour to another, straight or round."""
    kind = (Image.linear_gradient, Image.radial_gradient)[rng.integers(2)]
    mask = kind("L").rotate(int(rng.integers(4)) * 90).resize(SIZE)
    return Image.composite(plain(rng), plain(rng), mask)


def photograph(rng: Rng) -> Image.Image:
    """Blurred shapes under a texture whose power falls with the square of the frequency."""
    image = gradient(rng)
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(5, 30)):
        draw.ellipse(box(rng), fill=colour(rng))
    image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(1, 12))))
    across, down = np.meshgrid(np.fft.rfftfreq(WIDTH), np.fft.fftfreq(HEIGHT))
    falling = 1 / np.maximum(np.hypot(across, down), 1 / WIDTH)
    texture = np.fft.irfft2(
        np.fft.rfft2(rng.standard_normal((HEIGHT, WIDTH))) * falling, SIZE[::-1]
    )
    shade = texture[..., None] / texture.std() * rng.uniform(10, 40)
    return Image.fromarray(np.clip(np.array(image) + shade, 0, 255).astype(np.uint8))


def cover(rng: Rng) -> Image.Image:
    """Shapes on a ground, and large letters."""
    image = gradient(rng) if rng.random() < 0.5 else plain(rng)
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(1, 8)):
        shape = (draw.ellipse, draw.rectangle)[rng.integers(2)]
        shape(box(rng), fill=colour(rng))
    for _ in range(rng.integers(1, 4)):
        font = ImageFont.load_default(int(rng.integers(24, 90)))
        place = (int(rng.integers(0, WIDTH // 2)), int(rng.integers(0, HEIGHT - 60)))
        draw.text(place, " ".join(rng.choice(WORDS, 2)).upper(), font=font, fill=colour(rng))
    return image


def screenshot(rng: Rng) -> Image.Image:
    """Lines of small letters, dark on light or light on dark."""
    dark, light = (int(n) for n in (rng.integers(0, 60), rng.integers(200, 256)))
    ground, ink = (dark, light) if rng.random() < 0.5 else (light, dark)
    image = Image.new("RGB", SIZE, (ground,) * 3)
    draw = ImageDraw.Draw(image)
    size = int(rng.integers(9, 20))
    font = ImageFont.load_default(size)
    for y in range(8, HEIGHT, size + 4):
        if rng.random() < 0.85:
            draw.text((8, y), " ".join(rng.choice(WORDS, 14)), font=font, fill=(ink,) * 3)
    return image


GREY = "text"  # has no colours
PICTURES: dict[str, Callable[[Rng], Image.Image]] = {
    "gradient": gradient,
    "photograph-like": photograph,
    "cover": cover,
    GREY: screenshot,
}


def colour(rng: Rng) -> tuple[int, int, int]:
    red, green, blue = (int(n) for n in rng.integers(0, 256, 3))
    return red, green, blue


def plain(rng: Rng) -> Image.Image:
    return Image.new("RGB", SIZE, colour(rng))


def box(rng: Rng) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of something on the picture."""
    left, top = int(rng.integers(-40, WIDTH - 20)), int(rng.integers(-40, HEIGHT - 20))
    width, height = (int(n) for n in rng.integers(20, 260, 2))
    return left, top, left + width, top + height


def in_magma(image: Image.Image) -> Image.Image:
    """The brightness of a picture as magma draws it."""
    colours = matplotlib.colormaps["magma"](np.arange(256))[:, :3]
    return Image.fromarray(
        np.floor(255 * colours + 0.5).astype(np.uint8)[np.array(image.convert("L"))]
    )


def foreign_files(n: int, seed: int = 0) -> dict[str, list[bytes]]:
    """So many files of each kind. Without the program espeak-ng there is no speech."""
    found: dict[str, list[bytes]] = {}
    for number, (kind, make) in enumerate(SOUNDS.items()):
        if kind == SPEECH and not shutil.which("espeak-ng"):
            continue
        found[kind] = [wav(make(np.random.default_rng([seed, number, i])), i) for i in range(n)]
    for number, (kind, draw) in enumerate(PICTURES.items(), start=len(SOUNDS)):
        images = [draw(np.random.default_rng([seed, number, i])) for i in range(n)]
        found[kind] = [png(image) for image in images]
        if kind != GREY:
            found[f"{kind}, grey"] = [png(image.convert("L")) for image in images]
        found[f"{kind}, magma"] = [png(in_magma(image)) for image in images]
    return found


def wav(sound: Sound, number: int) -> bytes:
    """16 bits, at one of several levels."""
    level = (1.0, 0.3, 0.1)[number % 3]
    file = io.BytesIO()
    soundfile.write(file, level * 0.98 * sound / np.abs(sound).max(), RATE, format="WAV")
    return file.getvalue()


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
