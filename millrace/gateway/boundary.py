"""The one middleware: names the request, lets it in or not, and turns every failure into an answer.

A failure is a problem of the catalogue, a busy dependency (503, try again) or a bug (500, logged
with its trace under the request id). No trace leaves the process.
"""

import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web_urldispatcher import AbstractResource

from millrace.gateway.auth import User
from millrace.gateway.context import REQUEST_ID, USER, Gateway
from millrace.gateway.errors import (
    BAD_PARAMETER,
    BAD_TOKEN,
    BODY_TOO_LARGE,
    BUG,
    BUSY,
    MALFORMED,
    METHOD_NOT_ALLOWED,
    OVERLOADED,
    TOO_MANY,
    Problem,
    not_found,
    respond,
)
from millrace.gateway.settings import Lane
from millrace.sinks.ports import StoreBusy

Lanes = Mapping[tuple[str, str], Lane]
logger = logging.getLogger(__name__)
REQUEST_ID_HEADER = "X-Request-Id"
VIEWER_HEADER = "Millrace-Viewer"
VIEWER_COOKIE = "millrace_viewer"


@dataclass(frozen=True, slots=True)
class Passage:
    """What is known of all requests of one method and route: their lane and their labels."""

    lane: Lane
    method: str
    template: str


# A method is free text on the wire; those without a route are one label.
NOWHERE = Passage("free", "none", "none")


def boundary(gateway: Gateway, lanes: Lanes) -> Middleware:
    """The middleware; lanes say what class of traffic a method and route are."""
    # A request's id is this process's and a number: randomness for each costs a call of the system.
    process, serial = secrets.token_hex(4), count(1)
    passages: dict[tuple[str, AbstractResource], Passage] = {}

    def passage_of(request: web.Request) -> Passage:
        resource = request.match_info.route.resource
        if resource is None:
            return NOWHERE
        found = passages.get((request.method, resource))
        if found is None:
            method = "GET" if request.method == "HEAD" else request.method
            lane = lanes.get((method, resource.canonical), "free")
            found = Passage(lane, request.method, resource.canonical)
            passages[request.method, resource] = found
        return found

    # One coroutine for all of it: each that is awaited is paid for by every request.
    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = f"{process}{next(serial):08x}"
        request[REQUEST_ID] = request_id
        begun_s = time.perf_counter()
        passage = passage_of(request)
        gateway.in_flight += 1
        try:
            if passage.lane != "free":
                await admit(request, gateway, passage.lane)
            response = await handler(request)
        except ConnectionResetError:
            raise
        except Exception as failure:  # noqa: BLE001 - logged where it is a bug
            # The boundary of the process: whatever it is, the client gets an answer, no trace.
            response = refusal(request, gateway, failure, request_id)
        finally:
            gateway.in_flight -= 1
        if not response.prepared:
            response.headers[REQUEST_ID_HEADER] = request_id
        seconds = time.perf_counter() - begun_s
        gateway.metrics.answered(passage.method, passage.template, response.status, seconds)
        return response

    return handle


def refusal(
    request: web.Request, gateway: Gateway, failure: Exception, request_id: str
) -> web.StreamResponse:
    """The answer to a failure. Raises it again where it is a redirection."""
    if isinstance(failure, Problem):
        found = failure
    elif isinstance(failure, web.HTTPException):
        if failure.status < 400:
            raise failure
        found = translated(failure, request)
    elif isinstance(failure, StoreBusy):
        logger.warning(
            "busy: %s %s (%s)", request.method, request.path, request_id, exc_info=failure
        )
        found = Problem(BUSY)
    else:
        logger.error("bug: %s %s (%s)", request.method, request.path, request_id, exc_info=failure)
        found = Problem(BUG)
    gateway.metrics.refused.labels(found.kind.code).inc()
    return respond(found, request_id)


async def admit(request: web.Request, gateway: Gateway, lane: Lane) -> None:
    """Identifies, sheds and limits (OPS-8). Raises Problem, TOO_MANY or OVERLOADED among them."""
    user = identify(request, gateway)
    if user is not None:
        request[USER] = user
    if request.rel_url.raw_query_string:
        check_query(request)
    if lane == "expensive" and gateway.in_flight > gateway.settings.in_flight_max:
        raise Problem(OVERLOADED)
    rate = gateway.settings.rates.get(lane)
    if rate is None:
        return
    who = (
        f"ip:{address(request, gateway.settings.trusted_proxies)}"
        if user is None or user.anonymous
        else user.user_id
    )
    allowance = await gateway.ports.cache.take(f"rate:{lane}:{who}", rate.per_s, rate.burst)
    if not allowance.allowed:
        raise Problem(TOO_MANY, retry_after_s=allowance.retry_after_s)


def identify(request: web.Request, gateway: Gateway) -> User | None:
    """The bearer, else the anonymous viewer of header or cookie. Raises Problem BAD_TOKEN.

    A cookie that has aged is no failure: the next playback mints another.
    """
    authorization = request.headers.get("Authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Problem(BAD_TOKEN, why="the Authorization header is not `Bearer TOKEN`")
        return gateway.tokens.read(token.strip())
    header = request.headers.get(VIEWER_HEADER)
    if header is not None:
        return viewer(gateway.tokens.read(header.strip()))
    cookie = request.cookies.get(VIEWER_COOKIE)
    if cookie is None:
        return None
    try:
        return viewer(gateway.tokens.read(cookie))
    except Problem:
        return None


def viewer(user: User) -> User:
    """Where viewers' tokens go, no token is more than a viewer's."""
    return User(user.user_id, user.roles & {"viewer"}, user.anonymous)


def check_query(request: web.Request) -> None:
    """Bytes that are no UTF-8 are refused here, once. Raises Problem 400."""
    for name, value in request.query.items():
        if not (name + value).isprintable():
            raise Problem(BAD_PARAMETER, name=ascii(name)[1:-1], why="it is not printable text")


def address(request: web.Request, trusted_proxies: int) -> str:
    """The client's address, as the outermost proxy of ours saw it.

    Each proxy appends to X-Forwarded-For whom it heard; what stands before that, anybody wrote.
    """
    heard = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
    if 0 < trusted_proxies <= len(heard) and heard[-trusted_proxies].strip():
        return heard[-trusted_proxies].strip()
    return request.remote or ""


def translated(problem: web.HTTPException, request: web.Request) -> Problem:
    """aiohttp's own refusals as ours."""
    if isinstance(problem, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(problem.allowed_methods))
        found = Problem(METHOD_NOT_ALLOWED, method=request.method, allowed=allowed)
        found.headers["Allow"] = allowed
        return found
    if problem.status == 404:
        return not_found("such address")
    if problem.status == 413:
        return Problem(BODY_TOO_LARGE, limit=request.client_max_size)
    return Problem(MALFORMED, why=problem.reason)
