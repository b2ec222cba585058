"""Pictures of the messages for docs/alerts.md: `python -m tests.alerting.screens docs/img`.

Needs Chromium (Debian: chromium, fonts-lato, fonts-noto-color-emoji) and, to make them small, pngquant.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.alerting.blockkit import page
from tests.alerting.samples import messages

PHONE, DESKTOP = 390, 760
WIDE = {"anomaly"}
"""Shown on a desktop too."""


def picture(html: str, width: int, path: Path) -> None:
    """Writes a PNG of the page, as high as what is on it.

    Raises:
        OSError: when there is no Chromium, or it makes no picture.
    """
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise OSError("needs Chromium (apt-get install chromium fonts-lato fonts-noto-color-emoji)")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "page.html")
        file.write_text(html, encoding="utf-8")
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
        ]
        common = [browser, *options, "--force-device-scale-factor=2", file.as_uri()]
        drawn = subprocess.run(
            [*common, f"--window-size={width},600", "--dump-dom"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        height = re.search(r"<title>(\d+)</title>", drawn.stdout)
        if height is None:
            raise OSError("Chromium shows nothing")
        subprocess.run(
            [*common, f"--window-size={width},{height[1]}", f"--screenshot={path}"],
            capture_output=True,
            check=True,
            timeout=60,
        )
    if quantiser := shutil.which("pngquant"):
        subprocess.run(
            [quantiser, "--force", "--skip-if-larger", "--ext=.png", "--strip", "64", str(path)], check=False
        )


def main(folder: Path) -> None:
    """One picture a sample on a phone, and some on a desktop."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, shown in messages().items():
        picture(page(shown, PHONE), PHONE, folder / f"{name}.png")
        if name in WIDE:
            picture(page(shown, DESKTOP), DESKTOP, folder / f"{name}-wide.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
