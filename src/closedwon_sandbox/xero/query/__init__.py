"""Reading lists: `where` is the filter language, `listing` picks, sorts and pages the records of an answer."""
