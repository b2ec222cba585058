"""What Slack's refusals mean: later, elsewhere, in another form, or not before somebody mends something."""

from __future__ import annotations

from typing import Any

from alerting.notifier import Permanent, Retry

BLOCKS_REFUSED = {
    "invalid_blocks",
    "invalid_blocks_format",
    "msg_blocks_too_long",
    "msg_too_long",
}
"""Codes after which text goes without blocks, and shorter."""
METADATA_REFUSED = {"metadata_too_large", "metadata_must_be_sent_from_app", "invalid_metadata_format"}
"""Codes after which the message goes without metadata: people see it, and nothing finds it again."""
CHANNEL_REFUSED = {
    "channel_not_found",
    "not_in_channel",
    "is_archived",
    "restricted_action",
    "restricted_action_read_only_channel",
    "posting_to_general_channel_denied",
    "cannot_dm_bot",
    "user_not_found",
    "user_disabled",
    "messages_tab_disabled",
}
"""Codes after which the same alert goes elsewhere."""
MESSAGE_GONE = {"message_not_found", "channel_not_found", "cant_update_message", "edit_window_closed"}
"""Codes after which an edit becomes a new message."""
_UNSURE = {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}
_MEND = {
    "not_in_channel": "invite the app to the channel (/invite @auditwatch)",
    "channel_not_found": "set AUDITWATCH_SLACK_CHANNEL to a channel the app can see",
    "is_archived": "unarchive the channel or set AUDITWATCH_SLACK_CHANNEL to another",
    "missing_scope": "give the app the scopes chat:write, channels:history and channels:read and install it again",
}
_TOKEN_REFUSED = {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"}


class Refused(Permanent):
    """Slack said no, with a code of its own."""

    def __init__(self, code: str) -> None:
        token = "set SLACK_BOT_TOKEN to a valid bot token (xoxb-...)" if code in _TOKEN_REFUSED else ""
        super().__init__(f"Slack refused: {code}; {token or _MEND.get(code, 'see docs.slack.dev/reference/methods')}")
        self.code = code


def judge(response: Any, posting: bool) -> Retry | Refused:
    """What an answer without ok means. `response` is the SDK's, or aiohttp's where the body was not JSON."""
    status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0))
    data = getattr(response, "data", None)
    code = data.get("error") if isinstance(data, dict) else None
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return Retry("Slack's rate limit", after=_retry_after(response.headers))
    if status >= 500 or (status in (200, 408) and (code is None or code in _UNSURE)):
        return Retry(f"Slack answered {code or status}", unsure=posting)
    return Refused(str(code or f"HTTP {status}"))


def _retry_after(headers: Any) -> float:
    """Seconds; 30 where the header is missing or none, never more than an hour."""
    try:
        return min(max(1.0, float(headers.get("Retry-After", 30))), 3600.0)
    except ValueError:
        return 30.0
