"""Who is asking (API-2): bearer tokens, roles and pseudonyms. No user is ever read from a body.

Subjects leave this module only as pseudonyms: a keyed hash, the same for good, so that what is on
the log names nobody.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, get_args

import jwt

from millrace.gateway.errors import BAD_TOKEN, FORBIDDEN, NO_TOKEN, Problem

Role = Literal["creator", "viewer", "moderator", "operator", "service"]
ROLES: frozenset[str] = frozenset(get_args(Role))
STAFF: frozenset[str] = frozenset({"moderator", "operator", "service"})
ALGORITHM = "HS256"
SUBJECT_CHARACTERS_MAX = 256
ANONYMOUS = "anonymous:"
# Some hundred bytes each.
BELIEVED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class User:
    """Who a valid token names; user_id is a pseudonym of 32 hexadecimal digits."""

    user_id: str
    roles: frozenset[str]
    anonymous: bool = False

    @property
    def staff(self) -> bool:
        return bool(self.roles & STAFF)


class Tokens:
    """Mints and reads JWTs (HS256); the first key signs, every key is accepted."""

    def __init__(
        self, keys: tuple[bytes, ...], pseudonym_key: bytes, now_ms: Callable[[], int]
    ) -> None:
        self.keys = keys
        self.pseudonym_key = pseudonym_key
        self.now_ms = now_ms
        # Tokens whose signature fitted, and when each expires: checking one again costs as much as
        # all the rest of a small request (measured: 40 % of a playback event's time).
        self.believed: OrderedDict[str, tuple[User, float]] = OrderedDict()

    def mint(self, subject: str, roles: Iterable[str], lifetime_s: int) -> str:
        """A token for the subject; lifetime in seconds."""
        claims = {
            "sub": subject,
            "roles": sorted(roles),
            "exp": self.now_ms() // 1000 + lifetime_s,
        }
        return jwt.encode(claims, self.keys[0], algorithm=ALGORITHM)

    def mint_anonymous(self, lifetime_s: int) -> str:
        """A token for a viewer nobody knows: it plays and reports, and nothing else."""
        return self.mint(ANONYMOUS + secrets.token_hex(16), ("viewer",), lifetime_s)

    def read(self, token: str) -> User:
        """The user. Raises Problem BAD_TOKEN."""
        known = self.believed.get(token)
        if known is None:
            known = self.verified(token)
            self.believed[token] = known
            if len(self.believed) > BELIEVED_MAX:
                self.believed.popitem(last=False)
        user, expires_s = known
        if expires_s * 1000 <= self.now_ms():
            raise Problem(BAD_TOKEN, why="it has expired")
        return user

    def verified(self, token: str) -> tuple[User, float]:
        """Whom it names, and when it expires, seconds of the epoch. Raises Problem BAD_TOKEN."""
        claims = self.claims(token)
        subject, roles, expires_s = claims["sub"], claims["roles"], claims["exp"]
        if not isinstance(expires_s, int | float) or expires_s * 1000 <= self.now_ms():
            raise Problem(BAD_TOKEN, why="it has expired")
        if not subject or len(subject) > SUBJECT_CHARACTERS_MAX:
            raise Problem(BAD_TOKEN, why="its subject is empty or too long")
        if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
            raise Problem(BAD_TOKEN, why="its roles are no list of names")
        user = User(
            user_id=self.pseudonym(subject),
            roles=frozenset(roles) & ROLES,
            anonymous=subject.startswith(ANONYMOUS),
        )
        return user, expires_s

    def claims(self, token: str) -> dict[str, Any]:
        """Verified claims; expiry is the caller's, by the gateway's own clock."""
        why = "its signature does not fit"
        for key in self.keys:
            try:
                # exp is compared in `read`; iat and nbf by this machine's clock would be another.
                options: Any = {
                    "require": ["sub", "roles", "exp"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                }
                return jwt.decode(token, key, algorithms=[ALGORITHM], options=options)
            except jwt.InvalidSignatureError:
                continue
            except jwt.MissingRequiredClaimError as problem:
                why = f"it lacks {problem.claim}"
            except (jwt.InvalidTokenError, ValueError):
                why = "it can't be read"
        raise Problem(BAD_TOKEN, why=why)

    def pseudonym(self, subject: str) -> str:
        """32 hexadecimal digits that stand for the subject."""
        return blake2b(
            subject.encode(), digest_size=16, key=self.pseudonym_key[:64], person=b"user"
        ).hexdigest()


def require(user: User | None, *roles: Role) -> User:
    """The user, if one of the roles is his. Raises Problem NO_TOKEN or FORBIDDEN."""
    if user is None:
        raise Problem(NO_TOKEN)
    if user.roles.isdisjoint(roles):
        raise Problem(FORBIDDEN, why=f"it needs the role {' or '.join(roles)}")
    return user
