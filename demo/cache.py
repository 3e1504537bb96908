"""Where a running studio keeps uploads: a folder of its own, and none of those that killed ones left behind."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path


def own_cache_folder(base: Path | None = None) -> Path:
    """Make a folder for this process's uploads, and clear away those of studios that were killed.

    Args:
        base: Where such folders lie; by default in the system's folder for temporary files.

    Returns:
        The folder, for ``GRADIO_TEMP_DIR``.
    """
    base = base or Path(tempfile.gettempdir()) / f"melfusion-studio-{os.getuid() if hasattr(os, 'getuid') else 0}"
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in base.iterdir():
        if folder.name.isdecimal() and not _runs(int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)
    own = base / str(os.getpid())
    shutil.rmtree(own, ignore_errors=True)  # left by another process that had this one's number
    own.mkdir(mode=0o700)
    return own


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True
