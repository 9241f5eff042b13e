"""Run a command as a unit restricts it, without systemd: `python -m tests.deploy.confined UNIT COMMAND…`.

The umask, no capabilities, no new privileges, no memory that is writable and executable, and the system calls that
SystemCallFilter allows; any other one fails if the unit says how, and else kills the process.
"""

import ctypes
import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NO_NEW_PRIVS, MDWE, REFUSE_EXEC_GAIN = 38, 65, 1  # of prctl
BOUNDING_SET_DROP, SECUREBITS, NOROOT, LAST_CAPABILITY = 24, 28, 0b11, 40
ALLOW, KILL_PROCESS, FAIL = 0x7FFF0000, 0x80000000, 0x00050000  # FAIL + an error number
LIBSECCOMP = "libseccomp.so.2"


def read_unit(path: Path) -> dict[str, list[str]]:
    """Return the values of each setting of a unit, in order."""
    settings: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            settings.setdefault(name, []).append(value)
    return settings


def allowed_calls(filters: list[str]) -> set[str]:
    """Return the system calls that a unit's SystemCallFilter settings allow, as systemd knows its groups."""
    allowed: set[str] = set()
    for text in filters:
        calls = {call for name in text.removeprefix("~").split() for call in _expand(name)}
        allowed = allowed - calls if text.startswith("~") else allowed | calls
    return allowed


def _expand(name: str) -> Iterator[str]:
    if not name.startswith("@"):
        yield name
        return
    command = ["systemd-analyze", "syscall-filter", name]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 -- systemd's own
    for line in listed.splitlines()[1:]:
        if entry := line.strip().partition(" ")[0].removeprefix("#"):
            yield from _expand(entry)


def confine(unit: dict[str, list[str]]) -> None:
    """Restrict this process, and whatever it executes."""
    libc = ctypes.CDLL(None, use_errno=True)
    os.umask(int(unit["UMask"][0], 8))
    assert unit["CapabilityBoundingSet"] == [""]
    if os.geteuid() == 0:  # from the next program on, root has no capabilities
        assert libc.prctl(SECUREBITS, NOROOT, 0, 0, 0) == 0
        for capability in range(LAST_CAPABILITY + 1):
            libc.prctl(BOUNDING_SET_DROP, capability, 0, 0, 0)
    assert unit["NoNewPrivileges"] == unit["MemoryDenyWriteExecute"] == ["yes"]
    assert libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) == 0
    numbers = [getattr(errno, name) for name in unit.get("SystemCallErrorNumber", ())]
    _filter_calls(allowed_calls(unit["SystemCallFilter"]), FAIL + numbers[-1] if numbers else KILL_PROCESS)


def _filter_calls(allowed: set[str], otherwise: int) -> None:
    library = ctypes.CDLL(LIBSECCOMP)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(otherwise)))
    for name in sorted(allowed):
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # others don't exist on this machine
            assert library.seccomp_rule_add(context, ctypes.c_uint32(ALLOW), number, 0) == 0
    assert library.seccomp_load(context) == 0


if __name__ == "__main__":
    confine(read_unit(Path(sys.argv[1])))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 -- the command of the unit
