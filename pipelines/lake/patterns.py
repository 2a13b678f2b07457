"""What a secret looks like: in the name of a field or header, and inside a text. Finds, never replaces; holds no key.

Every search is a literal `str.find` followed by one anchored match, what was covered is not looked at again, and the
number of places is capped: the cost is linear, whatever the text holds. Names and shapes follow the contract §3 and §7.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from functools import lru_cache

import polars as pl

Span = tuple[int, int]

MASK = re.compile(r"\*{3}[0-9a-f]{12}")
"""What stands in place of a secret; never masked again."""

MAX_PLACES = 2_000
MAX_TRIGGERS = 10_000
"""More suspicious places of one kind, or triggers in all, than this in one text, and the whole text is a secret."""


class TooManyPlacesError(Exception):
    """A text holds more suspicious places than are worth telling apart."""


# --- names ------------------------------------------------------------------------------------------------

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET_NAME = re.compile(
    r"pass[-_. ]?(?:word|wd|phrase|code)|pwd|secret|token|credential|authorization|cookie|jwt|bearer"
    r"|(?:api|app|application|access|private|signing|account|subscription|encryption|master|auth|ssh|session|shared"
    r"|license)[-_. ]?keys?(?![a-z])|(?:^|[^a-z])[th]?otp(?:code)?(?![a-z])"
    r"|(?:basic|digest|proxy|http)[-_. ]?auth(?![a-z])|^auth$"
)
_IN_SECRET_NAMES = ("pass", "pwd", "secret", "token", "credential", "auth", "cookie", "jwt", "bearer", "key", "otp")
_LONGEST_NAME = 1_000
_SECRET_HEADER = re.compile(r"auth(?!ority|or(?![a-z])|ors)|token|key|secret|session|cookie|password|credential|signature")


def name_says_secret(name: str) -> bool:
    """Whether the name of an undocumented field, or of a variable, says that its value is a secret. What is too long for a name says so by
    any secret word in it."""
    if len(name) <= _LONGEST_NAME:
        return _name_says_secret(name)
    lower = name.lower()
    return any(word in lower for word in _IN_SECRET_NAMES)


@lru_cache(maxsize=4096)
def _name_says_secret(name: str) -> bool:
    return _SECRET_NAME.search(_CAMEL.sub("_", name).lower()) is not None


def header_says_secret(name: str) -> bool:
    """Whether a header of that name is masked: auth, token, key, secret, session or cookie in it (contract §7)."""
    return _SECRET_HEADER.search(name.lower()) is not None


# --- literals that make a text worth looking at -----------------------------------------------------------

_QUOTED_AFTER = ("password", "passwd", "passphrase", "passcode", "pwd", "secret", "token", "credential")
_LINE_AFTER = ("authorization", "cookie")
_WORDS = (*_QUOTED_AFTER, *_LINE_AFTER, "otp", "key", "jwt", "signature")
_SCHEMES = ("bearer", "basic")
_PARAMS = (
    *("sig", "key", "auth", "authkey", "pass", "passw", "pw", "hmac", "sid", "session", "sessionid", "jsessionid"),
    *("awsaccesskeyid", "googleaccessid", "policy", "key-pair-id", "samlresponse", "samlrequest", "assertion"),
)
_PARAM_FAMILIES = ("x-amz-", "x-goog-")
_PARAM_STARTS = (*(f"{name}=" for name in _PARAMS), *_PARAM_FAMILIES)
_SIGNED = ("signature=", "sig=", "accesskeyid=", "accessid=", "expires=", "x-amz-", "x-goog-")

_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (literal, re.compile(pattern))
    for literal, pattern in (
        *((f"A{kind}A", r"(?<![A-Za-z0-9])A[A-Z]{3}[0-9A-Z]{16}(?![A-Za-z0-9])") for kind in ("KI", "SI", "BI", "CC")),
        *((f"gh{kind}_", r"(?<![A-Za-z0-9])gh[a-z]_[A-Za-z0-9]{20,}") for kind in "pousr"),
        ("github_pat_", r"(?<![A-Za-z0-9_])github_pat_[A-Za-z0-9_]{20,}"),
        ("xox", r"(?<![A-Za-z0-9-])xox[a-z]-[A-Za-z0-9-]{8,}"),
        ("xapp-", r"(?<![A-Za-z0-9-])xapp-[A-Za-z0-9-]{8,}"),
        ("hooks.slack.com/", r"hooks\.slack\.com/(?:services|workflows|triggers)/[\w/.-]+"),
        *((f"k_{mode}_", r"(?<=[sr])k_[a-z]+_[A-Za-z0-9]{10,}") for mode in ("live", "test")),
        ("whsec_", r"(?<![A-Za-z0-9])whsec_[A-Za-z0-9+/=]{16,}"),
        ("eyJ", r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)*"),
        ("AIza", r"(?<![\w-])AIza[\w-]{35,}"),
        ("ya29.", r"(?<![\w.-])ya29\.[\w.-]{20,}"),
        ("glpat-", r"(?<![\w-])glpat-[\w-]{16,}"),
        ("npm_", r"(?<![A-Za-z0-9])npm_[A-Za-z0-9]{30,}"),
        ("SG.", r"(?<![\w.-])SG\.[\w-]{16,}\.[\w-]{16,}"),
        ("sk-", r"(?<![\w-])sk-(?=[A-Za-z_-]{0,40}[0-9])[\w-]{20,}"),
        ("hf_", r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{30,}"),
        ("dop_v1_", r"(?<![A-Za-z0-9])dop_v1_[0-9a-f]{40,}"),
        ("shpat_", r"(?<![A-Za-z0-9])shpat_[0-9a-fA-F]{32,}"),
        ("dapi", r"(?<![A-Za-z0-9])dapi[0-9a-f]{32,}"),
        ("NRAK-", r"(?<![A-Za-z0-9])NRAK-[A-Z0-9]{20,}"),
        ("hvs.", r"(?<![\w.-])hvs\.[\w-]{20,}"),
        ("pypi-", r"(?<![\w-])pypi-[\w-]{30,}"),
        ("cu_", r"(?<![A-Za-z0-9])cu_[0-9a-f]{32}"),  # Checkly user key
        ("sv_", r"(?<![A-Za-z0-9])sv_[0-9a-f]{32}"),  # Checkly service key
    )
)

_PEM = "-----BEGIN "
_TRIGGERS = sorted({*_WORDS, *_SCHEMES, *_SIGNED, *_PARAM_STARTS, "://", _PEM.lower()} | {literal.lower() for literal, _ in _SHAPES})
_LONG_CHARS = 16 * 1024

# --- anchored matches --------------------------------------------------------------------------------------

_SEPARATOR = re.compile(
    r"[\w.-]{0,40}\\{0,8}[\"'`]?\]?(?:[ \t](?:is|was|value|field))?"
    r"(?:(?P<tag>>)|[ \t]{0,4}(?:(?P<form>=>|:=|={1,3}|%3[dD])|:|%3[aA])[ \t]{0,4})"
)
_FORM_VALUE = re.compile(  # an ampersand ends the value only where another parameter follows it
    r"[^\s\"'`<>&]+(?:(?:[\"'`](?=\w)|&(?!(?:amp;)?[\w.%\[\]-]{1,64}=))[^\s\"'`<>&]*)*"
)
_TEXT_VALUE = re.compile(r"[^\s\"'`<>]+(?:[\"'`](?=\w)[^\s\"'`<>]+)*")
_TAG_VALUE = re.compile(r"\s*([^<\s][^<]*)")
_QUOTED_NAME = re.compile(r"([\"'`])[\w-]*\Z")
_LINE = re.compile(r"[^\r\n]+")
_OPENING_QUOTE = re.compile(r"\\{0,8}[\"'`]")
_SIGNATURE = re.compile(r"signature=([^\s\"'`<>&,;]+)", re.IGNORECASE)
_PARAM_VALUE = re.compile(r"[\w-]*=([^\s\"'`<>&\\]+)")
_USER_INFO = re.compile(  # a password that was not encoded may hold a slash, but a port before a path is none
    r"://([^\s/?#\"'<>`\\]*|[^\s/?#:@\[\"'<>`\\]{1,200}:(?![{$%]|\d{1,5}[/?#])[^\s@\"'<>`\\]{1,200})@"
)
_SCHEME_VALUE = re.compile(r"[a-z]+[ \t:=]{1,4}([^\s\"'`<>,;&]*[^\s\"'`<>,;&.)\]}])", re.IGNORECASE)
_HEX_KEY = re.compile(r"key[\w-]{0,20}?\W{1,6}(?:(?:is|was|of)\W{1,3})?([0-9a-f]{40}|[0-9a-f]{32})(?![0-9a-f])")
_KEY_BEFORE = re.compile(
    r"(?:api|app|application|access|private|secret|signing|account|subscription|encryption|shared|auth|license|master"
    r"|session|ssh|service)[-_ .]?\Z"
)
_QUERY = re.compile(r"\?[^\s\"'<>`\\)\]}|^]*")
_SIGNED_PARAM = re.compile(r"[?&;](?:(?i:signature|sig|awsaccesskeyid|googleaccessid|x-(?:amz|goog)-[a-z-]+)|Expires)=")
_BEARER_PROSE = re.compile(
    r"(?:auth\w*|tokens?|scheme|realm|headers?|is|was|of|or|and|the|in|from|not|required|missing|invalid|error)[:.!?]*\Z",
    re.IGNORECASE,
)
_QUOTES = {kind: pair[0] for pair in ('"', "'", "`", "\u201c\u201d\u201e", "\u2018\u2019", "«»") for kind in pair}
"""Quotation marks by the kind that pairs with its like: straight, typographic double and single, guillemets."""
_QUOTE = re.compile("[" + "".join(_QUOTES) + "]")
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def lowered(text: str) -> str:
    """The text in lower case with every character in its place."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text.translate(_LOWER)


