"""Libraries that are loaded before a program and change what the system says to it."""

import shutil
import subprocess
from pathlib import Path


def build(name, folder):
    """The library of the C file of this name, made in the folder."""
    library = folder / f"{name}.so"
    source = Path(__file__).with_name(f"{name}.c")
    compiler = shutil.which("clang") or "cc"  # Swift brings the one
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source], check=True)
    return str(library)
