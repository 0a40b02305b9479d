"""The published language: what the services tell each other. One file per owning service; only the owner emits."""
