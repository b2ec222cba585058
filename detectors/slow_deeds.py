"""What slow campaigns are made of: deeds that take data away and deeds that give rights, in any vendor's words."""

from __future__ import annotations

import re
from functools import lru_cache

TAKES, GRANTS = 1, 2

_LONGEST = 128


def sort_of(action: str, thing: str) -> int:
    """TAKES where an action carries data away, GRANTS where it gives rights, 0 for all else; `thing` is its type."""
    return _sort_of(action[:_LONGEST], thing[:_LONGEST])


@lru_cache(maxsize=4_096)
def _sort_of(action: str, thing: str) -> int:
    if _TAKES.search(action):
        return TAKES
    gives = not _READS.match(action) and _GRANTS.search(f"{action} {thing}")
    return GRANTS if gives else 0


_TAKES = re.compile(
    r"""(?ix)
    get_?object(?!_?(?:acl|attr|legal|lock|ret|tag|torrent)) | objects\.get\b | select_?object | copy_?object
    | get_?blob | download | export(?!er) | \bclone\b | get_?query_?results | batch_?get_?item | file_?accessed
    | mail_?items_?accessed | file_?copied | document\.copy | takeout
    """
)
_READS = re.compile(r"(?i)(?:get|list|describe|head|view|read|watch|delete|remove|detach)")
_GRANTS = re.compile(
    r"""(?ix)
    (?:attach|put)_?(?:user|role|group|bucket|key|resource)?_?policy | (?:create_?|default_?)policy_?version
    | assume_?role_?policy | user_?to_?group | create_?account_?assignment | policy_?to_?permission_?set
    | set_?iam_?policy | create_?grant | add_?permission | role_?bindings | access_granted | assign_?role
    | (?:membership|privilege|role|permission)[.](?:add|grant|assign) | member[.]add | add_(?:member|collaborator)
    | update_(?:member|collaborator) | add[ ](?:\w+[ ]){0,3}(?:member|owner|role|permission|grant) | add-\w*permission
    """
)
