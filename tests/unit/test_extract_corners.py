"""Ends that the network seldom shows: chains of errors without end."""

from __future__ import annotations

import ssl

import httpx

from pipelines.extract import retry


def test_a_chain_of_errors_that_leads_back_to_itself_is_not_followed_for_ever() -> None:
    first, second = httpx.ConnectError("a"), httpx.ConnectError("b")
    first.__cause__, second.__cause__ = second, first
    assert retry.certificate_fault(first) is None


def test_a_refused_certificate_is_found_behind_several_errors_whichever_way_they_are_linked() -> None:
    refused = ssl.SSLCertVerificationError(1, "certificate verify failed")
    refused.verify_message = "certificate has expired"
    error: BaseException = refused
    for number in range(6):
        outer = httpx.ConnectError(str(number))
        if number % 2:
            outer.__cause__ = error
        else:
            outer.__context__ = error
        error = outer
    assert retry.certificate_fault(error) == "certificate has expired"
