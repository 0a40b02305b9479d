"""What two services use: a port, an adapter, the delivery of events, or a word of the published language.

Admission: it is one of those four, two services use it today, its name is a noun of this system, and it knows no
department, category or channel. Adding a module means editing the exhaustive import contract in `pyproject.toml`.
"""

__version__ = "0.1.0"
