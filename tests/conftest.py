from __future__ import annotations

import os

os.environ["RNNSPEC_REPLAY"] = "0"  # a command in a test knows of no earlier run, and leaves nothing for a later one
