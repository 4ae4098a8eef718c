"""The Web API below `/api/data/v9.x/`.

Reading order: `service`, `resource`, `members`, `metadata`, `definitions`, `wire`.
"""
