"""Local simulators of Microsoft Dataverse and Xero: they accept what the vendors accept and refuse what the vendors refuse."""