def triggers(lower: str) -> frozenset[str]:
    """Which literals of the searches below are in the text at all; none in nearly every clean text.

    A long text is searched for all of them in one walk (Aho-Corasick): 70 times `in` is 40 ms per MB (2026-11-22).
    Raises TooManyPlacesError.
    """
    if len(lower) < _LONG_CHARS:
        return frozenset(trigger for trigger in _TRIGGERS if trigger in lower)
    found = pl.Series([lower]).str.extract_many(_TRIGGERS, overlapping=True)[0]
    if len(found) > MAX_TRIGGERS:
        raise TooManyPlacesError
    return frozenset(found.unique())


def signed_queries(text: str, found: frozenset[str]) -> list[Span]:
    """Spans of the whole queries of signed URLs, `?` included: storage signatures of AWS, Google, Azure and CDNs."""
    if found.isdisjoint(_SIGNED):
        return []
    spans: list[Span] = []
    for place in _places(text, "?"):
        if spans and place < spans[-1][1]:
            continue
        match = _QUERY.match(text, place)
        if match and _SIGNED_PARAM.search(match[0]):
            spans.append(match.span())
    return spans


def secret_spans(text: str, lower: str, found: frozenset[str]) -> list[Span]:
    """Disjoint, sorted, non-empty spans of `text` that are secrets. Raises TooManyPlacesError.

    `lower` is `lowered(text)`, `found` its `triggers` or more.
    """
    spans = [*_shapes(text, found), *_schemes(text, lower, found), *_urls(text, lower, found)]
    words = sorted(
        (place, word) for word in found.intersection(_WORDS) for place in _places(lower, word) if _is_word(text, lower, place, word)
    )
    spans += _values(text, lower, words)
    if any(word in _QUOTED_AFTER or word in ("otp", "key") for _, word in words):
        spans += _quoted(text)
    if len(spans) > MAX_PLACES:
        raise TooManyPlacesError
    return _merged(spans)


