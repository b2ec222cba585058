"""Sigma's log sources and ours: which events a rule is asked about."""

from __future__ import annotations

_SERVICES: dict[tuple[str, str], str] = {
    ("aws", "cloudtrail"): "cloudtrail",
    ("azure", "signinlogs"): "entra",
    ("azure", "auditlogs"): "entra",
    ("azure", "riskdetection"): "entra",
    ("azure", "pim"): "entra",
    ("azure", "activitylogs"): "azure",
    ("gcp", "google_workspace.admin"): "google_workspace",
    ("gcp", "google_workspace.login"): "google_workspace",
    ("cisco", "duo"): "duo",
}
_PRODUCTS: dict[str, str] = {"aws": "cloudtrail", "m365": "o365"}
_MANY_LOGS = frozenset({"aws", "azure"})
"""Products whose services are separate logs: one without a line above is a source of its own ("aws.waf")."""


def routed(product: str, service: str, source: str) -> bool:
    """Whether a rule of this log source is asked about events of `source`.

    Product auditwatch is asked about every source, or about the one its service names.
    """
    if product == "auditwatch":
        return not service or service == source
    return source_of(product, service) == source


def source_of(product: str, service: str) -> str:
    """The source whose events a vendor's log source is: ("aws", "cloudtrail") is cloudtrail, others by product."""
    if (product, service) in _SERVICES:
        return _SERVICES[product, service]
    if service and product in _MANY_LOGS:
        return f"{product}.{service}"
    return _PRODUCTS.get(product, product)
