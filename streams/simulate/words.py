"""Names the simulated company is made of."""

from __future__ import annotations

DOMAIN = "acornlabs.example"
COMPANY = "acorn-labs"
ACCOUNTS = {"prod": "111122223333", "staging": "444455556666", "data": "777788889999", "security": "123456789012"}
REGION = "eu-central-1"

FIRST = (
    "Anna", "Ben", "Carla", "David", "Elena", "Felix", "Grace", "Hugo", "Irene", "Jonas", "Kira", "Liam",
    "Maya", "Nils", "Olga", "Pedro", "Quinn", "Rosa", "Samir", "Tara", "Ulrich", "Vera", "Wei", "Ximena",
    "Yara", "Zoe", "Aisha", "Bruno", "Chloe", "Dmitri", "Emma", "Farid", "Gina", "Henrik", "Isla", "Jin",
    "Karim", "Lena", "Marco", "Nadia", "Omar", "Priya", "Rafael", "Sofia", "Tomas", "Uma", "Victor", "Wanda",
    "Yusuf", "Zane", "Amara", "Boris", "Clara", "Diego", "Esther", "Finn", "Greta", "Hana", "Ivan", "Julia",
)  # fmt: skip
LAST = (
    "Keller", "Novak", "Rossi", "Okafor", "Lindqvist", "Tanaka", "Murphy", "Silva", "Weber", "Kowalski",
    "Haddad", "Jensen", "Moreau", "Castillo", "Ivanova", "Schmidt", "Fraser", "Nakamura", "Olsen", "Petrov",
    "Quiroga", "Rahman", "Santos", "Thompson", "Usman", "Vogel", "Walsh", "Xu", "Yilmaz", "Zimmer", "Andersson",
    "Brandt", "Costa", "Duarte", "Eriksen", "Fischer", "Gupta", "Hoffmann", "Iyer", "Jansen", "Kumar",
    "Laurent", "Meyer", "Nguyen", "Ortega", "Patel", "Reyes", "Sato", "Torres", "Uddin", "Varga", "Wagner",
    "Young", "Zhang", "Bauer", "Cohen", "Dubois", "Engel", "Ferrari", "Garcia",
)  # fmt: skip
SQUADS = (
    "payments", "checkout", "catalog", "search", "identity", "mobile", "growth", "platform", "orders",
    "pricing", "logistics", "messaging",
)  # fmt: skip
SERVICES = ("api", "worker", "web", "gateway", "jobs")
APPS = {
    "everyone": ("Slack", "Google Workspace", "Confluence", "Workday", "Zoom"),
    "engineering": ("Jira", "Sentry", "Figma"),
    "sre": ("Jira", "PagerDuty", "Grafana"),
    "data": ("Jira", "Looker", "Snowflake"),
    "security": ("Jira", "CrowdStrike", "Okta Admin Console"),
    "it-helpdesk": ("Jira", "Jamf", "Okta Admin Console"),
    "finance": ("NetSuite", "Expensify", "Bill Pay", "Looker"),
    "support": ("Zendesk", "Salesforce", "Statuspage", "Back Office"),
}
AWS_APP, GITHUB_APP, KUBERNETES_APP = "AWS IAM Identity Center", "GitHub Enterprise Cloud", "Kubernetes Production"
TITLES = {
    "engineering": "Software Engineer", "sre": "Site Reliability Engineer", "data": "Data Analyst",
    "security": "Security Engineer", "it-helpdesk": "IT Support Specialist", "finance": "Accountant",
    "support": "Support Agent",
}  # fmt: skip