def _places(text: str, literal: str) -> Iterator[int]:
    count, place = 0, text.find(literal)
    while place >= 0:
        count += 1
        if count > MAX_PLACES:
            raise TooManyPlacesError
        yield place
        place = text.find(literal, place + len(literal))


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _is_word(text: str, lower: str, place: int, word: str) -> bool:
    before = text[place - 1 : place]
    if word == "otp":
        is_start = not before.isalpha() or before in "tThH" or (before.islower() and text[place].isupper())
        after = text[place + 3 : place + 4]
        return is_start and not (after.islower() and not lower.startswith("code", place + 3))
    if word == "key":
        return _KEY_BEFORE.search(lower, max(0, place - 16), place) is not None
    if word == "jwt":
        return not before.isalpha()
    return True


def _shapes(text: str, found: frozenset[str]) -> Iterator[Span]:
    for literal, pattern in _SHAPES:
        if literal.lower() not in found:
            continue
        covered = 0
        for place in _places(text, literal):
            if place >= covered and (match := pattern.match(text, place)):
                covered = match.end()
                yield match.span()
    covered = 0
    for place in _places(text, _PEM) if _PEM.lower() in found else ():
        if place >= covered:
            end = text.find("-----END ", place)
            close = text.find("-----", end + 9) if end >= 0 else -1
            covered = close + 5 if close >= 0 else len(text)
            yield place, covered


