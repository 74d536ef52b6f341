"""Draws picture.png: a lake below hills at sunset, so that the repository carries a photograph of nobody's.

Run again it gives the same picture. Everything natural in it is 1/f noise: sums of all frequencies whose
amplitude falls with the frequency look like clouds, rock and water (Voss, "Random fractal forgeries", 1985).
"""

from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH, HORIZON = 480, 640, 284  # twice as large as it is kept, so that edges are smooth
SUN = (206, 212)  # row, column
RNG = np.random.default_rng(1985)


def noise(height: int, width: int, fall: float, stretch: float = 1.0) -> np.ndarray:
    """Noise in -1..1 whose amplitude falls as frequency ** -fall; `stretch` > 1 draws it out sideways."""
    rows = np.fft.fftfreq(height)[:, None] * height
    columns = np.fft.fftfreq(width)[None, :] * width * stretch
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(RNG.standard_normal((height, width))) / frequency**fall
    spectrum[0, 0] = 0
    field = np.fft.ifft2(spectrum).real
    return field / np.abs(field).max()


def blend(a, b, t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0, 1)[..., None]
    return np.asarray(a, float) * (1 - t) + np.asarray(b, float) * t


def sky() -> np.ndarray:
    row, column = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    height = np.clip(row / HORIZON, 0, 1)
    picture = blend((46, 74, 132), (150, 158, 190), height * 1.4)
    picture = blend(picture, (247, 186, 120), (height - 0.45) * 1.9)
    distance = np.hypot(row - SUN[0], column - SUN[1])
    picture = blend(picture, (255, 222, 150), 0.85 * np.exp(-distance / 84))
    clouds = noise(HEIGHT, WIDTH, 1.35, 2.2) * 2.6 - 0.25 - 0.8 * np.abs(height - 0.42)
    lit = blend((188, 158, 172), (255, 226, 186), 1.1 - distance / 340)
    picture = blend(picture, lit, 0.8 * np.clip(clouds, 0, 1))
    return blend(picture, (255, 250, 226), 1 - (distance - 15) / 4)


def ridge(base: float, rise: float, fall: float) -> np.ndarray:
    """Height of a row of hills above each column, in rows from the top."""
    line = noise(1, 2 * WIDTH, fall)[0, :WIDTH]
    return base - rise * (line - line.min()) / np.ptp(line)


def hills(picture: np.ndarray) -> np.ndarray:
    """Three rows of hills; the farther ones are paler, for the air between."""
    row, column = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    layers = [
        (ridge(256, 84, 1.7), (128, 122, 152), 14),
        (ridge(274, 60, 1.5), (82, 84, 104), 24),
        (ridge(HORIZON, 36, 1.25), (34, 42, 40), 46),
    ]
    for line, colour, contrast in layers:
        rock = np.asarray(colour) + contrast * noise(HEIGHT, WIDTH, 0.9)[..., None] * (1.0, 0.95, 0.8)
        glow = np.exp(-np.hypot(row - line, (column - SUN[1]) * 0.4) / 32)
        rock = blend(rock, (236, 168, 112), 0.4 * glow)
        picture = blend(picture, rock, row - line)
    return picture


def water(picture: np.ndarray) -> np.ndarray:
    """Below the horizon the scene again, upside down, behind ripples that grow towards the viewer."""
    row, column = np.mgrid[HORIZON:HEIGHT, :WIDTH].astype(float)
    near = (row - HORIZON) / (HEIGHT - HORIZON)
    ripples = noise(HEIGHT - HORIZON, WIDTH, 0.85, 5.0) + 0.35 * noise(HEIGHT - HORIZON, WIDTH, 0.5, 2.5)
    above = 2 * HORIZON - row - 1 + ripples * (4 + 68 * near)
    beside = column + ripples * (2 + 12 * near)
    take = np.clip(above, 0, HORIZON - 1).astype(int), np.clip(beside, 0, WIDTH - 1).astype(int)
    reflection = blend(picture[take], (38, 54, 84), 0.24 + 0.34 * near)
    path = np.exp(-np.abs(column - SUN[1]) / (14 + 68 * near)) * np.clip(0.35 + 1.6 * ripples, 0, 1)
    reflection = blend(reflection, (255, 224, 164), 0.8 * path)
    return np.concatenate([picture[:HORIZON], reflection + 10 * ripples[..., None]])


def photograph() -> np.ndarray:
    row, column = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    picture = water(hills(sky()))
    corner = np.hypot(row / HEIGHT - 0.5, column / WIDTH - 0.5)
    picture = picture * (1.06 - 0.42 * corner**2)[..., None]
    picture = picture.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean((1, 3))
    grain = RNG.normal(0, 1.2, (HEIGHT // 2, WIDTH // 2, 1))
    return np.clip(np.rint(picture + grain), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    Image.fromarray(photograph()).save(Path(__file__).with_name("picture.png"), optimize=True)
