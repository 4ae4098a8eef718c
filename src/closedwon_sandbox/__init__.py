"""Local simulators of Microsoft Dataverse and Xero.

They accept what the vendors accept and refuse what the vendors refuse. Reading order: settings, start, server,
exchange, clock, world, faults, stats, postman, control, handover; then the simulators xero and dataverse.
"""
