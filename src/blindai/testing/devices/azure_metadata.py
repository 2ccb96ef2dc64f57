"""A made-up host of an Azure confidential VM: the part that quotes trust domains.

address = start_metadata(quote)
azure_metadata.read_td_quote(report, address)
"""

from __future__ import annotations

import base64
import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def start_metadata(quote: Callable[[bytes], bytes]) -> str:
    """Serve `POST /acc/tdquote` for as long as this process lives.

    Args:
        quote: Makes a TD quote of a TDREPORT.

    Returns:
        Host and port.
    """
    server = HTTPServer(("127.0.0.1", 0), partial(_Handler, quote))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def __init__(
        self,
        quote: Callable[[bytes], bytes],
        *arguments: Any,  # noqa: ANN401  the base class's
    ) -> None:
        self._quote = quote
        super().__init__(*arguments)

    def do_POST(self) -> None:
        """Answer with a quote of the report that was sent."""
        size = int(self.headers["Content-Length"])
        sent = json.loads(self.rfile.read(size))["report"]
        report = base64.urlsafe_b64decode(sent + "=" * (-len(sent) % 4))
        quoted = base64.urlsafe_b64encode(self._quote(report)).decode().rstrip("=")
        self.send_response(200 if self.path == "/acc/tdquote" else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"quote": quoted}).encode())

    def log_message(self, *_: object) -> None:
        """Silent."""
