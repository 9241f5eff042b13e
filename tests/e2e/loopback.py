"""A network of its own for a process: the stand-in listens on every address, and here there is only loopback."""

from __future__ import annotations

import fcntl
import shutil
import socket
import struct
import subprocess

SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFF_UP = 0x1


def isolating() -> list[str] | None:
    """Give what to put before a command so that it runs in a network of its own; None where that cannot be had."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    command = [unshare, "--user", "--map-root-user", "--net", "--"]
    tried = subprocess.run([*command, "true"], check=False, capture_output=True)  # noqa: S603 -- util-linux
    return command if tried.returncode == 0 else None


def bring_up() -> None:
    """Bring loopback up in the network that this process is in."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        flags = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        _, known = struct.unpack("16sh14x", flags)
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", known | IFF_UP))
