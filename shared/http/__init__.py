"""HTTP, once for all services: limits, strict JSON, problems, health, who may."""
