"""What a grader leaves in its folder for temporary files."""

from __future__ import annotations

from pathlib import Path

LIBRARY_CACHE = "torchinductor_"  # PyTorch makes this folder, one for each user, when it is imported


def left_in(folder: Path) -> list[str]:
    """Everything there but PyTorch's cache, as long as that is empty: nothing in here compiles."""
    return [str(path) for path in sorted(folder.iterdir()) if not _empty_cache(path)]


def _empty_cache(path: Path) -> bool:
    return path.name.startswith(LIBRARY_CACHE) and path.is_dir() and not any(path.iterdir())