def _schemes(text: str, lower: str, found: frozenset[str]) -> Iterator[Span]:
    for scheme in found.intersection(_SCHEMES):
        for place in _places(lower, scheme):
            match = None if text[place - 1 : place].isalpha() else _SCHEME_VALUE.match(text, place)
            if match is None:
                continue
            value = match[1]
            if scheme == "bearer":
                is_secret = _BEARER_PROSE.match(value) is None
            else:  # "Basic checks", "Basic auth" are prose; base64 has digits, padding or an upper case letter inside
                is_secret = len(value) >= 6 and re.search(r"[0-9=+/]|[a-z][A-Z]|[A-Z]{2}[a-z]", value) is not None
            if is_secret:
                yield match.span(1)


def _urls(text: str, lower: str, found: frozenset[str]) -> Iterator[Span]:
    for place in _places(text, "://") if "://" in found else ():
        if match := _USER_INFO.match(text, place):
            yield match.span(1)
    for name in found.intersection(_PARAM_STARTS):
        for place in _places(lower, name):
            if text[place - 1 : place] in ("?", "&", ";") and (match := _PARAM_VALUE.match(text, place)):
                yield match.span(1)
    for place in _places(lower, "key") if "key" in found else ():
        if match := _HEX_KEY.match(lower, place):
            yield match.span(1)


def _values(text: str, lower: str, words: list[tuple[int, str]]) -> Iterator[Span]:
    covered = 0
    for place, word in words:
        if place < covered:
            continue
        if word == "signature":
            if match := _SIGNATURE.match(text, place):
                covered = match.end()
                yield match.span(1)
            continue
        separator = _SEPARATOR.match(text, place + len(word))
        if separator is None:
            continue
        span = _value(text, place, separator, is_line=word in _LINE_AFTER)
        if span is not None:
            covered = span[1]
            yield span


def _value(text: str, place: int, separator: re.Match[str], *, is_line: bool) -> Span | None:
    start = separator.end()
    if separator["tag"]:
        match = _TAG_VALUE.match(text, start)
        return match.span(1) if match else None
    if quote := _OPENING_QUOTE.match(text, start):
        end = text.find(quote[0], quote.end())
        while end > quote.end() and text[end - 1] == "\\":  # an escaped quote inside the value
            end = text.find(quote[0], end + 1)
        return quote.end(), len(text) if end < 0 else end
    if is_line:
        match = _LINE.match(text, start)
        if match is None:
            return None
        quote = _QUOTED_NAME.search(text, max(0, place - 40), place)
        end = text.find(quote[1], start, match.end()) if quote else -1
        return start, match.end() if end < 0 else end
    match = (_FORM_VALUE if separator["form"] else _TEXT_VALUE).match(text, start)
    return match.span() if match else None


def _quoted(text: str) -> Iterator[Span]:
    """Contents of quoted strings. Where quotes do not pair up, everything from the first of them on is one secret."""
    if sum(text.count(quote) for quote in _QUOTES) > MAX_PLACES * 4:
        raise TooManyPlacesError
    kinds: dict[str, list[tuple[int, int, bool, bool]]] = {}
    for match in _QUOTE.finditer(text):
        start, end = match.span()
        depth = 0  # "\"" inside an escaped text pairs only with its like
        while depth < 8 and text[start - 1 : start] == "\\":
            start, depth = start - 1, depth + 1
        before, after = text[start - 1 : start], text[end : end + 1]
        is_prefixed = before != "" and before in "brufBRUF" and not _is_word_char(text[start - 2 : start - 1])
        opens = start == 0 or is_prefixed or not _is_word_char(before)
        closes = not _is_word_char(after)
        if opens or closes:
            kinds.setdefault(_QUOTES[match[0]] * (depth + 1), []).append((start, end, opens, closes))
    for quotes in kinds.values():
        yield from _pairs(quotes, len(text))


def _pairs(quotes: list[tuple[int, int, bool, bool]], length: int) -> list[Span]:
    spans: list[Span] = []
    first: int | None = None
    opened: int | None = None
    for start, end, opens, closes in quotes:
        if first is None and not opens:
            continue  # an inch mark, a plural's apostrophe, or the tail of a string that was cut
        first = end if first is None else first
        if opened is None and opens:
            opened = end
        elif opened is not None and closes:
            spans.append((opened, start))
            opened = None
        else:
            return [(first, length)]
    return spans if opened is None or first is None else [(first, length)]


def _is_word_char(char: str) -> bool:
    return char.isalnum() or char == "_"
