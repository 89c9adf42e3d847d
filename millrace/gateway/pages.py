"""The web pages and what they load: files of this package, served as they are.

They run no script but ours, and load media from the object store and its edge alone.
"""

from pathlib import Path

from aiohttp import web

from millrace.gateway.context import gateway_of

WEB = Path(__file__).parent / "web"


def headers(media_origins: tuple[str, ...]) -> dict[str, str]:
    """What a page may load. Parts are PUT to, and media read from, these origins."""
    media = " ".join(media_origins)
    policy = (
        "default-src 'self'; base-uri 'none'; form-action 'self'; object-src 'none'",
        f"connect-src 'self' {media}",
        f"img-src 'self' data: blob: https: {media}",
        f"media-src 'self' blob: {media}",
        "worker-src 'self' blob:",
        "style-src 'self' 'unsafe-inline'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }


def files() -> web.Application:
    """What the pages load. An application of its own, so that no other answer pays for its hook."""
    app = web.Application()
    app.router.add_static("/", WEB)
    app.on_response_prepare.append(on_prepare)
    return app


async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
    """Vendored files bear their version in their name; ours are asked for again each time."""
    if request.path.startswith("/web/vendor/"):
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    elif request.path.startswith("/web/"):
        response.headers["Cache-Control"] = "no-cache"


async def home(request: web.Request) -> web.StreamResponse:
    """GET /: upload and studio."""
    return dressed(request, "index.html")


async def watch(request: web.Request) -> web.StreamResponse:
    """GET /watch/{video_id}: the page asks for the video itself."""
    return dressed(request, "watch.html")


def dressed(request: web.Request, name: str) -> web.FileResponse:
    origins = gateway_of(request).settings.media_origins
    return web.FileResponse(WEB / name, headers=headers(origins))
