"""What Dynamics 365 Sales adds to plain tables.

Reading order: `pricing`, `states`, `documents`, `actions`.
"""
