"""What MITRE ATT&CK (Enterprise, https://attack.mitre.org) calls the techniques that audit logs show."""

from __future__ import annotations

from collections.abc import Iterable

from alerting.plain import plain

_MOST, _LONGEST = 4, 40


def named(techniques: Iterable[str]) -> list[str]:
    """Techniques as people read them, "T1078.004 Valid Accounts: Cloud Accounts"; a technique whose sub-technique is
    there too is left out, and of many the first four are named and the others counted.
    """
    ids = [plain(technique, _LONGEST).upper() for technique in techniques]
    whole = {one.partition(".")[0] for one in ids if "." in one}
    ids = [one for one in dict.fromkeys(ids) if one not in whole]
    more = [f"{len(ids) - _MOST} more"] if len(ids) > _MOST else []
    return [_named(one) for one in ids[:_MOST]] + more


def _named(technique: str) -> str:
    above = technique.partition(".")[0]
    names = [_NAMES[one] for one in dict.fromkeys((above, technique)) if one in _NAMES]
    return f"{technique} {': '.join(names)}".rstrip()


_TABLE = """
T1020 Automated Exfiltration
T1021 Remote Services
T1021.004 SSH
T1021.007 Cloud Services
T1021.008 Direct Cloud VM Connections
T1036 Masquerading
T1036.005 Match Legitimate Resource Name or Location
T1037 Boot or Logon Initialization Scripts
T1040 Network Sniffing
T1046 Network Service Discovery
T1048 Exfiltration Over Alternative Protocol
T1053 Scheduled Task/Job
T1053.007 Container Orchestration Job
T1059 Command and Scripting Interpreter
T1059.009 Cloud API
T1068 Exploitation for Privilege Escalation
T1069 Permission Groups Discovery
T1069.003 Cloud Groups
T1070 Indicator Removal
T1070.006 Timestomp
T1072 Software Deployment Tools
T1078 Valid Accounts
T1078.001 Default Accounts
T1078.002 Domain Accounts
T1078.003 Local Accounts
T1078.004 Cloud Accounts
T1082 System Information Discovery
T1087 Account Discovery
T1087.004 Cloud Account
T1090 Proxy
T1090.003 Multi-hop Proxy
T1098 Account Manipulation
T1098.001 Additional Cloud Credentials
T1098.003 Additional Cloud Roles
T1098.004 SSH Authorized Keys
T1098.005 Device Registration
T1098.006 Additional Container Cluster Roles
T1098.007 Additional Local or Domain Groups
T1110 Brute Force
T1110.001 Password Guessing
T1110.003 Password Spraying
T1110.004 Credential Stuffing
T1111 Multi-Factor Authentication Interception
T1114 Email Collection
T1119 Automated Collection
T1133 External Remote Services
T1134 Access Token Manipulation
T1136 Create Account
T1136.001 Local Account
T1136.003 Cloud Account
T1190 Exploit Public-Facing Application
T1195 Supply Chain Compromise
T1195.001 Compromise Software Dependencies and Development Tools
T1195.002 Compromise Software Supply Chain
T1199 Trusted Relationship
T1200 Hardware Additions
T1204 User Execution
T1213 Data from Information Repositories
T1213.003 Code Repositories
T1222 File and Directory Permissions Modification
T1484 Domain or Tenant Policy Modification
T1484.002 Trust Modification
T1485 Data Destruction
T1485.001 Lifecycle-Triggered Deletion
T1486 Data Encrypted for Impact
T1489 Service Stop
T1490 Inhibit System Recovery
T1496 Resource Hijacking
T1496.004 Cloud Service Hijacking
T1498 Network Denial of Service
T1499 Endpoint Denial of Service
T1505 Server Software Component
T1525 Implant Internal Image
T1526 Cloud Service Discovery
T1528 Steal Application Access Token
T1530 Data from Cloud Storage
T1531 Account Access Removal
T1535 Unused/Unsupported Cloud Regions
T1537 Transfer Data to Cloud Account
T1538 Cloud Service Dashboard
T1539 Steal Web Session Cookie
T1543 Create or Modify System Process
T1543.005 Container Service
T1548 Abuse Elevation Control Mechanism
T1548.003 Sudo and Sudo Caching
T1548.005 Temporary Elevated Cloud Access
T1550 Use Alternate Authentication Material
T1550.001 Application Access Token
T1550.004 Web Session Cookie
T1552 Unsecured Credentials
T1552.001 Credentials In Files
T1552.004 Private Keys
T1552.005 Cloud Instance Metadata API
T1552.007 Container API
T1555 Credentials from Password Stores
T1555.006 Cloud Secrets Management Stores
T1556 Modify Authentication Process
T1556.006 Multi-Factor Authentication
T1556.009 Conditional Access Policies
T1557 Adversary-in-the-Middle
T1562 Impair Defenses
T1562.001 Disable or Modify Tools
T1562.007 Disable or Modify Cloud Firewall
T1562.008 Disable or Modify Cloud Logs
T1565 Data Manipulation
T1565.002 Transmitted Data Manipulation
T1566 Phishing
T1566.002 Spearphishing Link
T1567 Exfiltration Over Web Service
T1567.001 Exfiltration to Code Repository
T1567.002 Exfiltration to Cloud Storage
T1572 Protocol Tunneling
T1578 Modify Cloud Compute Infrastructure
T1580 Cloud Infrastructure Discovery
T1583 Acquire Infrastructure
T1584 Compromise Infrastructure
T1584.001 Domains
T1589 Gather Victim Identity Information
T1589.001 Credentials
T1606 Forge Web Credentials
T1606.002 SAML Tokens
T1609 Container Administration Command
T1610 Deploy Container
T1611 Escape to Host
T1613 Container and Resource Discovery
T1619 Cloud Storage Object Discovery
T1621 Multi-Factor Authentication Request Generation
T1648 Serverless Execution
T1651 Cloud Administration Command
T1666 Modify Cloud Resource Hierarchy
"""
_NAMES: dict[str, str] = {line[: line.index(" ")]: line[line.index(" ") + 1 :] for line in _TABLE.split("\n") if line}
