"""Closedwon connects Microsoft Dynamics CRM and Xero: a won deal becomes one correct invoice, once, to the cent."""

__version__ = "0.1.0"
