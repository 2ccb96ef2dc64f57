"""The untrusted way to the enclave: httpx connections that carry sealed bytes only."""

from __future__ import annotations

from urllib.request import getproxies, proxy_bypass

import httpx

from blindai.client.direct import DirectWire

DEFAULT_TIMEOUT_S = 60.0
"""How long connecting, sending and waiting may each take, in seconds."""


def proxy_for(url: httpx.URL) -> str | None:
    """The proxy that the environment names for an address, if it names one.

    `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, as the system reads them.
    """
    if proxy_bypass(url.host):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def open_wire(url: httpx.URL) -> httpx.BaseTransport:
    """Connections to an address, through the environment's proxy if it names one."""
    proxy = proxy_for(url)
    if proxy is None:
        return DirectWire(url)
    return httpx.HTTPTransport(proxy=proxy, verify=url.scheme == "https")


def open_async_wire(url: httpx.URL) -> httpx.AsyncHTTPTransport:
    """As `open_wire`, on an event loop."""
    return httpx.AsyncHTTPTransport(proxy=proxy_for(url), verify=url.scheme == "https")
