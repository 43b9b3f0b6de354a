from __future__ import annotations

import html
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

os.environ["RNNSPEC_REPLAY"] = "0"  # a command in a test knows of no earlier run, and leaves nothing for a later one

HARNESS = """<!DOCTYPE html><meta charset="utf-8"><style>body {{ margin: 0 }}</style>
<iframe id="page" style="width:{width}px;height:3000px;border:0" srcdoc="{page}"></iframe>
<pre id="came"></pre>
<script>
window.onload = () => {{
  const frame = document.getElementById("page");
  const page = frame.contentDocument;
  const came = (() => {{ {script} }})();
  document.getElementById("came").textContent = JSON.stringify(came === undefined ? null : came);
}};
</script>"""

LAYOUT = """
  for (const one of page.querySelectorAll("details")) one.open = true;
  const width = frame.contentWindow.innerWidth;
  const shown = [...page.body.querySelectorAll("*")].filter((one) =>
    one.offsetParent && [...one.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()));
  const boxes = shown.map((one) => [one, one.getBoundingClientRect()]);
  const name = (one) => one.tagName + " " + one.textContent.trim().slice(0, 40);
  const cut = boxes.filter(([one, box]) => box.left < 0 || box.right > width + 0.5
    || (one.tagName !== "SELECT" && one.scrollWidth > one.clientWidth + 1
      && getComputedStyle(one).display !== "inline"));
  const overlapping = [];
  boxes.forEach(([one, a], place) => boxes.slice(place + 1).forEach(([other, b]) => {
    if (one.contains(other) || other.contains(one)) return;
    const inline = [one, other].every((item) => getComputedStyle(item).display === "inline");
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (!inline && across > 1 && down > 1) overlapping.push(name(one) + " / " + name(other));
  }));
  return {
    wide: page.documentElement.scrollWidth - width,
    cut: cut.map(([one]) => name(one)),
    overlapping,
    shown: shown.length,
  };
"""
"""A script that tells what of a page is cut off, and what lies over something else."""


@pytest.fixture(scope="session")
def unknown_options() -> Callable[[str], set[str]]:
    """Return a function that reads a command line, without the program's name, for the options that there are not."""
    import click

    from rnnspec.conformance.cli import main

    def read(line: str) -> set[str]:
        command: click.Command = main
        words = [word for word in shlex.split(line, comments=True) if word not in ("-n", "-k", "-x")]  # pytest's
        while isinstance(command, click.Group):
            known = bool(words) and words[0] in command.commands
            command, words = command.commands[words[0] if known else "run"], words[known:]
        options = {word.partition("=")[0] for word in words if word.startswith("-")}
        return options - {option for one in command.params for option in (*one.opts, *one.secondary_opts)}

    return read


@pytest.fixture(scope="session")
def in_browser(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Return a function that opens a page at a width and runs a script there, which returns plain data."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium here, which shows pages")
    folder = tmp_path_factory.mktemp("browser")

    def run(page: str, script: str = LAYOUT, *, width: int = 1200, dark: bool = False) -> Any:
        file = folder / "harness.html"
        file.write_text(HARNESS.format(width=width, page=html.escape(page), script=script), encoding="utf-8")
        done = subprocess.run(
            [
                chromium, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1300,3100",
                "--virtual-time-budget=2000", f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                f"--user-data-dir={folder / 'profile'}", "--dump-dom", file.as_uri(),
            ],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        found = re.search(r'<pre id="came">(.*?)</pre>', done.stdout, re.DOTALL)
        assert found is not None, done.stderr
        assert found.group(1), "the script failed"
        return json.loads(html.unescape(found.group(1)))

    return run
