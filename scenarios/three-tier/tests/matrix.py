"""The security matrix of the document: which component is on which network, and on which port it listens."""

NETWORKS = {
    "web-ui": {"frontend-net"},
    "api-gateway": {"frontend-net", "backend-net"},
    "api-server": {"backend-net", "database-net"},
    "postgres-db": {"database-net"},
}

PORTS = {"web-ui": 80, "api-gateway": 443, "api-server": 3000, "postgres-db": 5432}
