"""What holds for every test: no test reaches beyond this machine, and none depends on the clock or on chance."""

import ipaddress
import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Before anything imports a library that reads them
os.environ["BLOCKSCOPE_HUB"] = "0"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

if "PYTEST_XDIST_WORKER" in os.environ:  # a process on each core: threads of each would wait for those of others
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Files that take a minute or more: begun first, so that no process ends with one while the others have nothing left
LONG = ("test_browser", "test_examples", "test_inspector", "test_runner", "test_goldens_v2", "test_verify")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in LONG)


settings.register_profile("house", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("house")


def is_loopback(host: object) -> bool:
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host)).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session", autouse=True)
def only_loopback() -> Iterator[None]:
    """A test that looks up or connects to another machine fails. (Pip and browsers are processes of their own.)"""
    look_up, connect = socket.getaddrinfo, socket.socket.connect

    def guarded_look_up(host: object, *args: object, **kwargs: object) -> object:
        if not is_loopback(host) and host != "0.0.0.0":
            pytest.fail(f"a test looked up {host!r}")
        return look_up(host, *args, **kwargs)  # type: ignore[arg-type]

    def guarded_connect(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not is_loopback(address[0]):  # type: ignore[index]
            pytest.fail(f"a test connected to {address!r}")
        connect(self, address)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", guarded_look_up)
        patch.setattr(socket.socket, "connect", guarded_connect)
        yield


@pytest.fixture(scope="session", autouse=True)
def peaks() -> Iterator[tuple[float, float]]:
    """Peak FLOP/s and bytes/s of a machine that nobody measures: 0.3 s for every engine would be most of many tests."""
    from dllm.models import device

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "peak_rates", lambda device, dtype: (1e12, 1e10))
        yield 1e12, 1e10
