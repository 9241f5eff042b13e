"""A separate network namespace: the emulator listens on every address, and here only loopback exists."""

import fcntl
import shutil
import socket
import struct
import subprocess

SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFF_UP = 0x1


def network_namespace_command() -> list[str] | None:
    """Return the command prefix that runs a program in its own network namespace; None if unsupported."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    command = [unshare, "--user", "--map-root-user", "--net", "--"]
    result = subprocess.run([*command, "true"], check=False, capture_output=True)  # noqa: S603 -- util-linux
    return command if result.returncode == 0 else None


def enable_loopback() -> None:
    """Enable the loopback interface of this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        flags = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        _, new_flags = struct.unpack("16sh14x", flags)
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", new_flags | IFF_UP))
