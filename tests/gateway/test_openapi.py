"""The description is true to the code (API-5): same addresses, same statuses, same names."""

import re
from typing import Any

from millrace.gateway.app import ROUTES
from millrace.gateway.bodies import (
    Body,
    CompleteBody,
    EditBody,
    EventBody,
    EventsBody,
    NoBody,
    ProfileBody,
    ReasonBody,
    RebuildBody,
    UploadBody,
)
from millrace.gateway.errors import KINDS
from millrace.gateway.openapi import description
from tests.gateway.world import World

BODIES: dict[str, type[Body]] = {
    "UploadRequest": UploadBody,
    "CompleteRequest": CompleteBody,
    "EditRequest": EditBody,
    "ReasonRequest": ReasonBody,
    "PlaybackEvent": EventBody,
    "PlaybackEvents": EventsBody,
    "ProfileRequest": ProfileBody,
    "RebuildRequest": RebuildBody,
    "Nothing": NoBody,
}


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, item in description()["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }


def test_every_address_is_described_and_every_description_is_served() -> None:
    assert set(operations()) == {(route.method, route.path) for route in ROUTES}


def test_every_body_has_the_fields_that_are_described() -> None:
    schemas = description()["components"]["schemas"]
    for name, body in BODIES.items():
        assert set(schemas[name]["properties"]) == set(body.__struct_encode_fields__), name
        assert schemas[name]["additionalProperties"] is False


def test_every_status_of_the_catalogue_is_described_but_those_of_every_address() -> None:
    described = {
        int(status) for operation in operations().values() for status in operation["responses"]
    }
    assert {kind.status for kind in KINDS} - described == {405, 500}


def test_every_reference_leads_somewhere() -> None:
    document = description()
    for place in re.findall(r"#/([A-Za-z0-9/]+)", str(document)):
        found: Any = document
        for name in place.split("/"):
            assert name in found, place
            found = found[name]


async def test_it_is_served(world: World) -> None:
    response, body = await world.call("GET", "/openapi.json")
    assert (response.status, body["openapi"]) == (200, "3.1.0")
