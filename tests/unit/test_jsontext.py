"""The one JSON parser: what is exact stays exact, what is repaired is said, what is refused never says what stood there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pipelines.jsontext import MAX_DEPTH, JsonError, as_instant, as_number, dump, parse


@pytest.mark.parametrize(
    "text",
    [
        '{"b":1,"a":[1.10,-0.0,1e5,12345678901234567890123]}',
        '[0.1000000000000000055511151231257827,1E-7,true,null,"ä\U0001f600"]',
        '"x"',
        "7",
    ],
)
def test_what_comes_in_goes_out_to_the_letter(text: str) -> None:
    value, repairs = parse(text.encode())
    assert dump(value) == text
    assert repairs == ()


@pytest.mark.parametrize(
    ("text", "expected", "repairs"),
    [
        ('{"a":1,"b":2,"a":3}', '{"a":3,"b":2}', ("duplicate_key",)),
        ("[NaN,Infinity,-Infinity,1e999]", "[null,null,null,null]", ("not_a_number",)),
        (r'{"a\u0000b":["c\u0000"]}', '{"ab":["c"]}', ("nul",)),
        (r'["x\ud800y",{"k":"\uDFFF"},3]', '["x\ufffdy",{"k":"\ufffd"},3]', ("lone_surrogate",)),
        (r'["\ud83d\ude00"]', '["\U0001f600"]', ()),
        ("\ufeff[1]", "[1]", ()),
        (r'{"z":1,"z":NaN,"y":"\u0000\ud800"}', '{"z":null,"y":"\ufffd"}', ("duplicate_key", "lone_surrogate", "not_a_number", "nul")),
    ],
)
def test_what_no_table_could_hold_is_repaired_and_told(text: str, expected: str, repairs: tuple[str, ...]) -> None:
    value, told = parse(text.encode())
    assert (dump(value), told) == (expected, repairs)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"secret": ', "not JSON at character"),
        (b'["sesame"] sesame', "not JSON at character"),
        (b'["sesame\xff"]', "not UTF-8 at byte 8"),
        ("[1]".encode("utf-16"), "not UTF-8 at byte 0"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), f"nested deeper than {MAX_DEPTH}"),
        (b"[" * 100_000, f"nested deeper than {MAX_DEPTH}"),
        (b"[" + b"9" * 10_000 + b"]", "a number with too many digits"),
    ],
)
def test_what_is_refused_is_placed_but_not_repeated(body: bytes, said: str) -> None:
    with pytest.raises(JsonError, match=said) as caught:
        parse(body)
    assert "sesame" not in str(caught.value)


def test_the_deepest_nesting_that_is_allowed_is_read() -> None:
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert dump(parse(text.encode())[0]) == text


def test_only_numbers_are_numbers() -> None:
    (values, _) = parse(b'[1, 2.50, -3e2, true, "4", null, [5]]')
    assert [as_number(value) for value in values] == [1.0, 2.5, -300.0, None, None, None, None]
    assert as_number(10**400) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-22T13:00:00+01:00", datetime(2026, 11, 22, 12, tzinfo=UTC)),
        ("2026-11-22T12:00:00Z", datetime(2026, 11, 22, 12, tzinfo=UTC)),
        ("2026-11-22T12:00:00", None),
        ("yesterday", None),
        ("0001-01-01T00:00:00+10:00", None),
        (1_700_000_000, None),
        (None, None),
    ],
)
def test_an_instant_has_a_zone_and_a_date_in_utc(value: object, expected: datetime | None) -> None:
    assert as_instant(value) == expected
