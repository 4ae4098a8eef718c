"""Local simulators of Microsoft Dataverse and Xero.

They accept what the vendors accept and refuse what the vendors refuse.
"""
