from __future__ import annotations

import pytest

from rules.logsource import routed, source_of


@pytest.mark.parametrize(
    ("product", "service", "source"),
    [
        ("aws", "cloudtrail", "cloudtrail"),
        ("aws", "", "cloudtrail"),
        ("aws", "waf", "aws.waf"),
        ("okta", "okta", "okta"),
        ("github", "audit", "github"),
        ("kubernetes", "audit", "kubernetes"),
        ("azure", "signinlogs", "entra"),
        ("azure", "activitylogs", "azure"),
        ("m365", "exchange", "o365"),
        ("gcp", "gcp.audit", "gcp"),
        ("gcp", "google_workspace.admin", "google_workspace"),
        ("cisco", "duo", "duo"),
        ("linux", "auditd", "linux"),
        ("bitbucket", "audit", "bitbucket"),
    ],
)
def test_a_log_source_is_one_of_ours(product: str, service: str, source: str) -> None:
    assert source_of(product, service) == source
    assert routed(product, service, source)
    assert not routed(product, service, "elsewhere")


def test_rules_about_normalised_events_meet_every_source_or_the_one_they_name() -> None:
    assert routed("auditwatch", "", "okta")
    assert routed("auditwatch", "okta", "okta")
    assert not routed("auditwatch", "okta", "github")
