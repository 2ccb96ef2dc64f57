"""The untrusted way to the enclave: httpx connections that carry sealed bytes only."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

import httpx

from blindai.client.direct import DirectWire
from blindai.errors import ConfigurationError, reason

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_TIMEOUT_S = 60.0
"""How long connecting, sending and waiting may each take, in seconds."""
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")  # OpenSSL's words


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
    """Connections to an address, through the environment's proxy if it names one.

    Raises:
        ConfigurationError: If the environment names a proxy, or certificates, that
            cannot be used.
    """
    proxy = proxy_for(url)
    with _as_environment():
        if proxy is None:
            return DirectWire(url)
        return httpx.HTTPTransport(proxy=proxy, verify=url.scheme == "https")


def open_async_wire(url: httpx.URL) -> httpx.AsyncHTTPTransport:
    """As `open_wire`, on an event loop."""
    verify = url.scheme == "https"
    with _as_environment():
        return httpx.AsyncHTTPTransport(proxy=proxy_for(url), verify=verify)


def describe(error: httpx.TransportError, url: httpx.URL) -> str:
    """What the network did, in a few words, and on the way to where.

    Args:
        error: What was raised.
        url: Of the gateway.
    """
    what = f"network: {type(error).__name__}: {error}".rstrip(": ")
    if url.scheme == "https" and any(word in str(error) for word in _NO_TLS):
        what += ": expected TLS, got something else; is it http:// there?"
    proxy = proxy_for(url)
    via = "" if proxy is None else f", by the proxy {_origin(httpx.URL(proxy))}"
    return f"{what} ({_origin(url)}{via})"


def _origin(url: httpx.URL) -> str:
    """Scheme, host and port: no password."""
    return f"{url.scheme}://{url.netloc.decode()}"


@contextmanager
def _as_environment() -> Iterator[None]:
    """What is wrong with the environment's settings, as our error.

    Raises:
        ConfigurationError: If something is.
    """
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(
            "proxy: expected the package socksio for a SOCKS proxy, it is not"
            " installed: pip install 'httpx[socks]'"
        ) from error
    except (ValueError, httpx.InvalidURL):
        # Without the cause: it may hold a password.
        raise ConfigurationError(
            "proxy: expected HTTPS_PROXY, HTTP_PROXY or ALL_PROXY to name one by"
            " http://, https:// or socks5://host[:port], got another"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"SSL_CERT_FILE or SSL_CERT_DIR: cannot be read: {reason(error)}"
        ) from error
