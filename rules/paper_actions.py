"""What paper of each type can explain: which actions of which system. Everything else it leaves to people.

An action is written as the vendor writes it; AWS' with its service ("iam:AttachRolePolicy"), those of Kubernetes with
what they are done to ("patch deployments"). `*` stands for any run of characters; letter case does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from audit.context_people import glob_matches

Table = Mapping[str, str]
LONGEST_ACTION = 200

_READS = "*:Get* *:List* *:Describe* *:Head* *:BatchGet* *:Lookup* *:Search* *:Query *:Scan"
_SECRETS = "secretsmanager:* ssm:GetParameter* *:GetPasswordData"
_CHANGES = (
    "Create Put Update Modify Attach Detach Delete Remove Add Set Authorize Revoke Associate Disassociate Enable "
    "Disable Register Deregister Start Stop Reboot Restore Copy Run Terminate Tag Untag Publish Import Rotate Change "
    "Upload Deploy Invoke Allocate Release Replace Apply Execute Send"
)
_REPAIRS = "Modify Update Start Stop Reboot Restore Terminate Run Scale Set Tag"
_WORKLOADS = (
    "deployments deployments/scale statefulsets statefulsets/scale daemonsets replicasets pods pods/log pods/eviction "
    "jobs cronjobs configmaps services endpoints events ingresses horizontalpodautoscalers persistentvolumeclaims "
    "nodes namespaces leases"
)
_SHELLS = "pods/exec pods/portforward pods/attach"


def _requests(verbs: str, things: str) -> str:
    return " | ".join(f"{verb} {thing}" for verb in verbs.split() for thing in things.split())


SIGN_INS: Table = {
    "okta": "user.session.start | user.authentication.* | policy.evaluate_sign_on",
    "aws": "signin:ConsoleLogin | sso:Authenticate | sso:Federate",
    "entra": "Sign-in activity | UserLoggedIn",
    "google": "login_success | login_verification",
    "github": "user.login | org.sso_response",
}

EXPLAINS: Mapping[str, Table] = {
    "access": {
        "okta": "group.user_membership.add | application.user_membership.add | group.application_assignment.add",
        "aws": "sso:CreateAccountAssignment | identitystore:CreateGroupMembership | iam:AddUserToGroup "
        "| iam:Attach*Policy | iam:Put*Policy | sts:AssumeRole* | kms:CreateGrant | lakeformation:GrantPermissions",
        "github": "integration_installation.* | integration_installation_request.* | team.add_* | repo.add_member "
        "| org.add_member | org.invite_member | org.update_member_repository_*",
        "k8s": _requests("create patch update", "rolebindings clusterrolebindings"),
        "entra": "Add member to group* | Add member to role* | Add app role assignment* | Add owner to * "
        "| Consent to application*",
        "google": "ADD_GROUP_MEMBER | ASSIGN_ROLE | AUTHORIZE_API_CLIENT_ACCESS",
        "gcp": "*SetIamPolicy*",
    },
    "change": {
        "aws": " | ".join(
            [*_READS.split(), "sts:AssumeRole*", "s3:*Object*"]
            + [f"*:{verb}*" for verb in _CHANGES.split()]
        ),
        "k8s": _requests("get list watch create patch update delete", _WORKLOADS)
        + " | "
        + _requests("create patch update delete", "serviceaccounts roles rolebindings networkpolicies"),
        "github": "protected_branch.* | repository_ruleset.* | repo.create | repo.rename | repo.archived "
        "| repo.unarchived | repo.add_topic | repo.update_* | hook.* | workflows.* | environment.* | git.* "
        "| pull_request* | repo.actions_enabled",
        "okta": "application.lifecycle.* | policy.lifecycle.* | policy.rule.* | group.lifecycle.* | zone.* "
        "| system.api_token.create",
        "gcp": "*.insert | *.patch | *.update | *.create* | *.delete* | *.set* | *.get* | *.list*",
        "azure": "*/write | */delete | */action | */read",
        "entra": "Update * | Add * | Delete application | Remove *",
        "google": "CHANGE_* | CREATE_* | TOGGLE_*",
    },
    "helpdesk": {
        "okta": "user.mfa.factor.reset_all | user.mfa.factor.deactivate | user.account.reset_password "
        "| user.account.expire_password | user.account.unlock* | user.lifecycle.activate | user.lifecycle.reactivate "
        "| user.lifecycle.unsuspend",
        "aws": "iam:UpdateLoginProfile | iam:DeactivateMFADevice | iam:ResyncMFADevice | sso-directory:UpdatePassword",
        "entra": "Reset user password* | Reset password* | Admin registered security info "
        "| Admin updated security info | Admin deleted security info | Enable account",
        "o365": "Reset user password* | Enable account*",
        "google": "CHANGE_PASSWORD | UNENROLL_USER_FROM_STRONG_AUTH | RESET_SIGNIN_COOKIES | UNSUSPEND_USER",
    },
    "incident": {
        "aws": " | ".join(
            [*_READS.split(), "sts:AssumeRole*", "ssm:StartSession", "ec2-instance-connect:*", "ecs:ExecuteCommand"]
            + [f"*:{verb}*" for verb in _REPAIRS.split()]
            + ["rds:Create*Snapshot", "ec2:CreateSnapshot*", "lambda:UpdateFunctionCode*", "s3:PutObject"]
        ),
        "k8s": _requests("get list watch create patch update delete", f"{_WORKLOADS} {_SHELLS}"),
        "github": "git.* | pull_request* | workflows.* | protected_branch.policy_override",
        "gcp": "*.get* | *.list* | *.start | *.stop | *.reset | *.setMachineType",
    },
    "pentest": {"*": "*"},
}  # fmt: skip
"""By type of paper and system. A type or system that is not here explains nothing."""

NOT_BY_CHANGE: Mapping[str, Table] = {
    "change": {"aws": " | ".join(_SECRETS.split())},
    "incident": {"aws": " | ".join(_SECRETS.split())},
}
"""Exceptions from what is above: a window to repair or rebuild something is none to read its secrets."""

NEVER: Table = {
    "aws": "cloudtrail:Stop* | cloudtrail:Delete* | cloudtrail:Update* | cloudtrail:PutEventSelectors "
    "| guardduty:Delete* | guardduty:Disassociate* | guardduty:Stop* | guardduty:UpdateDetector "
    "| guardduty:CreateFilter | guardduty:*IPSet* | config:Stop* | config:Delete* | securityhub:Disable* "
    "| securityhub:Delete* | macie2:Disable* | access-analyzer:Delete* | detective:Delete* | ec2:DeleteFlowLogs "
    "| logs:Delete* | route53resolver:Delete*Log* | wafv2:DeleteLogging* | kms:ScheduleKeyDeletion | kms:DisableKey "
    "| backup:Delete* | rds:Delete*Snapshot | rds:DeleteDBInstanceAutomatedBackup | ec2:DeleteSnapshot "
    "| s3:PutBucketLogging | organizations:LeaveOrganization | organizations:*Policy | iam:DeleteRolePermissionsBound* "
    "| account:* | sso:*IdentityProvider* | iam:*SAMLProvider | iam:*OpenIDConnectProvider | cloudtrail:PutInsight* "
    "| securityhub:BatchDisable* | securityhub:*UpdateFindings | guardduty:ArchiveFindings | inspector2:Disable* "
    "| monitoring:DeleteAlarms | monitoring:DisableAlarm* | *:Delete*PublicAccessBlock | s3:PutBucketReplication "
    "| dynamodb:DeleteBackup | glacier:Delete* | elasticfilesystem:DeleteFileSystem",
    "okta": "system.log_stream.* | system.idp.* | user.session.impersonation.* | user.account.privilege.grant "
    "| group.privilege.grant | system.agent.* | policy.*.deactivate",
    "github": "repo.access | repo.transfer* | org.audit_log_* | audit_log_streaming.* | business.* "
    "| *secret_scanning*.disable | *push_protection*.disable | org.update_member | org.sso_* | ip_allow_list.* "
    "| org.enable_* | org.disable_* | staff.*",
    "k8s": "* clusterrolebindings | * clusterroles | * validatingwebhookconfigurations "
    "| * mutatingwebhookconfigurations | impersonate *",
    "gcp": "*DeleteSink | *UpdateSink | *DeleteLog | *DestroyCryptoKeyVersion",
    "azure": "*/diagnosticSettings/delete | *Microsoft.Security/*",
    "entra": "*conditional access policy* | *federat* | *domain* | Disable Strong Authentication",
    "o365": "Set-AdminAuditLogConfig | *TransportRule | *AuditConfig*",
    "google": "*2SV* | *2_STEP* | *STRONG_AUTH_ENFORCEMENT* | TOGGLE_OUTBOUND_RELAY | *_SAML_* | *AUDIT*",
}
"""What no paper explains, whoever signed it: the watchers and the last copies. People look at those."""

GIVES: Table = {
    "aws": "iam:Attach*Policy | iam:Put*Policy | iam:AddUserToGroup | iam:CreatePolicyVersion "
    "| iam:SetDefaultPolicyVersion | iam:UpdateAssumeRolePolicy | iam:CreateLoginProfile | s3:Put*Policy "
    "| kms:PutKeyPolicy | kms:CreateGrant | *:PutResourcePolicy | sso:CreateAccountAssignment "
    "| identitystore:CreateGroupMembership | lakeformation:Grant*",
    "okta": "*.user_membership.add | group.application_assignment.add | *.privilege.grant",
    "github": "team.add_* | repo.add_member | org.add_member | org.update_member | org.invite_member "
    "| integration_installation.create | org_credential_authorization.grant",
    "k8s": "create *rolebindings | patch *rolebindings | update *rolebindings",
    "entra": "Add member to * | Add app role assignment* | Add owner to * | Consent to application*",
    "google": "ADD_GROUP_MEMBER | ASSIGN_ROLE | AUTHORIZE_API_CLIENT_ACCESS",
    "gcp": "*SetIamPolicy*",
}
"""Actions that give rights: nobody gives them to themselves on paper, and each is held against paper as it happens."""
HANDS_OVER: Table = {
    "aws": "account:PutContactInformation | account:PutAlternateContact | account:StartPrimaryEmailUpdate "
    "| account:AcceptPrimaryEmailUpdate | organizations:InviteAccountToOrganization | organizations:AcceptHandshake "
    "| organizations:MoveAccount | organizations:RemoveAccountFromOrganization | organizations:LeaveOrganization "
    "| organizations:RegisterDelegatedAdministrator | route53domains:TransferDomainToAnotherAwsAccount",
    "okta": "user.account.privilege.grant | group.privilege.grant | app.oauth2.client.privilege.grant "
    "| iam.resourceset.bindings.add",
    "github": "repo.transfer* | org.transfer* | org.update_member | org.add_member | team.promote_maintainer "
    "| business.add_admin | business.invite_admin | oauth_application.transfer",
    "entra": "Add owner to *",
    "google": "GRANT_ADMIN_PRIVILEGE | GRANT_DELEGATED_ADMIN_PRIVILEGES | CREATE_DATA_TRANSFER_REQUEST "
    "| TRANSFER_DOCUMENT_OWNERSHIP | UPDATE_DOMAIN_PRIMARY_ADMIN_EMAIL",
}
"""Actions that move responsibility: who owns a thing, or answers for it (rules/handover.py). Tickets for access and
change are about them."""
HANDED_OVER_BY = ("access", "change")
SHARES = (
    "*:Put*Policy | *:Put*PublicAccessBlock | *:Set*Policy | *:Create*Policy* | *:Update*Policy | *:Put*Acl "
    "| *:CreateBucket | *:PutObject | *:AddPermission* | *:AddLayerVersionPermission* | *:*FunctionUrlConfig* "
    "| *:Modify*Attribute | *:ModifyDocumentPermission | kms:CreateGrant | ram:*ResourceShare* | lakeformation:Grant*"
)
"""Actions of AWS that can open a thing to other accounts, or to everybody."""
OPENS: Table = {
    "aws": "iam:CreateAccessKey | iam:CreateLoginProfile | iam:UpdateLoginProfile | iam:CreateUser | iam:Upload* "
    "| iam:CreateServiceSpecificCredential | iam:CreateVirtualMFADevice | iam:EnableMFADevice | rolesanywhere:Create*",
    "okta": "system.api_token.create | user.lifecycle.create | user.mfa.factor.activate",
    "github": "public_key.create | personal_access_token.* | deploy_key.create",
    "k8s": "create serviceaccounts* | create secrets | create certificatesigningrequests*",
    "entra": "Add user | Add service principal credentials* | Update application*Certificates and secrets*",
    "google": "CREATE_USER",
    "gcp": "*CreateServiceAccountKey",
}
"""Actions that make accounts and credentials: like rights, they outlast the grant on which they were made."""


@lru_cache(maxsize=4_096)
def can_explain(kind: str, system: str, action: str) -> bool:
    """Whether paper of a type can explain an action in a system at all."""
    if kind in HANDED_OVER_BY and hands_over(system, action):
        return True
    table = EXPLAINS.get(kind, {})
    exceptions = NOT_BY_CHANGE.get(kind, {}).get(system, "")
    return _among(table.get(system) or table.get("*", ""), action) and not _among(exceptions, action)


@lru_cache(maxsize=4_096)
def gives_rights(system: str, action: str) -> bool:
    """Whether an action gives somebody rights."""
    return _among(GIVES.get(system, ""), action)


@lru_cache(maxsize=4_096)
def hands_over(system: str, action: str) -> bool:
    """Whether an action can move responsibility for something."""
    return _among(HANDS_OVER.get(system, ""), action)


@lru_cache(maxsize=4_096)
def shares(action: str) -> bool:
    """Whether an action of AWS can open a thing of the company's to others."""
    return _among(SHARES, action)


@lru_cache(maxsize=4_096)
def outlasts_a_grant(system: str, action: str) -> bool:
    """Whether what an action made is still there when the grant it was made on has ended."""
    return gives_rights(system, action) or _among(OPENS.get(system, ""), action)


def is_sign_in(system: str, action: str) -> bool:
    """Whether an action is how one gets to work in a system."""
    return _among(SIGN_INS.get(system, ""), action)


@lru_cache(maxsize=4_096)
def is_beyond_paper(system: str, action: str) -> bool:
    """Whether people look at an action whatever was approved."""
    return _among(NEVER.get(system, ""), action)


def _among(globs: str, action: str) -> bool:
    word = action[:LONGEST_ACTION].lower()
    return any(glob_matches(parts, word) for parts in _patterns(globs))


@lru_cache(maxsize=256)
def _patterns(globs: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(one.strip().lower().split("*")) for one in globs.split("|") if one.strip())
