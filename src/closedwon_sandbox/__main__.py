"""Makes `python -m closedwon_sandbox start` work."""

import sys

from closedwon_sandbox.start import main

sys.exit(main())
