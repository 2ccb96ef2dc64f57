"""What one request leaves behind."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import Response

from blindai.inference.service import InferenceService, ServiceSettings
from blindai.server.endpoints import Open
from blindai.server.observability.record import (
    OTHER,
    ROUTES,
    Record,
    current,
    recorded,
    request_id,
    route_of,
)
from blindai.server.routes import Routes
from blindai.server.serve import now
from blindai.server.settings import Settings


def test_the_routes_are_the_servers_endpoints() -> None:
    table = Routes(InferenceService(ServiceSettings()), Settings(), now).table()

    assert {route_of({"endpoint": route.endpoint}) for route in table} == ROUTES


def test_an_endpoint_of_another_application_is_not_named() -> None:
    async def a_secret(_: Request) -> Response:
        return Response()

    assert route_of({"endpoint": a_secret}) == OTHER
    assert route_of({"endpoint": Open(a_secret)}) == OTHER
    assert route_of({}) == OTHER


@pytest.mark.parametrize(
    ("inner", "outer", "status"),
    [(404, 200, "4xx"), (0, 415, "4xx"), (201, 200, "2xx"), (0, 0, "none")],
)
def test_the_status_inside_counts_where_there_is_one(
    inner: int, outer: int, status: str
) -> None:
    assert Record(inner_status=inner, outer_status=outer).status == status


def test_the_current_record_is_the_one_at_hand() -> None:
    with recorded(Record()) as record:
        assert current() is record
        assert request_id() == record.request_id

    assert current() is not record
    assert request_id() is None


def test_a_record_does_not_show_its_tenant() -> None:
    assert "ward-7" not in repr(Record(tenant="key:ward-7"))
