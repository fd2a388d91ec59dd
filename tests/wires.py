"""A small internet: network namespaces whose packets pass through this process, which delays, loses and cuts.

    household's namespace --tun--> Wires (a thread) --tun--> another household's namespace
    home --veth--> its router, which masquerades --tun--> Wires

Needs root, /dev/net/tun, ip and, for routers, iptables; nothing of the kernel's traffic control. Addresses are public
ones (44.0.0.0/8), as libp2p treats private ones otherwise; nothing leaves the machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterable
from pathlib import Path

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
BURST = 64  # packets read in a row from one household


def why_not(*, routers: bool = False) -> str | None:
    """Why there can be no such internet here; None if there can."""
    if os.geteuid() != 0:
        return "needs root"
    if not Path("/dev/net/tun").exists():
        return "needs /dev/net/tun"
    missing = [tool for tool in ("ip", *(["iptables"] if routers else [])) if shutil.which(tool) is None]
    if missing:
        return f"needs {' and '.join(missing)}"
    name = f"w{os.getpid()}-try"
    tries = [f"ip netns add {name}"]
    if routers:
        tries.append(f"ip netns exec {name} iptables -t nat -A POSTROUTING -j MASQUERADE")
    failed = [line for line in tries if subprocess.run(line.split(), capture_output=True, check=False).returncode]
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return f"the kernel refuses: {failed[0]}" if failed else None


def _run(line: str) -> None:
    subprocess.run(line.split(), check=True, capture_output=True)


class Wires:
    """`delay_s` and `loss` hold for each packet, one way; the pairs of addresses in `cut` cannot hear each other."""

    def __init__(self, *, delay_s: float = 0.0, loss: float = 0.0, seed: int = 1) -> None:
        self.delay_s, self.loss, self.cut = delay_s, loss, set[frozenset[str]]()
        self.carried = self.lost = 0  # packets
        self._chance = random.Random(seed)
        self._fds: dict[bytes, int] = {}  # by address
        self._names: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._carry, daemon=True)

    def __enter__(self) -> Wires:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        for fd in self._fds.values():
            os.close(fd)

    def host(self, name: str, address: str) -> list[str]:
        """A machine with a public address; the words before a command that is to run on it."""
        space, device = self._space(name), f"tun{len(self._fds)}-{os.getpid() % 10_000}"
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", device.encode(), IFF_TUN | IFF_NO_PI))
        _run(f"ip link set {device} netns {space}")
        for line in (f"addr add {address}/8 dev {device}", f"link set {device} up mtu 1400"):
            _run(f"ip -n {space} {line}")
        self._fds[bytes(map(int, address.split(".")))] = fd
        return ["ip", "netns", "exec", space]

    def home(self, name: str, public: str) -> list[str]:
        """A machine behind a router that has this public address and lets nobody in."""
        self.host(f"{name}-nat", public)
        router, space, number = self._space_of(f"{name}-nat"), self._space(name), len(self._names)
        _run(f"ip link add v{number} netns {router} type veth peer name v{number} netns {space}")
        for where, address in ((router, "192.168.7.1/24"), (space, "192.168.7.2/24")):
            _run(f"ip -n {where} addr add {address} dev v{number}")
            _run(f"ip -n {where} link set v{number} up")
        _run(f"ip -n {space} route add default via 192.168.7.1")
        _run(f"ip netns exec {router} sysctl -qw net.ipv4.ip_forward=1")
        rules = (
            f"-t nat -A POSTROUTING -s 192.168.7.0/24 ! -o v{number} -j MASQUERADE",
            "-P FORWARD DROP",
            f"-A FORWARD -i v{number} -j ACCEPT",
            "-A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT",
        )
        for rule in rules:
            _run(f"ip netns exec {router} iptables {rule}")
        return ["ip", "netns", "exec", space]

    def split(self, *parts: Iterable[str]) -> None:
        """Addresses of different parts cannot hear each other from now on; no parts: everybody hears everybody."""
        sides = [list(part) for part in parts]
        self.cut = {
            frozenset((one, other))
            for index, side in enumerate(sides)
            for later in sides[index + 1 :]
            for one in side
            for other in later
        }

    def _space_of(self, name: str) -> str:
        return f"w{os.getpid()}-{name}"

    def _space(self, name: str) -> str:
        space = self._space_of(name)
        _run(f"ip netns add {space}")
        self._names.append(space)
        _run(f"ip -n {space} link set lo up")
        return space

    def _carry(self) -> None:
        """Packets from everybody to everybody, each in its time."""
        under_way: list[tuple[float, int, int, bytes]] = []  # due, number, to whom, packet
        while not self._stop.is_set():
            wait = min(0.2, max(0.0, under_way[0][0] - time.monotonic())) if under_way else 0.2
            fds = list(self._fds.values())
            ready, _, _ = select.select(fds, [], [], wait) if fds else (time.sleep(wait), [], [])
            for fd in ready or ():
                self._take(fd, under_way)
            while under_way and under_way[0][0] <= time.monotonic():
                _, _, to, packet = heapq.heappop(under_way)
                with contextlib.suppress(OSError):  # its queue is full, or it is gone
                    os.write(to, packet)

    def _take(self, fd: int, under_way: list[tuple[float, int, int, bytes]]) -> None:
        for _ in range(BURST):
            try:
                packet = os.read(fd, 65_536)
            except OSError:
                return
            to = self._fds.get(packet[16:20])
            if packet[0] >> 4 != 4 or to is None:
                continue
            ends = frozenset(".".join(map(str, end)) for end in (packet[12:16], packet[16:20]))
            self.carried += 1
            if ends in self.cut or self._chance.random() < self.loss:
                self.lost += 1
                continue
            heapq.heappush(under_way, (time.monotonic() + self.delay_s, self.carried, to, packet))
