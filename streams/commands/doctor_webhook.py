"""What `auditwatch doctor` says of the webhook: whether alerts go there, and whether one is taken."""

from __future__ import annotations

from urllib.parse import urlsplit

from alerting.notifier import Permanent, Retry
from alerting.webhook import WebhookNotifier
from streams.commands.doctor_slack import Answer, test_alert
from streams.dispatch import now
from streams.settings import Settings


def used(settings: Settings, channel: str) -> Answer:
    """Whether alerts go there: not where Slack is set up. The URL's path may be a secret and is not shown."""
    if settings.slack_bot_token and channel:
        return "warn", "not used: alerts go to Slack, which is set up too"
    return "ok", f"alerts go to {urlsplit(settings.webhook_url).hostname}, signed; --send-test posts one"


async def send_test(settings: Settings) -> Answer:
    """Does the receiver take an alert? It says that it is a test."""
    notifier = WebhookNotifier(settings.webhook_url, settings.webhook_secret, now)
    alert = test_alert(now())
    try:
        receipt = await notifier.deliver(alert, notifier.fallback, None)
    except (Permanent, Retry) as error:
        return "fail", f"the webhook: {error}"
    finally:
        await notifier.close()
    return "ok", f"the webhook took a test alert (Idempotency-Key {receipt.message_id})"
