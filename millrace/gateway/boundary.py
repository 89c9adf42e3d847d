"""The one middleware: names the request, lets it in or not, and turns every failure into an answer.

A failure is a problem of the catalogue, a busy dependency (503, try again) or a bug (500, logged
with its trace under the request id). No trace leaves the process.
"""

import logging
import secrets
import time
from collections.abc import Mapping
from itertools import count

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from millrace.gateway.auth import User
from millrace.gateway.context import (
    REQUEST_ID,
    USER,
    Gateway,
    gateway_of,
    user_of,
)
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


def boundary(lanes: Lanes) -> Middleware:
    """The middleware; lanes say what class of traffic a method and route are."""
    # A request's id is this process's and a number: randomness for each costs a call of the system.
    process, serial = secrets.token_hex(4), count(1)

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        gateway = gateway_of(request)
        request_id = f"{process}{next(serial):08x}"
        request[REQUEST_ID] = request_id
        begun_s = time.perf_counter()
        gateway.in_flight += 1
        try:
            response = await guarded(request, handler, lanes, request_id)
        finally:
            gateway.in_flight -= 1
        if not response.prepared:
            response.headers[REQUEST_ID_HEADER] = request_id
        measure(gateway, request, response.status, time.perf_counter() - begun_s)
        return response

    return handle


async def guarded(
    request: web.Request, handler: Handler, lanes: Lanes, request_id: str
) -> web.StreamResponse:
    try:
        return await admitted(request, handler, lanes)
    except Problem as problem:
        found = problem
    except web.HTTPException as problem:
        if problem.status < 400:
            raise
        found = translated(problem, request)
    except StoreBusy:
        logger.warning("busy: %s %s (%s)", request.method, request.path, request_id, exc_info=True)
        found = Problem(BUSY)
    except ConnectionResetError:
        raise
    except Exception:
        # The boundary of the process: whatever it is, the client gets an answer without a trace.
        logger.exception("bug: %s %s (%s)", request.method, request.path, request_id)
        found = Problem(BUG)
    gateway_of(request).metrics.refused.labels(found.kind.code).inc()
    return respond(found, request_id)


async def admitted(request: web.Request, handler: Handler, lanes: Lanes) -> web.StreamResponse:
    """Identifies, limits, sheds, then handles."""
    gateway = gateway_of(request)
    resource = request.match_info.route.resource
    template = resource.canonical if resource is not None else ""
    method = "GET" if request.method == "HEAD" else request.method
    lane = lanes.get((method, template), "free")
    if lane != "free":
        user = identify(request, gateway)
        if user is not None:
            request[USER] = user
        if request.query_string:
            check_query(request)
        await limit(request, gateway, lane)
    return await handler(request)


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


async def limit(request: web.Request, gateway: Gateway, lane: Lane) -> None:
    """Raises Problem TOO_MANY or OVERLOADED (OPS-8)."""
    if lane == "expensive" and gateway.in_flight > gateway.settings.in_flight_max:
        raise Problem(OVERLOADED)
    rate = gateway.settings.rates.get(lane)
    if rate is None:
        return
    user = user_of(request)
    who = (
        f"ip:{address(request, gateway.settings.trusted_proxies)}"
        if user is None or user.anonymous
        else user.user_id
    )
    allowance = await gateway.ports.cache.take(f"rate:{lane}:{who}", rate.per_s, rate.burst)
    if not allowance.allowed:
        raise Problem(TOO_MANY, retry_after_s=allowance.retry_after_s)


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


def measure(gateway: Gateway, request: web.Request, status: int, seconds: float) -> None:
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "none"
    # A method is free text on the wire; those without a route are one label.
    method = request.method if resource is not None else "none"
    gateway.metrics.answered(method, route, status, seconds)
