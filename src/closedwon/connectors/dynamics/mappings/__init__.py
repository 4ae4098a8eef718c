"""Between Dataverse rows and our documents, both ways. Pure.

Reading order: rows (what we ask for), deal (row to opportunity), writeback (invoice facts to writes on a CRM record).
"""
