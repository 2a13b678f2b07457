"""Masking before the first byte reaches the disk: a parsed document and its declared tree in, what may be stored out.

`keep` is untouched, `mask` becomes `***` + 12 hex of HMAC-SHA256(mask key, value text), `scrub` keeps the text and
masks the secrets in it; what is not declared goes by name, else it is scrubbed (contract §3, §7). Deterministic and
idempotent. What a secret looks like is in `patterns`; no file, no key store here.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, quote_plus

import simplejson

from pipelines import jsontext
from pipelines.lake import patterns
from pipelines.schemas.leaves import Free, Headers, Leaf, OneOf, Tree

REDACTION_VERSION = 1
"""Stands in every raw row. A change of the rules raises it; alone it lands nothing."""

MAX_LINE_CHARS = 600
_JSON_LEVELS = 2  # JSON inside JSON inside a field; deeper it is scrubbed as plain text
_PASSES = 6
_MARKS = 3
_SHORTEST_OWN = 8  # shorter ones are no keys, and would be found in innocent words
_NAME_FIELDS = ("name", "key", "property", "header", "selector", "label", "field", "element")
_VALUE_FIELDS = frozenset(("value", "values", "actual", "target", "expected", "example", "pattern", "content", "text"))


class Redactor:
    """Masks documents and texts with one key. Equal values give equal masks under one key.

    `own` are the credentials that we ask with: they are known, so no answer that sends one back can hide it (`without_own`).
    """

    def __init__(self, key: bytes, own: Iterable[str] = ()) -> None:
        self._key = key
        secrets = sorted((secret for secret in own if len(secret) >= _SHORTEST_OWN), key=len, reverse=True)
        self._own = {form: self.mask(secret) for secret in secrets for form in _forms(secret)}
        self._masked_names: dict[int, tuple[Tree, frozenset[str], bool]] = {}

    def redact(self, document: Any, tree: Tree) -> Any:
        """The document with every leaf treated by its declared class; the shape, key order and number literals stay."""
        return self._walk(document, tree)

    def mask(self, text: str) -> str:
        """The mask of a text: empty stays empty, a mask stays itself."""
        if not text or patterns.MASK.fullmatch(text):
            return text
        return "***" + hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256").hex()[:12]

    def scrub(self, text: str) -> str:
        """The text with the secrets in it masked and the queries of signed URLs gone. A JSON text stays valid JSON."""
        return self._scrub(text, 0)

    def without_own(self, text: str) -> str:
        """The text, or JSON text, with our own credentials masked wherever they stand, also where the declaration says `keep`."""
        for form, mask in self._own.items():
            if form in text:
                text = text.replace(form, mask)
        return text

    def redact_line(self, text: str) -> str:
        """An error text as one scrubbed line of at most `MAX_LINE_CHARS` characters."""
        line = self._scrub(" ".join(self.without_own(text).split()), _JSON_LEVELS)
        return line if len(line) <= MAX_LINE_CHARS else line[: MAX_LINE_CHARS - 1] + "…"

    # --- documented ----------------------------------------------------------------------------------------

    def _walk(self, value: Any, tree: Tree) -> Any:
        if value is None:
            return None
        if isinstance(tree, Leaf):
            return self._leaf(value, tree)
        if isinstance(tree, Free):
            if tree.masking == "mask":
                return self._mask_all(value)
            return value if tree.masking == "keep" else self._undocumented(value)
        if isinstance(tree, Headers):
            return self._headers(value, 0)
        if isinstance(tree, OneOf):
            branch: Tree | None = tree.scalar
            if isinstance(value, dict):
                branch = tree.object
            elif isinstance(value, list):
                branch = None if tree.list is None else [tree.list]
            return self._mismatch(value, tree) if branch is None else self._walk(value, branch)
        if isinstance(tree, dict) and isinstance(value, dict):
            return self._object(value, tree)
        if isinstance(tree, list) and isinstance(value, list):
            return [self._walk(item, tree[0]) for item in value]
        return self._mismatch(value, tree)

    def _leaf(self, value: Any, leaf: Leaf) -> Any:
        if leaf.masking == "mask":
            return self._mask_all(value)
        if isinstance(value, (dict, list)):
            return self._undocumented(value)
        is_kept = leaf.masking == "keep" and leaf.type in ("VARCHAR", "JSON")
        return self._scrub(value, 0) if isinstance(value, str) and not is_kept else value

    def _object(self, value: dict[str, Any], tree: dict[str, Tree]) -> dict[str, Any]:
        is_pair = _names_a_secret(value)
        result: dict[str, Any] = {}
        for name, child in value.items():
            subtree = tree.get(name)
            if subtree is None:
                self._put(result, name, self._field(name, child, is_pair, frozenset(), 0))
            elif is_pair and name in _VALUE_FIELDS and _is_scrubbed(subtree):
                result[name] = self._mask_all(child)
            else:
                result[name] = self._walk(child, subtree)
        return result

    def _mismatch(self, value: Any, tree: Tree) -> Any:
        """Another type than declared: by the declaration where that fits, else as undocumented but not less strict."""
        if isinstance(tree, dict) and isinstance(value, list):
            return [self._walk(item, tree) for item in value]
        if isinstance(tree, list):
            element = tree[0]
            if isinstance(value, dict) and isinstance(element, dict) and not value.keys() & element.keys():
                result: dict[str, Any] = {}
                for name, child in value.items():
                    is_secret = patterns.name_says_secret(name)
                    self._put(result, name, self._mask_all(child) if is_secret else self._walk(child, element))
                return result
            return self._walk(value, element)
        if isinstance(tree, OneOf) and tree.scalar is not None and tree.scalar.masking == "mask":
            return self._mask_all(value)
        names, holds_mask = self._masked(tree)
        if isinstance(value, (dict, list)):
            return self._undocumented(value, names)
        return self._mask_all(value) if holds_mask else self._undocumented(value)

    def _masked(self, tree: Tree) -> tuple[frozenset[str], bool]:
        known = self._masked_names.get(id(tree))
        if known is None:
            names: set[str] = set()
            holds_mask = _collect(tree, names)
            known = self._masked_names[id(tree)] = (tree, frozenset(names), holds_mask)
        return known[1], known[2]

    # --- not documented ------------------------------------------------------------------------------------

    def _undocumented(self, value: Any, names: frozenset[str] = frozenset(), level: int = 0) -> Any:
        if isinstance(value, str):
            return self._scrub(value, level)
        if isinstance(value, list):
            items = []
            for item in value:  # no comprehension: one Python frame per level of nesting
                items.append(self._undocumented(item, names, level))  # noqa: PERF401 - see above
            return items
        if not isinstance(value, dict):
            return value
        is_pair = _names_a_secret(value)
        result: dict[str, Any] = {}
        for name, child in value.items():
            self._put(result, name, self._field(name, child, is_pair, names, level))
        return result

    def _field(self, name: str, child: Any, is_pair: bool, names: frozenset[str], level: int) -> Any:
        if name in names or (is_pair and name in _VALUE_FIELDS):
            return self._mask_all(child)
        if patterns.name_says_secret(name):
            return child if isinstance(child, bool) else self._mask_all(child)
        if isinstance(child, (dict, list)) and name.lower().endswith("headers"):
            return self._headers(child, level)
        return self._undocumented(child, names, level)

    def _put(self, result: dict[str, Any], name: str, child: Any) -> None:
        """Names that become equal stay apart: a few by marks, any number by the masks of what they were (counting would be quadratic)."""
        scrubbed, marks = self._scrub(name, _JSON_LEVELS), 0
        while scrubbed in result:
            scrubbed += "#" if marks < _MARKS else self.mask(name) or "#"
            marks += 1
        result[scrubbed] = child

    def _headers(self, value: Any, level: int) -> Any:
        if isinstance(value, list):
            return [self._header_item(item, level) for item in value]
        if not isinstance(value, dict):
            return self._undocumented(value, level=level)
        result: dict[str, Any] = {}
        for name, child in value.items():
            is_secret = patterns.header_says_secret(name) or patterns.name_says_secret(name)
            self._put(result, name, self._mask_all(child) if is_secret else self._undocumented(child, level=level))
        return result

    def _header_item(self, item: Any, level: int) -> Any:
        if isinstance(item, list) and len(item) == 2 and isinstance(item[0], str):
            is_secret = patterns.header_says_secret(item[0])
            return [item[0], self._mask_all(item[1]) if is_secret else self._undocumented(item[1], level=level)]
        if isinstance(item, dict) and any(
            isinstance(item.get(field), str) and patterns.header_says_secret(item[field]) for field in _NAME_FIELDS
        ):
            return {
                name: self._mask_all(child) if name in _VALUE_FIELDS else self._undocumented(child, level=level)
                for name, child in item.items()
            }
        return self._undocumented(item, level=level)

    def _mask_all(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._mask_all(child) for name, child in value.items()}
        if isinstance(value, list):
            return [self._mask_all(child) for child in value]
        if value is None or isinstance(value, str):
            return self.mask(value) if value else value
        if isinstance(value, bool):
            return self.mask("true" if value else "false")
        return self.mask(value.encoded_json if isinstance(value, simplejson.RawJSON) else str(value))

    # --- texts ---------------------------------------------------------------------------------------------

    def _scrub(self, text: str, level: int) -> str:
        """Repeated until nothing changes: scrubbing twice is scrubbing once. The last resort is the whole mask."""
        for _ in range(_PASSES):
            scrubbed = self._scrub_once(text, level)
            if scrubbed == text:
                return text
            text = scrubbed
        return self.mask(text)

    def _scrub_once(self, text: str, level: int) -> str:
        lower = patterns.lowered(text)
        try:
            found: frozenset[str] | None = patterns.triggers(lower)
        except patterns.TooManyPlacesError:
            found = None
        if level < _JSON_LEVELS and text.lstrip()[:1] in ("{", "[") and (found is None or found or "\\" in text):
            scrubbed = self._scrub_json(text, level + 1)
            if scrubbed is not None:
                return scrubbed
        if found is None:
            return self.mask(text)
        if not found:
            return text
        try:
            queries = patterns.signed_queries(text, found)
            if queries:
                text = _replaced(text, queries, lambda _: "")
                lower = patterns.lowered(text)
            return _replaced(text, patterns.secret_spans(text, lower, found), self.mask)
        except patterns.TooManyPlacesError:
            return self.mask(text)

    def _scrub_json(self, text: str, level: int) -> str | None:
        try:
            document, repairs = jsontext.parse(text.encode("utf-8", "surrogatepass"))
        except jsontext.JsonError:
            return None
        scrubbed = self._undocumented(document, level=level)
        # A key that stands twice hides its first value from the parsed document, so that text is always written anew.
        return jsontext.dump(scrubbed) if scrubbed != document or "duplicate_key" in repairs else text


def _forms(secret: str) -> list[str]:
    """How a secret stands in a text, in a URL, in JSON and in JSON inside JSON."""
    escaped = jsontext.dump(secret)[1:-1]
    return list(dict.fromkeys((secret, quote(secret, safe=""), quote_plus(secret), escaped, jsontext.dump(escaped)[1:-1])))


def _replaced(text: str, spans: list[patterns.Span], replacement: Callable[[str], str]) -> str:
    parts: list[str] = []
    done = 0
    for start, end in spans:
        parts += (text[done:start], replacement(text[start:end]))
        done = end
    return "".join((*parts, text[done:]))


def _names_a_secret(value: dict[str, Any]) -> bool:
    """Whether an object is a name-value pair whose name says secret: a variable, a header, an assertion on a token."""
    is_header = any("header" in str(value.get(field, "")).lower() for field in ("type", "source"))
    names = [name for field in _NAME_FIELDS if isinstance(name := value.get(field), str)]
    return any(patterns.name_says_secret(name) or (is_header and patterns.header_says_secret(name)) for name in names)


def _is_scrubbed(tree: Tree) -> bool:
    if isinstance(tree, OneOf):
        return tree.scalar is None or tree.scalar.masking == "scrub"
    return isinstance(tree, (Leaf, Free)) and tree.masking == "scrub"


def _collect(tree: Tree | None, names: set[str]) -> bool:
    """Put the names of masked fields below a tree into `names`; True when there is a masked leaf anywhere in it."""
    if isinstance(tree, (Leaf, Free)):
        return tree.masking == "mask"
    if isinstance(tree, dict):
        found = False
        for name, child in tree.items():
            if _collect(child, names):
                found = True
                if isinstance(child, (Leaf, Free, OneOf)):
                    names.add(name)
        return found
    if isinstance(tree, list):
        return _collect(tree[0], names)
    if isinstance(tree, OneOf):
        return any([_collect(tree.scalar, names), _collect(tree.object, names), _collect(tree.list, names)])
    return False
